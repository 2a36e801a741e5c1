package sim

// crossLane lowers what moves values between the lanes of a warp.
func (l *lowering) crossLane() {
	in := l.in
	b32 := typeNamed("b32")
	s := l.step
	s.kind = stepTry
	switch in.op {
	case "activemask":
		d := l.destination(in.args[0], false)
		s.kind = stepRun
		s.run = func(w *warp, m uint32) { w.setAll(d, m, m) }
	case "shfl":
		l.shuffle()
	case "vote":
		l.vote()
	case "match":
		l.match()
	case "redux":
		t := in.typ()
		op := reduction(in.mods[1], t, false)
		d, a, k := l.destination(in.args[0], false), l.source(in.args[1], t), l.source(in.args[2], b32)
		s.try = func(w *warp, m uint32) bool {
			return w.meet(k, m, func(mask uint32) {
				w.needs(a, mask)
				v := w.v32(a)
				first := lowest(mask)
				r := uint64(v[first])
				for mm := mask &^ (1 << first); mm != 0; mm &= mm - 1 {
					r = op(r, uint64(v[lowest(mm)]))
				}
				w.setAll(d, mask, uint32(r))
			})
		}
	case "elect":
		d, p := in.args[0], -1
		if d.kind == operandPair {
			p, d = l.predicateOut(d.list[1]), d.list[0]
		}
		r, k := l.destination(d, false), l.source(in.args[1], b32)
		s.try = func(w *warp, m uint32) bool {
			return w.meet(k, m, func(mask uint32) {
				leader := lowest(mask)
				w.setAll(r, mask, uint32(leader))
				w.setPredicate(p, mask, 1<<leader, full)
			})
		}
	}
}

func (w *warp) setAll(d int, m, v uint32) {
	r := w.v32(d)
	for i := range r {
		if m>>i&1 != 0 {
			r[i] = v
		}
	}
	w.def[d] |= m
}

// needs refuses undefined lanes of a register that other lanes take over.
func (w *warp) needs(slot int, m uint32) {
	if undef := m &^ w.def[slot]; undef != 0 && w.cta.machine.Off&CheckUndefined == 0 {
		w.fault(Undefined, lowest(undef), "the lane's value is undefined")
	}
}

// meet runs f for each group of executing lanes with the same member mask, once all lanes of it are here.
func (w *warp) meet(maskSlot int, m uint32, f func(mask uint32)) bool {
	if undef := m &^ w.def[maskSlot]; undef != 0 {
		w.fault(Undefined, lowest(undef), "the lane mask is undefined")
	}
	v := w.v32(maskSlot)
	if m == full && *v == allLanes {
		f(full)
		return true
	}
	for rest := m; rest != 0; {
		mask := v[lowest(rest)]
		same := uint32(0)
		for mm := rest; mm != 0; mm &= mm - 1 {
			if i := lowest(mm); v[i] == mask {
				same |= 1 << i
			}
		}
		if !w.gather(mask, same) {
			return false
		}
		rest &^= same
	}
	for rest := m; rest != 0; {
		mask := v[lowest(rest)] & m
		f(mask)
		rest &^= mask
	}
	return true
}

var allLanes = func() (v vec32) {
	for i := range v {
		v[i] = full
	}
	return v
}()

func (l *lowering) shuffle() {
	in := l.in
	b32 := typeNamed("b32")
	mode := in.mods[1]
	d, p := in.args[0], -1
	if d.kind == operandPair {
		p, d = l.predicateOut(d.list[1]), d.list[0]
	}
	r, a := l.destination(d, false), l.source(in.args[1], b32)
	b, c, k := l.source(in.args[2], b32), l.source(in.args[3], b32), l.source(in.args[4], b32)
	general := func(w *warp, m uint32) bool {
		return w.meet(k, m, func(mask uint32) { w.shuffle(mode, r, p, a, b, c, mask) })
	}
	fixed := true
	for _, o := range in.args[2:] {
		fixed = fixed && o.kind == operandImmediate
	}
	if !fixed || uint32(in.args[4].bits) != full {
		l.step.try = general
		return
	}
	// the usual case: constant lane, width and mask, so every lane's source is known now
	var from [warpSize]uint8
	ok := uint32(0)
	for i := range from {
		j, in := shuffleSource(mode, i, uint32(in.args[2].bits), uint32(in.args[3].bits))
		from[i] = uint8(j)
		ok |= bit(in) << i
	}
	l.step.try = func(w *warp, m uint32) bool {
		if m != full || w.def[a] != full {
			return general(w, m)
		}
		src := *w.v32(a)
		out := w.v32(r)
		for i, j := range from {
			out[i] = src[j&31]
		}
		w.def[r] = full
		w.setPredicate(p, full, ok, full)
		return true
	}
}

// shuffleSource is the lane that lane i reads, and whether it lies in i's segment; its own otherwise.
func shuffleSource(mode string, i int, b, c uint32) (int, bool) {
	seg, clamp := int(c>>8&31), int(c&31)
	lo := i & seg
	hi := lo | clamp&^seg
	n := int(b & 31)
	j, in := i, false
	switch mode {
	case "up":
		j = i - n
		in = j >= hi
	case "down":
		j = i + n
		in = j <= hi
	case "bfly":
		j = i ^ n
		in = j <= hi
	case "idx":
		j = lo | n&^seg
		in = j <= hi
	}
	if !in {
		return i, false
	}
	return j, true
}

func (w *warp) shuffle(mode string, r, p, a, b, c int, mask uint32) {
	src := *w.v32(a)
	srcDef := w.def[a]
	if w.def[b]&w.def[c]&mask != mask {
		w.fault(Undefined, lowest(mask&^(w.def[b]&w.def[c])), "the shuffle's lane or width is undefined")
	}
	bv, cv, out := w.v32(b), w.v32(c), w.v32(r)
	ok, def := uint32(0), uint32(0)
	var result vec32
	for mm := mask; mm != 0; mm &= mm - 1 {
		i := lowest(mm)
		j, in := shuffleSource(mode, i, bv[i], cv[i])
		if in {
			ok |= 1 << i
			if mask>>j&1 == 0 {
				w.fault(Divergence, i, "the source lane %d is not in the mask %08x", j, mask)
			}
		}
		result[i] = src[j]
		def |= srcDef >> j & 1 << i
	}
	for mm := mask; mm != 0; mm &= mm - 1 {
		i := lowest(mm)
		out[i] = result[i]
	}
	w.def[r] = w.def[r]&^mask | def&mask
	w.setPredicate(p, mask, ok, full)
}

func (l *lowering) vote() {
	in := l.in
	p, flip := l.predicate(in.args[1])
	k := l.source(in.args[2], typeNamed("b32"))
	mode := in.mods[1]
	finish := func(w *warp, mask, r uint32) {}
	if mode == "ballot" {
		d := l.destination(in.args[0], false)
		finish = func(w *warp, mask, r uint32) { w.setAll(d, mask, r) }
	} else {
		d := l.predicateOut(in.args[0])
		finish = func(w *warp, mask, r uint32) {
			yes := mode == "all" && r == mask || mode == "any" && r != 0 || mode == "uni" && (r == 0 || r == mask)
			w.setPredicate(d, mask, -bit(yes), full)
		}
	}
	l.step.try = func(w *warp, m uint32) bool {
		return w.meet(k, m, func(mask uint32) {
			if undef := mask &^ w.pdef[p]; undef != 0 {
				w.fault(Undefined, lowest(undef), "the lane's vote is undefined")
			}
			finish(w, mask, (w.p[p]^flip)&mask)
		})
	}
}

func (l *lowering) match() {
	in := l.in
	t := in.typ()
	d, p := in.args[0], -1
	if d.kind == operandPair {
		p, d = l.predicateOut(d.list[1]), d.list[0]
	}
	all := in.has("all")
	r, a, k := l.destination(d, false), l.source(in.args[1], t), l.source(in.args[2], typeNamed("b32"))
	l.step.try = func(w *warp, m uint32) bool {
		return w.meet(k, m, func(mask uint32) {
			w.needs(a, mask)
			for rest := mask; rest != 0; {
				first := w.get(a, lowest(rest), t.bits)
				same := uint32(0)
				for mm := rest; mm != 0; mm &= mm - 1 {
					if i := lowest(mm); w.get(a, i, t.bits) == first {
						same |= 1 << i
					}
				}
				if all {
					v := -bit(same == mask) & mask
					w.setAll(r, mask, v)
					w.setPredicate(p, mask, -bit(same == mask), full)
					return
				}
				w.setAll(r, same, same)
				rest &^= same
			}
		})
	}
}
