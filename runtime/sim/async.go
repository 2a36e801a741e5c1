package sim

// An operation is asynchronous work under way: a copy, a matrix product, an arrival that waits for copies. It reads at one
// instant and writes at a later one, both anywhere between its issue and what observes its completion.
type operation struct {
	actor actor
	cta   *cta
	after []*operation
	read  func() // nil: nothing to read
	write func()

	readDone, done bool
}

// newOperation makes an asynchronous agent that knows what the warp knows now.
func (w *warp) newOperation(generic bool) *operation {
	c := w.cta
	o := &operation{cta: c}
	o.actor = actor{machine: c.machine, warp: w, step: w.in, async: !generic}
	if c.machine.races {
		d := c.cluster.domain
		place := c.places % asyncPlaces
		c.places++
		n := &d.places[c.rank*asyncPlaces+place]
		*n++
		a := &o.actor
		a.clock, a.proxy = w.actor.clock.copy(), w.actor.proxy.copy()
		a.index = c.rank*d.per + d.warps + place
		a.clock.own[a.index], a.proxy.own[a.index] = *n, *n
		a.now = uint64(*n&clockMask) | uint64(d.base+uint32(a.index))<<clockBits
		w.actor.tick()
	}
	return o
}

// start queues the operation.
func (o *operation) start() {
	o.readDone = o.read == nil
	o.cta.machine.pending = append(o.cta.machine.pending, o)
}

// completeOne does one instant of one operation that may take effect now.
func (m *Machine) completeOne() bool {
	n := len(m.pending)
	first := 0
	if m.Seed != 0 {
		first = m.random(n)
	}
	for i := range n {
		k := (first + i) % n
		o := m.pending[k]
		if !o.free() {
			continue
		}
		if !o.readDone {
			o.read()
			o.readDone = true
		} else {
			m.pending = append(m.pending[:k], m.pending[k+1:]...)
			o.write()
			o.done = true
		}
		m.event()
		return true
	}
	return false
}

func (o *operation) free() bool {
	for _, p := range o.after {
		if !p.done {
			return false
		}
	}
	return true
}

// access prepares the race check of an operation.
func (o *operation) access(mem *memory, write bool) access {
	flags := uint64(0)
	if o.actor.async {
		flags = flagAsync
	}
	return access{actor: &o.actor, mem: mem, epoch: o.actor.now | o.actor.step.site | flags, write: write, lane: warpSize}
}

// touch checks and records what the operation does to n bytes, and that what it reads is defined.
func (o *operation) touch(mem *memory, off, n int, write bool) { o.touchAs(mem, off, n, write, 0) }

// touchAs is touch with flags for the epoch: reductions are strong, they do not race with one another.
func (o *operation) touchAs(mem *memory, off, n int, write bool, flags uint64) {
	m := o.cta.machine
	if !write && m.Off&CheckUndefined == 0 && !mem.defined(off, n) {
		o.actor.fault(Undefined, -1, "%d bytes read at %s, of which byte %d was never written", n, mem.describe(off), mem.firstUndefined(off, n)-off)
	}
	if m.races {
		x := o.access(mem, write)
		x.epoch |= flags
		x.span(off, n)
	}
	if mem.cta != nil && mem.cta.exited {
		o.actor.fault(Bounds, -1, "shared memory of a CTA that has exited")
	}
}

// laneGroups are the commit groups of one thread: cp.async and bulk copies apart.
type laneGroups struct{ async, bulk groupList }

type groupList struct {
	open   []*operation
	closed [][]*operation
}

func (g *groupList) commit() {
	g.closed = append(g.closed, g.open)
	g.open = nil
}

// settled tells whether at most n of the newest groups are unfinished; read: only their reads count.
func (g *groupList) settled(n int, read bool) bool {
	for i := 0; i < len(g.closed)-n; i++ {
		for _, o := range g.closed[i] {
			if !o.done && !(read && o.readDone) {
				return false
			}
		}
	}
	return true
}

// collect takes over what the finished groups did. With read only the sources are free: the groups stay.
func (w *warp) collect(g *groupList, n int, read bool) {
	for i := 0; i < len(g.closed)-n; i++ {
		for _, o := range g.closed[i] {
			if w.cta.machine.races {
				if read && !o.done {
					w.observeReads(o)
				} else {
					w.actor.join(&o.actor.clock, &o.actor.proxy)
				}
			}
		}
	}
	if !read {
		g.closed = g.closed[max(0, len(g.closed)-n):]
	}
}

// observeReads orders an operation's reads before the warp; its writes, which come later, get a new clock.
func (w *warp) observeReads(o *operation) {
	w.actor.join(&o.actor.clock, &o.actor.proxy)
	a := &o.actor
	d := a.clock.dom
	i := a.index - o.cta.rank*d.per - d.warps
	n := &d.places[o.cta.rank*asyncPlaces+i]
	*n++
	a.clock.own[a.index], a.proxy.own[a.index] = *n, *n
	a.now = uint64(*n&clockMask) | uint64(d.base+uint32(a.index))<<clockBits
}

func (w *warp) lane(i int) *laneGroups {
	if w.groups[i] == nil {
		w.groups[i] = &laneGroups{}
	}
	return w.groups[i]
}

// checkExit refuses a warp that ends with work that nobody waited for.
func (w *warp) checkExit() {
	m := w.cta.machine
	if m.Off&CheckExit != 0 {
		return
	}
	if len(w.wgmma.closed) > 0 || len(w.wgmma.open) > 0 {
		w.fault(InFlight, -1, "the warp ends with wgmma operations that it did not wait for")
	}
	for i, g := range w.groups {
		if g == nil {
			continue
		}
		for _, list := range append(g.bulk.closed, g.bulk.open) {
			for _, o := range list {
				if !o.readDone {
					w.fault(InFlight, i, "the thread ends before a bulk copy that it issued has read its source: cp.async.bulk.wait_group is missing")
				}
			}
		}
		if len(g.bulk.open) > 0 {
			w.fault(InFlight, i, "the thread ends with bulk copies that it did not commit")
		}
	}
}

// checkExit refuses a CTA that ends while copies into its shared memory are under way.
func (c *cta) checkExit() {
	m := c.machine
	if m.Off&CheckExit != 0 {
		return
	}
	for off, b := range c.shared.mbarriers {
		if b.tx != 0 {
			c.warps[0].fault(Barrier, -1, "the CTA ends while the mbarrier at shared offset %d expects %d bytes", off, b.tx)
		}
	}
}
