package sim

import (
	"math/bits"
)

// alu lowers arithmetic and logic: hot instructions by their own loops, floats by float.go, all others here.
func (l *lowering) alu() {
	if l.hot() {
		return
	}
	in := l.in
	t := in.typ()
	if t.class == 'f' || t.class == 'h' || in.op == "testp" {
		l.float()
		return
	}
	if t.class == 'p' {
		l.predicateLogic()
		return
	}
	if t.name == "u16x2" || t.name == "s16x2" {
		l.packed(t)
		return
	}
	if in.has("cc") || in.op == "addc" || in.op == "subc" || in.op == "madc" {
		l.carry(t)
		return
	}
	n := t.bits
	switch in.op {
	case "add", "sub":
		l.addition(t)
	case "mul", "mad", "mul24", "mad24":
		l.product(t)
	case "sad":
		l.ternary(t, func(a, b, c uint64) uint64 {
			x, y := t.extend(a), t.extend(b)
			if t.signed() && int64(x) < int64(y) || !t.signed() && x < y {
				x, y = y, x
			}
			return cut(x-y+c, n)
		})
	case "div", "rem":
		l.division(t)
	case "abs":
		l.unary(t, func(a uint64) uint64 {
			if signExtend(a, n) < 0 {
				a = -a
			}
			return cut(a, n)
		})
	case "neg":
		l.unary(t, func(a uint64) uint64 { return cut(-a, n) })
	case "min", "max":
		l.extremum(t)
	case "not":
		l.unary(t, func(a uint64) uint64 { return cut(^a, n) })
	case "cnot":
		l.unary(t, func(a uint64) uint64 {
			if a == 0 {
				return 1
			}
			return 0
		})
	case "and":
		l.binary(t, func(a, b uint64) uint64 { return a & b })
	case "or":
		l.binary(t, func(a, b uint64) uint64 { return a | b })
	case "xor":
		l.binary(t, func(a, b uint64) uint64 { return a ^ b })
	case "shl":
		l.shifted(t, func(a uint64, k uint32) uint64 { return cut(a<<k, n) })
	case "shr":
		if t.signed() {
			l.shifted(t, func(a uint64, k uint32) uint64 { return cut(uint64(signExtend(a, n)>>k), n) })
		} else {
			l.shifted(t, func(a uint64, k uint32) uint64 { return a >> k })
		}
	default:
		l.bitwise(t)
	}
}

func (l *lowering) addition(t dtype) {
	n := t.bits
	minus := l.in.op == "sub"
	if l.in.has("sat") { // .s32 only
		l.binary(t, func(a, b uint64) uint64 {
			x, y := signExtend(a, 32), signExtend(b, 32)
			if minus {
				y = -y
			}
			return cut(uint64(min(max(x+y, -1<<31), 1<<31-1)), 32)
		})
		return
	}
	if minus {
		l.binary(t, func(a, b uint64) uint64 { return cut(a-b, n) })
	} else {
		l.binary(t, func(a, b uint64) uint64 { return cut(a+b, n) })
	}
}

// high is the upper half of the double-width product.
func (t dtype) high(a, b uint64) uint64 {
	if t.bits < 64 {
		return cut(uint64(int64(t.extend(a))*int64(t.extend(b)))>>t.bits, t.bits)
	}
	hi, _ := bits.Mul64(a, b)
	if t.signed() {
		if int64(a) < 0 {
			hi -= b
		}
		if int64(b) < 0 {
			hi -= a
		}
	}
	return hi
}

func (l *lowering) product(t dtype) {
	in := l.in
	n := t.bits
	mul := func(a, b uint64) uint64 { return cut(a*b, n) }
	switch {
	case in.op == "mul24" || in.op == "mad24":
		low := dtype{t.class, 24, ""}
		shift := 0
		if in.has("hi") {
			shift = 16
		}
		mul = func(a, b uint64) uint64 { return cut(uint64(int64(low.extend(a))*int64(low.extend(b))>>shift), 32) }
	case in.has("hi"):
		mul = t.high
	case in.has("wide"):
		l.wideProduct(t)
		return
	}
	switch {
	case in.op == "mul" || in.op == "mul24":
		l.binary(t, mul)
	case in.has("sat"):
		l.ternary(t, func(a, b, c uint64) uint64 {
			s := signExtend(mul(a, b), 32) + signExtend(c, 32)
			return cut(uint64(min(max(s, -1<<31), 1<<31-1)), 32)
		})
	default:
		l.ternary(t, func(a, b, c uint64) uint64 { return cut(mul(a, b)+c, n) })
	}
}

// wideProduct is mul.wide and mad.wide: the whole product, plus a value of that width.
func (l *lowering) wideProduct(t dtype) {
	in := l.in
	w := dtype{t.class, 2 * t.bits, ""}
	d, a, b := l.destination(in.args[0], w.bits == 64), l.source(in.args[1], t), l.source(in.args[2], t)
	mul := func(x, y uint32) uint64 { return t.extend(uint64(x)) * t.extend(uint64(y)) }
	switch {
	case in.op == "mul" && w.bits == 64:
		l.step.run = lanes2(d, a, b, mul)
	case in.op == "mul":
		l.step.run = lanes2(d, a, b, func(x, y uint32) uint32 { return uint32(mul(x, y)) })
	case w.bits == 64:
		l.step.run = lanes3(d, a, b, l.source(in.args[3], w), func(x, y uint32, z uint64) uint64 { return mul(x, y) + z })
	default:
		l.step.run = lanes3(d, a, b, l.source(in.args[3], w), func(x, y, z uint32) uint32 { return uint32(mul(x, y)) + z })
	}
}

// division follows the hardware where the divisor is zero: all bits set, but the dividend as 64-bit remainder.
func (l *lowering) division(t dtype) {
	n := t.bits
	quotient := l.in.op == "div"
	l.binary(t, func(a, b uint64) uint64 {
		x, y := t.extend(a), t.extend(b)
		switch {
		case y == 0 && quotient:
			return cut(full64, n)
		case y == 0 && n < 64:
			return cut(full64, n)
		case y == 0:
			return a
		case t.signed() && quotient:
			if int64(y) == -1 {
				return cut(-x, n)
			}
			return cut(uint64(int64(x)/int64(y)), n)
		case t.signed():
			if int64(y) == -1 {
				return 0
			}
			return cut(uint64(int64(x)%int64(y)), n)
		case quotient:
			return x / y
		}
		return x % y
	})
}

const full64 = ^uint64(0)

func (l *lowering) extremum(t dtype) {
	smaller := l.in.op == "min"
	relu := l.in.has("relu")
	l.binary(t, func(a, b uint64) uint64 {
		x, y := t.extend(a), t.extend(b)
		less := x < y
		if t.signed() {
			less = int64(x) < int64(y)
		}
		r := b
		if less == smaller {
			r = a
		}
		if relu && signExtend(r, t.bits) < 0 {
			r = 0
		}
		return r
	})
}

// packed works on two 16-bit halves.
func (l *lowering) packed(t dtype) {
	half := dtype{t.class, 16, ""}
	relu := l.in.has("relu")
	op := l.in.op
	one := func(a, b uint64) uint64 {
		x, y := int64(half.extend(a)), int64(half.extend(b))
		var r int64
		switch op {
		case "add":
			r = x + y
		case "min":
			r = min(x, y)
		case "max":
			r = max(x, y)
		}
		if relu {
			r = max(r, 0)
		}
		return cut(uint64(r), 16)
	}
	l.binary(t, func(a, b uint64) uint64 { return one(a&0xFFFF, b&0xFFFF) | one(a>>16, b>>16)<<16 })
}

// predicateLogic lowers and, or, xor, not of predicates. A result is defined too where one operand decides it.
func (l *lowering) predicateLogic() {
	in := l.in
	d := l.predicateOut(in.args[0])
	a, fa := l.predicate(in.args[1])
	if d < 0 {
		l.step.run = func(*warp, uint32) {}
		return
	}
	if in.op == "not" {
		l.step.run = func(w *warp, m uint32) {
			w.p[d] = w.p[d]&^m | (^w.p[a]^fa)&m
			w.pdef[d] = w.pdef[d]&^m | w.pdef[a]&m
		}
		return
	}
	b, fb := l.predicate(in.args[2])
	op := in.op
	l.step.run = func(w *warp, m uint32) {
		x, y := w.p[a]^fa, w.p[b]^fb
		dx, dy := w.pdef[a], w.pdef[b]
		def := dx & dy
		var r uint32
		switch op {
		case "and":
			r = x & y
			def |= dx&^x | dy&^y
		case "or":
			r = x | y
			def |= dx&x | dy&y
		default:
			r = x ^ y
		}
		w.p[d] = w.p[d]&^m | r&m
		w.pdef[d] = w.pdef[d]&^m | def&m
	}
}

// carry lowers the extended-precision forms. The condition code is one bit per lane, kept as a predicate.
func (l *lowering) carry(t dtype) {
	in := l.in
	n := t.bits
	d := l.destination(in.args[0], n == 64)
	src := make([]int, len(in.args)-1)
	for i := range src {
		src[i] = l.source(in.args[i+1], t)
	}
	cc := l.f.conditionCode()
	uses := in.op == "addc" || in.op == "subc" || in.op == "madc"
	sets := in.has("cc")
	product := in.op == "mad" || in.op == "madc"
	high := in.has("hi")
	minus := in.op == "sub" || in.op == "subc"
	l.step.run = func(w *warp, m uint32) {
		def := full
		for _, s := range src {
			def &= w.def[s]
		}
		if uses {
			def &= w.pdef[cc]
		}
		for i := range warpSize {
			if m>>i&1 == 0 {
				continue
			}
			a, b := w.get(src[0], i, n), w.get(src[1], i, n)
			if product {
				p := cut(a*b, n)
				if high {
					p = t.high(a, b)
				}
				a, b = p, w.get(src[2], i, n)
			}
			in := uint64(0)
			if uses {
				in = uint64(w.p[cc] >> i & 1)
			}
			r, out := addCarry(a, b, in, n, minus)
			w.set(d, i, n, r)
			if sets {
				w.p[cc] = w.p[cc]&^(1<<i) | uint32(out)<<i
			}
		}
		w.def[d] = w.def[d]&^m | def&m
		if sets {
			w.pdef[cc] = w.pdef[cc]&^m | def&m
		}
	}
}

// addCarry adds or subtracts n-bit numbers with the carry (borrow) bit in and out.
func addCarry(a, b, in uint64, n int, minus bool) (r, out uint64) {
	if minus {
		r, out = bits.Sub64(a, b, in)
		return cut(r, n), out
	}
	r, out = bits.Add64(a, b, in)
	if n < 64 {
		out = r >> n & 1
	}
	return cut(r, n), out
}

// conditionCode is the predicate slot that holds the carry flag.
func (f *Function) conditionCode() int {
	if f.carry == 0 {
		f.carry = f.predicates
		f.predicates++
	}
	return f.carry
}

// get and set reach one lane of a slot of n bits.
func (w *warp) get(slot, i, n int) uint64 {
	if n == 64 {
		return w.v64(slot)[i]
	}
	return uint64(w.v32(slot)[i])
}

func (w *warp) set(slot, i, n int, v uint64) {
	if n == 64 {
		w.v64(slot)[i] = v
	} else {
		w.v32(slot)[i] = uint32(v)
	}
}
