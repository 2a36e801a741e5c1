package sim

// Calls: parameters travel through the caller's call-sequence variables, one copy per lane.

// call enters the callee with the lanes of m; an indirect call takes the lanes of one target at a time.
func (w *warp) call(s *step, p *path, m uint32) {
	if m == 0 {
		p.pc++
		return
	}
	f := s.in.callee
	if f == nil {
		slot := s.target
		if w.def[slot]&m != m {
			w.fault(Undefined, lowest(m&^w.def[slot]), "the called address is undefined")
		}
		v := w.v64(slot)
		l := lowest(m)
		f = w.cta.grid.fn.module.functionAt(v[l])
		if f == nil {
			w.fault(Illegal, l, "call of address %#x, which is no function", v[l])
		}
		same := uint32(0)
		for i := range v {
			if m>>i&1 != 0 && v[i] == v[l] {
				same |= 1 << i
			}
		}
		m = same
	}
	if rest := p.mask &^ m; rest != 0 { // these lanes call alone, the others come by again or go on
		next := p.pc
		if s.in.callee != nil {
			next = p.pc + 1
		}
		w.divide(p, p.pc+1, [2]side{{next, rest}, {p.pc, m}})
		return
	}
	caller := p.act
	a := w.newActivation(f, caller)
	a.back, a.meet = p.pc+1, p.meet
	if a.localBase+f.localSize > maxLocal {
		w.fault(Bounds, lowest(m), "the thread's stack is larger than %d bytes", maxLocal)
	}
	w.copyArguments(s.in, caller, a, m)
	p.act, p.pc, p.meet = a, 0, -1
	w.enter(p)
}

// copyArguments moves the call-sequence variables into the callee's parameters.
func (w *warp) copyArguments(in *instruction, from, to *activation, m uint32) {
	n := len(in.sequence)
	args := in.sequence
	if len(to.f.returns) > 0 {
		args = args[:n-1]
	}
	if len(args) != len(to.f.Params) {
		w.fault(Illegal, lowest(m), "%s takes %d parameters, %d are passed", to.f.Name, len(to.f.Params), len(args))
	}
	base := to.f.resultBytes()
	for i, v := range args {
		p := to.f.Params[i]
		w.copyParam(from, v.offset, to, base+p.Offset, min(v.size, p.Size), m)
	}
}

// copyResult moves the callee's result into the caller's call-sequence variable.
func (w *warp) copyResult(in *instruction, from *activation, m uint32) {
	if len(from.f.returns) == 0 {
		return
	}
	v := in.sequence[len(in.sequence)-1]
	w.copyParam(from, 0, from.caller, v.offset, min(v.size, from.f.returns[0].Size), m)
}

func (w *warp) copyParam(from *activation, at int, to *activation, dst, n int, m uint32) {
	for l := range warpSize {
		if m>>l&1 != 0 {
			copy(to.param[l*to.f.paramSize+dst:][:n], from.param[l*from.f.paramSize+at:][:n])
		}
	}
	for i := range n {
		to.paramDef[dst+i] = to.paramDef[dst+i]&^m | from.paramDef[at+i]&m
	}
}

// resultBytes is the part of the parameter frame that the results take, before the parameters.
func (f *Function) resultBytes() int {
	if len(f.returns) == 0 {
		return 0
	}
	last := f.returns[len(f.returns)-1]
	return alignUp(last.Offset+last.Size, 64)
}

// Function addresses are small numbers that no memory window has.
const functionBase = 0x10

func (m *Module) functionAt(address uint64) *Function {
	i := int64(address/functionBase) - 1
	if address%functionBase != 0 || i < 0 || i >= int64(len(m.functions)) {
		return nil
	}
	return m.functions[i]
}

func (m *Module) addressOf(f *Function) uint64 {
	for i, g := range m.functions {
		if g == f {
			return uint64(i+1) * functionBase
		}
	}
	return 0
}
