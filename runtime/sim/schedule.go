package sim

import (
	"fmt"
	"math/bits"
	"strings"
)

// run lets warps, asynchronous operations and copies take their turns until a work has finished. An error of any of them
// ends all.
func (m *Machine) run(until *Work) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			m.abort(e)
			err = e
		}
	}()
	for !until.done {
		m.startCopies()
		if len(m.active) > 0 && m.chance(16) || len(m.active) == 0 {
			m.admitOne()
		}
		c := m.choose()
		if c == nil {
			if !m.advance(until) && (m.Starved == nil || !m.Starved()) {
				panic(m.deadlock(until))
			}
			continue
		}
		turns := 8
		if m.Seed != 0 { // mostly long, so that the registers of one CTA stay in the host's cache
			turns = 1 + m.random([]int{256, 256, 256, 8}[m.random(4)])
		}
		for range turns {
			if c.exited || !c.slice() {
				break
			}
			m.background()
		}
	}
	return until.err
}

// abort drops everything under way.
func (m *Machine) abort(e *Error) {
	for _, w := range m.works {
		w.done, w.err = true, e
	}
	m.works, m.active, m.pending, m.computations = nil, nil, nil, nil
	m.events++
	m.settle()
}

func (w *Work) ready() bool {
	for _, a := range w.after {
		if a.done {
			continue
		}
		g := a.grid
		if w.grid == nil || !w.grid.Programmatic || g == nil || g.released < g.total {
			return false
		}
	}
	return true
}

func (m *Machine) startCopies() {
	for i := 0; i < len(m.works); i++ {
		if w := m.works[i]; w.copy != nil && w.ready() {
			w.runCopy()
			i--
		}
	}
}

// admitOne admits a cluster of a grid that may run and for which there is room.
func (m *Machine) admitOne() bool {
	n := len(m.works)
	first := m.random(n)
	for i := range n {
		w := m.works[(first+i)%n]
		g := w.grid
		if g == nil || g.next == g.clusters || !w.ready() || !m.room(g) {
			continue
		}
		m.admit(g)
		m.events++
		return true
	}
	return false
}

// room tells whether the GPU has SMs for the grid's next cluster beside what runs there.
func (m *Machine) room(g *grid) bool {
	used := 0
	for _, w := range m.works {
		if o := w.grid; o != nil && o != g && o.GPU == g.GPU && o.running > 0 {
			per := m.residentPerSM(o)
			used += (o.running + per - 1) / per
		}
	}
	n := g.Cluster[0] * g.Cluster[1] * g.Cluster[2]
	return g.running+n <= (m.SMs-used)*m.residentPerSM(g)
}

// choose picks a CTA that may be able to go on.
func (m *Machine) choose() *cta {
	n := len(m.active)
	first := m.random(n)
	for i := range n {
		c := m.active[(first+i)%n]
		if c.blocked != m.events {
			return c
		}
	}
	return nil
}

// slice lets one warp of the CTA run for a while; false: none can.
func (c *cta) slice() bool {
	m := c.machine
	n := len(c.warps)
	first := m.random(n)
	quantum := 64
	if m.Seed != 0 {
		quantum = 1 + m.random(1024)
	}
	events := m.events
	for i := range n {
		w := c.warps[(first+i)%n]
		if w.live == 0 {
			continue
		}
		if w.spinning {
			if w.progress == m.progress {
				continue
			}
			w.spinning, w.woken, w.progress = false, true, m.progress
		}
		before := c.grid.counters.Instructions
		w.execute(quantum)
		if done := c.grid.counters.Instructions - before; done > 0 || c.exited {
			c.grid.steps += done
			if c.grid.steps > m.StepLimit {
				panic(w.errorAt(w.in, Limit, -1, "more than %d instructions", m.StepLimit))
			}
			return !c.exited
		}
	}
	if events == m.events {
		c.blocked = events
	}
	return false
}

// watch looks at a warp that branched backward: one that repeats itself while no memory changes waits for memory. A warp
// that was found so and woken by a change is looked at when it comes by again.
func (m *Machine) watch(w *warp) {
	if w.progress != m.progress {
		w.progress, w.backward, w.woken = m.progress, 0, false
		return
	}
	if w.backward++; !w.woken && w.backward != 48 && w.backward%64 != 0 {
		return
	}
	h := w.hash()
	w.spinning, w.woken = h == w.state, false
	w.state = h
}

// hash is of the running activation's registers, predicates and lanes.
func (w *warp) hash() uint64 {
	w.settleProducts()
	const k = 0x9E3779B97F4A7C15
	mix := func(h, x uint64) uint64 { return bits.RotateLeft64((h^x)*k, 29) }
	a := w.cur.act
	var h [4]uint64 // independent chains keep the host's multiplier busy
	for b := a.block; len(b) >= 4; b = b[4:] {
		h[0], h[1], h[2], h[3] = mix(h[0], b[0]), mix(h[1], b[1]), mix(h[2], b[2]), mix(h[3], b[3])
	}
	all := uint64(w.cur.mask)*31 + uint64(w.cur.pc)
	for _, x := range h {
		all = mix(all, x)
	}
	for _, p := range a.p {
		all = mix(all, uint64(p))
	}
	return all
}

// background does asynchronous work: early in the plain schedule, late otherwise.
func (m *Machine) background() {
	if len(m.pending) > 0 && (m.Seed == 0 || m.chance(uint64(m.lazy))) {
		m.completeOne()
	}
}

// advance does what is left when no warp can go on.
func (m *Machine) advance(until *Work) bool {
	if len(m.pending) > 0 {
		if m.completeOne() {
			return true
		}
	}
	if m.admitOne() {
		return true
	}
	if until.done {
		return true
	}
	return m.timeOut()
}

// timeOut lets every suspended try_wait fail, as its time limit would; after some rounds without any event it gives up.
func (m *Machine) timeOut() bool {
	if m.timeouts >= 3 {
		return false
	}
	m.timeouts++
	found := false
	for _, c := range m.active {
		c.blocked = 0
		for _, w := range c.warps {
			for _, p := range w.paths {
				if p.blocked != 0 && p.act.f.steps[p.pc].in.has("try_wait") {
					p.timeout, p.blocked, found = true, 0, true
				}
			}
		}
	}
	return found
}

// event notes something that may unblock others.
func (m *Machine) event() {
	m.events++
	m.progress++
	m.timeouts = 0
}

// deadlock tells who waits for what.
func (m *Machine) deadlock(until *Work) *Error {
	e := &Error{Kind: Deadlock, Warp: -1, Lane: -1}
	var lines []string
	for _, c := range m.active {
		for _, w := range c.warps {
			for _, p := range w.paths {
				if len(lines) == 40 {
					lines = append(lines, "…")
				}
				if len(lines) > 40 {
					continue
				}
				s := &p.act.f.steps[p.pc]
				if e.Line == 0 {
					e.Line, e.Text, e.Kernel, e.CTA = s.in.line, s.in.text, c.grid.fn.Name, c.index
				}
				lines = append(lines, fmt.Sprintf("CTA %d,%d,%d warp %d lanes %08x at line %d `%s`: %s",
					c.index[0], c.index[1], c.index[2], w.id, p.mask, s.in.line, s.in.text, w.waitsFor(p)))
			}
		}
	}
	for _, w := range m.works {
		if g := w.grid; g != nil && g.next < g.clusters {
			lines = append(lines, fmt.Sprintf("%s: %d of %d clusters have no room or wait for earlier work", w.name(), g.clusters-g.next, g.clusters))
		}
	}
	e.Msg = "nothing can run and nothing is under way\n\t" + strings.Join(lines, "\n\t")
	return e
}

// waitsFor describes why a path does not go on.
func (w *warp) waitsFor(p *path) string {
	s := &p.act.f.steps[p.pc]
	in := s.in
	switch {
	case w.spinning:
		return "repeats a loop that waits for memory to change"
	case p.waiting:
		return w.describeBarrier(p)
	case in.op == "mbarrier" || in.op == "cp":
		w.enter(p)
		w.in = s
		return w.describeWait(s, p.mask)
	case in.op == "barrier":
		return fmt.Sprintf("%d of %d warps of the cluster have arrived", w.cta.cluster.barrier.arrived, w.cta.cluster.liveWarps())
	case in.op == "setmaxnreg":
		return fmt.Sprintf("%d registers are wanted, %d of the CTA's %d are free", warpSize*(int(in.args[0].bits)-w.registers()), w.cta.freeRegisters(), w.cta.registers)
	case in.op == "griddepcontrol":
		return "the launches before have not finished"
	}
	return "cannot go on"
}
