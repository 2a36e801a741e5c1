package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// exponential evaluates eˣ in all lanes. x = n·ln2 + r with n rounded to the nearest integer by adding 3·2²², which leaves n in the low
// bits of the sum; eʳ for |r| ≤ ln2/2 is 1 + r + r²·(a polynomial of degree 4, the minimax one: 4e-9 of the result); n is added to
// the exponent. Arguments above 88.72, where float32 ends, count as that; below −87.33 the result is 0.
type exponential struct {
	r               *row
	lowest, highest reg.VecVirtual
}

func newExponential(r *row) exponential {
	e := exponential{r: r, lowest: r.vector(), highest: r.vector()}
	r.c.VMOVUPS(rowConstant("exp lowest"), e.lowest)
	r.c.VMOVUPS(rowConstant("exp highest"), e.highest)
	return e
}

// of returns the exponential of x, which it leaves alone.
func (e exponential) of(x reg.VecVirtual) reg.VecVirtual {
	c, r := e.r.c, e.r
	t, n, p, whole := r.vector(), r.vector(), r.vector(), r.vector()
	// A NaN is the second source of both, and passes.
	c.VMAXPS(x, e.lowest, t)
	c.VMINPS(t, e.highest, t)
	c.VMOVUPS(rowConstant("round"), n)
	c.VFMADD231PS(rowConstant("log2 e"), t, n)
	c.VSUBPS(rowConstant("round"), n, whole)
	c.VFNMADD231PS(rowConstant("ln 2"), whole, t)
	c.VFNMADD231PS(rowConstant("ln 2 rest"), whole, t)
	c.VMOVUPS(rowConstant("r6"), p)
	for _, k := range []string{"r5", "r4", "r3", "r2", "one", "one"} {
		c.VFMADD213PS(rowConstant(k), t, p)
	}
	c.VPSLLD(operand.Imm(23), n, n)
	c.VPADDD(n, p, p)
	const notLess = 5
	if r.isa.bytes == 64 {
		k := c.K()
		c.VCMPPS(operand.Imm(notLess), e.lowest, x, k)
		c.VMOVAPS_Z(p, k, p)
	} else {
		c.VCMPPS(operand.Imm(notLess), e.lowest, x, t)
		c.VANDPS(t, p, p)
	}
	return p
}

// sigmoid returns, for e = exp(−|x|), the numerators of σ(x) and of 1−σ(x) over the common denominator 1+e.
func (e exponential) sigmoid(x reg.VecVirtual) (σ, rest, denominator reg.VecVirtual) {
	c, r := e.r.c, e.r
	negative := r.vector()
	c.VORPS(rowConstant("sign"), x, negative)
	small := e.of(negative)
	one := r.vector()
	c.VMOVUPS(rowConstant("one"), one)
	denominator, σ, rest = r.vector(), r.vector(), r.vector()
	c.VADDPS(one, small, denominator)
	if r.isa.bytes == 64 {
		k := c.K()
		c.VPMOVD2M(x, k)
		c.VBLENDMPS(small, one, k, σ)
		c.VBLENDMPS(one, small, k, rest)
	} else {
		c.VBLENDVPS(x, small, one, σ)
		c.VBLENDVPS(x, one, small, rest)
	}
	return σ, rest, denominator
}

func expShifted(c *build.Context, s isa) {
	r := newRow(c, s, "expShifted", "func(dst, src []float32, shift float32) float32", "dst")
	dst, src, shift := r.slice("dst"), r.slice("src"), r.scalar("shift")
	e, sum := newExponential(r), r.zeros(2)
	r.loop("expShifted", 1, func() {
		x := r.load(src)
		c.VSUBPS(shift, x, x)
		y := e.of(x)
		r.store(y, dst)
		r.existing(y)
		for i, v := range pair(r.halves(y)) {
			c.VADDPD(v, sum[i], sum[i])
		}
	})
	r.reduceDoubleToSingle(sum)
}

func swiglu(c *build.Context, s isa) {
	r := newRow(c, s, "swiglu", "func(gate, up, a []float32)", "a")
	gate, up, a := r.slice("gate"), r.slice("up"), r.slice("a")
	e := newExponential(r)
	r.loop("swiglu", 1, func() {
		g := r.load(gate)
		σ, _, denominator := e.sigmoid(g)
		c.VDIVPS(denominator, σ, σ)
		c.VMULPS(g, σ, σ)
		c.VMULPS(r.load(up), σ, σ)
		r.store(σ, a)
	})
	r.end()
}

// swigluGradRow: see the portable form for the formulas.
func swigluGradRow(c *build.Context, s isa) {
	r := newRow(c, s, "swigluGradRow", "func(s float32, gate, up, da, dgate, dup, aw []float32) float32", "gate")
	weight := r.scalar("s")
	gate, up, da := r.slice("gate"), r.slice("up"), r.slice("da")
	dgate, dup, aw := r.slice("dgate"), r.slice("dup"), r.slice("aw")
	e, sum := newExponential(r), r.zeros(1)
	body := func(withActivation bool) func() {
		return func() {
			g := r.load(gate)
			σ, rest, denominator := e.sigmoid(g)
			c.VDIVPS(denominator, σ, σ)
			c.VDIVPS(denominator, rest, rest)
			silu := r.vector()
			c.VMULPS(g, σ, silu)
			c.VFMADD231PS(rest, silu, σ) // silu'
			u, d := r.load(up), r.load(da)
			a := r.vector()
			c.VMULPS(u, silu, a)
			c.VFMADD231PS(d, a, sum[0])
			c.VMULPS(weight, d, d)
			c.VMULPS(d, silu, silu)
			c.VMULPS(d, u, u)
			c.VMULPS(u, σ, σ)
			r.store(σ, dgate)
			r.store(silu, dup)
			if withActivation {
				c.VMULPS(weight, a, a)
				r.store(a, aw)
			}
		}
	}
	c.TESTQ(aw, aw)
	c.JEQ(operand.LabelRef("plain"))
	r.loop("weighted", 1, body(true))
	c.JMP(operand.LabelRef("sum"))
	c.Label("plain")
	r.loop("without", 1, body(false))
	c.Label("sum")
	r.reduce(sum, c.VADDPS)
}
