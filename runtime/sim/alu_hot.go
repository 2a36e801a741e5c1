package sim

// The instructions that kernels spend their time in, by operations on whole warps (laneOps).

// hot lowers the instruction if it is one of these.
func (l *lowering) hot() bool {
	in := l.in
	t := in.typ()
	switch {
	case t.bits != 32 && t.bits != 64 || t.class == 'h' || t.class == 'f' && t.name != "f32" || t.name == "u16x2" || t.name == "s16x2":
		return false
	case t.name == "f32":
		return l.hotFloat()
	case t.bits == 64:
		return l.hotWide()
	}
	plain := len(in.mods) == 1
	signed := t.signed()
	var f func(d, a, b *vec32, m uint32)
	switch {
	case in.op == "add" && plain:
		f = lanes.addInts
	case in.op == "sub" && plain:
		f = lanes.subInts
	case in.op == "and" && plain:
		f = lanes.andWords
	case in.op == "or" && plain:
		f = lanes.orWords
	case in.op == "xor" && plain:
		f = lanes.xorWords
	case in.op == "mul" && in.has("lo"):
		f = lanes.mulInts
	case in.op == "shl":
		f = lanes.shiftLeft
	case in.op == "shr" && signed:
		f = lanes.shiftSigned
	case in.op == "shr":
		f = lanes.shiftRight
	case in.op == "min" && plain && signed:
		f = lanes.minSigned
	case in.op == "max" && plain && signed:
		f = lanes.maxSigned
	case in.op == "min" && plain:
		f = lanes.minUnsigned
	case in.op == "max" && plain:
		f = lanes.maxUnsigned
	case in.op == "mad" && in.has("lo") && !in.has("sat") && !in.has("cc"):
		l.whole3(t, lanes.madInts)
		return true
	case (in.op == "mul" || in.op == "mad") && in.has("wide") && !signed:
		l.wideLanes(t)
		return true
	default:
		return false
	}
	l.whole2(t, f)
	return true
}

// hotFloat lowers float32 arithmetic in round-to-nearest, subnormals kept.
func (l *lowering) hotFloat() bool {
	in := l.in
	t := in.typ()
	if len(in.mods) > 2 || len(in.mods) == 2 && in.mods[0] != "rn" {
		return false
	}
	switch in.op {
	case "add":
		l.whole2(t, lanes.addFloats)
	case "sub":
		l.whole2(t, lanes.subFloats)
	case "mul":
		l.whole2(t, lanes.mulFloats)
	case "fma":
		l.whole3(t, lanes.fmaFloats)
	case "neg": // -0 - a
		d, a := l.destination(in.args[0], false), l.source(in.args[1], t)
		l.step.run = whole2(lanes.subFloats, d, l.constant(constant{bits: 1 << 31}), a)
	default:
		return false
	}
	return true
}

//go:noinline
func (l *lowering) hotWide() bool {
	in := l.in
	t := in.typ()
	plain := len(in.mods) == 1
	var f func(d, a, b *vec64, m uint32)
	switch {
	case in.op == "add" && plain:
		f = lanes.addWide
	case in.op == "sub" && plain:
		f = subLanes[uint64]
	case in.op == "and" && plain:
		f = andLanes[uint64]
	case in.op == "or" && plain:
		f = orLanes[uint64]
	case in.op == "xor" && plain:
		f = xorLanes[uint64]
	case in.op == "mul" && in.has("lo"):
		f = mulLanes[uint64]
	case in.op == "shl":
		l.shiftWide(shiftLeft[uint64])
		return true
	case in.op == "shr" && !t.signed():
		l.shiftWide(shiftRight[uint64])
		return true
	default:
		return false
	}
	d, a, b := l.destination(in.args[0], true), l.source(in.args[1], t), l.source(in.args[2], t)
	same := a == b && in.op == "xor"
	l.step.run = func(w *warp, m uint32) {
		f(w.v64(d), w.v64(a), w.v64(b), m)
		def := w.def[a] & w.def[b]
		if same {
			def = full
		}
		w.def[d] = w.def[d]&^m | def&m
	}
	return true
}

func (l *lowering) whole2(t dtype, f func(d, a, b *vec32, m uint32)) {
	in := l.in
	b := typeNamed("u32") // of shifts
	if in.op != "shl" && in.op != "shr" {
		b = t
	}
	d, x, y := l.destination(in.args[0], false), l.source(in.args[1], t), l.source(in.args[2], b)
	if x != y || in.op != "xor" {
		l.step.run = whole2(f, d, x, y)
		return
	}
	l.step.run = func(w *warp, m uint32) { // x^x is zero whatever x holds: compilers clear registers so
		f(w.v32(d), w.v32(x), w.v32(y), m)
		w.def[d] |= m
	}
}

//go:noinline
func whole2(f func(d, a, b *vec32, m uint32), d, a, b int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		f(w.v32(d), w.v32(a), w.v32(b), m)
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
	}
}

//go:noinline
func (l *lowering) whole3(t dtype, f func(d, a, b, c *vec32, m uint32)) {
	args := l.in.args
	d, a, b, c := l.destination(args[0], false), l.source(args[1], t), l.source(args[2], t), l.source(args[3], t)
	l.step.run = func(w *warp, m uint32) {
		f(w.v32(d), w.v32(a), w.v32(b), w.v32(c), m)
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&w.def[c]&m
	}
}

func (l *lowering) shiftWide(f func(d, a *vec64, n *vec32, m uint32)) {
	args := l.in.args
	d, a, n := l.destination(args[0], true), l.source(args[1], l.in.typ()), l.source(args[2], typeNamed("u32"))
	l.step.run = func(w *warp, m uint32) {
		f(w.v64(d), w.v64(a), w.v32(n), m)
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[n]&m
	}
}

// wideLanes lowers the unsigned product of 32-bit lanes to 64 bits, alone or added to a third operand.
//
//go:noinline
func (l *lowering) wideLanes(t dtype) {
	args := l.in.args
	d, a, b := l.destination(args[0], true), l.source(args[1], t), l.source(args[2], t)
	if l.in.op == "mul" {
		l.step.run = func(w *warp, m uint32) {
			lanes.mulWide(w.v64(d), w.v32(a), w.v32(b), m)
			w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&m
		}
		return
	}
	c := l.source(args[3], typeNamed("u64"))
	l.step.run = func(w *warp, m uint32) {
		var product vec64
		lanes.mulWide(&product, w.v32(a), w.v32(b), full)
		lanes.addWide(w.v64(d), &product, w.v64(c), m)
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&w.def[c]&m
	}
}
