package sim

import "math/bits"

func popcount(m uint32) int { return bits.OnesCount32(m) }

// Thread-local memory and parameters. Undefined values travel through them unremarked, lane by lane. Compilers copy structs
// with the padding in them, so a word counts as defined when any byte of it is; one of which nothing was ever written stays
// undefined in the register.

// localSpan makes room for n bytes at a in every lane.
func (w *warp) localSpan(a uint64, n, align, lane int) int {
	if a&uint64(align-1) != 0 {
		w.fault(Misaligned, lane, "local address %#x is not a multiple of %d", a, align)
	}
	top := w.cur.act.localBase + w.cur.act.f.localSize
	if a < localStart || a+uint64(n) > uint64(top) {
		w.fault(Bounds, lane, "%d bytes at local address %#x; the thread's stack spans %#x to %#x", n, a, localStart, top)
	}
	if top > w.localCap {
		size := alignUp(2*top, 1024)
		grown := make([]byte, size*warpSize)
		for l := range warpSize {
			copy(grown[l*size:], w.local[l*w.localCap:(l+1)*w.localCap])
		}
		w.local, w.localCap = grown, size
		w.localDef = append(w.localDef, make([]uint32, size-len(w.localDef))...)
	}
	return int(a)
}

func (w *warp) loadLocal(t *transfer, addr *vec64, m uint32) {
	for mm := m; mm != 0; mm &= mm - 1 {
		i := lowest(mm)
		off := w.localSpan(addr[i], t.size, t.size, i)
		for k, r := range t.regs {
			n := t.typ.bytes()
			at := off + k*n
			w.setElement(r, i, t, k, little(w.local[i*w.localCap+at:], n))
			w.defineLane(r, i, anyDefined(w.localDef[at:at+n], i))
		}
	}
	w.cta.grid.counters.Local.Read += int64(t.size) * int64(popcount(m))
}

func (w *warp) storeLocal(t *transfer, addr *vec64, m uint32) {
	for mm := m; mm != 0; mm &= mm - 1 {
		i := lowest(mm)
		off := w.localSpan(addr[i], t.size, t.size, i)
		for k, r := range t.regs {
			n := t.typ.bytes()
			at := off + k*n
			putLittle(w.local[i*w.localCap+at:], n, w.element(r, i, t.bits[k]))
			markDefined(w.localDef[at:at+n], i, w.def[r]>>i&1 != 0)
		}
	}
	w.cta.grid.counters.Local.Written += int64(t.size) * int64(popcount(m))
}

func (w *warp) defineLane(r, i int, defined bool) {
	if defined {
		w.def[r] |= 1 << i
	} else {
		w.def[r] &^= 1 << i
	}
}

func anyDefined(def []uint32, lane int) bool {
	var any uint32
	for _, d := range def {
		any |= d
	}
	return any>>lane&1 != 0
}

func markDefined(def []uint32, lane int, defined bool) {
	for i := range def {
		if defined {
			def[i] |= 1 << lane
		} else {
			def[i] &^= 1 << lane
		}
	}
}

func little(b []byte, n int) uint64 {
	v := uint64(0)
	for i := range n {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

func putLittle(b []byte, n int, v uint64) {
	for i := range n {
		b[i] = byte(v >> (8 * i))
	}
}

func (w *warp) loadParam(t *transfer, m uint32) { w.loadParamAt(t, w.addresses(&t.addressing, m), m) }

// loadParamAt reads a kernel's parameters from the launch, everything else from the activation's frame.
func (w *warp) loadParamAt(t *transfer, addr *vec64, m uint32) {
	a := w.cur.act
	kernel := 0
	if a.caller == nil {
		kernel = a.f.ParamBytes()
	}
	n := t.typ.bytes()
	if d, ok := stride(addr, m); ok && d == 0 && addr[0]+uint64(t.size) <= uint64(kernel) { // the usual case: a kernel's parameter
		off := w.paramSpan(addr[0], t.size, 0)
		for k, r := range t.regs {
			w.setWhole(r, t.bits[k] == 64, t.widen(k, little(w.cta.grid.Params[off+k*n:], n)))
			w.def[r] = full
		}
		return
	}
	for mm := m; mm != 0; mm &= mm - 1 {
		i := lowest(mm)
		off := w.paramSpan(addr[i], t.size, i)
		for k, r := range t.regs {
			at := off + k*n
			if at < kernel {
				w.setElement(r, i, t, k, little(w.cta.grid.Params[at:], n))
				w.def[r] |= 1 << i
				continue
			}
			w.setElement(r, i, t, k, little(a.param[i*a.f.paramSize+at:], n))
			w.defineLane(r, i, anyDefined(a.paramDef[at:at+n], i))
		}
	}
}

func (w *warp) paramSpan(a uint64, n, lane int) int {
	if a&uint64(n-1) != 0 && n&(n-1) == 0 {
		w.fault(Misaligned, lane, "parameter address %#x is not a multiple of %d", a, n)
	}
	if a+uint64(n) > uint64(w.cur.act.f.paramSize) {
		w.fault(Bounds, lane, "%d bytes at parameter offset %d of %d", n, a, w.cur.act.f.paramSize)
	}
	return int(a)
}

func (w *warp) storeParam(t *transfer, m uint32) { w.storeParamAt(t, w.addresses(&t.addressing, m), m) }

func (w *warp) storeParamAt(t *transfer, addr *vec64, m uint32) {
	a := w.cur.act
	n := t.typ.bytes()
	for mm := m; mm != 0; mm &= mm - 1 {
		i := lowest(mm)
		off := w.paramSpan(addr[i], t.size, i)
		if a.caller == nil && off < a.f.ParamBytes() {
			w.fault(Illegal, i, "a kernel's parameters cannot be written")
		}
		for k, r := range t.regs {
			at := off + k*n
			putLittle(a.param[i*a.f.paramSize+at:], n, w.element(r, i, t.bits[k]))
			markDefined(a.paramDef[at:at+n], i, w.def[r]>>i&1 != 0)
		}
	}
}
