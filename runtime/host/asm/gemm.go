package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is what differs between the vector extensions a kernel is written for.
type isa struct {
	name  string
	bytes int // of a vector
}

var (
	avx2   = isa{"AVX2", 32}
	avx512 = isa{"AVX512", 64}
)

// lanes is the number of float32 in a vector.
func (s isa) lanes() int { return s.bytes / 4 }

func (s isa) vector(c *build.Context) reg.VecVirtual {
	if s.bytes == 64 {
		return c.ZMM()
	}
	return c.YMM()
}

func (s isa) zero(c *build.Context) reg.VecVirtual {
	v := s.vector(c)
	c.VXORPS(v, v, v)
	return v
}

// gemm emits the matrix product: one micro-kernel an ISA, the transpose that packs, and the pause of a spinning worker.
func gemm(c *build.Context) {
	for _, k := range []struct {
		isa
		mr int
	}{{avx2, 6}, {avx512, 14}} {
		panel(c, k.isa, k.mr)
		packPanels(c, k.isa)
	}
	transpose(c)
	c.Function("spinPause")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func()")
	c.Doc("spinPause tells the core that the caller spins (PAUSE).")
	c.PAUSE()
	c.RET()
}

// unroll is how many steps of k one round of a tile's main loop takes: enough to hide the loop's own instructions
// behind its 24 (AVX2) or more multiply-adds.
func (s isa) unroll() int { return 128 / s.bytes }

// panel emits the micro-kernel: tiles of up to mr rows and two vectors, one below the other. All sizes of tile are bodies
// of the one function, chosen by a chain of compares that starts with the full tile. What moves on from tile to tile stands in
// the arguments' own slots: registers are short.
func panel(c *build.Context, s isa, mr int) {
	name := "gemmPanel" + s.name
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.SignatureExpr("func(rows, vecs, kc int, a *float32, lda int, b, c *float32, ldc int, d *float32, ldd int, next *float32, along, across, tiles int)")
	c.Doc(
		name+" computes, for i < rows and j < vecs vectors of columns,",
		"",
		"\tc[i*ldc+j] = d[i*ldd+j] + Σ_{p<kc} a[i*lda+p]·b[p*nr+j]",
		"",
		fmt.Sprintf("with nr = %d, vecs 1 or 2 and kc ≥ 1, in tiles of %d rows; a nil d counts as zeros. The sum over p runs", 2*s.lanes(), mr),
		"upwards in one fused chain an element and d is added last, whatever the tile. In each of the first `tiles` tiles it",
		fmt.Sprintf("prefetches a line every %d steps of p, `along` elements apart, from `next` on, which moves by `across` with each tile.", s.unroll()),
	)
	for _, p := range []string{"lda", "ldc", "ldd", "along", "across"} { // elements, wanted in bytes
		c.SHLQ(operand.Imm(2), paramAddr(c, p))
	}
	c.Label("tile")
	rows := c.Load(c.Param("rows"), c.GP64())
	c.CMPQ(paramAddr(c, "vecs"), operand.Imm(1))
	c.JE(operand.LabelRef("rows_v1"))
	for _, vecs := range []int{2, 1} {
		if vecs == 1 {
			c.Label("rows_v1")
		}
		for r := mr; r > 1; r-- {
			c.CMPQ(rows, operand.Imm(uint64(r)))
			c.JGE(operand.LabelRef(fmt.Sprintf("tile%dv%d", r, vecs)))
		}
		c.JMP(operand.LabelRef(fmt.Sprintf("tile1v%d", vecs)))
	}
	for _, vecs := range []int{2, 1} {
		for r := mr; r >= 1; r-- {
			tileBody(c, s, r, vecs)
		}
	}
	c.Label("done")
	c.VZEROUPPER()
	c.RET()
}

// paramAddr is the stack slot of a parameter.
func paramAddr(c *build.Context, name string) operand.Mem {
	b, err := c.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// strided addresses rows of a matrix by base registers and x86's scaled index: row r is bases[i] + {0,1,2,4,8}·stride.
type strided struct {
	stride reg.GPVirtual
	first  []int // the row that each base stands at
	bases  []reg.GPVirtual
}

// stridedRows makes the bases for rows 0..rows-1 at address p, rows `stride` bytes apart.
func stridedRows(c *build.Context, p, stride reg.GPVirtual, rows int) strided {
	s := strided{stride: stride}
	for r := range rows {
		if _, _, ok := s.reach(r); ok {
			continue
		}
		base := c.GP64()
		switch r {
		case 0:
			base = p
		default:
			last := s.at(r - 1)
			c.LEAQ(last, base)
			c.ADDQ(stride, base)
		}
		s.first, s.bases = append(s.first, r), append(s.bases, base)
	}
	return s
}

func (s strided) reach(row int) (base reg.GPVirtual, scale uint8, ok bool) {
	for i, f := range s.first {
		switch row - f {
		case 0, 1, 2, 4, 8:
			return s.bases[i], uint8(row - f), true
		}
	}
	return nil, 0, false
}

func (s strided) at(row int) operand.Mem {
	base, scale, ok := s.reach(row)
	if !ok {
		panic(fmt.Sprintf("BUG: no base reaches row %d", row))
	}
	m := operand.Mem{Base: base}
	if scale > 0 {
		m.Index, m.Scale = s.stride, scale
	}
	return m
}

// tileBody emits the tile of exactly rows×vecs vectors.
func tileBody(c *build.Context, s isa, rows, vecs int) {
	name := fmt.Sprintf("tile%dv%d", rows, vecs)
	c.Label(name)

	// The tile's lines of c arrive while the loop runs.
	cp, ldc := argument(c, "c"), argument(c, "ldc")
	for i := range rows {
		c.PREFETCHT0(operand.Mem{Base: cp})
		if vecs*s.bytes > 64 {
			c.PREFETCHT0(operand.Mem{Base: cp, Disp: 64})
		}
		if i < rows-1 {
			c.ADDQ(ldc, cp)
		}
	}

	// So does the first line of each of the next tile's rows of a; from there on the hardware sees where a row leads.
	ahead, lda := argument(c, "a"), argument(c, "lda")
	addTimes(c, ahead, lda, rows)
	for i := range rows {
		c.PREFETCHT0(operand.Mem{Base: ahead})
		if i < rows-1 {
			c.ADDQ(lda, ahead)
		}
	}

	next, along := argument(c, "next"), argument(c, "along")
	c.SUBQ(operand.Imm(1), paramAddr(c, "tiles"))
	c.JGE(operand.LabelRef(name + "_ahead"))
	c.MOVQ(cp, next) // nothing to fetch: a line that is on its way
	c.XORQ(along, along)
	c.Label(name + "_ahead")

	kc, b := argument(c, "kc"), argument(c, "b")
	a := stridedRows(c, argument(c, "a"), argument(c, "lda"), rows)
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		for range vecs {
			acc[i] = append(acc[i], s.zero(c))
		}
	}
	step := func(u int) {
		bv := make([]reg.VecVirtual, vecs)
		for j := range bv {
			bv[j] = s.vector(c)
			c.VMOVUPS(operand.Mem{Base: b, Disp: u*2*s.bytes + j*s.bytes}, bv[j])
		}
		for i := range acc {
			av, at := s.vector(c), a.at(i)
			at.Disp = 4 * u
			c.VBROADCASTSS(at, av)
			for j := range bv {
				c.VFMADD231PS(bv[j], av, acc[i][j])
			}
		}
	}
	advance := func(steps int) {
		for _, base := range a.bases {
			c.ADDQ(operand.Imm(uint64(4*steps)), base)
		}
		c.ADDQ(operand.U32(steps*2*s.bytes), b)
	}
	unroll := s.unroll()
	c.SUBQ(operand.U8(unroll), kc)
	c.JLT(operand.LabelRef(name + "_tail"))
	c.Label(name + "_loop")
	c.PREFETCHT1(operand.Mem{Base: next})
	for u := range unroll {
		step(u)
	}
	c.ADDQ(along, next)
	advance(unroll)
	c.SUBQ(operand.U8(unroll), kc)
	c.JGE(operand.LabelRef(name + "_loop"))
	c.Label(name + "_tail")
	c.ADDQ(operand.U8(unroll), kc)
	c.JEQ(operand.LabelRef(name + "_store"))
	c.Label(name + "_step")
	step(0)
	advance(1)
	c.DECQ(kc)
	c.JNE(operand.LabelRef(name + "_step"))

	c.Label(name + "_store")
	cp, ldc = argument(c, "c"), argument(c, "ldc")
	d, ldd := argument(c, "d"), argument(c, "ldd")
	c.TESTQ(d, d)
	c.JEQ(operand.LabelRef(name + "_plain"))
	for i := range acc {
		for j := range acc[i] {
			c.VADDPS(operand.Mem{Base: d, Disp: j * s.bytes}, acc[i][j], acc[i][j])
		}
		c.ADDQ(ldd, d)
	}
	c.MOVQ(d, paramAddr(c, "d"))
	c.Label(name + "_plain")
	for i := range acc {
		for j := range acc[i] {
			c.VMOVUPS(acc[i][j], operand.Mem{Base: cp, Disp: j * s.bytes})
		}
		c.ADDQ(ldc, cp)
	}
	c.MOVQ(cp, paramAddr(c, "c"))

	rest := argument(c, "rows")
	c.SUBQ(operand.Imm(uint64(rows)), rest)
	c.JEQ(operand.LabelRef("done"))
	c.MOVQ(rest, paramAddr(c, "rows"))
	first, lda, across := argument(c, "a"), argument(c, "lda"), argument(c, "across")
	addTimes(c, first, lda, rows)
	c.MOVQ(first, paramAddr(c, "a"))
	c.ADDQ(across, paramAddr(c, "next"))
	c.JMP(operand.LabelRef("tile"))
}

// addTimes emits p += n·stride.
func addTimes(c *build.Context, p, stride reg.GPVirtual, n int) {
	for n > 0 {
		scale := 8
		for scale > n {
			scale /= 2
		}
		c.LEAQ(operand.Mem{Base: p, Index: stride, Scale: uint8(scale)}, p)
		n -= scale
	}
}

// packPanels emits the packing of operands that lie along. A row is read from end to end, and adds its piece to each panel.
func packPanels(c *build.Context, s isa) {
	const below = 8 // rows
	name, nr := "packPanels"+s.name, 2*s.lanes()
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.SignatureExpr("func(kc int, starts *int, x *float32, panels int, dst *float32, next int)")
	c.Doc(
		name+" copies pieces of rows to panels, next elements apart:",
		"",
		"\tdst[i*next+p*nr+j] = x[starts[p]+i*nr+j]   p < kc, i < panels, j < nr",
		"",
		fmt.Sprintf("with nr = %d; kc and panels are ≥ 1. It prefetches %d rows ahead: starts has %d more elements.", nr, below, below),
	)
	kc, starts, x, dst := argument(c, "kc"), argument(c, "starts"), argument(c, "x"), argument(c, "dst")
	next := argument(c, "next")
	c.SHLQ(operand.Imm(2), next)
	c.Label("row")
	from, ahead, to, left := c.GP64(), c.GP64(), c.GP64(), argument(c, "panels")
	c.MOVQ(operand.Mem{Base: starts}, from)
	c.LEAQ(operand.Mem{Base: x, Index: from, Scale: 4}, from)
	c.MOVQ(operand.Mem{Base: starts, Disp: 8 * below}, ahead)
	c.LEAQ(operand.Mem{Base: x, Index: ahead, Scale: 4}, ahead)
	c.MOVQ(dst, to)
	c.Label("piece")
	for line := 0; line < 4*nr; line += 64 {
		c.PREFETCHT0(operand.Mem{Base: ahead, Disp: line})
	}
	for j := range 2 {
		v := s.vector(c)
		c.VMOVUPS(operand.Mem{Base: from, Disp: j * s.bytes}, v)
		c.VMOVUPS(v, operand.Mem{Base: to, Disp: j * s.bytes})
	}
	c.ADDQ(operand.U32(4*nr), from)
	c.ADDQ(operand.U32(4*nr), ahead)
	c.ADDQ(next, to)
	c.DECQ(left)
	c.JNE(operand.LabelRef("piece"))
	c.ADDQ(operand.Imm(8), starts)
	c.ADDQ(operand.U32(4*nr), dst)
	c.DECQ(kc)
	c.JNE(operand.LabelRef("row"))
	c.VZEROUPPER()
	c.RET()
}

// transpose emits the packing of operands that lie across: 8 rows of the source become 8 columns. Rows r and r+4 share a
// register from the load on, so that shuffles inside 128-bit lanes are all it takes.
func transpose(c *build.Context) {
	c.Function("transpose8AVX2")
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.SignatureExpr("func(blocks int, rows *[8]*float32, dst *float32, ldd int)")
	c.Doc(
		"transpose8AVX2 writes the transpose of 8 rows of 8·blocks elements as 8·blocks rows of 8, ldd apart:",
		"",
		"\tdst[p*ldd+r] = rows[r][p]   r < 8, p < 8·blocks, blocks ≥ 1",
	)
	load := func(param string) reg.GPVirtual { return c.Load(c.Param(param), c.GP64()).(reg.GPVirtual) }
	blocks, rows, dst, ldd := load("blocks"), load("rows"), load("dst"), load("ldd")
	c.SHLQ(operand.Imm(2), ldd)
	var in [8]reg.GPVirtual
	for r := range in {
		in[r] = c.GP64()
		c.MOVQ(operand.Mem{Base: rows, Disp: 8 * r}, in[r])
	}
	at := c.GP64() // offset into the rows
	c.XORQ(at, at)
	c.Label("block")
	for half := range 2 {
		var v [4]reg.VecVirtual
		for r := range v {
			v[r] = c.YMM()
			c.VMOVUPS(operand.Mem{Base: in[r], Index: at, Scale: 1, Disp: 16 * half}, v[r].AsX())
			c.VINSERTF128(operand.Imm(1), operand.Mem{Base: in[r+4], Index: at, Scale: 1, Disp: 16 * half}, v[r], v[r])
		}
		t := [4]reg.VecVirtual{c.YMM(), c.YMM(), c.YMM(), c.YMM()}
		c.VUNPCKLPS(v[1], v[0], t[0]) // rows 0 1: columns 0 0 1 1
		c.VUNPCKHPS(v[1], v[0], t[1]) //           columns 2 2 3 3
		c.VUNPCKLPS(v[3], v[2], t[2])
		c.VUNPCKHPS(v[3], v[2], t[3])
		for col := range 4 {
			o := c.YMM()
			imm := []uint64{0x44, 0xee}[col%2]
			c.VSHUFPS(operand.Imm(imm), t[2+col/2], t[col/2], o)
			c.VMOVUPS(o, operand.Mem{Base: dst})
			c.ADDQ(ldd, dst)
		}
	}
	c.ADDQ(operand.Imm(32), at)
	c.DECQ(blocks)
	c.JNE(operand.LabelRef("block"))
	c.VZEROUPPER()
	c.RET()
}
