package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A vec holds 8 lanes of 32 bits or 4 of 64.
type vec = reg.VecVirtual

// tables are the constants that functions share.
type tables struct {
	narrow, wide operand.Mem // how far to shift a mask so that each lane's bit comes to the top of the lane
	nan          operand.Mem // the NaN that every operation gives
	nan16        operand.Mem // that of bf16, and one less than half a unit of the bits that rounding to bf16 drops
	one          operand.Mem
}

func newTables(c *build.Context) tables {
	words := func(name string, n int, f func(i int) uint32) operand.Mem {
		m := c.StaticGlobal(name)
		c.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range n {
			c.AddDatum(4*i, operand.U32(f(i)))
		}
		return m
	}
	same := func(name string, v uint32) operand.Mem { return words(name, 1, func(int) uint32 { return v }) }
	return tables{
		narrow: words("narrow", 32, func(i int) uint32 { return uint32(31 - i) }),
		wide: words("wide", 64, func(i int) uint32 {
			if i%2 == 1 {
				return 0 // the upper half of a count
			}
			return uint32(63 - i/2)
		}),
		nan:   same("nan", 0x7FFFFFFF),
		nan16: same("nan16", 0x7FFF),
		one:   same("one", 1),
	}
}

// writer emits functions over 32 lanes, which change the lanes of a mask only.
type writer struct {
	*build.Context
	tables
}

// begin opens a function and loads its operands' addresses.
func (w *writer) begin(name, signature string, names ...string) []reg.Register {
	w.Function(name + "AVX2")
	w.Doc(name + "AVX2 is " + name + " with AVX2.")
	w.Pragma("noescape")
	w.Attributes(attr.NOSPLIT)
	w.SignatureExpr(signature)
	var at []reg.Register
	for _, n := range names {
		at = append(at, w.Load(w.Param(n), w.GP64()))
	}
	return at
}

func (w *writer) end() {
	w.VZEROUPPER()
	w.RET()
}

func (w *writer) at(base reg.Register, i int) operand.Mem {
	return operand.Mem{Base: base, Disp: 32 * i}
}

func (w *writer) load(base reg.Register, i int) vec {
	v := w.YMM()
	w.VMOVDQU(w.at(base, i), v)
	return v
}

// constant loads one in all lanes.
func (w *writer) constant(m operand.Mem) vec {
	v := w.YMM()
	w.VPBROADCASTD(m, v)
	return v
}

// narrowMask loads the mask m for lanes of 32 bits.
func (w *writer) narrowMask() vec {
	x, v := w.XMM(), w.YMM()
	w.VMOVD(w.Load(w.Param("m"), w.GP32()), x)
	w.VPBROADCASTD(x, v)
	return v
}

// store writes eight lanes of 32 bits: v in those of the mask, what was there in the others.
func (w *writer) store(v, mask vec, to reg.Register, i int) {
	here := w.YMM()
	w.VPSLLVD(w.narrow.Offset(32*i), mask, here)
	w.VBLENDVPS(here, v, w.load(to, i), v)
	w.VMOVDQU(v, w.at(to, i))
}

// storeWide is store for four lanes of 64 bits.
func (w *writer) storeWide(v, mask vec, to reg.Register, i int) {
	here := w.YMM()
	w.VPSLLVQ(w.wide.Offset(32*i), mask, here)
	w.VBLENDVPD(here, v, w.load(to, i), v)
	w.VMOVDQU(v, w.at(to, i))
}

// binary emits an operation on two operands of 32 bits. f leaves its result in x; y is the second operand in memory.
func (w *writer) binary(name string, f func(x vec, y operand.Mem)) {
	p := w.begin(name, "func(d, a, b *[32]uint32, m uint32)", "d", "a", "b")
	mask := w.narrowMask()
	for i := range 4 {
		x := w.load(p[1], i)
		f(x, w.at(p[2], i))
		w.store(x, mask, p[0], i)
	}
	w.end()
}

// ternary is binary with a third operand: f leaves its result in z.
func (w *writer) ternary(name string, f func(x vec, y operand.Mem, z vec)) {
	p := w.begin(name, "func(d, a, b, c *[32]uint32, m uint32)", "d", "a", "b", "c")
	mask := w.narrowMask()
	for i := range 4 {
		x, z := w.load(p[1], i), w.load(p[3], i)
		f(x, w.at(p[2], i), z)
		w.store(z, mask, p[0], i)
	}
	w.end()
}

// cleaned makes every NaN of x the one that the hardware gives.
func (w *writer) cleaned(nan, x vec) {
	unordered := w.YMM()
	w.VCMPPS(operand.Imm(3), x, x, unordered)
	w.VBLENDVPS(unordered, nan, x, x)
}

// floats is binary with NaNs cleaned.
func (w *writer) floats(name string, f func(x vec, y operand.Mem)) {
	p := w.begin(name, "func(d, a, b *[32]uint32, m uint32)", "d", "a", "b")
	mask, nan := w.narrowMask(), w.constant(w.nan)
	for i := range 4 {
		x := w.load(p[1], i)
		f(x, w.at(p[2], i))
		w.cleaned(nan, x)
		w.store(x, mask, p[0], i)
	}
	w.end()
}

func (w *writer) fma() {
	p := w.begin("fmaFloats", "func(d, a, b, c *[32]uint32, m uint32)", "d", "a", "b", "c")
	mask, nan := w.narrowMask(), w.constant(w.nan)
	for i := range 4 {
		x, z := w.load(p[1], i), w.load(p[3], i)
		w.VFMADD231PS(w.at(p[2], i), x, z)
		w.cleaned(nan, z)
		w.store(z, mask, p[0], i)
	}
	w.end()
}

// packBF16 rounds two floats to bf16, ties to even, the first into the upper half.
func (w *writer) packBF16() {
	p := w.begin("packBF16", "func(d, a, b *[32]uint32, m uint32)", "d", "a", "b")
	mask, one, nan16 := w.narrowMask(), w.constant(w.one), w.constant(w.nan16)
	round := func(x vec) {
		t, unordered := w.YMM(), w.YMM()
		w.VCMPPS(operand.Imm(3), x, x, unordered)
		w.VPSRLD(operand.Imm(16), x, t)
		w.VPAND(one, t, t)
		w.VPADDD(t, x, x)
		w.VPADDD(nan16, x, x)
		w.VPSRLD(operand.Imm(16), x, x)
		w.VBLENDVPS(unordered, nan16, x, x)
	}
	for i := range 4 {
		x, y := w.load(p[1], i), w.load(p[2], i)
		round(x)
		round(y)
		w.VPSLLD(operand.Imm(16), x, x)
		w.VPOR(y, x, x)
		w.store(x, mask, p[0], i)
	}
	w.end()
}

// selectLanes takes a in the lanes of c and b in the others.
func (w *writer) selectLanes() {
	p := w.begin("selectWords", "func(d, a, b *[32]uint32, c, m uint32)", "d", "a", "b")
	mask := w.narrowMask()
	s, choice := w.XMM(), w.YMM()
	w.VMOVD(w.Load(w.Param("c"), w.GP32()), s)
	w.VPBROADCASTD(s, choice)
	for i := range 4 {
		x, here := w.load(p[2], i), w.YMM()
		w.VPSLLVD(w.narrow.Offset(32*i), choice, here)
		w.VBLENDVPS(here, w.at(p[1], i), x, x)
		w.store(x, mask, p[0], i)
	}
	w.end()
}

// wideSum adds lanes of 64 bits.
func (w *writer) wideSum() {
	p := w.begin("addWide", "func(d, a, b *[32]uint64, m uint32)", "d", "a", "b")
	mask := w.wideMask()
	for i := range 8 {
		x := w.load(p[1], i)
		w.VPADDQ(w.at(p[2], i), x, x)
		w.storeWide(x, mask, p[0], i)
	}
	w.end()
}

// wideProduct multiplies lanes of 32 bits to 64.
func (w *writer) wideProduct() {
	p := w.begin("mulWide", "func(d *[32]uint64, a, b *[32]uint32, m uint32)", "d", "a", "b")
	mask := w.wideMask()
	for i := range 8 {
		x, y := w.YMM(), w.YMM()
		w.VPMOVZXDQ(operand.Mem{Base: p[1], Disp: 16 * i}, x)
		w.VPMOVZXDQ(operand.Mem{Base: p[2], Disp: 16 * i}, y)
		w.VPMULUDQ(y, x, x)
		w.storeWide(x, mask, p[0], i)
	}
	w.end()
}

// wideMask loads the mask m for lanes of 64 bits.
func (w *writer) wideMask() vec {
	x, v := w.XMM(), w.YMM()
	w.VMOVD(w.Load(w.Param("m"), w.GP32()), x)
	w.VPBROADCASTQ(x, v)
	return v
}

// collect gathers the top bits of the lanes of four vectors into a result.
func (w *writer) collect(result string, lanes func(i int) vec) {
	all := w.GP32()
	for i := range 4 {
		bits := w.GP32()
		w.VMOVMSKPS(lanes(i), bits)
		if i == 0 {
			w.MOVL(bits, all)
			continue
		}
		w.SHLL(operand.Imm(uint64(8*i)), bits)
		w.ORL(bits, all)
	}
	w.Store(all, w.Return(result))
}

// order compares integers: in which lanes a is less than b, and equal. flip is xored to both: the sign bit for unsigned ones.
func (w *writer) order() {
	p := w.begin("orderInts", "func(a, b *[32]uint32, flip uint32) (less, equal uint32)", "a", "b")
	s, flip := w.XMM(), w.YMM()
	w.VMOVD(w.Load(w.Param("flip"), w.GP32()), s)
	w.VPBROADCASTD(s, flip)
	w.collect("less", func(i int) vec {
		x, y := w.YMM(), w.YMM()
		w.VPXOR(w.at(p[0], i), flip, x)
		w.VPXOR(w.at(p[1], i), flip, y)
		w.VPCMPGTD(x, y, x)
		return x
	})
	w.collect("equal", func(i int) vec {
		x := w.load(p[0], i)
		w.VPCMPEQD(w.at(p[1], i), x, x)
		return x
	})
	w.end()
}

// orderFloats is order for floats; unordered are the lanes with a NaN.
func (w *writer) orderFloats() {
	p := w.begin("orderFloats", "func(a, b *[32]uint32) (less, equal, unordered uint32)", "a", "b")
	for i, result := range []string{"equal", "less", "", "unordered"} { // by the predicate of VCMPPS
		if result == "" {
			continue
		}
		w.collect(result, func(k int) vec {
			x := w.load(p[0], k)
			w.VCMPPS(operand.Imm(uint64(i)), w.at(p[1], k), x, x)
			return x
		})
	}
	w.end()
}

// columns deals the four words of each lane to four vectors, and gathers them.
func (w *writer) columns() {
	read := w.begin("readColumns", "func(d0, d1, d2, d3 *[32]uint32, from *byte)", "d0", "d1", "d2", "d3", "from")
	for i := range 4 {
		rows := make([]vec, 4)
		for r := range rows { // lane 8i + r beside lane 8i + r + 4
			rows[r] = w.YMM()
			half := w.XMM()
			w.VMOVDQU(operand.Mem{Base: read[4], Disp: 16 * (8*i + r)}, half)
			w.VINSERTI128(operand.Imm(1), operand.Mem{Base: read[4], Disp: 16 * (8*i + r + 4)}, half.AsY(), rows[r])
		}
		for k, v := range w.transpose(rows) {
			w.VMOVDQU(v, w.at(read[k], i))
		}
	}
	w.end()
	written := w.begin("writeColumns", "func(to *byte, a0, a1, a2, a3 *[32]uint32)", "a0", "a1", "a2", "a3", "to")
	for i := range 4 {
		rows := make([]vec, 4)
		for k := range rows {
			rows[k] = w.load(written[k], i)
		}
		for r, v := range w.transpose(rows) {
			w.VMOVDQU(v.AsX(), operand.Mem{Base: written[4], Disp: 16 * (8*i + r)})
			w.VEXTRACTI128(operand.Imm(1), v, operand.Mem{Base: written[4], Disp: 16 * (8*i + r + 4)})
		}
	}
	w.end()
}

// transpose transposes the 4×4 words in each half of four vectors.
func (w *writer) transpose(r []vec) []vec {
	t, out := make([]vec, 4), make([]vec, 4)
	for i := range t {
		t[i], out[i] = w.YMM(), w.YMM()
	}
	w.VPUNPCKLDQ(r[1], r[0], t[0])
	w.VPUNPCKHDQ(r[1], r[0], t[1])
	w.VPUNPCKLDQ(r[3], r[2], t[2])
	w.VPUNPCKHDQ(r[3], r[2], t[3])
	w.VPUNPCKLQDQ(t[2], t[0], out[0])
	w.VPUNPCKHQDQ(t[2], t[0], out[1])
	w.VPUNPCKLQDQ(t[3], t[1], out[2])
	w.VPUNPCKHQDQ(t[3], t[1], out[3])
	return out
}

func lanes(c *build.Context) {
	w := &writer{c, newTables(c)}
	type operation = func(...operand.Op)
	of3 := func(f func(a, b, d operand.Op)) operation { return func(o ...operand.Op) { f(o[0], o[1], o[2]) } }
	for _, o := range []struct {
		name string
		f    operation
	}{
		{"addInts", w.VPADDD}, {"mulInts", w.VPMULLD}, {"andWords", of3(w.VPAND)}, {"orWords", of3(w.VPOR)}, {"xorWords", of3(w.VPXOR)},
		{"minSigned", w.VPMINSD}, {"maxSigned", w.VPMAXSD}, {"minUnsigned", w.VPMINUD}, {"maxUnsigned", w.VPMAXUD},
		{"subInts", w.VPSUBD}, {"shiftLeft", w.VPSLLVD}, {"shiftRight", w.VPSRLVD}, {"shiftSigned", w.VPSRAVD},
	} {
		w.binary(o.name, func(x vec, y operand.Mem) { o.f(y, x, x) })
	}
	for _, o := range []struct {
		name string
		f    operation
	}{{"addFloats", w.VADDPS}, {"subFloats", w.VSUBPS}, {"mulFloats", w.VMULPS}} {
		w.floats(o.name, func(x vec, y operand.Mem) { o.f(y, x, x) })
	}
	w.ternary("madInts", func(x vec, y operand.Mem, z vec) {
		w.VPMULLD(y, x, x)
		w.VPADDD(x, z, z)
	})
	w.fma()
	w.packBF16()
	w.selectLanes()
	w.wideSum()
	w.wideProduct()
	w.order()
	w.orderFloats()
	w.columns()
}
