package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector emits the primitives of the row-wise kernels.
func vector(c *build.Context) {
	rowConstants(c)
	for _, s := range []isa{avx2, avx512} {
		for _, emit := range []func(*build.Context, isa){
			add, scale, axpy, addDouble, mulScaled, dot, dot3, sumSquares, maximum, rmsNormGradRow, rotations,
			expShifted, swiglu, swigluGradRow, adamWRow,
		} {
			emit(c, s)
		}
	}
}

func add(c *build.Context, s isa) {
	r := newRow(c, s, "add", "func(a, b, y []float32)", "y")
	a, b, y := r.slice("a"), r.slice("b"), r.slice("y")
	r.loop("add", 2, func() {
		v := r.load(a)
		c.VADDPS(r.load(b), v, v)
		r.store(v, y)
	})
	r.end()
}

func scale(c *build.Context, s isa) {
	r := newRow(c, s, "scale", "func(s float32, x, y []float32)", "y")
	factor, x, y := r.scalar("s"), r.slice("x"), r.slice("y")
	r.loop("scale", 2, func() {
		v := r.load(x)
		c.VMULPS(factor, v, v)
		r.store(v, y)
	})
	r.end()
}

func axpy(c *build.Context, s isa) {
	r := newRow(c, s, "axpy", "func(s float32, x, y []float32)", "y")
	factor, x, y := r.scalar("s"), r.slice("x"), r.slice("y")
	r.loop("axpy", 2, func() {
		v := r.load(y)
		c.VFMADD231PS(r.load(x), factor, v)
		r.store(v, y)
	})
	r.end()
}

// addDouble takes whole vectors only: its caller does the rest.
func addDouble(c *build.Context, s isa) {
	r := newRow(c, s, "addDouble", "func(x []float32, sum []float64)", "x")
	x, sum := r.slice("x"), r.slice("sum")
	r.loop("addDouble", 1, func() {
		if r.rest {
			return
		}
		low, high := r.loadHalves(x)
		for i, v := range []reg.VecVirtual{low, high} {
			at := operand.Mem{Base: sum, Index: r.i, Scale: 2, Disp: i * s.bytes}
			c.VADDPD(at, v, v)
			c.VMOVUPD(v, at)
		}
	})
	r.end()
}

func mulScaled(c *build.Context, s isa) {
	r := newRow(c, s, "mulScaled", "func(s float32, x, w, y []float32)", "y")
	factor, x, w, y := r.scalar("s"), r.slice("x"), r.slice("w"), r.slice("y")
	r.loop("mulScaled", 2, func() {
		v := r.load(x)
		c.VMULPS(factor, v, v)
		c.VMULPS(r.load(w), v, v)
		r.store(v, y)
	})
	r.end()
}

// Four accumulators keep both multiply-add units busy over their latency of four cycles at one load pair a cycle.
func dot(c *build.Context, s isa) {
	r := newRow(c, s, "dot", "func(a, b []float32) float32", "a")
	a, b := r.slice("a"), r.slice("b")
	sum := r.zeros(4)
	r.loop("dot", 4, func() { c.VFMADD231PS(r.load(a), r.load(b), sum[r.u]) })
	r.reduce(sum, c.VADDPS)
}

func dot3(c *build.Context, s isa) {
	r := newRow(c, s, "dot3", "func(a, b, c []float32) float32", "a")
	a, b, d := r.slice("a"), r.slice("b"), r.slice("c")
	sum := r.zeros(4)
	r.loop("dot3", 4, func() {
		v := r.load(a)
		c.VMULPS(r.load(b), v, v)
		c.VFMADD231PS(r.load(d), v, sum[r.u])
	})
	r.reduce(sum, c.VADDPS)
}

func sumSquares(c *build.Context, s isa) {
	r := newRow(c, s, "sumSquares", "func(x []float32) float64", "x")
	x := r.slice("x")
	sum := r.zeros(4)
	r.loop("sumSquares", 2, func() {
		for i, v := range pair(r.loadHalves(x)) {
			c.VFMADD231PD(v, v, sum[2*r.u+i])
		}
	})
	r.reduceDouble(sum)
}

func pair(a, b reg.VecVirtual) []reg.VecVirtual { return []reg.VecVirtual{a, b} }

func maximum(c *build.Context, s isa) {
	r := newRow(c, s, "maximum", "func(x []float32) float32", "x")
	x := r.slice("x")
	top := r.zeros(4)
	for i := range top {
		c.VMOVUPS(rowConstant("-inf"), top[i])
	}
	r.loop("maximum", 4, func() {
		switch {
		case !r.rest:
			c.VMAXPS(r.at(x), top[r.u], top[r.u])
		case s.bytes == 64:
			v := r.vector()
			c.VMOVUPS(rowConstant("-inf"), v)
			c.VMOVUPS(r.at(x), r.mask, v)
			c.VMAXPS(v, top[0], top[0])
		default:
			v := r.vector()
			c.VMOVUPS(rowConstant("-inf"), v)
			c.VBLENDVPS(r.mask, r.load(x), v, v)
			c.VMAXPS(v, top[0], top[0])
		}
	})
	r.reduce(top, c.VMAXPS)
}

func rmsNormGradRow(c *build.Context, s isa) {
	r := newRow(c, s, "rmsNormGradRow", "func(s, c float32, dy, x, w, residual, dx, dw []float32)", "dx")
	factor, cx := r.scalar("s"), r.scalar("c")
	dy, x, w, residual, dx, dw := r.slice("dy"), r.slice("x"), r.slice("w"), r.slice("residual"), r.slice("dx"), r.slice("dw")
	body := func(withResidual bool) func() {
		return func() {
			g, v, d := r.load(dy), r.load(x), r.load(w)
			c.VMULPS(factor, d, d)
			c.VMULPS(g, d, d)
			c.VFNMADD231PS(cx, v, d)
			if withResidual {
				c.VADDPS(r.load(residual), d, d)
			}
			sum := r.load(dw)
			c.VMULPS(factor, v, v)
			c.VFMADD231PS(g, v, sum)
			r.store(d, dx)
			r.store(sum, dw)
		}
	}
	c.TESTQ(residual, residual)
	c.JEQ(operand.LabelRef("plain"))
	r.loop("residual", 1, body(true))
	r.end()
	c.Label("plain")
	r.loop("without", 1, body(false))
	r.end()
}

// rotations emits rotate and its inverse.
func rotations(c *build.Context, s isa) {
	for _, k := range []struct {
		name        string
		first, then combine // how the product with the sine enters y1, y2
	}{
		{"rotate", c.VFNMADD231PS, c.VFMADD231PS},
		{"rotateBack", c.VFMADD231PS, c.VFNMADD231PS},
	} {
		r := newRow(c, s, k.name, "func(x1, x2, cos, sin, y1, y2 []float32)", "y1")
		x1, x2, cos, sin, y1, y2 := r.slice("x1"), r.slice("x2"), r.slice("cos"), r.slice("sin"), r.slice("y1"), r.slice("y2")
		r.loop(k.name, 1, func() {
			a, b, co, si := r.load(x1), r.load(x2), r.load(cos), r.load(sin)
			p, q := r.vector(), r.vector()
			c.VMULPS(co, a, p)
			k.first(si, b, p)
			c.VMULPS(co, b, q)
			k.then(si, a, q)
			r.store(p, y1)
			r.store(q, y2)
		})
		r.end()
	}
}

// adamWRow: see AdamW in package host.
func adamWRow(c *build.Context, s isa) {
	r := newRow(c, s, "adamWRow",
		"func(scale, gain1, gain2, rootBias, eps, decay, step float32, grad, value, m, v []float32)", "value")
	clip, gain1, gain2 := r.scalar("scale"), r.scalar("gain1"), r.scalar("gain2")
	rootBias, eps, decay, step := r.scalar("rootBias"), r.scalar("eps"), r.scalar("decay"), r.scalar("step")
	grad, value, m, v := r.slice("grad"), r.slice("value"), r.slice("m"), r.slice("v")
	r.loop("adamWRow", 1, func() {
		// All loads come before the stores, whose addresses may look the same in the lower bits.
		g, x, mean, square := r.load(grad), r.load(value), r.load(m), r.load(v)
		c.VMULPS(clip, g, g)
		d := r.vector()
		c.VSUBPS(mean, g, d)
		c.VFMADD231PS(gain1, d, mean)
		r.store(mean, m)
		c.VMULPS(g, g, g)
		c.VSUBPS(square, g, g)
		c.VFMADD231PS(gain2, g, square)
		r.store(square, v)
		c.VSQRTPS(square, d)
		c.VFMADD213PS(eps, rootBias, d)
		c.VMULPS(step, mean, mean)
		c.VDIVPS(d, mean, mean)
		c.VFMADD231PS(decay, x, mean)
		c.VSUBPS(mean, x, x)
		r.store(x, value)
	})
	r.end()
}
