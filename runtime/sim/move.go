package sim

// move lowers moves, selections and conversions of addresses.
func (l *lowering) move() {
	in := l.in
	t := in.typ()
	args := in.args
	switch in.op {
	case "mov":
		l.mov(t)
	case "cvta":
		l.convertAddress()
	case "isspacep":
		l.isSpace()
	case "selp":
		l.selectByPredicate(t)
	case "slct":
		l.selectBySign()
	case "mapa":
		d, a, r := l.destination(args[0], t.bits == 64), l.source(args[1], t), l.source(args[2], typeNamed("u32"))
		generic := !in.has("shared::cluster")
		l.step.run = func(w *warp, m uint32) { w.mapRank(d, a, r, t.bits, generic, m) }
	case "getctarank":
		d, a := l.destination(args[0], false), l.source(args[1], t)
		if t.bits == 64 {
			l.step.run = lanes1(d, a, func(x uint64) uint32 { return uint32(x-windowShared) >> rankShift })
		} else {
			l.step.run = lanes1(d, a, func(x uint32) uint32 { return x >> rankShift })
		}
	default:
		l.fail(Unsupported, "%s (memory taken from the stack at run time) is not simulated", in.op)
	}
}

func (l *lowering) mov(t dtype) {
	d, s := l.in.args[0], l.in.args[1]
	switch {
	case t.class == 'p':
		p := l.predicateOut(d)
		q, flip := l.predicate(s)
		l.step.run = func(w *warp, m uint32) { w.setPredicate(p, m, w.p[q]^flip, w.pdef[q]) }
	case d.kind == operandVector && s.kind == operandVector:
		l.fail(Syntax, "a vector is moved to or from a register")
	case d.kind == operandVector:
		l.unpack(t)
	case s.kind == operandVector:
		l.pack(t)
	case s.kind == operandSpecial && specials[s.name].varies:
		slot, name := l.destination(d, t.bits == 64), s.name
		l.step.run = func(w *warp, m uint32) {
			for i := range warpSize {
				if m>>i&1 != 0 {
					w.set(slot, i, t.bits, w.special(name, i))
				}
			}
			w.def[slot] |= m
		}
	case t.bits == 64:
		l.step.run = movLanes[uint64](l.destination(d, true), l.source(s, t))
	default:
		l.step.run = movLanes[uint32](l.destination(d, false), l.source(s, t))
	}
}

//go:noinline
func movLanes[T lane](d, a int) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, r := vector[T](w, a), vector[T](w, d)
		if m == full {
			*r = *x
			w.def[d] = w.def[a]
			return
		}
		for i := range r {
			if m>>i&1 != 0 {
				r[i] = x[i]
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&m
	}
}

// pack makes a register of the elements of a vector, the first lowest.
func (l *lowering) pack(t dtype) {
	d := l.destination(l.in.args[0], t.bits == 64)
	list := l.in.args[1].list
	part := dtype{'b', t.bits / len(list), ""}
	src := make([]int, len(list))
	for i, e := range list {
		src[i] = l.source(e, part)
	}
	l.step.run = func(w *warp, m uint32) {
		def := full
		for _, s := range src {
			def &= w.def[s]
		}
		for i := range warpSize {
			if m>>i&1 == 0 {
				continue
			}
			v := uint64(0)
			for k, s := range src {
				v |= uint64(w.v32(s)[i]) << (k * part.bits)
			}
			w.set(d, i, t.bits, v)
		}
		w.def[d] = w.def[d]&^m | def&m
	}
}

func (l *lowering) unpack(t dtype) {
	list := l.in.args[0].list
	part := t.bits / len(list)
	dst := make([]int, len(list))
	for i, e := range list {
		dst[i] = l.destination(e, false)
	}
	a := l.source(l.in.args[1], t)
	l.step.run = func(w *warp, m uint32) {
		def := w.def[a]
		for i := range warpSize {
			if m>>i&1 == 0 {
				continue
			}
			v := w.get(a, i, t.bits)
			for k, d := range dst {
				w.v32(d)[i] = uint32(cut(v>>(k*part), part))
			}
		}
		for _, d := range dst {
			w.def[d] = w.def[d]&^m | def&m
		}
	}
}

func (l *lowering) selectByPredicate(t dtype) {
	args := l.in.args
	d, a, b := l.destination(args[0], t.bits == 64), l.source(args[1], t), l.source(args[2], t)
	p, flip := l.predicate(args[3])
	l.step.run = func(w *warp, m uint32) {
		c := w.p[p] ^ flip
		if t.bits == 64 {
			selectLanes(w.v64(d), w.v64(a), w.v64(b), c, m)
		} else {
			lanes.selectWords(w.v32(d), w.v32(a), w.v32(b), c, m)
		}
		w.def[d] = w.def[d]&^m | w.pdef[p]&(w.def[a]&c|w.def[b]&^c)&m
	}
}

// selectBySign is slct: the first where the third operand is not negative.
func (l *lowering) selectBySign() {
	in := l.in
	t := in.types[0]
	d, a, b := l.destination(in.args[0], t.bits == 64), l.source(in.args[1], t), l.source(in.args[2], t)
	c := l.source(in.args[3], in.types[1])
	ftz := in.has("ftz")
	first := func(u uint32) bool { return int32(u) >= 0 }
	if in.types[1].class == 'f' {
		first = func(u uint32) bool {
			if ftz {
				u = flush(u)
			}
			return u <= 0x7F800000 || u == 0x80000000 // c >= 0; a NaN selects the second
		}
	}
	if t.bits == 64 {
		l.step.run = lanes3(d, a, b, c, func(x, y uint64, z uint32) uint64 {
			if first(z) {
				return x
			}
			return y
		})
		return
	}
	l.step.run = lanes3(d, a, b, c, func(x, y, z uint32) uint32 {
		if first(z) {
			return x
		}
		return y
	})
}

// convertAddress is cvta: generic addresses have a window per space; global ones are themselves.
func (l *lowering) convertAddress() {
	in := l.in
	window := windowOf(in.one("global", "shared", "shared::cta", "shared::cluster", "local", "const", "param"))
	if in.has("to") {
		window = -window
	}
	l.unary(typeNamed("u64"), func(a uint64) uint64 { return a + window })
}

func (l *lowering) isSpace() {
	in := l.in
	p := l.predicateOut(in.args[0])
	a := l.source(in.args[1], typeNamed("u64"))
	want := spaceNamed(in.mods[0])
	own := in.mods[0] == "shared" || in.mods[0] == "shared::cta"
	l.step.run = func(w *warp, m uint32) {
		r := uint32(0)
		for i, x := range w.v64(a) {
			s, off := splitGeneric(x)
			if s == spaceCluster && own && int(off>>rankShift) == w.cta.rank {
				s = spaceShared
			}
			if s == want {
				r |= 1 << i
			}
		}
		w.setPredicate(p, m, r, w.def[a])
	}
}

// mapRank is mapa: the same place in the shared memory of another CTA of the cluster.
func (w *warp) mapRank(d, a, r, n int, generic bool, m uint32) {
	for i := range warpSize {
		if m>>i&1 == 0 {
			continue
		}
		rank := w.v32(r)[i]
		if int(rank) >= len(w.cta.cluster.ctas) {
			w.fault(Bounds, i, "rank %d of a cluster of %d", rank, len(w.cta.cluster.ctas))
		}
		x := w.get(a, i, n)
		base := uint64(0)
		if generic {
			base = windowShared
		}
		w.set(d, i, n, base+(x-base)&(1<<rankShift-1)|uint64(rank)<<rankShift)
	}
	w.def[d] = w.def[d]&^m | w.def[a]&w.def[r]&m
}
