package sim

import (
	"math/bits"
	"unsafe"
)

const (
	warpSize = 32
	full     = ^uint32(0)
)

type (
	vec32 = [warpSize]uint32
	vec64 = [warpSize]uint64
)

// A lane is what one lane of a register holds: 32-bit registers keep narrower types too, the rest zero.
type lane interface{ uint32 | uint64 }

// An activation is one call of a function by some lanes of a warp: its registers and its parameter and local frames.
// v holds a *vec32 or *vec64 per slot, def the lanes in which a slot is defined; predicates are lane masks.
type activation struct {
	f         *Function
	v         []unsafe.Pointer
	block     []uint64 // what the vectors are made of, without those of immediates: a multiple of 16 words
	def       []uint32
	p, pdef   []uint32
	param     []byte   // lane-major, f.paramSize each
	paramDef  []uint32 // per byte offset: lanes in which it was written
	localBase int

	caller *activation
	back   int // pc after the call
	meet   int // the caller path's meeting point
}

// A path is a set of lanes with one program counter. Where a branch divides it, a joining path waits at the meeting
// point for the sides that were made of it.
type path struct {
	pc, meet int // meet: where it ends and hands its lanes to parent; -1: never
	mask     uint32
	parent   *path
	pending  int // sides that have not arrived
	act      *activation
	blocked  uint64 // event count at which it was found blocked; 0: not blocked

	waiting  bool   // has arrived at a named barrier
	released bool   // which is complete
	result   uint32 // of its reduction
	refused  bool   // try_wait has failed since it last succeeded
	timeout  bool   // try_wait shall fail once more
}

type warp struct {
	v       []unsafe.Pointer // of the running path's activation
	def     []uint32
	p, pdef []uint32

	cta   *cta
	id    int
	live  uint32 // lanes that have not exited
	start uint32 // lanes that were launched
	base  *activation
	paths []*path
	cur   *path
	in    *step // executing
	addr  vec64 // addresses of the executing memory instruction
	actor actor

	local    []byte // lane-major thread-local memory
	localCap int
	localDef []uint32 // per byte offset: lanes that wrote it

	fences   fences
	acquired uint64                // the publication that the last acquire took over
	groups   [warpSize]*laneGroups // of cp.async and bulk copies
	wgmma    wgmmaState
	regs     int   // granted by setmaxnreg, 0: the launch's
	passed   clock // what was done before cluster barriers that it passed
	phase    int   // of the cluster barrier, at which it arrived + 1; 0: not arrived

	backward int    // backward branches since the machine last made progress
	progress uint64 // that progress count
	state    uint64 // hash of the registers at the last look
	spinning bool
	woken    bool // was spinning, and has not branched backward since
	retry    bool // the blocked instruction can be tried again at once
}

func (w *warp) v32(slot int) *vec32 { return (*vec32)(w.v[slot]) }
func (w *warp) v64(slot int) *vec64 { return (*vec64)(w.v[slot]) }

// newActivation gives a function's registers to the lanes of mask.
func (w *warp) newActivation(f *Function, caller *activation) *activation {
	a := w.cta.take(f)
	a.caller = caller
	a.localBase = localStart
	if caller != nil {
		a.localBase = alignUp(caller.localBase+caller.f.localSize, 16)
	}
	clear(a.def)
	clear(a.p)
	clear(a.pdef)
	clear(a.paramDef)
	a.p[predTrue], a.pdef[predTrue], a.pdef[predFalse] = full, full, full
	w.fillConstants(a)
	return a
}

// enter makes the path the running one.
func (w *warp) enter(p *path) {
	w.cur = p
	a := p.act
	w.v, w.def, w.p, w.pdef = a.v, a.def, a.p, a.pdef
}

// A stepKind tells the warp's loop what an instruction does to control.
type stepKind uint8

const (
	stepRun    stepKind = iota // runs its closure
	stepTry                    // runs a closure that may have to be repeated
	stepBranch                 // goes to target where the guard holds
	stepIndex                  // goes to targets[index]
	stepCall
	stepReturn
	stepExit
)

// A step is a lowered instruction.
type step struct {
	run     func(w *warp, m uint32)
	try     func(w *warp, m uint32) bool // false: blocked
	kind    stepKind
	unfence bool // touches registers that some wgmma uses: wgmma.fence must come before the next
	aligned bool // all live lanes of the warp must execute it together
	guard   int  // predicate slot, -1: none
	flip    uint32
	target  int
	meet    int
	touched []int // slots read or written, for registers of unfinished wgmma operations
	in      *instruction
	site    uint64 // in epochs: where an access comes from
}

// execute runs the warp for at most n instructions and tells whether it can go on.
func (w *warp) execute(n int) bool {
	if w.cur == nil || w.cur.blocked != 0 {
		if !w.pick() {
			return false
		}
	}
	counters := w.cta.grid.counters
	steps := w.cur.act.f.steps
	p := w.cur
	for ; n > 0; n-- {
		if p.pc == p.meet {
			w.join(p)
			n++ // no instruction: whoever gets a turn executes one, or nothing can
			if !w.pick() {
				return false
			}
			p = w.cur
			steps = p.act.f.steps
			continue
		}
		s := &steps[p.pc]
		w.in = s
		m := p.mask
		if s.guard >= 0 {
			if w.pdef[s.guard]&m != m {
				w.fault(Undefined, lowest(m&^w.pdef[s.guard]), "the guard is undefined")
			}
			m &= w.p[s.guard] ^ s.flip
		}
		counters.Instructions++
		counters.LaneInstructions += int64(bits.OnesCount32(m))
		if s.aligned && m != w.live {
			w.checkAligned(m)
		}
		if w.wgmma.busy && m != 0 {
			w.checkInFlight(s)
		}
		if s.unfence && m != 0 {
			w.wgmma.fenced = false
		}
		switch s.kind {
		case stepRun:
			if m != 0 {
				s.run(w, m)
			}
			p.pc++
		case stepTry:
			if m != 0 && !s.try(w, m) {
				if !w.retry {
					p.blocked = w.cta.machine.events
					n++
				}
				w.retry = false
				counters.Instructions--
				counters.LaneInstructions -= int64(bits.OnesCount32(m))
				if !w.pick() {
					return false
				}
				p = w.cur
				steps = p.act.f.steps
				continue
			}
			p.pc++
		default:
			w.control(s, p, m)
			if w.cur != p || p.mask == 0 {
				if !w.pick() {
					return false
				}
			}
			p = w.cur
			steps = p.act.f.steps
			if w.spinning {
				return false
			}
		}
	}
	return true
}

// control does what branches, calls and returns do to the paths.
func (w *warp) control(s *step, p *path, m uint32) {
	switch s.kind {
	case stepBranch:
		if s.target <= p.pc {
			w.cta.machine.watch(w)
		}
		w.branch(p, m, s.target, s.meet)
	case stepIndex:
		w.branchIndexed(s, p, m)
	case stepCall:
		w.call(s, p, m)
	case stepReturn:
		if m == p.mask {
			p.pc = len(p.act.f.code)
			if p.pc != p.meet {
				w.leave(p)
			}
		} else {
			w.branch(p, m, len(p.act.f.code), s.meet)
		}
	case stepExit:
		w.exit(p, m)
	}
}

// branch sends the lanes of m to target, the others on.
func (w *warp) branch(p *path, m uint32, target, meet int) {
	switch rest := p.mask &^ m; {
	case m == 0:
		p.pc++
	case rest == 0:
		p.pc = target
	default:
		w.divide(p, meet, [2]side{{p.pc + 1, rest}, {target, m}})
	}
}

type side struct {
	pc   int
	mask uint32
}

// divide replaces a path by its sides; they meet again at meet. Where the path itself ends there, no further joint is made.
func (w *warp) divide(p *path, meet int, sides [2]side) {
	parent := p.parent
	if meet != p.meet || parent == nil {
		joint := &path{pc: meet, meet: p.meet, parent: p.parent, act: p.act}
		parent = joint
	} else {
		parent.pending--
	}
	w.remove(p)
	for _, s := range sides {
		parent.pending++
		w.paths = append(w.paths, &path{pc: s.pc, meet: meet, mask: s.mask, parent: parent, act: p.act})
	}
	w.cur = nil
}

// join hands the lanes of a path that reached its meeting point to the joint. Paths that wait for lanes look again.
func (w *warp) join(p *path) {
	w.remove(p)
	for _, q := range w.paths {
		q.blocked = 0
	}
	w.arrive(p.parent, p.mask)
}

func (w *warp) arrive(joint *path, mask uint32) {
	for joint != nil {
		joint.mask |= mask
		joint.pending--
		if joint.pending > 0 {
			return
		}
		if joint.mask != 0 {
			w.paths = append(w.paths, joint)
			return
		}
		joint, mask = joint.parent, 0 // all its lanes exited on the way
	}
}

func (w *warp) remove(p *path) {
	for i, q := range w.paths {
		if q == p {
			w.paths = append(w.paths[:i], w.paths[i+1:]...)
			break
		}
	}
	w.cur = nil
}

// pick chooses a path that can go on; false: none can.
func (w *warp) pick() bool {
	events := w.cta.machine.events
	n := len(w.paths)
	if n == 0 {
		return false
	}
	first := n - 1
	if n > 1 {
		first = w.cta.machine.random(n)
	}
	for i := range n {
		p := w.paths[(first+i)%n]
		if p.blocked == 0 || p.blocked != events {
			p.blocked = 0
			w.enter(p)
			return true
		}
	}
	w.cur = nil
	return false
}

// exit ends the lanes of m.
func (w *warp) exit(p *path, m uint32) {
	w.live &^= m
	p.mask &^= m
	p.pc++
	if p.mask == 0 {
		w.remove(p)
		w.arrive(p.parent, 0)
	}
	if w.live == 0 {
		w.cta.warpDone(w)
	}
}

// leave returns from the running activation: to the caller, or out of the kernel.
func (w *warp) leave(p *path) {
	a := p.act
	if a.caller == nil {
		w.exit(p, p.mask)
		return
	}
	call := &a.caller.f.steps[a.back-1]
	w.copyResult(call.in, a, p.mask)
	p.act, p.pc, p.meet = a.caller, a.back, a.meet
	w.cta.give(a)
	w.enter(p)
}

// branchIndexed sends every lane to the target that its index names, one group of equal lanes after another.
func (w *warp) branchIndexed(s *step, p *path, m uint32) {
	slot := s.target
	if w.def[slot]&m != m {
		w.fault(Undefined, lowest(m&^w.def[slot]), "the branch index is undefined")
	}
	v := w.v32(slot)
	l := lowest(m)
	if m == 0 {
		p.pc++
		return
	}
	if int64(v[l]) >= int64(len(s.in.targets)) {
		w.fault(Illegal, l, "branch index %d of %d targets", v[l], len(s.in.targets))
	}
	same := uint32(0)
	for i := range v {
		if m>>i&1 != 0 && v[i] == v[l] {
			same |= 1 << i
		}
	}
	target := s.in.targets[v[l]]
	if rest := p.mask &^ same; rest != 0 {
		w.divide(p, s.meet, [2]side{{p.pc, rest}, {target, same}}) // the rest comes by again
		return
	}
	p.pc = target
}

func lowest(m uint32) int { return bits.TrailingZeros32(m) }

// checkAligned refuses an .aligned instruction that not all live lanes execute.
func (w *warp) checkAligned(m uint32) {
	if m == 0 && w.cur.mask == w.live {
		return // the guard is false for the whole warp
	}
	w.fault(Divergence, lowest(w.live&^m), "lanes %08x of %08x execute an aligned instruction", m, w.live)
}
