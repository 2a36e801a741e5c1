package sim

// Where the lanes of a memory instruction go, and whether they may.

// addressing is a lowered memory operand.
type addressing struct {
	slot int
	wide bool
	off  uint64
	spc  space
}

func (l *lowering) addressing(o operand, s space) addressing {
	a := addressing{off: uint64(o.offset), spc: s, wide: true}
	switch o.base.kind {
	case operandRegister:
		r := l.f.regs[o.base.reg]
		a.slot, a.wide = r.slot, r.typ.bits == 64
	default:
		a.slot = l.source(*o.base, typeNamed("u64"))
		if o.base.kind == operandSymbol && o.base.symbol.variable != nil {
			v := o.base.symbol.variable
			if s == spaceGeneric && v.space != spaceGlobal {
				l.fail(Unsupported, "%s is in .%s space; a generic access needs cvta", v.name, v.space)
			}
		}
	}
	return a
}

// addresses computes every lane's address into w.addr.
func (w *warp) addresses(a *addressing, m uint32) *vec64 {
	if undef := m &^ w.def[a.slot]; undef != 0 {
		w.fault(Undefined, lowest(undef), "the address is undefined")
	}
	out := &w.addr
	if a.wide {
		v := w.v64(a.slot)
		for i := range out {
			out[i] = v[i] + a.off
		}
		return out
	}
	v := w.v32(a.slot)
	off := uint32(a.off)
	for i := range out {
		out[i] = uint64(v[i] + off)
	}
	return out
}

// stride tells the common distance of neighbouring lanes' addresses; ok: there is one, in all 32 lanes.
func stride(addr *vec64, m uint32) (d uint64, ok bool) {
	if m != full {
		return 0, false
	}
	d = addr[1] - addr[0]
	want := addr[1]
	for _, a := range addr[2:] {
		if want += d; a != want {
			return 0, false
		}
	}
	return d, true
}

// locate finds the memory of one lane's access of n bytes and checks its bounds and alignment.
func (w *warp) locate(s space, a uint64, n, align, lane int) (*memory, int) {
	if a&uint64(align-1) != 0 {
		w.fault(Misaligned, lane, "address %#x is not a multiple of %d", a, align)
	}
	if s == spaceGeneric {
		s, a = splitGeneric(a)
	}
	switch s {
	case spaceGlobal:
		return w.locateGlobal(a, n, lane)
	case spaceShared, spaceCluster:
		return w.locateShared(s, a, n, lane)
	case spaceConst:
		m := w.cta.grid.program.bank
		if a < m.base || a+uint64(n) > m.base+uint64(len(m.data)) {
			w.fault(Bounds, lane, "%d bytes at %#x of the constant bank, which has %d", n, a, len(m.data))
		}
		return m, int(a - m.base)
	}
	panic("BUG: locate in " + s.String())
}

func (w *warp) locateGlobal(a uint64, n, lane int) (*memory, int) {
	c := w.cta
	m := c.lastMemory
	if m == nil || a-m.base >= uint64(len(m.data)) || m.freed {
		found, inside := c.machine.heap.find(a)
		if !inside {
			if a < functionBase*4096 {
				w.fault(Bounds, lane, "%d bytes at %#x: no global address (a parameter or shared address without cvta?)", n, a)
			}
			w.fault(Bounds, lane, "%s", c.machine.heap.outside(a, n))
		}
		if found.gpu != c.grid.GPU && !c.machine.peers[c.grid.GPU][found.gpu] {
			w.fault(Bounds, lane, "%s lies on GPU %d, to which GPU %d has no peer access", found.name, found.gpu, c.grid.GPU)
		}
		m = found
		c.lastMemory = m
	}
	off := int(a - m.base)
	if off+n > len(m.data) {
		w.fault(Bounds, lane, "%s", c.machine.heap.outside(a, n))
	}
	return m, off
}

func (w *warp) locateShared(s space, a uint64, n, lane int) (*memory, int) {
	c := w.cta
	rank, off := int(a>>rankShift), int(a&(1<<rankShift-1))-sharedStart
	if rank != c.rank {
		if s == spaceShared {
			w.fault(Bounds, lane, "address %#x is CTA %d's shared memory; only .shared::cluster reaches it", a, rank)
		}
		if rank >= len(c.cluster.ctas) {
			w.fault(Bounds, lane, "address %#x: the cluster has %d CTAs", a, len(c.cluster.ctas))
		}
		c = c.cluster.ctas[rank]
		if c.exited {
			w.fault(Bounds, lane, "shared memory of CTA %d of the cluster, which has exited", rank)
		}
	}
	if off < 0 || off+n > len(c.shared.data) {
		w.fault(Bounds, lane, "%d bytes at shared offset %d of %d", n, off, len(c.shared.data))
	}
	return c.shared, off
}

// accessOf prepares the race check of the executing instruction.
func (w *warp) accessOf(mem *memory, write bool, flags uint64) access {
	return access{actor: &w.actor, mem: mem, epoch: w.actor.now | w.in.site | flags, write: write}
}
