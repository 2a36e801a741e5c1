package sim

import "unsafe"

// Closures over lanes. Every one computes the lanes of m, leaves the others alone and passes definedness on: a result is
// defined where all its operands are.
//
// The functions that make closures are not inlined: the compiler would copy the closure's body without inlining what
// that calls, and a call per lane is what these loops avoid.

func vector[T lane](w *warp, slot int) *[warpSize]T { return (*[warpSize]T)(unsafe.Pointer(w.v[slot])) }

//go:noinline
func lanes1[D, A lane](d, a int, f func(A) D) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, r := vector[A](w, a), vector[D](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = f(x[i])
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&m
	}
}

//go:noinline
func lanes2[D, A, B lane](d, a, b int, f func(A, B) D) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := vector[A](w, a), vector[B](w, b), vector[D](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = f(x[i], y[i])
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func lanes3[D, A, B, C lane](d, a, b, c int, f func(A, B, C) D) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, z, r := vector[A](w, a), vector[B](w, b), vector[C](w, c), vector[D](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = f(x[i], y[i], z[i])
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&w.def[c]&m
	}
}

// The same for operations of one type, in its width: values travel as uint64.

func (l *lowering) unary(t dtype, f func(a uint64) uint64) {
	d, a := l.destination(l.in.args[0], t.bits == 64), l.source(l.in.args[1], t)
	if t.bits == 64 {
		l.step.run = lanes1(d, a, f)
	} else {
		l.step.run = lanes1(d, a, func(x uint32) uint32 { return uint32(f(uint64(x))) })
	}
}

func (l *lowering) binary(t dtype, f func(a, b uint64) uint64) {
	in := l.in
	d, a, b := l.destination(in.args[0], t.bits == 64), l.source(in.args[1], t), l.source(in.args[2], t)
	if t.bits == 64 {
		l.step.run = lanes2(d, a, b, f)
	} else {
		l.step.run = lanes2(d, a, b, func(x, y uint32) uint32 { return uint32(f(uint64(x), uint64(y))) })
	}
}

func (l *lowering) ternary(t dtype, f func(a, b, c uint64) uint64) {
	in := l.in
	d, a, b, c := l.destination(in.args[0], t.bits == 64), l.source(in.args[1], t), l.source(in.args[2], t), l.source(in.args[3], t)
	if t.bits == 64 {
		l.step.run = lanes3(d, a, b, c, f)
	} else {
		l.step.run = lanes3(d, a, b, c, func(x, y, z uint32) uint32 { return uint32(f(uint64(x), uint64(y), uint64(z))) })
	}
}

// shifted is an operation on a value of t by one or two 32-bit amounts.
func (l *lowering) shifted(t dtype, f func(a uint64, n uint32) uint64) {
	in := l.in
	d, a, n := l.destination(in.args[0], t.bits == 64), l.source(in.args[1], t), l.source(in.args[2], typeNamed("u32"))
	if t.bits == 64 {
		l.step.run = lanes2(d, a, n, f)
	} else {
		l.step.run = lanes2(d, a, n, func(x, y uint32) uint32 { return uint32(f(uint64(x), y)) })
	}
}

// counted gives a 32-bit result from a value of t.
func (l *lowering) counted(t dtype, f func(a uint64) uint32) {
	d, a := l.destination(l.in.args[0], false), l.source(l.in.args[1], t)
	if t.bits == 64 {
		l.step.run = lanes1(d, a, f)
	} else {
		l.step.run = lanes1(d, a, func(x uint32) uint32 { return f(uint64(x)) })
	}
}

// signExtend reads the low n bits as a signed number.
func signExtend(x uint64, n int) int64 { return int64(x<<(64-n)) >> (64 - n) }

// cut keeps the low n bits.
func cut(x uint64, n int) uint64 {
	if n >= 64 {
		return x
	}
	return x & (1<<n - 1)
}

// extend widens a value of t to 64 bits by its sign or with zeros.
func (t dtype) extend(x uint64) uint64 {
	if t.signed() {
		return uint64(signExtend(x, t.bits))
	}
	return cut(x, t.bits)
}
