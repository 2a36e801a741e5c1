package sim

// The instructions that kernels spend their time in, each with its loop written out: a call per lane would double its cost.

// hot lowers the instruction if it is one of these.
func (l *lowering) hot() bool {
	in := l.in
	t := in.typ()
	if t.bits != 32 && t.bits != 64 || t.class == 'f' || t.class == 'h' || t.name == "u16x2" || t.name == "s16x2" {
		return false
	}
	wide := t.bits == 64
	plain := len(in.mods) == 1
	switch {
	case in.op == "add" && plain:
		l.step.run = pick(wide, l, t, addLanes[uint32], addLanes[uint64])
	case in.op == "sub" && plain:
		l.step.run = pick(wide, l, t, subLanes[uint32], subLanes[uint64])
	case in.op == "and" && plain:
		l.step.run = pick(wide, l, t, andLanes[uint32], andLanes[uint64])
	case in.op == "or" && plain:
		l.step.run = pick(wide, l, t, orLanes[uint32], orLanes[uint64])
	case in.op == "xor" && plain:
		l.step.run = pick(wide, l, t, xorLanes[uint32], xorLanes[uint64])
	case in.op == "mul" && in.has("lo"):
		l.step.run = pick(wide, l, t, mulLanes[uint32], mulLanes[uint64])
	case in.op == "shl":
		l.step.run = shiftLeft(l, wide)
	case in.op == "shr" && !t.signed():
		l.step.run = shiftRight(l, wide, t)
	case in.op == "mul" && in.has("wide") && t.bits == 32:
		l.step.run = mulWide(l, t)
	case in.op == "mad" && in.has("lo") && t.bits == 32 && !in.has("cc"):
		l.step.run = madLow(l, t)
	default:
		return false
	}
	return true
}

//go:noinline
func pick(wide bool, l *lowering, t dtype, narrow, broad func(d, a, b int) func(*warp, uint32)) func(*warp, uint32) {
	d, a, b := l.destination(l.in.args[0], wide), l.source(l.in.args[1], t), l.source(l.in.args[2], t)
	if wide {
		return broad(d, a, b)
	}
	return narrow(d, a, b)
}

//go:noinline
func addLanes[T lane](d, a, b int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := vector[T](w, a), vector[T](w, b), vector[T](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i] + y[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func subLanes[T lane](d, a, b int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := vector[T](w, a), vector[T](w, b), vector[T](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i] - y[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func mulLanes[T lane](d, a, b int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := vector[T](w, a), vector[T](w, b), vector[T](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i] * y[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func andLanes[T lane](d, a, b int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := vector[T](w, a), vector[T](w, b), vector[T](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i] & y[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func orLanes[T lane](d, a, b int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := vector[T](w, a), vector[T](w, b), vector[T](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i] | y[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func xorLanes[T lane](d, a, b int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, y, r := vector[T](w, a), vector[T](w, b), vector[T](w, d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i] ^ y[i]
			}
		}
		// x^x is zero whatever x holds: compilers clear registers so
		def := w.def[a] & w.def[b]
		if a == b {
			def = full
		}
		w.def[d] = w.def[d]&^m | def&m
	}
}

//go:noinline
func shiftLeft(l *lowering, wide bool) func(*warp, uint32) {
	d, a, n := l.destination(l.in.args[0], wide), l.source(l.in.args[1], l.in.typ()), l.source(l.in.args[2], typeNamed("u32"))
	if wide {
		return func(w *warp, m uint32) {
			x, y, r := w.v64(a), w.v32(n), w.v64(d)
			for i := range r {
				if m>>i&1 != 0 {
					r[i] = x[i] << y[i]
				}
			}
			w.def[d] = w.def[d]&^m | w.def[a]&w.def[n]&m
		}
	}
	return func(w *warp, m uint32) {
		x, y, r := w.v32(a), w.v32(n), w.v32(d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i] << y[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[n]&m
	}
}

//go:noinline
func shiftRight(l *lowering, wide bool, t dtype) func(*warp, uint32) {
	d, a, n := l.destination(l.in.args[0], wide), l.source(l.in.args[1], t), l.source(l.in.args[2], typeNamed("u32"))
	if wide {
		return func(w *warp, m uint32) {
			x, y, r := w.v64(a), w.v32(n), w.v64(d)
			for i := range r {
				if m>>i&1 != 0 {
					r[i] = x[i] >> y[i]
				}
			}
			w.def[d] = w.def[d]&^m | w.def[a]&w.def[n]&m
		}
	}
	return func(w *warp, m uint32) {
		x, y, r := w.v32(a), w.v32(n), w.v32(d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i] >> y[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[n]&m
	}
}

//go:noinline
func mulWide(l *lowering, t dtype) func(*warp, uint32) {
	d, a, b := l.destination(l.in.args[0], true), l.source(l.in.args[1], t), l.source(l.in.args[2], t)
	if t.signed() {
		return func(w *warp, m uint32) {
			x, y, r := w.v32(a), w.v32(b), w.v64(d)
			for i := range r {
				if m>>i&1 != 0 {
					r[i] = uint64(int64(int32(x[i])) * int64(int32(y[i])))
				}
			}
			w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
		}
	}
	return func(w *warp, m uint32) {
		x, y, r := w.v32(a), w.v32(b), w.v64(d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = uint64(x[i]) * uint64(y[i])
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func madLow(l *lowering, t dtype) func(*warp, uint32) {
	args := l.in.args
	d, a, b, c := l.destination(args[0], false), l.source(args[1], t), l.source(args[2], t), l.source(args[3], t)
	return func(w *warp, m uint32) {
		x, y, z, r := w.v32(a), w.v32(b), w.v32(c), w.v32(d)
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i]*y[i] + z[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&w.def[c]&m
	}
}
