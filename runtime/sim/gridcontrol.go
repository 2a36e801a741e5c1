package sim

// hint lowers what steers the grid and hints that have no effect on values.
func (l *lowering) hint() {
	in := l.in
	s := l.step
	switch {
	case in.op == "setmaxnreg":
		l.setRegisters()
	case in.has("launch_dependents"):
		s.run = func(w *warp, m uint32) { w.cta.release() }
	case in.op == "griddepcontrol":
		s.kind = stepTry
		s.try = func(w *warp, m uint32) bool { return w.waitPrimaries() }
	case in.op == "createpolicy":
		d := l.destination(in.args[0], true)
		s.run = func(w *warp, m uint32) {
			v := w.v64(d)
			for i := range v {
				if m>>i&1 != 0 {
					v[i] = 0
				}
			}
			w.def[d] |= m
		}
	case in.op == "discard":
		l.discard()
	case in.op == "prefetch" || in.op == "prefetchu" || in.op == "applypriority":
		a := l.addressing(in.args[0], spaceGeneric)
		s.run = func(w *warp, m uint32) { w.addresses(&a, m) }
	default:
		s.run = func(*warp, uint32) {}
	}
}

// discard leaves the 128 bytes at the address undefined.
func (l *lowering) discard() {
	a := l.addressing(l.in.args[0], spaceGlobal)
	if l.in.args[1].bits != 128 {
		l.fail(Syntax, "discard works on 128 bytes")
	}
	l.step.run = func(w *warp, m uint32) {
		addr := w.addresses(&a, m)
		for mm := m; mm != 0; mm &= mm - 1 {
			i := lowest(mm)
			mem, off := w.locate(spaceGlobal, addr[i], 128, 128, i)
			if w.cta.machine.races {
				x := w.accessOf(mem, true, 0)
				x.byLane(off, 128, i)
			}
			mem.undefine(off, 128)
		}
	}
}

// waitPrimaries is griddepcontrol.wait: all launches before must have finished and be visible.
func (w *warp) waitPrimaries() bool {
	g := w.cta.grid
	for _, p := range g.primaries {
		if !p.done {
			return false
		}
	}
	g.waited = true
	if w.cta.machine.races && g.Programmatic {
		var done history
		for _, p := range g.primaries {
			done = done.join(p.past)
		}
		w.actor.clock.done = w.actor.clock.done.join(done)
		w.actor.proxy.done = w.actor.proxy.done.join(done)
		w.actor.inherit(g.work.inherited())
	}
	return true
}

// checkDependence refuses a programmatic launch that never waited for those before it.
func (g *grid) checkDependence() {
	if g.Programmatic && !g.waited && len(g.primaries) > 0 {
		panic(&Error{Kind: Race, Line: g.fn.Line, Kernel: g.fn.Name, Warp: -1, Lane: -1,
			Msg: "a programmatic launch ended without griddepcontrol.wait: what follows it does not wait for the launches before"})
	}
}

// setRegisters lowers setmaxnreg. Without a bound on threads or registers ptxas ignores it.
func (l *lowering) setRegisters() {
	in := l.in
	n := int(in.args[0].bits)
	l.step.aligned = true
	if n < 24 || n > 256 || n%8 != 0 {
		l.fail(Syntax, "%d registers: a multiple of 8 from 24 to 256 is needed", n)
		return
	}
	if l.f.MaxRegs == 0 && l.f.MaxThreads[0] == 0 && l.f.ReqThreads[0] == 0 {
		l.step.run = func(*warp, uint32) {}
		return
	}
	inc := in.has("inc")
	l.step.kind = stepTry
	l.step.try = func(w *warp, m uint32) bool {
		have := w.registers()
		switch {
		case inc && n < have:
			w.fault(Illegal, lowest(m), "setmaxnreg.inc to %d from %d registers", n, have)
		case !inc && n > have:
			w.fault(Illegal, lowest(m), "setmaxnreg.dec to %d from %d registers", n, have)
		case warpSize*(n-have) > w.cta.freeRegisters():
			return false
		}
		w.regs = n
		w.cta.machine.event()
		return true
	}
}

func (w *warp) registers() int {
	if w.regs > 0 {
		return w.regs
	}
	return w.cta.grid.registers
}

// freeRegisters is the CTA's pool less what its warps hold; warps that ended keep theirs until the CTA ends.
func (c *cta) freeRegisters() int {
	used := 0
	for _, w := range c.warps {
		used += warpSize * w.registers()
	}
	return c.registers - used
}
