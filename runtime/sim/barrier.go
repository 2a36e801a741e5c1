package sim

import "fmt"

// A namedBarrier is one of a CTA's sixteen. Warps arrive as a whole; paths that wait are released together.
type namedBarrier struct {
	expected  int // threads; 0: nobody has arrived
	all       bool
	arrived   int
	waiting   []*warp
	paths     []*path
	known     published
	and, or   bool
	count     uint32
	reduction string
}

// barrier lowers bar, barrier and bar.warp.sync.
func (l *lowering) barrier() {
	in := l.in
	s := l.step
	switch {
	case in.has("cluster"):
		l.clusterBarrier()
		return
	case in.has("warp"):
		l.warpSync()
		return
	}
	args := in.args
	kind := in.one("sync", "arrive", "red")
	s.aligned = in.op == "bar" || in.has("aligned")
	var dst operand
	pred, flip := -1, uint32(0)
	if kind == "red" {
		dst = args[0]
		pred, flip = l.predicate(args[len(args)-1])
		args = args[1 : len(args)-1]
	}
	u32 := typeNamed("u32")
	id, count := l.source(args[0], u32), -1
	if len(args) > 1 {
		count = l.source(args[1], u32)
	}
	reduction := in.one("and", "or", "popc")
	finish := l.barrierResult(reduction, dst)
	s.kind = stepTry
	s.try = func(w *warp, m uint32) bool {
		p := w.cur
		if !p.waiting {
			w.arriveBarrier(m, id, count, kind, reduction, pred, flip)
			if kind == "arrive" {
				return true
			}
		}
		if !p.released {
			return false
		}
		p.waiting, p.released = false, false
		if finish != nil {
			finish(w, m, p.result)
		}
		return true
	}
}

// barrierResult writes what a reducing barrier found.
func (l *lowering) barrierResult(reduction string, dst operand) func(w *warp, m, v uint32) {
	switch reduction {
	case "":
		return nil
	case "popc":
		d := l.destination(dst, false)
		return func(w *warp, m, v uint32) {
			r := w.v32(d)
			for i := range r {
				if m>>i&1 != 0 {
					r[i] = v
				}
			}
			w.def[d] |= m
		}
	}
	p := l.predicateOut(dst)
	return func(w *warp, m, v uint32) { w.setPredicate(p, m, -v, full) }
}

// uniform reads an operand that all lanes must agree on.
func (w *warp) uniform(slot int, m uint32, what string) uint32 {
	if undef := m &^ w.def[slot]; undef != 0 {
		w.fault(Undefined, lowest(undef), "%s is undefined", what)
	}
	v := w.v32(slot)
	first := v[lowest(m)]
	for i, x := range v {
		if m>>i&1 != 0 && x != first {
			w.fault(Divergence, i, "%s differs between lanes: %d and %d", what, first, x)
		}
	}
	return first
}

func (w *warp) arriveBarrier(m uint32, id, count int, kind, reduction string, pred int, flip uint32) {
	c := w.cta
	n := w.uniform(id, m, "the barrier's number")
	if n > 15 {
		w.fault(Illegal, lowest(m), "barrier %d of 16", n)
	}
	b := &c.barriers[n]
	expected := c.left * warpSize
	if count >= 0 {
		expected = int(w.uniform(count, m, "the barrier's thread count"))
		if expected == 0 || expected%warpSize != 0 || expected > alignUp(len(c.warps)*warpSize, warpSize) {
			w.fault(Barrier, lowest(m), "barrier %d for %d threads of %d; whole warps are needed", n, expected, len(c.warps)*warpSize)
		}
	}
	if b.expected == 0 {
		*b = namedBarrier{expected: expected, all: count < 0, and: true, reduction: reduction, waiting: b.waiting[:0], paths: b.paths[:0]}
	} else if b.expected != expected || b.reduction != reduction {
		w.fault(Barrier, lowest(m), "barrier %d is under way for %d threads%s, this arrival says %d", n, b.expected, b.reduction, expected)
	}
	threads := warpSize
	if m != w.live {
		threads = popcount(m)
	}
	b.arrived += threads
	if b.arrived > b.expected {
		w.fault(Barrier, lowest(m), "%d threads arrive at barrier %d, which expects %d", b.arrived, n, b.expected)
	}
	if pred >= 0 {
		if undef := m &^ w.pdef[pred]; undef != 0 {
			w.fault(Undefined, lowest(undef), "the reduced predicate is undefined")
		}
		v := (w.p[pred] ^ flip) & m
		b.and, b.or, b.count = b.and && v == m, b.or || v != 0, b.count+uint32(popcount(v))
	}
	if c.machine.races {
		b.known.add(&w.actor)
	}
	if kind != "arrive" {
		w.cur.waiting = true
		b.waiting, b.paths = append(b.waiting, w), append(b.paths, w.cur)
	}
	if c.machine.races {
		w.actor.tick()
	}
	b.complete(c)
}

// complete releases the waiting warps once all expected threads have arrived.
func (b *namedBarrier) complete(c *cta) {
	if b.expected == 0 || b.arrived < b.expected {
		return
	}
	result := b.count
	switch b.reduction {
	case "and":
		result = bit(b.and)
	case "or":
		result = bit(b.or)
	}
	for i, w := range b.waiting {
		b.paths[i].released, b.paths[i].result = true, result
		if c.machine.races {
			w.actor.join(&b.known.clock, &b.known.proxy)
		}
	}
	b.expected, b.arrived = 0, 0
	b.known.clear()
	c.machine.event()
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// exitBarriers: barriers for the whole CTA do not wait for warps that have ended.
func (c *cta) exitBarriers() {
	for i := range c.barriers {
		b := &c.barriers[i]
		if b.expected > 0 && b.all {
			b.expected = c.left * warpSize
			if b.expected == 0 {
				b.expected = b.arrived
			}
			b.complete(c)
		}
	}
	c.cluster.complete(c.machine)
}

func (w *warp) describeBarrier(p *path) string {
	for i := range w.cta.barriers {
		b := &w.cta.barriers[i]
		for _, q := range b.paths {
			if q == p && b.expected > 0 {
				return fmt.Sprintf("%d of %d threads have arrived at barrier %d", b.arrived, b.expected, i)
			}
		}
	}
	return "waits at a barrier"
}

// warpSync lowers bar.warp.sync: the lanes of the mask meet here.
func (l *lowering) warpSync() {
	mask := l.source(l.in.args[0], typeNamed("b32"))
	l.step.kind = stepTry
	l.step.try = func(w *warp, m uint32) bool {
		if !w.gather(w.uniform(mask, m, "the lane mask"), m) {
			return false
		}
		if w.cta.machine.races {
			w.actor.tick()
		}
		return true
	}
}

// gather tells whether the lanes of a .sync instruction's mask are all here. Lanes on other paths get time to come; a lane
// outside of its own mask is an error.
func (w *warp) gather(mask, m uint32) bool {
	if m&^mask != 0 {
		w.fault(Divergence, lowest(m&^mask), "the lane is not in its own mask %08x", mask)
	}
	missing := mask & w.live &^ m
	if missing == 0 {
		return true
	}
	here := w.cur
	for _, p := range w.paths {
		if p != here && p.pc == here.pc && p.act == here.act && p.meet == here.meet && p.parent == here.parent {
			w.remove(p) // it came before and waits here: go on together
			here.mask |= p.mask
			if p.parent != nil {
				p.parent.pending--
			}
			w.cur, w.retry = here, true
			return false
		}
	}
	for _, p := range w.paths {
		if p != here && p.mask&missing != 0 {
			return false
		}
	}
	w.fault(Divergence, lowest(missing), "lanes %08x of the mask %08x are not here", missing, mask)
	return false
}

// A clusterBarrier is barrier.cluster: every warp arrives, then waits.
type clusterBarrier struct {
	phase   int
	arrived int
	known   published
	last    published // of the completed phase
	came    clock     // of all arrivals, relaxed ones too: what was done before, if not what is visible
	passed  clock     // of the completed phase
}

func (c *cluster) liveWarps() int {
	n := 0
	for _, x := range c.ctas {
		n += x.left
	}
	return n
}

func (c *cluster) complete(m *Machine) {
	b := &c.barrier
	if b.arrived == 0 || b.arrived < c.liveWarps() {
		return
	}
	b.phase++
	b.arrived = 0
	b.last, b.passed = b.known, b.came
	b.known.clear()
	b.came = clock{}
	m.event()
}

func (l *lowering) clusterBarrier() {
	in := l.in
	l.step.aligned = in.has("aligned")
	if in.has("arrive") {
		relaxed := in.has("relaxed")
		l.step.run = func(w *warp, m uint32) {
			b := &w.cta.cluster.barrier
			if w.phase != 0 {
				w.fault(Barrier, lowest(m), "a second arrival at the cluster barrier without a wait between")
			}
			w.phase = b.phase + 1
			b.arrived++
			if w.cta.machine.races {
				if !relaxed {
					b.known.add(&w.actor)
				}
				b.came.joinOrSet(&w.actor.clock)
				w.actor.tick()
			}
			w.cta.cluster.complete(w.cta.machine)
		}
		return
	}
	l.step.kind = stepTry
	l.step.try = func(w *warp, m uint32) bool {
		b := &w.cta.cluster.barrier
		if w.phase == 0 {
			w.fault(Barrier, lowest(m), "a wait at the cluster barrier without an arrival")
		}
		if b.phase < w.phase {
			return false
		}
		w.phase = 0
		if w.cta.machine.races {
			w.actor.join(&b.last.clock, &b.last.proxy)
			w.passed.joinOrSet(&b.passed)
		}
		return true
	}
}
