package sim

import (
	"math"

	"moegen/runtime/sim/arith"
)

// hotFloat lowers float32 arithmetic in round-to-nearest, subnormals kept, with the loop written out.
func (l *lowering) hotFloat(t dtype) bool {
	args := l.in.args
	switch l.in.op {
	case "add", "mul", "sub":
	case "fma":
		l.step.run = fmaLanes(l.destination(args[0], false), l.source(args[1], t), l.source(args[2], t), l.source(args[3], t))
		return true
	default:
		return false
	}
	d, a, b := l.destination(args[0], false), l.source(args[1], t), l.source(args[2], t)
	switch l.in.op {
	case "add":
		l.step.run = addFloats(d, a, b, 0)
	case "sub":
		l.step.run = addFloats(d, a, b, 1<<31)
	default:
		l.step.run = mulFloats(d, a, b)
	}
	return true
}

// nan32 is the NaN of every operation. Adding nanCarry to the magnitude of a NaN, and of nothing else, sets the top bit: the
// loops collect that and put the NaN right afterwards.
const (
	nan32    = 0x7FFFFFFF
	nanCarry = 0x80000000 - 0x7F800001
)

func canonicalNaNs(r *vec32, m uint32) {
	for i, u := range r {
		if m>>i&1 != 0 && u&0x7FFFFFFF > 0x7F800000 {
			r[i] = nan32
		}
	}
}

//go:noinline
func addFloats(d, a, b int, sign uint32) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := w.v32(a), w.v32(b), w.v32(d)
		odd := uint32(0)
		if m == full {
			for i := range r {
				u := math.Float32bits(math.Float32frombits(x[i]) + math.Float32frombits(y[i]^sign))
				odd |= u&0x7FFFFFFF + nanCarry
				r[i] = u
			}
		} else {
			for i := range r {
				if m>>i&1 != 0 {
					u := math.Float32bits(math.Float32frombits(x[i]) + math.Float32frombits(y[i]^sign))
					odd |= u&0x7FFFFFFF + nanCarry
					r[i] = u
				}
			}
		}
		if odd>>31 != 0 {
			canonicalNaNs(r, m)
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func mulFloats(d, a, b int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := w.v32(a), w.v32(b), w.v32(d)
		odd := uint32(0)
		if m == full {
			for i := range r {
				u := math.Float32bits(math.Float32frombits(x[i]) * math.Float32frombits(y[i]))
				odd |= u&0x7FFFFFFF + nanCarry
				r[i] = u
			}
		} else {
			for i := range r {
				if m>>i&1 != 0 {
					u := math.Float32bits(math.Float32frombits(x[i]) * math.Float32frombits(y[i]))
					odd |= u&0x7FFFFFFF + nanCarry
					r[i] = u
				}
			}
		}
		if odd>>31 != 0 {
			canonicalNaNs(r, m)
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

// fmaLanes computes in float64, where the product is exact. The sum's second rounding can go wrong only if it was inexact and
// its last 29 bits are exactly half a unit, or where the result is subnormal or not finite: then the slow way.
//
//go:noinline
func fmaLanes(d, a, b, c int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, z, r := w.v32(a), w.v32(b), w.v32(c), w.v32(d)
		for i := range r {
			if m>>i&1 == 0 {
				continue
			}
			p := float64(math.Float32frombits(x[i])) * float64(math.Float32frombits(y[i]))
			q := float64(math.Float32frombits(z[i]))
			s := p + q
			u := math.Float64bits(s)
			if u<<35 == 1<<63 && inexact(p, q, s) || u<<1-normal32<<53 >= (0x7FF-normal32)<<53 {
				r[i] = arith.FMA32(x[i], y[i], z[i])
				continue
			}
			r[i] = math.Float32bits(float32(s))
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&w.def[c]&m
	}
}

// normal32 is the float64 exponent field of the smallest normal float32.
const normal32 = 1023 - 126

// inexact tells whether s is not exactly p + q (Knuth's two-sum).
func inexact(p, q, s float64) bool {
	t := s - p
	return (p-(s-t))+(q-t) != 0
}
