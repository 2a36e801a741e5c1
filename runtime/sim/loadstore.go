package sim

import "encoding/binary"

// A transfer is a lowered load or store: count elements of a type per lane.
type transfer struct {
	addressing
	typ   dtype
	regs  []int
	bits  []int // of each register
	count int
	size  int // bytes per lane
	flags uint64
	scope string
	order string // weak, relaxed, acquire, release
	nc    bool   // through the read-only path
}

func (l *lowering) transfer(mem, value operand) *transfer {
	in := l.in
	t := &transfer{typ: in.typ(), order: "weak"}
	for _, m := range in.mods {
		if s := spaceNamed(m); s != spaceGeneric {
			t.spc = s
			break
		}
	}
	t.addressing = l.addressing(mem, t.spc)
	list := []operand{value}
	if value.kind == operandVector {
		list = value.list
	}
	for _, e := range list {
		var slot int
		width := t.typ.bits
		if in.op == "ld" || in.op == "ldu" {
			if e.kind == operandRegister {
				width = l.f.regs[e.reg].typ.bits
			}
			slot = l.destination(e, t.typ.bits == 64)
		} else {
			if e.kind == operandRegister {
				width = l.f.regs[e.reg].typ.bits
			}
			slot = l.source(e, t.typ)
		}
		t.regs = append(t.regs, slot)
		t.bits = append(t.bits, width)
	}
	t.count = len(list)
	t.size = t.count * t.typ.bytes()
	if o := in.one("relaxed", "acquire", "release", "volatile", "mmio"); o != "" {
		t.order, t.scope, t.flags = o, in.one("cta", "cluster", "gpu", "sys"), flagStrong
		if o == "volatile" || o == "mmio" {
			t.order, t.scope = "relaxed", "sys"
		}
	}
	t.nc = in.has("nc")
	return t
}

func (l *lowering) load() {
	t := l.transfer(l.in.args[1], l.in.args[0])
	switch t.spc {
	case spaceParam:
		l.step.run = func(w *warp, m uint32) { w.loadParam(t, m) }
	case spaceLocal:
		l.step.run = func(w *warp, m uint32) { w.loadLocal(t, w.addresses(&t.addressing, m), m) }
	default:
		l.step.run = func(w *warp, m uint32) { w.load(t, m) }
	}
}

func (l *lowering) store() {
	t := l.transfer(l.in.args[0], l.in.args[1])
	switch t.spc {
	case spaceParam:
		l.step.run = func(w *warp, m uint32) { w.storeParam(t, m) }
	case spaceLocal:
		l.step.run = func(w *warp, m uint32) { w.storeLocal(t, w.addresses(&t.addressing, m), m) }
	case spaceConst:
		l.fail(Syntax, "constant memory cannot be written")
	default:
		l.step.run = func(w *warp, m uint32) { w.store(t, m) }
	}
}

// threadSpace tells whether a lane's generic address is thread-local or a parameter; such accesses go their own way.
func threadSpace(s space, a uint64) space {
	if s == spaceGeneric && a >= windowLocal && a < windowEnd {
		s, _ = splitGeneric(a)
		return s
	}
	return spaceGeneric
}

// byThread splits a generic access into lanes of ordinary, local and parameter memory and handles the latter two.
func (w *warp) byThread(t *transfer, addr *vec64, m uint32, local, param func(m uint32)) uint32 {
	if t.spc != spaceGeneric {
		return m
	}
	var inLocal, inParam uint32
	for mm := m; mm != 0; mm &= mm - 1 {
		i := lowest(mm)
		switch threadSpace(t.spc, addr[i]) {
		case spaceLocal:
			inLocal |= 1 << i
		case spaceParam:
			inParam |= 1 << i
		}
	}
	if inLocal|inParam == 0 {
		return m
	}
	for i := range addr {
		if (inLocal|inParam)>>i&1 != 0 {
			addr[i] &= 0xFFFF_FFFF
		}
	}
	if inLocal != 0 {
		local(inLocal)
	}
	if inParam != 0 {
		param(inParam)
	}
	return m &^ (inLocal | inParam)
}

func (w *warp) load(t *transfer, m uint32) {
	addr := w.addresses(&t.addressing, m)
	m = w.byThread(t, addr, m, func(m uint32) { w.loadLocal(t, addr, m) }, func(m uint32) { w.loadParamAt(t, addr, m) })
	if m == 0 {
		return
	}
	if d, ok := stride(addr, m); ok && (d == uint64(t.size) || d == 0) && w.loadRun(t, addr, d) {
		return
	}
	var mem *memory
	c := w.count(t, addr, m)
	for rest := m; rest != 0; {
		i := lowest(rest)
		at, off, n := w.locateRun(t, addr, rest, i)
		rest &^= (1<<n - 1) << i
		mem = at
		for j := range n {
			w.checkDefined(at, off+j*t.size, t.size, i+j)
		}
		w.checkPeer(at, t, i)
		if w.cta.machine.races {
			x := w.accessOf(at, false, t.flags)
			x.nc = t.nc
			x.byLanes(off, t.size, n, i)
		}
		for k, r := range t.regs {
			for j := range n {
				w.setElement(r, i+j, t, k, at.get(off+j*t.size+k*t.typ.bytes(), t.typ.bytes()))
			}
		}
		if t.order != "weak" {
			w.observe(t.order, t.scope, at, off)
		}
	}
	c.bytes(mem, int64(t.size)*int64(popcount(m)), false)
	for _, r := range t.regs {
		w.def[r] |= m
	}
}

// loadRun loads neighbouring elements (d = size) or one element into all lanes (d = 0) at once; false: do it by lane.
func (w *warp) loadRun(t *transfer, addr *vec64, d uint64) bool {
	n := t.size
	if d != 0 {
		n *= warpSize
	}
	s, a := t.spc, addr[0]
	if s == spaceGeneric {
		s, a = splitGeneric(a)
	}
	mem, off := w.probe(s, a, n)
	if mem == nil || a&uint64(t.size-1) != 0 || !mem.defined(off, n) || t.order != "weak" && d != 0 || mem.gpu != w.cta.grid.GPU && mem.cta == nil {
		return false
	}
	if w.cta.machine.races {
		x := w.accessOf(mem, false, t.flags)
		x.nc = t.nc
		if d != 0 && t.size >= 4 {
			x.words = t.size / 4
		} else {
			x.lane = warpSize
		}
		x.span(off, n)
	}
	data := mem.data[off : off+n]
	switch {
	case d == 0:
		for k, r := range t.regs {
			w.setWhole(r, t.bits[k] == 64, t.widen(k, mem.get(off+k*t.typ.bytes(), t.typ.bytes())))
		}
	case t.columns():
		lanes.readColumns(w.v32(t.regs[0]), w.v32(t.regs[1]), w.v32(t.regs[2]), w.v32(t.regs[3]), &data[0])
	case t.typ.bits == 32 && t.bits[0] == 32:
		for k, r := range t.regs {
			x := w.v32(r)
			for i := range x {
				x[i] = binary.LittleEndian.Uint32(data[i*t.size+4*k:])
			}
		}
	default:
		for k, r := range t.regs {
			for i := range warpSize {
				w.setElement(r, i, t, k, mem.get(off+i*t.size+k*t.typ.bytes(), t.typ.bytes()))
			}
		}
	}
	for _, r := range t.regs {
		w.def[r] = full
	}
	if t.order != "weak" {
		w.observe(t.order, t.scope, mem, off)
	}
	w.countRun(mem, off, n, int64(t.size)*warpSize, false)
	return true
}

// columns tells whether a lane transfers four words.
func (t *transfer) columns() bool { return t.count == 4 && t.typ.bits == 32 && t.bits[0] == 32 }

// probe finds memory without complaint; nil where anything is unusual.
func (w *warp) probe(s space, a uint64, n int) (*memory, int) {
	var m *memory
	switch s {
	case spaceGlobal:
		m = w.cta.lastMemory
		if m == nil || a-m.base >= uint64(len(m.data)) || m.freed {
			if found, inside := w.cta.machine.heap.find(a); inside && found.gpu == w.cta.grid.GPU {
				m = found
				w.cta.lastMemory = m
			} else {
				return nil, 0
			}
		}
	case spaceShared, spaceCluster:
		m = w.cta.shared
		if int(a>>rankShift) != w.cta.rank {
			return nil, 0
		}
		a = a & (1<<rankShift - 1) // base of shared memory is its start in the window
	default:
		return nil, 0
	}
	if a < m.base || a+uint64(n) > m.base+uint64(len(m.data)) {
		return nil, 0
	}
	return m, int(a - m.base)
}

// setWhole writes a value into all lanes of a register.
func (w *warp) setWhole(r int, wide bool, v uint64) {
	if wide {
		x := w.v64(r)
		for i := range x {
			x[i] = v
		}
		return
	}
	x := w.v32(r)
	for i := range x {
		x[i] = uint32(v)
	}
}

// setElement writes element k of lane i, widened to its register.
func (w *warp) setElement(r, i int, t *transfer, k int, v uint64) {
	v = t.widen(k, v)
	if t.bits[k] == 64 {
		w.v64(r)[i] = v
	} else {
		w.v32(r)[i] = uint32(v)
	}
}

func (t *transfer) widen(k int, v uint64) uint64 {
	if t.typ.signed() {
		return cut(uint64(signExtend(v, t.typ.bits)), t.bits[k])
	}
	return v
}

func (w *warp) checkDefined(mem *memory, off, n, lane int) {
	if w.cta.machine.Off&CheckUndefined == 0 && !mem.defined(off, n) {
		w.fault(Undefined, lane, "%d bytes read at %s, of which byte %d was never written", n, mem.describe(off), mem.firstUndefined(off, n)-off)
	}
}

// checkPeer refuses synchronising accesses of too small a scope to another GPU's memory.
func (w *warp) checkPeer(mem *memory, t *transfer, lane int) {
	if mem.cta == nil && mem.gpu != w.cta.grid.GPU && t.order != "weak" && t.scope != "sys" {
		w.fault(Race, lane, "scope .%s does not reach %s on GPU %d; .sys does", t.scope, mem.name, mem.gpu)
	}
}

func (w *warp) store(t *transfer, m uint32) {
	addr := w.addresses(&t.addressing, m)
	m = w.byThread(t, addr, m, func(m uint32) { w.storeLocal(t, addr, m) }, func(m uint32) { w.storeParamAt(t, addr, m) })
	if m == 0 {
		return
	}
	w.checkStored(t, m)
	w.cta.machine.progress++
	if d, ok := stride(addr, m); ok && d == uint64(t.size) && w.storeRun(t, addr) {
		return
	}
	var mem *memory
	c := w.count(t, addr, m)
	for rest := m; rest != 0; {
		i := lowest(rest)
		at, off, n := w.locateRun(t, addr, rest, i)
		rest &^= (1<<n - 1) << i
		mem = at
		w.checkPeer(at, t, i)
		if w.cta.machine.races {
			x := w.accessOf(at, true, t.flags)
			x.byLanes(off, t.size, n, i)
		}
		if t.order != "weak" {
			w.publish(t.order, t.scope, at, off)
		}
		for k, r := range t.regs {
			for j := range n {
				at.put(off+j*t.size+k*t.typ.bytes(), t.typ.bytes(), w.element(r, i+j, t.bits[k]))
			}
		}
		at.define(off, n*t.size)
	}
	c.bytes(mem, int64(t.size)*int64(popcount(m)), true)
}

// checkStored refuses undefined registers on their way to memory that others see.
func (w *warp) checkStored(t *transfer, m uint32) {
	for _, r := range t.regs {
		if undef := m &^ w.def[r]; undef != 0 && w.cta.machine.Off&CheckUndefined == 0 {
			w.fault(Undefined, lowest(undef), "the stored register is undefined")
		}
	}
}

func (w *warp) element(r, i, bits int) uint64 {
	if bits == 64 {
		return w.v64(r)[i]
	}
	return uint64(w.v32(r)[i])
}

func (w *warp) storeRun(t *transfer, addr *vec64) bool {
	n := t.size * warpSize
	s, a := t.spc, addr[0]
	if s == spaceGeneric {
		s, a = splitGeneric(a)
	}
	mem, off := w.probe(s, a, n)
	if mem == nil || a&uint64(t.size-1) != 0 || t.order != "weak" {
		return false
	}
	if w.cta.machine.races {
		x := w.accessOf(mem, true, t.flags)
		if t.size >= 4 {
			x.words = t.size / 4
		} else {
			x.lane = warpSize
		}
		x.span(off, n)
	}
	data := mem.data[off : off+n]
	if t.columns() {
		lanes.writeColumns(&data[0], w.v32(t.regs[0]), w.v32(t.regs[1]), w.v32(t.regs[2]), w.v32(t.regs[3]))
	} else if t.typ.bits == 32 {
		for k, r := range t.regs {
			x := w.v32(r)
			for i := range x {
				binary.LittleEndian.PutUint32(data[i*t.size+4*k:], x[i])
			}
		}
	} else {
		for k, r := range t.regs {
			for i := range warpSize {
				mem.put(off+i*t.size+k*t.typ.bytes(), t.typ.bytes(), w.element(r, i, t.bits[k]))
			}
		}
	}
	mem.define(off, n)
	w.countRun(mem, off, n, int64(n), true)
	return true
}

// locateRun finds the memory of lane i and of as many lanes behind it as access what follows: n lanes together.
func (w *warp) locateRun(t *transfer, addr *vec64, lanes uint32, i int) (mem *memory, off, n int) {
	n = 1
	if t.order == "weak" && t.size >= 4 {
		for i+n < warpSize && lanes>>(i+n)&1 != 0 && addr[i+n] == addr[i]+uint64(n*t.size) {
			n++
		}
	}
	if n > 1 && addr[i]&uint64(t.size-1) == 0 {
		s, a := t.spc, addr[i]
		if s == spaceGeneric {
			s, a = splitGeneric(a)
		}
		if mem, off = w.probe(s, a, n*t.size); mem != nil {
			return mem, off, n
		}
	}
	mem, off = w.locate(t.spc, addr[i], t.size, t.size, i)
	return mem, off, 1
}

// byLane is the access of one lane.
func (x *access) byLane(off, n, lane int) { x.byLanes(off, n, 1, lane) }

// byLanes is the access of so many lanes from one on, size bytes each, one after the other.
func (x *access) byLanes(off, size, lanes, lane int) {
	x.lane = lane
	if off&3 != 0 || size&3 != 0 {
		x.ragged(off, size)
		return
	}
	x.words = size / 4
	x.span(off, size*lanes)
}
