package sim

import (
	"fmt"
)

const mbarrierMax = 1<<20 - 1

// An mbarrier lives in eight bytes of shared memory, which only mbarrier instructions may touch.
type mbarrier struct {
	expected int // arrivals per phase
	pending  int
	tx       int // bytes expected and not complete; below zero when they come first
	phase    int
	known    published
	done     [2]published // of completed phases, by parity
	remote   []uint64     // epochs of arrivals from other CTAs
	init     uint64       // epoch of its initialisation
	by       *warp        // that initialised it
	fenced   bool         // fence.mbarrier_init came after
}

func (l *lowering) mbarrier() {
	in := l.in
	s := l.step
	args := in.args
	kind := in.mods[0]
	if kind == "pending_count" {
		s.run = lanes1(l.destination(args[0], false), l.source(args[1], typeNamed("b64")), func(a uint64) uint32 { return uint32(a) & mbarrierMax })
		return
	}
	spc := spaceGeneric
	for _, m := range in.mods {
		if x := spaceNamed(m); x != spaceGeneric {
			spc = x
		}
	}
	u32 := typeNamed("u32")
	switch kind {
	case "init":
		a, n := l.addressing(args[0], spc), l.source(args[1], u32)
		s.run = func(w *warp, m uint32) {
			w.eachBarrier(a, m, func(i int, mem *memory, off int) { w.initBarrier(mem, off, i, int(w.value(n, i))) })
		}
	case "inval":
		a := l.addressing(args[0], spc)
		s.run = func(w *warp, m uint32) {
			w.eachBarrier(a, m, func(i int, mem *memory, off int) {
				w.barrierAt(mem, off, i)
				delete(mem.mbarriers, off)
				*mem.cellAt(off / 4), *mem.cellAt(off/4 + 1) = cell{}, cell{}
			})
		}
	case "expect_tx", "complete_tx":
		a, n := l.addressing(args[0], spc), l.source(args[1], u32)
		sign := 1
		if kind == "complete_tx" {
			sign = -1
		}
		s.run = func(w *warp, m uint32) {
			w.eachBarrier(a, m, func(i int, mem *memory, off int) {
				b := w.barrierAt(mem, off, i)
				w.addTx(b, i, sign*int(w.value(n, i)))
				b.settle(w.cta.machine)
			})
		}
	case "arrive", "arrive_drop":
		l.arrive(spc)
	default:
		l.waitBarrier(spc)
	}
}

func (w *warp) value(slot, i int) uint32 {
	if w.def[slot]>>i&1 == 0 {
		w.fault(Undefined, i, "an operand is undefined")
	}
	return w.v32(slot)[i]
}

// eachBarrier finds the shared memory that every lane's address names.
func (w *warp) eachBarrier(a addressing, m uint32, f func(i int, mem *memory, off int)) {
	addr := *w.addresses(&a, m)
	for mm := m; mm != 0; mm &= mm - 1 {
		i := lowest(mm)
		mem, off := w.locate(a.spc, addr[i], 8, 8, i)
		if mem.cta == nil {
			w.fault(Bounds, i, "an mbarrier must be in shared memory; %#x is not", addr[i])
		}
		f(i, mem, off)
	}
}

func (w *warp) initBarrier(mem *memory, off, lane, count int) {
	if count < 1 || count > mbarrierMax {
		w.fault(Barrier, lane, "an mbarrier for %d arrivals", count)
	}
	if mem.mbarriers == nil {
		mem.mbarriers = map[int]*mbarrier{}
	}
	if mem.mbarriers[off] != nil {
		w.fault(Barrier, lane, "a second initialisation of the mbarrier at shared offset %d; mbarrier.inval comes before", off)
	}
	b := &mbarrier{expected: count, pending: count, by: w, init: w.actor.now | w.in.site}
	if w.cta.machine.races {
		x := w.accessOf(mem, true, 0)
		x.byLane(off, 8, lane)
		mem.cellAt(off/4).w, mem.cellAt(off/4+1).w = mbarrierCell, mbarrierCell
	}
	mem.define(off, 8)
	mem.mbarriers[off] = b
}

// barrierAt is the live mbarrier at an offset, known to be initialised to this warp.
func (w *warp) barrierAt(mem *memory, off, lane int) *mbarrier {
	b := mem.mbarriers[off]
	if b == nil {
		w.fault(Barrier, lane, "no mbarrier was initialised at shared offset %d", off)
	}
	m := w.cta.machine
	if m.races && b.by != w && !w.actor.clock.after(m, b.init) {
		w.fault(Race, lane, "the mbarrier at shared offset %d is used before its initialisation by %s is known here", off, m.describe(b.init))
	}
	return b
}

func (w *warp) addTx(b *mbarrier, lane, n int) {
	b.tx += n
	if b.tx > mbarrierMax || b.tx < -mbarrierMax {
		w.fault(Barrier, lane, "%d bytes pending at an mbarrier, which counts to %d", b.tx, mbarrierMax)
	}
}

// settle ends the phase if nothing is pending.
func (b *mbarrier) settle(m *Machine) {
	m.event()
	if b.pending > 0 || b.tx != 0 {
		return
	}
	b.done[b.phase&1] = b.known
	b.known = published{}
	b.phase++
	b.pending = b.expected
}

func (l *lowering) arrive(spc space) {
	in := l.in
	args := in.args
	sink := args[0].kind == operandSink
	d := l.destination(args[0], true)
	a := l.addressing(args[1], spc)
	n := -1
	if len(args) > 2 {
		n = l.source(args[2], typeNamed("u32"))
	}
	expect, drop, relaxed := in.has("expect_tx"), in.has("arrive_drop"), in.has("relaxed")
	l.step.run = func(w *warp, m uint32) {
		w.eachBarrier(a, m, func(i int, mem *memory, off int) {
			b := w.barrierAt(mem, off, i)
			if mem.cta != w.cta && !sink {
				w.fault(Barrier, i, "a remote arrival gives no state: the destination must be _")
			}
			count := 1
			if n >= 0 && expect {
				w.addTx(b, i, int(w.value(n, i)))
			} else if n >= 0 {
				count = int(w.value(n, i))
			}
			if mem.cta != w.cta && w.cta.machine.races {
				b.remember(w.actor.now | w.in.site)
			}
			state := uint64(b.phase)<<32 | uint64(b.pending)
			w.arriveAt(b, i, off, count, drop, relaxed)
			w.v64(d)[i] = state
			w.def[d] |= 1 << i
		})
		if w.cta.machine.races && !relaxed {
			w.actor.tick()
		}
	}
}

func (w *warp) arriveAt(b *mbarrier, lane, off, count int, drop, relaxed bool) {
	if count < 1 || count > b.pending {
		w.fault(Barrier, lane, "%d arrivals at the mbarrier at shared offset %d, which waits for %d more in this phase", count, off, b.pending)
	}
	if drop {
		b.expected -= count
	}
	b.pending -= count
	if w.cta.machine.races && !relaxed {
		b.known.add(&w.actor)
	}
	b.settle(w.cta.machine)
}

// waitBarrier lowers test_wait and try_wait. test_wait answers at once; try_wait may suspend the warp, and may fail: always
// the first time that it finds the phase incomplete, sometimes though it is complete.
func (l *lowering) waitBarrier(spc space) {
	in := l.in
	args := in.args
	p := l.predicateOut(args[0])
	a := l.addressing(args[1], spc)
	parity, try := in.has("parity"), in.has("try_wait")
	relaxed := in.has("relaxed")
	which := 0
	if parity {
		which = l.source(args[2], typeNamed("u32"))
	} else {
		which = l.source(args[2], typeNamed("b64"))
	}
	l.step.kind = stepTry
	l.step.try = func(w *warp, m uint32) bool {
		done, missing := uint32(0), false
		look := func(i int, mem *memory, off int, lanes uint32) {
			if mem.cta != w.cta {
				w.fault(Barrier, i, "only the CTA that holds an mbarrier may wait at it")
			}
			b := w.barrierAt(mem, off, i)
			if w.def[which]>>i&1 == 0 {
				w.fault(Undefined, i, "the phase to wait for is undefined")
			}
			if b.completed(w, which, i, parity) {
				done |= lanes
				if w.cta.machine.races && !relaxed && b.phase > 0 {
					k := &b.done[(b.phase-1)&1]
					w.actor.join(&k.clock, &k.proxy)
				}
			} else {
				missing = true
			}
		}
		if w.sameWait(a, which, parity, m) { // the usual case: all lanes wait for the same
			w.eachBarrier(a, m&-m, func(i int, mem *memory, off int) { look(i, mem, off, m) })
		} else {
			w.eachBarrier(a, m, func(i int, mem *memory, off int) { look(i, mem, off, 1<<i) })
		}
		here := w.cur
		if missing {
			w.cta.grid.counters.BarrierWaits++
			if try && done == 0 && here.refused && !here.timeout {
				w.cta.grid.counters.BarrierWaits--
				return false
			}
			here.refused = try && !here.timeout
			here.timeout = false
		} else {
			here.refused = false
			if try && w.cta.machine.chance(8) {
				done = 0 // spurious
			}
		}
		w.setPredicate(p, m, done, full)
		return true
	}
}

// sameWait tells whether the lanes of m wait for the same phase of the same mbarrier.
func (w *warp) sameWait(a addressing, which int, parity bool, m uint32) bool {
	return w.sameInLanes(a.slot, a.wide, m) && w.sameInLanes(which, !parity, m)
}

// sameInLanes tells whether a register is defined and the same in the lanes of m.
func (w *warp) sameInLanes(slot int, wide bool, m uint32) bool {
	if w.def[slot]&m != m {
		return false
	}
	first, differ := lowest(m), uint64(0)
	if wide {
		v := w.v64(slot)
		for i, x := range v {
			differ |= (x ^ v[first]) & -uint64(m>>i&1)
		}
	} else {
		v := w.v32(slot)
		for i, x := range v {
			differ |= uint64(x^v[first]) & -uint64(m>>i&1)
		}
	}
	return differ == 0
}

func (b *mbarrier) completed(w *warp, which, i int, parity bool) bool {
	if parity {
		q := w.v32(which)[i]
		if q > 1 {
			w.fault(Barrier, i, "parity %d; it is 0 or 1", q)
		}
		return uint32(b.phase&1) != q
	}
	phase := int(w.v64(which)[i] >> 32)
	if phase > b.phase || phase < b.phase-1 {
		w.fault(Barrier, i, "the state is of phase %d, the mbarrier is in phase %d", phase, b.phase)
	}
	return b.phase > phase
}

// describeWait says what a blocked mbarrier wait or wait for copies is missing.
func (w *warp) describeWait(s *step, m uint32) string {
	in := s.in
	if in.op == "cp" || len(in.args) < 2 || in.args[1].kind != operandMemory {
		return "copies are unfinished"
	}
	l := &lowering{f: w.cur.act.f, in: in, step: s}
	if in.args[1].base.kind != operandRegister {
		return "the phase is incomplete"
	}
	a := l.addressing(in.args[1], spaceShared)
	addr := w.addresses(&a, m)[lowest(m)]
	mem, off := w.locate(spaceShared, addr&(1<<rankShift-1)|uint64(w.cta.rank)<<rankShift, 8, 8, lowest(m))
	b := mem.mbarriers[off]
	if b == nil {
		return "no mbarrier"
	}
	return fmt.Sprintf("mbarrier at shared offset %d is in phase %d (parity %d): %d of %d arrivals missing, %d bytes outstanding", off, b.phase, b.phase&1, b.pending, b.expected, b.tx)
}

// completeTx tells an mbarrier that n bytes of the operation are complete.
func (o *operation) completeTx(mem *memory, off, n int) {
	b := mem.mbarriers[off]
	if b == nil {
		o.actor.fault(Barrier, -1, "no mbarrier was initialised at shared offset %d", off)
	}
	w := o.actor.warp
	m := o.cta.machine
	if m.races {
		if b.by != w && !o.actor.clock.after(m, b.init) {
			o.actor.fault(Race, -1, "the mbarrier at shared offset %d is used before its initialisation is known here", off)
		}
		if !b.fenced && !o.actor.proxy.after(m, b.init) {
			o.actor.fault(Proxy, -1, "the mbarrier at shared offset %d is used by an asynchronous copy, and no fence.mbarrier_init followed its initialisation", off)
		}
		b.known.add(&o.actor)
	}
	b.tx -= n
	if b.tx < -mbarrierMax {
		o.actor.fault(Barrier, -1, "%d bytes pending at an mbarrier, which counts to %d", b.tx, mbarrierMax)
	}
	b.settle(m)
}
