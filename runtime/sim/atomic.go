package sim

// Atomics: every lane's operation is one step; lanes that meet at an address go in an order drawn at random.

// An atomicOp is a lowered atom or red: n elements of size bytes, each combined by op.
type atomicOp struct {
	transfer
	op     func(old, value uint64) uint64
	cas    int // slot of the value to compare with, -1
	dst    []int
	global func(old, value uint64) uint64 // where global memory differs: it flushes subnormal floats
}

func (l *lowering) atomic() {
	in := l.in
	args := in.args
	a := &atomicOp{cas: -1}
	var dst []operand
	if in.op == "atom" {
		dst = []operand{args[0]}
		if args[0].kind == operandVector {
			dst = args[0].list
		}
		args = args[1:]
	}
	value := args[1]
	if in.has("cas") {
		a.cas = l.source(args[1], in.typ())
		value = args[2]
	}
	a.transfer = *l.transfer(args[0], value)
	a.flags = flagStrong
	a.scope = in.one("cta", "cluster", "gpu", "sys")
	if a.scope == "" {
		a.scope = "gpu"
	}
	a.order = in.one("acq_rel", "acquire", "release")
	if a.order == "" {
		a.order = "relaxed"
	}
	for _, d := range dst {
		a.dst = append(a.dst, l.destination(d, in.typ().bits == 64))
	}
	name := in.one("add", "min", "max", "inc", "dec", "and", "or", "xor", "exch")
	if a.cas < 0 {
		if a.op = reduction(name, in.typ(), false); a.op == nil {
			l.fail(Unsupported, "%s of .%s is not simulated", name, in.typ().name)
			return
		}
		a.global = reduction(name, in.typ(), in.typ().name == "f32")
	}
	if a.spc == spaceLocal || a.spc == spaceParam || a.spc == spaceConst {
		l.fail(Syntax, "atomics work on global and shared memory")
	}
	l.step.run = func(w *warp, m uint32) { w.atomic(a, m) }
}

func (w *warp) atomic(a *atomicOp, m uint32) {
	addr := w.addresses(&a.addressing, m)
	w.checkStored(&a.transfer, m)
	if a.cas >= 0 {
		if undef := m &^ w.def[a.cas]; undef != 0 {
			w.fault(Undefined, lowest(undef), "the compared register is undefined")
		}
	}
	c := w.cta.grid.counters
	c.Atomics += int64(popcount(m))
	var mem *memory
	n := a.typ.bytes()
	count := w.count(&a.transfer, addr, m)
	for _, i := range w.cta.machine.lanes(m) {
		at, off := w.locate(a.spc, addr[i], a.size, a.size, i)
		mem = at
		w.checkDefined(at, off, a.size, i)
		w.checkPeer(at, &a.transfer, i)
		if w.cta.machine.races {
			x := w.accessOf(at, true, flagStrong)
			x.byLane(off, a.size, i)
		}
		if len(a.dst) > 0 { // red is no acquire
			w.observe(a.order, a.scope, at, off)
		}
		w.publish(a.order, a.scope, at, off)
		for k, r := range a.regs {
			old := at.get(off+k*n, n)
			v := w.element(r, i, a.bits[k])
			switch {
			case a.cas >= 0:
				if old != cut(w.element(a.cas, i, a.typ.bits), a.typ.bits) {
					v = old
				}
			case at.cta == nil:
				v = a.global(old, v)
			default:
				v = a.op(old, v)
			}
			at.put(off+k*n, n, v)
			if v != old {
				w.cta.machine.progress++
			}
			if len(a.dst) > 0 {
				w.set(a.dst[k], i, max(32, a.typ.bits), old)
				w.def[a.dst[k]] |= 1 << i
			}
		}
	}
	count.bytes(mem, int64(a.size)*int64(popcount(m)), true)
}
