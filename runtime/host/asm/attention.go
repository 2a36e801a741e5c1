package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lane is the unit of all sizes in attention, in elements: two AVX2 vectors or one of AVX-512.
const lane = 16

// blockUnroll is how many steps of k one round of a tile's main loop takes.
const blockUnroll = 4

// attention emits the loops of package host's attentionOps.
func attention(c *build.Context) {
	x, lowest := newExp2(c), constant(c, "rowMaxLowest", -math.MaxFloat32)
	for _, s := range []isa{avx2, avx512} {
		blockProduct(c, s)
		rowMax(c, s, lowest)
		rowExp(c, s, x)
		rowExpGrad(c, s, x)
		rowScale(c, s)
	}
}

// begin starts a function and its documentation.
func begin(c *build.Context, name, signature string, doc ...string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.SignatureExpr(signature)
	c.Doc(doc...)
}

// argument loads a parameter into a general register.
func argument(c *build.Context, name string) reg.GPVirtual {
	return c.Load(c.Param(name), c.GP64()).(reg.GPVirtual)
}

// stride loads a parameter in elements as a number of bytes.
func stride(c *build.Context, name string) reg.GPVirtual {
	r := argument(c, name)
	c.SHLQ(operand.Imm(2), r)
	return r
}

// blockProduct emits the product of two blocks in the first- and second-level cache: strips of two vectors of columns, in each
// strip tiles of rows. Tiles have the two heights that keep both multiply-add pipes busy (more than eight sums in flight), the
// tall ones first: below any multiple of a lane of rows they meet nothing or one of two numbers of rows that the low ones divide.
func blockProduct(c *build.Context, s isa) {
	tall, low, rests := 6, 5, []int{20, 10}
	if s.bytes == 64 {
		tall, low, rests = 12, 8, []int{16, 8}
	}
	name := "blockProduct" + s.name
	begin(c, name, "func(m, n, k int, a *float32, ars, aks int, b *float32, brs, bps int, c *float32, crs int, accumulate bool)",
		name+" computes, for i < m and j < n,",
		"",
		fmt.Sprintf("\tc[i*crs+j] (+)= Σ_{p<k} a[i*ars+p*aks]·b[p*brs+j/%d*bps+j%%%d]", lane, lane),
		"",
		fmt.Sprintf("and adds to c when accumulate is set. m and n are positive multiples of %d, k ≥ 1.", lane),
	)
	// What is left of n, and where the strip begins in b and c, stand in the arguments' own slots: registers are short.
	left, bStrip, cStrip := paramAddr(c, "n"), paramAddr(c, "b"), paramAddr(c, "c")
	ars, aks, brs := stride(c, "ars"), stride(c, "aks"), stride(c, "brs")
	strips := []int{2}
	if s.bytes/4 == lane {
		strips = []int{2, 1} // an odd lane at the end is a strip of one vector
	}
	for _, vecs := range strips {
		label := func(l string) string { return fmt.Sprintf("%s_v%d", l, vecs) }
		c.Label(label("strip"))
		if vecs*s.bytes > lane*4 {
			c.CMPQ(left, operand.Imm(uint64(vecs*s.bytes/4)))
			c.JLT(operand.LabelRef("strip_v1"))
		}
		rows, a, cp := argument(c, "m"), argument(c, "a"), c.GP64()
		c.MOVQ(cStrip, cp)
		c.Label(label("rows"))
		for _, n := range rests {
			c.CMPQ(rows, operand.Imm(uint64(n)))
			c.JEQ(operand.LabelRef(label("low")))
		}
		blockTile(c, s, tall, vecs, a, cp, bStrip, ars, aks, brs)
		c.SUBQ(operand.Imm(uint64(tall)), rows)
		c.JNE(operand.LabelRef(label("rows")))
		c.JMP(operand.LabelRef(label("next")))
		c.Label(label("low"))
		blockTile(c, s, low, vecs, a, cp, bStrip, ars, aks, brs)
		c.SUBQ(operand.Imm(uint64(low)), rows)
		c.JNE(operand.LabelRef(label("low")))
		c.Label(label("next"))
		panel := stride(c, "bps")
		for range vecs * s.bytes / (4 * lane) {
			c.ADDQ(panel, bStrip)
		}
		c.ADDQ(operand.U32(uint32(vecs*s.bytes)), cStrip)
		c.SUBQ(operand.U32(uint32(vecs*s.bytes/4)), left)
		if vecs == strips[0] {
			c.JNE(operand.LabelRef(label("strip")))
		}
		c.VZEROUPPER()
		c.RET()
	}
}

// blockTile emits one tile and moves a and cp on to the next.
func blockTile(c *build.Context, s isa, height, vecs int, a, cp reg.GPVirtual, bStrip operand.Mem, ars, aks, brs reg.GPVirtual) {
	name := fmt.Sprintf("tile%dv%d", height, vecs)
	crs, line := stride(c, "crs"), c.GP64()
	c.MOVQ(cp, line)
	for i := range height {
		c.PREFETCHT0(operand.Mem{Base: line})
		if i < height-1 {
			c.ADDQ(crs, line)
		}
	}
	b, k, first := c.GP64(), argument(c, "k"), c.GP64()
	c.MOVQ(bStrip, b)
	c.MOVQ(a, first)
	rows := stridedRows(c, first, ars, height)
	bAt := func(j int) operand.Mem { return operand.Mem{Base: b, Disp: j * s.bytes} }
	if j := lane * 4 / s.bytes; j < vecs { // the second vector stands in the next panel
		panel := stride(c, "bps")
		bAt = func(j int) operand.Mem {
			if j == 0 {
				return operand.Mem{Base: b}
			}
			return operand.Mem{Base: b, Index: panel, Scale: 1}
		}
	}
	acc := make([][]reg.VecVirtual, height)
	for i := range acc {
		for range vecs {
			v := s.vector(c)
			c.VXORPS(v, v, v)
			acc[i] = append(acc[i], v)
		}
	}
	step := func() {
		bv := make([]reg.VecVirtual, vecs)
		for j := range bv {
			bv[j] = s.vector(c)
			c.VMOVUPS(bAt(j), bv[j])
		}
		c.ADDQ(brs, b)
		for i := range acc {
			av := s.vector(c)
			c.VBROADCASTSS(rows.at(i), av)
			for j := range bv {
				c.VFMADD231PS(bv[j], av, acc[i][j])
			}
		}
		for _, base := range rows.bases {
			c.ADDQ(aks, base)
		}
	}
	c.SUBQ(operand.Imm(blockUnroll), k)
	c.JLT(operand.LabelRef(name + "_tail"))
	c.Label(name + "_loop")
	for range blockUnroll {
		step()
	}
	c.SUBQ(operand.Imm(blockUnroll), k)
	c.JGE(operand.LabelRef(name + "_loop"))
	c.Label(name + "_tail")
	c.ADDQ(operand.Imm(blockUnroll), k)
	c.JEQ(operand.LabelRef(name + "_sum"))
	c.Label(name + "_step")
	step()
	c.DECQ(k)
	c.JNE(operand.LabelRef(name + "_step"))

	c.Label(name + "_sum")
	crs = stride(c, "crs")
	c.CMPB(paramAddr(c, "accumulate"), operand.Imm(0))
	c.JEQ(operand.LabelRef(name + "_store"))
	c.MOVQ(cp, line)
	for i := range acc {
		for j := range acc[i] {
			c.VADDPS(operand.Mem{Base: line, Disp: j * s.bytes}, acc[i][j], acc[i][j])
		}
		if i < height-1 {
			c.ADDQ(crs, line)
		}
	}
	c.Label(name + "_store")
	for i := range acc {
		for j := range acc[i] {
			c.VMOVUPS(acc[i][j], operand.Mem{Base: cp, Disp: j * s.bytes})
		}
		c.ADDQ(crs, cp)
	}
	addTimes(c, a, ars, height)
}

// constant is a vector of memory with the same number throughout.
func constant(c *build.Context, name string, v float32) operand.Mem {
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for range lane {
		c.AppendDatum(operand.F32(v))
	}
	return m
}

// exp2 is the constants of 2^x, each as one vector of memory.
type exp2 struct {
	lowest, magic, one operand.Mem
	q                  [6]operand.Mem
}

func newExp2(c *build.Context) exp2 {
	x := exp2{
		lowest: constant(c, "exp2Lowest", -127),
		magic:  constant(c, "exp2Magic", 3<<22), // adding 1.5·2²³ rounds to a whole number, which then stands in the low bits
		one:    constant(c, "exp2One", 1),
	}
	for i, v := range []float32{0.6931471880262288, 0.24022650760568084, 0.055503571142191434, 0.009618082557285757, 0.0013390863364639927, 0.0001545316294227159} {
		x.q[i] = constant(c, fmt.Sprintf("exp2Q%d", i), v)
	}
	return x
}

// expVectors is how many powers are computed side by side: one alone is a chain of some thirty cycles, and more
// would not find their registers in AVX2.
const expVectors = 4

// expRows is the number of rows whose lanes make expVectors vectors.
func (s isa) expRows() int { return expVectors / s.vectors() }

// load puts the two constants that instructions do not take from memory into registers.
func (x exp2) load(c *build.Context, s isa) (lowest, magic reg.VecVirtual) {
	lowest, magic = s.vector(c), s.vector(c)
	c.VMOVUPS(x.lowest, lowest)
	c.VMOVUPS(x.magic, magic)
	return lowest, magic
}

// emit returns 2^v for each of v, which it overwrites; package host's exp2 has the arithmetic. Of NaNs, VMAXPS returns
// its second source, so that one stays.
func (x exp2) emit(c *build.Context, s isa, lowest, magic reg.VecVirtual, v []reg.VecVirtual) []reg.VecVirtual {
	whole, power := make([]reg.VecVirtual, len(v)), make([]reg.VecVirtual, len(v))
	for i := range v {
		whole[i], power[i] = s.vector(c), s.vector(c)
		c.VMAXPS(v[i], lowest, v[i])
	}
	for i := range v {
		c.VADDPS(magic, v[i], whole[i])
	}
	for i := range v {
		c.VSUBPS(magic, whole[i], power[i])
	}
	for i := range v {
		c.VSUBPS(power[i], v[i], v[i])
	}
	last := len(x.q) - 1
	c.VMOVUPS(x.q[last], power[0])
	for i := range v[1:] {
		c.VMOVAPS(power[0], power[i+1])
	}
	for k := last - 1; k >= 0; k-- {
		for i := range v {
			c.VFMADD213PS(x.q[k], v[i], power[i])
		}
	}
	for i := range v {
		c.VFMADD213PS(x.one, v[i], power[i])
		c.VPSLLD(operand.Imm(23), whole[i], whole[i])
	}
	for i := range v {
		c.VPADDD(whole[i], power[i], power[i])
	}
	return power
}

// eachRow emits a loop over groups of rows whose base pointers step by their row stride, and inside it a loop over lanes. Every
// group begins with `before`; `body` handles one lane of each row at byte offset `at` of rows[base][row].
func eachRow(c *build.Context, group int, bases []string, before func(), body func(at operand.Mem, rows [][]reg.GPVirtual), after func()) {
	left, step := argument(c, "rows"), stride(c, "stride")
	rows := make([][]reg.GPVirtual, len(bases))
	for i, b := range bases {
		rows[i] = []reg.GPVirtual{argument(c, b)}
		for r := 1; r < group; r++ {
			next := c.GP64()
			c.LEAQ(operand.Mem{Base: rows[i][r-1], Index: step, Scale: 1}, next)
			rows[i] = append(rows[i], next)
		}
	}
	c.Label("row")
	before()
	n, offset := stride(c, "n"), c.GP64()
	c.XORQ(offset, offset)
	c.Label("lane")
	body(operand.Mem{Index: offset, Scale: 1}, rows)
	c.ADDQ(operand.Imm(4*lane), offset)
	c.CMPQ(offset, n)
	c.JLT(operand.LabelRef("lane"))
	after()
	for _, base := range rows {
		for _, p := range base {
			addTimes(c, p, step, group)
		}
	}
	c.SUBQ(operand.Imm(uint64(group)), left)
	c.JNE(operand.LabelRef("row"))
	c.VZEROUPPER()
	c.RET()
}

// vectors is the number of vectors in a lane.
func (s isa) vectors() int { return 4 * lane / s.bytes }

// part is vector j of the lane at `at` from base.
func (s isa) part(at operand.Mem, base reg.GPVirtual, j int) operand.Mem {
	at.Base, at.Disp = base, j*s.bytes
	return at
}

// fold reduces vectors to one element, halving them, and stores it.
func (s isa) fold(c *build.Context, op func(ops ...operand.Op), v []reg.VecVirtual, to reg.GPVirtual) {
	x := v[0]
	for _, other := range v[1:] {
		op(other, x, x)
	}
	if s.bytes == 64 {
		high := c.ZMM()
		c.VEXTRACTF64X4(operand.Imm(1), x, high.AsY())
		op(high.AsY(), x.AsY(), x.AsY())
	}
	high := c.YMM()
	c.VEXTRACTF128(operand.Imm(1), x.AsY(), high.AsX())
	op(high.AsX(), x.AsX(), x.AsX())
	c.VPERMILPS(operand.Imm(0b1110), x.AsX(), high.AsX())
	op(high.AsX(), x.AsX(), x.AsX())
	c.VPERMILPS(operand.Imm(1), x.AsX(), high.AsX())
	op(high.AsX(), x.AsX(), x.AsX())
	c.VMOVSS(x.AsX(), operand.Mem{Base: to})
	c.ADDQ(operand.Imm(4), to)
}

func rowMax(c *build.Context, s isa, lowest operand.Mem) {
	name := "rowMax" + s.name
	begin(c, name, "func(rows, n int, s *float32, stride int, largest *float32)",
		name+" writes the largest of the n elements of each row; n is a positive multiple of 16. NaNs may be passed over.")
	out := argument(c, "largest")
	m := make([]reg.VecVirtual, s.vectors())
	for j := range m {
		m[j] = s.vector(c)
	}
	eachRow(c, 1, []string{"s"}, func() {
		for j := range m {
			c.VMOVUPS(lowest, m[j])
		}
	}, func(at operand.Mem, rows [][]reg.GPVirtual) {
		for j := range m {
			c.VMAXPS(s.part(at, rows[0][0], j), m[j], m[j])
		}
	}, func() { s.fold(c, c.VMAXPS, m, out) })
}

// shifted loads a lane of each row, plus the row's element of `shift`.
func (s isa) shifted(c *build.Context, at operand.Mem, rows []reg.GPVirtual, shift reg.GPVirtual) []reg.VecVirtual {
	var x []reg.VecVirtual
	for r, row := range rows {
		for range s.vectors() {
			x = append(x, s.vector(c))
		}
		v := x[r*s.vectors():]
		c.VBROADCASTSS(operand.Mem{Base: shift, Disp: 4 * r}, v[0])
		for j := len(v) - 1; j >= 0; j-- {
			c.VADDPS(s.part(at, row, j), v[0], v[j])
		}
	}
	return x
}

func rowExp(c *build.Context, s isa, x exp2) {
	name := "rowExp" + s.name
	begin(c, name, "func(rows, n int, s *float32, stride int, shift, sum *float32)",
		name+" replaces s by 2^(s + shift), with one shift a row, and writes the sums of the rows; rows is a positive multiple",
		"of 4, n of 16. Powers below 2^-126 are not exact, and zero from 2^-127 on.")
	shift, out := argument(c, "shift"), argument(c, "sum")
	lowest, magic := x.load(c, s)
	sums := make([]reg.VecVirtual, s.expRows())
	for r := range sums {
		sums[r] = s.vector(c)
	}
	eachRow(c, len(sums), []string{"s"}, func() {
		for _, v := range sums {
			c.VXORPS(v, v, v)
		}
	}, func(at operand.Mem, rows [][]reg.GPVirtual) {
		for i, p := range x.emit(c, s, lowest, magic, s.shifted(c, at, rows[0], shift)) {
			r, j := i/s.vectors(), i%s.vectors()
			c.VMOVUPS(p, s.part(at, rows[0][r], j))
			c.VADDPS(p, sums[r], sums[r])
		}
	}, func() {
		c.ADDQ(operand.Imm(uint64(4*len(sums))), shift)
		for _, v := range sums {
			s.fold(c, c.VADDPS, []reg.VecVirtual{v}, out)
		}
	})
}

func rowExpGrad(c *build.Context, s isa, x exp2) {
	name := "rowExpGrad" + s.name
	begin(c, name, "func(rows, n int, s, ds *float32, stride int, shift, delta *float32)",
		name+" replaces s by p = 2^(s + shift) and ds by p·(ds + delta), with one shift and one delta a row; rows is a",
		"positive multiple of 4, n of 16. Powers are those of rowExp.")
	shift, delta := argument(c, "shift"), argument(c, "delta")
	lowest, magic := x.load(c, s)
	eachRow(c, s.expRows(), []string{"s", "ds"}, func() {}, func(at operand.Mem, rows [][]reg.GPVirtual) {
		p := x.emit(c, s, lowest, magic, s.shifted(c, at, rows[0], shift))
		for i, d := range s.shifted(c, at, rows[1], delta) {
			r, j := i/s.vectors(), i%s.vectors()
			c.VMOVUPS(p[i], s.part(at, rows[0][r], j))
			c.VMULPS(p[i], d, d)
			c.VMOVUPS(d, s.part(at, rows[1][r], j))
		}
	}, func() {
		c.ADDQ(operand.Imm(uint64(4*s.expRows())), shift)
		c.ADDQ(operand.Imm(uint64(4*s.expRows())), delta)
	})
}

func rowScale(c *build.Context, s isa) {
	name := "rowScale" + s.name
	begin(c, name, "func(rows, n int, x *float32, stride int, factor *float32)",
		name+" multiplies the n elements of each row by the row's factor; n is a positive multiple of 16.")
	factors, factor := argument(c, "factor"), s.vector(c)
	eachRow(c, 1, []string{"x"}, func() {
		c.VBROADCASTSS(operand.Mem{Base: factors}, factor)
		c.ADDQ(operand.Imm(4), factors)
	}, func(at operand.Mem, rows [][]reg.GPVirtual) {
		for j := range s.vectors() {
			v := s.vector(c)
			c.VMULPS(s.part(at, rows[0][0], j), factor, v)
			c.VMOVUPS(v, s.part(at, rows[0][0], j))
		}
	}, func() {})
}
