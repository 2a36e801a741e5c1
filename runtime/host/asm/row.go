package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// row emits a function over slices of equal length: a loop over whole vectors, and the rest under a mask, so that nothing is read
// or written past the end and an element's result does not depend on where it stands.
type row struct {
	c    *build.Context
	isa  isa
	i    reg.GPVirtual // bytes done
	n    reg.GPVirtual // elements left
	u    int           // vector of the round that is being emitted
	rest bool          // the rest is being emitted
	mask reg.Register  // of its elements: a vector for AVX2, a mask register for AVX-512
}

// newRow begins the function name+ISA with the parameters of signature. length names the slice whose length counts.
func newRow(c *build.Context, s isa, name, signature, length string) *row {
	c.Function(name + s.name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.SignatureExpr(signature)
	c.Doc(name + s.name + " is " + name + "Portable with " + s.title() + ".")
	n := c.Load(c.Param(length).Len(), c.GP64()).(reg.GPVirtual)
	return &row{c: c, isa: s, n: n}
}

func (s isa) title() string {
	if s.bytes == 64 {
		return "AVX-512"
	}
	return "AVX2"
}

// slice loads the address of a slice.
func (r *row) slice(name string) reg.GPVirtual {
	return r.c.Load(r.c.Param(name).Base(), r.c.GP64()).(reg.GPVirtual)
}

// scalar loads a float32 parameter into all lanes.
func (r *row) scalar(name string) reg.VecVirtual {
	v := r.vector()
	r.c.VBROADCASTSS(paramAddr(r.c, name), v)
	return v
}

func (r *row) vector() reg.VecVirtual { return r.isa.vector(r.c) }
func (r *row) zero() reg.VecVirtual   { return r.isa.zero(r.c) }

// zeros are accumulators, one for each vector of a round.
func (r *row) zeros(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = r.zero()
	}
	return v
}

// loop emits body for rounds of unroll vectors, for single ones, and for the rest under the mask. Its labels begin with name.
func (r *row) loop(name string, unroll int, body func()) {
	c, lanes := r.c, r.isa.lanes()
	r.i = c.GP64()
	c.XORQ(r.i, r.i)
	steps := []int{unroll}
	if unroll > 1 {
		steps = append(steps, 1)
	}
	for _, vectors := range steps {
		label := name + map[bool]string{true: "_round", false: "_single"}[vectors == unroll]
		c.SUBQ(operand.U32(vectors*lanes), r.n)
		c.JLT(operand.LabelRef(label + "_end"))
		c.Label(label)
		for r.u = 0; r.u < vectors; r.u++ {
			body()
		}
		r.u = 0
		c.ADDQ(operand.U32(vectors*r.isa.bytes), r.i)
		c.SUBQ(operand.U32(vectors*lanes), r.n)
		c.JGE(operand.LabelRef(label))
		c.Label(label + "_end")
		c.ADDQ(operand.U32(vectors*lanes), r.n)
	}
	c.JEQ(operand.LabelRef(name + "_done"))
	r.makeMask()
	r.rest = true
	body()
	r.rest = false
	c.Label(name + "_done")
}

// makeMask marks the first n lanes.
func (r *row) makeMask() {
	n, low := r.vector(), r.c.XMM()
	r.c.VMOVD(r.n.As32(), low)
	r.c.VPBROADCASTD(low, n)
	if r.isa.bytes == 64 {
		r.mask = r.c.K()
		r.c.VPCMPGTD(rowConstant("lane"), n, r.mask)
	} else {
		r.mask = r.vector()
		r.c.VPCMPGTD(rowConstant("lane"), n, r.mask)
	}
}

func (r *row) at(p reg.GPVirtual) operand.Mem {
	return operand.Mem{Base: p, Index: r.i, Scale: 1, Disp: r.u * r.isa.bytes}
}

// load reads the vector at hand; lanes of the rest that do not exist are zero.
func (r *row) load(p reg.GPVirtual) reg.VecVirtual {
	v := r.vector()
	switch {
	case !r.rest:
		r.c.VMOVUPS(r.at(p), v)
	case r.isa.bytes == 64:
		r.c.VMOVUPS_Z(r.at(p), r.mask, v)
	default:
		r.c.VMASKMOVPS(r.at(p), r.mask, v)
	}
	return v
}

func (r *row) store(v reg.VecVirtual, p reg.GPVirtual) {
	switch {
	case !r.rest:
		r.c.VMOVUPS(v, r.at(p))
	case r.isa.bytes == 64:
		r.c.VMOVUPS(v, r.mask, r.at(p))
	default:
		r.c.VMASKMOVPS(v, r.mask, r.at(p))
	}
}

// existing zeroes the lanes of the rest that do not exist.
func (r *row) existing(v reg.VecVirtual) {
	switch {
	case !r.rest:
	case r.isa.bytes == 64:
		r.c.VMOVAPS_Z(v, r.mask, v)
	default:
		r.c.VANDPS(r.mask, v, v)
	}
}

// halves converts a vector to float64: its lower and its upper half.
func (r *row) halves(v reg.VecVirtual) (low, high reg.VecVirtual) {
	low, high = r.vector(), r.vector()
	if r.isa.bytes == 64 {
		half := r.c.YMM()
		r.c.VEXTRACTF64X4(operand.Imm(1), v, half)
		r.c.VCVTPS2PD(v.AsY(), low)
		r.c.VCVTPS2PD(half, high)
	} else {
		half := r.c.XMM()
		r.c.VEXTRACTF128(operand.Imm(1), v, half)
		r.c.VCVTPS2PD(v.AsX(), low)
		r.c.VCVTPS2PD(half, high)
	}
	return low, high
}

// loadHalves is the halves of the vector at hand.
func (r *row) loadHalves(p reg.GPVirtual) (low, high reg.VecVirtual) {
	if r.rest {
		return r.halves(r.load(p))
	}
	low, high = r.vector(), r.vector()
	at := r.at(p)
	r.c.VCVTPS2PD(at, low)
	at.Disp += r.isa.bytes / 2
	r.c.VCVTPS2PD(at, high)
	return low, high
}

// combine is an instruction that combines two vectors into one.
type combine func(ops ...operand.Op)

// reduce combines accumulators pairwise, then the lanes of the result, halving until one float32 is left, and returns it.
func (r *row) reduce(acc []reg.VecVirtual, op combine) {
	x := r.reduceTo128(acc, op)
	for _, swap := range []uint64{0b01_00_11_10, 0b10_11_00_01} {
		other := r.c.XMM()
		r.c.VPERMILPS(operand.Imm(swap), x, other)
		op(other, x, x)
	}
	r.c.VMOVSS(x, r.result())
	r.end()
}

// reduceDouble is reduce for float64 sums.
func (r *row) reduceDouble(acc []reg.VecVirtual) {
	r.c.VMOVSD(r.sumDouble(acc), r.result())
	r.end()
}

// reduceDoubleToSingle is reduceDouble for a function that returns float32.
func (r *row) reduceDoubleToSingle(acc []reg.VecVirtual) {
	x := r.sumDouble(acc)
	r.c.VCVTSD2SS(x, x, x)
	r.c.VMOVSS(x, r.result())
	r.end()
}

func (r *row) sumDouble(acc []reg.VecVirtual) reg.Register {
	x := r.reduceTo128(acc, r.c.VADDPD)
	other := r.c.XMM()
	r.c.VPERMILPD(operand.Imm(1), x, other)
	r.c.VADDPD(other, x, x)
	return x
}

// result is the stack slot of the result.
func (r *row) result() operand.Mem {
	b, err := r.c.ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

func (r *row) reduceTo128(acc []reg.VecVirtual, op combine) reg.Register {
	for n := len(acc); n > 1; n /= 2 {
		for i := range n / 2 {
			op(acc[i+n/2], acc[i], acc[i])
		}
	}
	y := acc[0].AsY()
	if r.isa.bytes == 64 {
		upper := r.c.YMM()
		r.c.VEXTRACTF64X4(operand.Imm(1), acc[0], upper)
		op(upper, y, y)
	}
	x, upper := acc[0].AsX(), r.c.XMM()
	r.c.VEXTRACTF128(operand.Imm(1), y, upper)
	op(upper, x, x)
	return x
}

func (r *row) end() {
	r.c.VZEROUPPER()
	r.c.RET()
}

// constants of the kernels, each filling a vector of the widest kind so that any instruction takes it from memory. Those of the
// exponential are explained there.
var constants = []struct {
	name  string
	value func(lane int) uint32
}{
	{"lane", func(lane int) uint32 { return uint32(lane) }},
	{"one", always(1)},
	{"sign", always(math.Copysign(0, -1))},
	{"-inf", always(math.Inf(-1))},
	{"exp lowest", always(-87.33)},
	{"exp highest", always(88.72)},
	{"log2 e", always(math.Log2E)},
	{"round", always(3 << 22)},
	{"ln 2", always(math.Ln2)},
	{"ln 2 rest", always(math.Ln2 - float64(float32(math.Ln2)))},
	{"r2", always(0.49999994)},
	{"r3", always(0.16666521)},
	{"r4", always(0.04166839)},
	{"r5", always(0.008368745)},
	{"r6", always(0.001381454)},
}

func always(v float64) func(int) uint32 {
	return func(int) uint32 { return math.Float32bits(float32(v)) }
}

const constantBytes = 64

// rowConstant is the memory operand of a constant.
func rowConstant(name string) operand.Mem {
	for i, k := range constants {
		if k.name == name {
			return operand.NewDataAddr(operand.NewStaticSymbol("rowConstants"), i*constantBytes)
		}
	}
	panic("BUG: no constant " + name)
}

func rowConstants(c *build.Context) {
	c.StaticGlobal("rowConstants")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i, k := range constants {
		for lane := range constantBytes / 4 {
			c.AddDatum(i*constantBytes+4*lane, operand.U32(k.value(lane)))
		}
	}
}
