package sim

import (
	"fmt"
	"slices"
)

// Work is something given to the machine that finishes later: a launch or a copy. Order between works exists where one was
// started after the other with After, or where the host waited in between; everything else may run in any order and at the
// same time, and the race checker treats it so.
type Work struct {
	machine *Machine
	id      int
	label   string
	after   []*Work
	before  history // works known to have finished before this one starts
	past    history // with this one
	learned clock   // what it acquired of others, beyond its past (learned.go)
	chain   int
	place   int32
	grid    *grid
	copy    *Copy
	done    bool
	err     error
}

// Copy moves or sets device memory, in the order of works: Source zero sets Size bytes to Value.
type Copy struct {
	Destination, Source uint64
	Size                int64
	Value               byte
}

// Launch describes one kernel launch.
type Launch struct {
	Program     *Program
	Entry       string
	Grid        [3]int // CTAs
	Block       [3]int // threads
	Cluster     [3]int // CTAs; zero: as the kernel says, or none
	SharedBytes int    // dynamic
	Params      []byte // laid out as Function.Params say

	// Programmatic lets the grid start when all CTAs of the launches it follows have issued
	// griddepcontrol.launch_dependents or ended; it must wait with griddepcontrol.wait before it touches their results.
	Programmatic bool
}

// name says what the work is, for reports.
func (w *Work) name() string {
	switch {
	case w.label != "":
		return w.label
	case w.grid != nil:
		return "kernel " + w.grid.fn.Name
	}
	return fmt.Sprintf("copy %d", w.id)
}

func (w *Work) lineOf(site int) int {
	if w.grid == nil || site >= len(w.grid.fn.module.sites) {
		return 0
	}
	return w.grid.fn.module.sites[site]
}

// follows tells whether the other work had finished before this one began.
func (w *Work) follows(other *Work) bool { return w.before.has(other) }

// Done tells whether the work has finished; its error is Wait's.
func (w *Work) Done() bool { return w.done }

// Counters of a finished launch; zero for copies.
func (w *Work) Counters() Counters {
	if w.grid == nil {
		return Counters{}
	}
	return *w.grid.counters
}

// newWork makes a work. overlap: it may begin while launches that it comes after run.
func (m *Machine) newWork(after []*Work, overlap bool) *Work {
	w := &Work{machine: m, id: m.nextWork, after: after, before: m.hostDone}
	m.nextWork++
	for _, a := range after {
		if overlap && a.grid != nil {
			w.before = w.before.join(a.before)
		} else {
			w.before = w.before.join(a.past)
		}
	}
	m.place(w)
	for _, a := range after {
		w.past = w.past.join(a.past) // it has waited for them all when it ends
	}
	m.works = append(m.works, w)
	return w
}

// StartCopy queues a copy after other works.
func (m *Machine) StartCopy(c Copy, after ...*Work) (*Work, error) {
	if c.Size < 0 {
		return nil, setupError("a copy of %d bytes", c.Size)
	}
	if _, _, err := m.span(c.Destination, int(c.Size), "copy to"); err != nil {
		return nil, err
	}
	if c.Source != 0 {
		if _, _, err := m.span(c.Source, int(c.Size), "copy from"); err != nil {
			return nil, err
		}
	}
	w := m.newWork(after, false)
	w.copy = &c
	return w, nil
}

// Start queues a launch after other works. What the driver would refuse is refused here.
func (m *Machine) Start(l Launch, after ...*Work) (*Work, error) {
	g, err := m.newGrid(l)
	if err != nil {
		return nil, err
	}
	w := m.newWork(after, l.Programmatic)
	w.grid, g.work = g, w
	if l.Programmatic {
		g.primaries = after
	}
	return w, nil
}

// Launch starts a launch and waits for it.
func (m *Machine) Launch(l Launch) (Counters, error) {
	w, err := m.Start(l)
	if err != nil {
		return Counters{}, err
	}
	err = m.Wait(w)
	return w.Counters(), err
}

// Wait runs the machine until the work has finished. What the host starts afterwards is ordered after it. An error of any
// work ends everything under way, as a fault of a GPU does; the machine stays usable.
func (m *Machine) Wait(w *Work) error {
	if err := m.run(w); err != nil {
		return err
	}
	m.hostDone = m.hostDone.join(w.past).join(w.learned.done)
	m.settle()
	return w.err
}

// Sync runs the machine until nothing is left.
func (m *Machine) Sync() error {
	for len(m.works) > 0 {
		if err := m.Wait(m.works[0]); err != nil {
			return err
		}
	}
	return nil
}

// settle forgets agents once nothing runs: all that was done is ordered before whatever comes.
func (m *Machine) settle() {
	if len(m.works) > 0 {
		return
	}
	m.domains, m.hostDone = nil, slices.Clone(m.chains)
	m.floor = m.nextAgent
	if m.nextAgent > agentMask/2 || len(m.readers.sets) > 1<<20 {
		for _, mem := range m.heap.sorted {
			if !mem.freed {
				clear(mem.cells)
				mem.parts = nil
			}
		}
		m.readers = readers{}
		m.lastOld, m.lastMine, m.lastSet = 0, 0, 0
		m.nextAgent, m.floor = 1, 1
	}
}

// runCopy does a copy as one agent.
func (w *Work) runCopy() {
	m, c := w.machine, w.copy
	n := int(c.Size)
	d := m.newDomain(w, nil, 1, 1, false)
	dst, at, err := m.span(c.Destination, n, "copy to")
	if err != nil {
		panic(err)
	}
	if c.Source != 0 {
		src, from, err := m.span(c.Source, n, "copy from")
		if err != nil {
			panic(err)
		}
		if m.races {
			w.touch(src, from, n, false, d)
		}
		copy(dst.data[at:at+n], src.data[from:from+n])
		dst.copyDefined(at, src, from, n)
	} else {
		fill(dst.data[at:at+n], c.Value)
		dst.define(at, n)
	}
	if m.races {
		w.touch(dst, at, n, true, d)
	}
	w.finish(nil)
}

// touch checks and records an access by a copy or the host. A word moves whole, so that strong accesses to it are in no race with its copy.
func (w *Work) touch(mem *memory, off, n int, write bool, d *domain) {
	a := &actor{machine: w.machine, clock: newClock(d), proxy: newClock(d), index: 0}
	a.inherit(w.inherited())
	a.tick()
	x := access{actor: a, mem: mem, epoch: a.now, write: write, lane: warpSize}
	if n == 4 && off&3 == 0 {
		x.epoch |= flagStrong
	}
	head := min(n, -off&3)
	x.span(off, head)
	x.span(off+head, (n-head)&^3)
	if tail := (n - head) & 3; tail > 0 {
		x.span(off+n-tail, tail)
	}
}

func (w *Work) finish(err error) {
	w.learn(w.inherited())
	w.done, w.err, w.after = true, err, nil
	m := w.machine
	for i, x := range m.works {
		if x == w {
			m.works = append(m.works[:i], m.works[i+1:]...)
			break
		}
	}
	m.events++
	m.progress++
}
