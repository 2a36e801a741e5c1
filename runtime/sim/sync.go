package sim

// Order between threads through memory: releases publish what the thread knows at a location, acquires take it over.
// A fence before a relaxed write makes it a release; one after a relaxed read makes it an acquire.

// fences is a warp's half-done patterns.
type fences struct {
	released published // state at the last release fence
	observed published // what relaxed reads saw since the last acquire fence
}

// publish makes the warp's knowledge available to those who read the location.
func (w *warp) publish(order, scope string, mem *memory, off int) {
	if !w.cta.machine.races {
		return
	}
	a := &w.actor
	w.cta.machine.publications++
	if mem.sync == nil {
		mem.sync = map[int]*published{}
	}
	p := mem.sync[off]
	if p == nil {
		p = &published{}
		mem.sync[off] = p
	}
	p.number = w.cta.machine.publications
	switch {
	case order == "release" || order == "acq_rel":
		p.add(a)
		p.scope, p.by = scope, w.cta
		a.tick()
	case w.fences.released.clock.dom != nil:
		p.clock.joinOrSet(&w.fences.released.clock)
		p.proxy.joinOrSet(&w.fences.released.proxy)
		p.scope, p.by = w.fences.released.scope, w.cta
	}
}

// observe takes over what was published at the location, at once or at the next fence.
func (w *warp) observe(order, scope string, mem *memory, off int) {
	if !w.cta.machine.races {
		return
	}
	p := mem.sync[off]
	if p == nil || !reaches(p.scope, p.by, w.cta) {
		return
	}
	if order == "acquire" || order == "acq_rel" {
		if reaches(scope, w.cta, p.by) && w.acquired != p.number { // a loop that waits acquires the same again and again
			w.actor.join(&p.clock, &p.proxy)
			w.acquired = p.number
		}
		return
	}
	w.fences.observed.clock.joinOrSet(&p.clock)
	w.fences.observed.proxy.joinOrSet(&p.proxy)
}

// joinOrSet joins, or takes a copy where there is nothing yet.
func (c *clock) joinOrSet(b *clock) {
	if b.dom == nil {
		return
	}
	if c.dom == nil {
		*c = b.copy()
		return
	}
	c.join(b)
}

// reaches tells whether a scope around one CTA's threads includes those of another.
func reaches(scope string, from, to *cta) bool {
	switch {
	case from == nil || to == nil:
		return true
	case scope == "cta":
		return from == to
	case scope == "cluster":
		return from.cluster == to.cluster
	case scope == "gpu":
		return from.grid.GPU == to.grid.GPU
	}
	return true
}

// fence lowers fence and membar.
func (l *lowering) fence() {
	in := l.in
	switch {
	case in.has("proxy") && in.has("async"):
		l.step.run = func(w *warp, m uint32) {
			if w.cta.machine.races {
				w.actor.proxy.join(&w.actor.clock)
				w.actor.tick()
			}
		}
	case in.has("proxy"):
		l.step.run = func(*warp, uint32) {}
	case in.has("mbarrier_init"):
		l.step.run = func(w *warp, m uint32) {
			for _, b := range w.cta.shared.mbarriers {
				b.fenced = b.fenced || b.by == w
			}
			w.memoryFence("cluster", true, false)
		}
	default:
		scope := in.one("cta", "cluster", "gpu", "sys")
		if in.has("gl") {
			scope = "gpu"
		}
		release, acquire := !in.has("acquire"), !in.has("release")
		l.step.run = func(w *warp, m uint32) { w.memoryFence(scope, release, acquire) }
	}
}

func (w *warp) memoryFence(scope string, release, acquire bool) {
	if !w.cta.machine.races {
		return
	}
	a := &w.actor
	if acquire && w.fences.observed.clock.dom != nil {
		a.join(&w.fences.observed.clock, &w.fences.observed.proxy)
		w.fences.observed.clear()
	}
	if release {
		w.fences.released = published{clock: a.clock.copy(), proxy: a.proxy.copy(), scope: scope, by: w.cta}
		a.tick()
	}
}
