package sim

import "slices"

// copy lowers everything that begins with cp: cp.async, bulk copies and reductions, tensor copies, and their groups.
func (l *lowering) copy() {
	in := l.in
	bulk := in.has("bulk")
	switch {
	case in.has("commit_group"):
		l.step.run = func(w *warp, m uint32) {
			for mm := m; mm != 0; mm &= mm - 1 {
				g := w.lane(lowest(mm))
				if bulk {
					g.bulk.commit()
				} else {
					g.async.commit()
				}
			}
		}
	case in.has("wait_group"):
		l.waitGroup(int(in.args[0].bits), bulk, in.has("read"))
	case in.has("wait_all"):
		l.waitAll()
	case in.has("prefetch"):
		l.prefetch()
	case in.has("tensor"):
		l.tensor()
	case bulk:
		l.bulk()
	case in.has("mbarrier"):
		l.arriveAfterCopies()
	default:
		l.copyAsync()
	}
}

func (l *lowering) prefetch() {
	a := l.addressing(l.in.args[0], spaceGeneric)
	l.step.run = func(w *warp, m uint32) { w.addresses(&a, m) }
}

func (g *laneGroups) list(bulk bool) *groupList {
	if bulk {
		return &g.bulk
	}
	return &g.async
}

func (l *lowering) waitGroup(n int, bulk, read bool) {
	l.step.kind = stepTry
	l.step.try = func(w *warp, m uint32) bool {
		for mm := m; mm != 0; mm &= mm - 1 {
			if !w.lane(lowest(mm)).list(bulk).settled(n, read) {
				return false
			}
		}
		for mm := m; mm != 0; mm &= mm - 1 {
			w.collect(w.lane(lowest(mm)).list(bulk), n, read)
		}
		return true
	}
}

// waitAll is cp.async.wait_all: also what was not committed.
func (l *lowering) waitAll() {
	l.step.kind = stepTry
	l.step.try = func(w *warp, m uint32) bool {
		for mm := m; mm != 0; mm &= mm - 1 {
			g := &w.lane(lowest(mm)).async
			if len(g.open) > 0 {
				g.commit()
			}
			if !g.settled(0, false) {
				return false
			}
		}
		for mm := m; mm != 0; mm &= mm - 1 {
			w.collect(&w.lane(lowest(mm)).async, 0, false)
		}
		return true
	}
}

// copyAsync is cp.async: 4, 8 or 16 bytes per lane from global to shared memory, the rest zero where the source is shorter.
func (l *lowering) copyAsync() {
	in := l.in
	args := in.args
	dst, src := l.addressing(args[0], spaceShared), l.addressing(args[1], spaceGlobal)
	n := int(args[2].bits)
	if n != 4 && n != 8 && n != 16 || in.has("cg") && n != 16 {
		l.fail(Syntax, "cp.async copies 4, 8 or 16 bytes, .cg only 16")
		return
	}
	short := -1
	if len(args) > 3 && !(len(args) == 4 && in.has("L2::cache_hint")) {
		short = l.source(args[3], typeNamed("u32"))
	}
	l.step.run = func(w *warp, m uint32) {
		to := *w.addresses(&dst, m)
		from := *w.addresses(&src, m)
		o := w.newOperation(true)
		type piece struct {
			mem, at   *memory
			off, into int
			n         int
		}
		var pieces []piece
		for mm := m; mm != 0; mm &= mm - 1 {
			i := lowest(mm)
			p := piece{n: n}
			if short >= 0 {
				p.n = int(w.value(short, i))
				if p.n > n {
					w.fault(Illegal, i, "source size %d of a copy of %d bytes", p.n, n)
				}
			}
			p.at, p.into = w.locate(spaceShared, to[i], n, n, i)
			if p.n > 0 {
				p.mem, p.off = w.locate(spaceGlobal, from[i], p.n, n, i)
				w.cta.grid.counters.Async.Read += int64(p.n)
			}
			pieces = append(pieces, p)
			g := &w.lane(i).async
			g.open = append(g.open, o)
		}
		buffer := make([]byte, n*len(pieces))
		o.read = func() {
			for k, p := range pieces {
				if p.n > 0 {
					o.touch(p.mem, p.off, p.n, false)
					copy(buffer[k*n:], p.mem.data[p.off:p.off+p.n])
				}
			}
		}
		o.write = func() {
			for k, p := range pieces {
				o.touch(p.at, p.into, n, true)
				copy(p.at.data[p.into:p.into+n], buffer[k*n:])
				p.at.define(p.into, n)
			}
		}
		o.start()
	}
}

// arriveAfterCopies is cp.async.mbarrier.arrive: an arrival once the thread's earlier copies are complete.
func (l *lowering) arriveAfterCopies() {
	in := l.in
	spc := spaceGeneric
	if in.one("shared", "shared::cta") != "" {
		spc = spaceShared
	}
	a := l.addressing(in.args[0], spc)
	noinc := in.has("noinc")
	l.step.run = func(w *warp, m uint32) {
		if w.sameInLanes(a.slot, a.wide, m) && w.sameCopies(m) { // the usual case: as many arrivals at once
			w.eachBarrier(a, m&-m, func(i int, mem *memory, off int) { w.arriveAfter(mem, off, m, noinc) })
		} else {
			w.eachBarrier(a, m, func(i int, mem *memory, off int) { w.arriveAfter(mem, off, 1<<i, noinc) })
		}
	}
}

// sameCopies tells whether the lanes of m take part in the same copies.
func (w *warp) sameCopies(m uint32) bool {
	first := w.lane(lowest(m)).async.operations(nil)
	var own [16]*operation
	for mm := m & (m - 1); mm != 0; mm &= mm - 1 {
		if !slices.Equal(first, w.lane(lowest(mm)).async.operations(own[:0])) {
			return false
		}
	}
	return true
}

// operations appends those of all groups, the oldest first.
func (g *groupList) operations(to []*operation) []*operation {
	for _, list := range g.closed {
		to = append(to, list...)
	}
	return append(to, g.open...)
}

// arriveAfter makes an arrival for every lane of m once their copies, which are the same, are complete.
func (w *warp) arriveAfter(mem *memory, off int, m uint32, noinc bool) {
	lane, count := lowest(m), popcount(m)
	b := w.barrierAt(mem, off, lane)
	if !noinc {
		b.pending += count
	}
	o := w.newOperation(true)
	o.after = w.lane(lane).async.operations(nil)
	o.write = func() {
		if b.pending < count {
			o.actor.fault(Barrier, lane, "an arrival at the mbarrier at shared offset %d, which waits for none", off)
		}
		b.pending -= count
		if o.cta.machine.races {
			for _, p := range o.after {
				o.actor.join(&p.actor.clock, &p.actor.proxy)
			}
			b.known.add(&o.actor)
		}
		b.settle(o.cta.machine)
	}
	o.start()
	for mm := m; mm != 0; mm &= mm - 1 { // it stands for the copies that were not committed: it ends after them
		w.lane(lowest(mm)).async.open = []*operation{o}
	}
}

// bulk lowers cp.async.bulk and cp.reduce.async.bulk: size bytes between global and shared memory, or to another CTA.
func (l *lowering) bulk() {
	in := l.in
	args := in.args
	to, from := spaceGlobal, spaceShared
	var spaces []space
	for _, m := range in.mods {
		if s := spaceNamed(m); s != spaceGeneric {
			spaces = append(spaces, s)
		}
	}
	to, from = spaces[0], spaces[1]
	dst, src := l.addressing(args[0], to), l.addressing(args[1], from)
	size := l.source(args[2], typeNamed("u32"))
	tx := in.has("mbarrier::complete_tx::bytes")
	var bar addressing
	if tx {
		bar = l.addressing(args[3], to)
	}
	mask := -1
	if in.has("multicast::cluster") {
		mask = l.source(args[4], typeNamed("b16"))
	}
	var op func(old, v uint64) uint64
	elem := dtype{}
	if in.mods[0] == "reduce" || in.op == "cp" && in.has("reduce") {
		elem = in.typ()
		op = reduction(in.one("add", "min", "max", "inc", "dec", "and", "or", "xor"), elem, false)
		if op == nil {
			l.fail(Unsupported, "this reduction of .%s is not simulated", elem.name)
			return
		}
	}
	l.step.run = func(w *warp, m uint32) {
		d := *w.addresses(&dst, m)
		s := *w.addresses(&src, m)
		var b vec64
		if tx {
			b = *w.addresses(&bar, m)
		}
		for mm := m; mm != 0; mm &= mm - 1 {
			i := lowest(mm)
			n := int(w.value(size, i))
			if n%16 != 0 {
				w.fault(Misaligned, i, "a bulk copy of %d bytes; a multiple of 16 is needed", n)
			}
			o := w.newOperation(false)
			data := make([]byte, n)
			sm, so := w.locate(from, s[i], n, 16, i)
			o.read = func() {
				o.touch(sm, so, n, false)
				copy(data, sm.data[so:so+n])
			}
			targets := w.targets(to, d[i], n, 16, i, mask)
			bars := []target(nil)
			if tx {
				bars = w.targets(to, b[i], 8, 8, i, mask)
			} else {
				g := &w.lane(i).bulk
				g.open = append(g.open, o)
			}
			w.countBulk(from, n)
			o.write = func() {
				for k, t := range targets {
					if op == nil {
						o.touch(t.mem, t.off, n, true)
						copy(t.mem.data[t.off:t.off+n], data)
						t.mem.define(t.off, n)
					} else {
						o.touchAs(t.mem, t.off, n, true, flagStrong)
						o.reduce(t.mem, t.off, data, elem, op)
					}
					if tx {
						o.completeTx(bars[k].mem, bars[k].off, n)
					}
				}
			}
			o.start()
		}
	}
}

func (w *warp) countBulk(from space, n int) {
	if from == spaceGlobal {
		w.cta.grid.counters.Async.Read += int64(n)
	} else {
		w.cta.grid.counters.Async.Written += int64(n)
	}
}

// reduce combines data with what is there, element by element.
func (o *operation) reduce(mem *memory, off int, data []byte, t dtype, op func(old, v uint64) uint64) {
	n := t.bytes()
	if o.cta.machine.Off&CheckUndefined == 0 && !mem.defined(off, len(data)) {
		o.actor.fault(Undefined, -1, "a reduction onto %s, of which byte %d was never written", mem.describe(off), mem.firstUndefined(off, len(data))-off)
	}
	for i := 0; i < len(data); i += n {
		mem.put(off+i, n, op(mem.get(off+i, n), little(data[i:], n)))
	}
}

type target struct {
	mem *memory
	off int
}

// targets finds where a copy goes: one place, or the same offset in every CTA of a multicast mask.
func (w *warp) targets(s space, a uint64, n, align, lane, mask int) []target {
	if mask < 0 {
		mem, off := w.locate(s, a, n, align, lane)
		return []target{{mem, off}}
	}
	var out []target
	bits := w.value(mask, lane)
	for r := 0; r < 16; r++ {
		if bits>>r&1 != 0 {
			mem, off := w.locate(spaceCluster, a&(1<<rankShift-1)|uint64(r)<<rankShift, n, align, lane)
			out = append(out, target{mem, off})
		}
	}
	if len(out) == 0 {
		w.fault(Illegal, lane, "a multicast to no CTA")
	}
	return out
}

// storeAsync lowers st.async and red.async: a few words to another CTA's shared memory, completing on its mbarrier.
func (l *lowering) storeAsync() {
	in := l.in
	t := l.transferOf(in.args[0], in.args[1], spaceCluster)
	bar := l.addressing(in.args[2], spaceCluster)
	var op func(old, v uint64) uint64
	if in.op == "red" {
		if op = reduction(in.one("add", "min", "max", "inc", "dec", "and", "or", "xor"), in.typ(), false); op == nil {
			l.fail(Unsupported, "this reduction of .%s is not simulated", in.typ().name)
			return
		}
	}
	l.step.run = func(w *warp, m uint32) {
		w.checkStored(t, m)
		d := *w.addresses(&t.addressing, m)
		b := *w.addresses(&bar, m)
		for mm := m; mm != 0; mm &= mm - 1 {
			i := lowest(mm)
			o := w.newOperation(false)
			mem, off := w.locate(spaceCluster, d[i], t.size, t.size, i)
			bm, bo := w.locate(spaceCluster, b[i], 8, 8, i)
			data := make([]byte, t.size)
			n := t.typ.bytes()
			for k, r := range t.regs {
				putLittle(data[k*n:], n, w.element(r, i, t.bits[k]))
			}
			o.write = func() {
				if op == nil {
					o.touch(mem, off, t.size, true)
					copy(mem.data[off:off+t.size], data)
					mem.define(off, t.size)
				} else {
					o.touchAs(mem, off, t.size, true, flagStrong)
					o.reduce(mem, off, data, t.typ, op)
				}
				o.completeTx(bm, bo, t.size)
			}
			o.start()
		}
	}
}

// transferOf is transfer in a given space.
func (l *lowering) transferOf(mem, value operand, s space) *transfer {
	t := l.transfer(mem, value)
	t.addressing = l.addressing(mem, s)
	t.order, t.flags = "weak", 0
	return t
}
