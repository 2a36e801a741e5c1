package sim

import (
	"strings"
	"unsafe"
)

// specials are the special registers that kernels may read. varies: another value at every read, so it is no constant.
var specials = map[string]struct {
	bits   int
	varies bool
}{
	"%tid.x": {bits: 32}, "%tid.y": {bits: 32}, "%tid.z": {bits: 32},
	"%ntid.x": {bits: 32}, "%ntid.y": {bits: 32}, "%ntid.z": {bits: 32},
	"%ctaid.x": {bits: 32}, "%ctaid.y": {bits: 32}, "%ctaid.z": {bits: 32},
	"%nctaid.x": {bits: 32}, "%nctaid.y": {bits: 32}, "%nctaid.z": {bits: 32},
	"%laneid": {bits: 32}, "%warpid": {bits: 32}, "%nwarpid": {bits: 32}, "%smid": {bits: 32}, "%nsmid": {bits: 32},
	"%gridid":      {bits: 64},
	"%clusterid.x": {bits: 32}, "%clusterid.y": {bits: 32}, "%clusterid.z": {bits: 32},
	"%nclusterid.x": {bits: 32}, "%nclusterid.y": {bits: 32}, "%nclusterid.z": {bits: 32},
	"%cluster_ctaid.x": {bits: 32}, "%cluster_ctaid.y": {bits: 32}, "%cluster_ctaid.z": {bits: 32},
	"%cluster_nctaid.x": {bits: 32}, "%cluster_nctaid.y": {bits: 32}, "%cluster_nctaid.z": {bits: 32},
	"%cluster_ctarank": {bits: 32}, "%cluster_nctarank": {bits: 32},
	"%lanemask_eq": {bits: 32}, "%lanemask_le": {bits: 32}, "%lanemask_lt": {bits: 32}, "%lanemask_ge": {bits: 32}, "%lanemask_gt": {bits: 32},
	"%clock": {bits: 32, varies: true}, "%clock_hi": {bits: 32, varies: true}, "%clock64": {bits: 64, varies: true},
	"%globaltimer": {bits: 64, varies: true}, "%globaltimer_lo": {bits: 32, varies: true}, "%globaltimer_hi": {bits: 32, varies: true},
	"%dynamic_smem_size": {bits: 32}, "%total_smem_size": {bits: 32},
}

// special gives a special register's value in one lane.
func (w *warp) special(name string, l int) uint64 {
	c := w.cta
	g := c.grid
	t := w.id*warpSize + l
	axis := 0
	if n := len(name); n > 2 && name[n-2] == '.' {
		axis = int(name[n-1] - 'x')
		name = name[:n-2]
	}
	switch name {
	case "%tid":
		return uint64(unflatten(t, g.Block)[axis])
	case "%ntid":
		return uint64(g.Block[axis])
	case "%ctaid":
		return uint64(c.index[axis])
	case "%nctaid":
		return uint64(g.Grid[axis])
	case "%laneid":
		return uint64(l)
	case "%warpid":
		return uint64(w.id)
	case "%nwarpid":
		return uint64(len(c.warps))
	case "%smid":
		return uint64(c.sm)
	case "%nsmid":
		return uint64(c.machine.SMs)
	case "%gridid":
		return uint64(g.work.id)
	case "%clusterid":
		return uint64(c.index[axis] / g.Cluster[axis])
	case "%nclusterid":
		return uint64(g.Grid[axis] / g.Cluster[axis])
	case "%cluster_ctaid":
		return uint64(c.index[axis] % g.Cluster[axis])
	case "%cluster_nctaid":
		return uint64(g.Cluster[axis])
	case "%cluster_ctarank":
		return uint64(c.rank)
	case "%cluster_nctarank":
		return uint64(len(c.cluster.ctas))
	case "%lanemask_eq":
		return 1 << l
	case "%lanemask_lt":
		return 1<<l - 1
	case "%lanemask_le":
		return 2<<l - 1
	case "%lanemask_gt":
		return uint64(full &^ (2<<l - 1))
	case "%lanemask_ge":
		return uint64(full &^ (1<<l - 1))
	case "%clock64", "%clock", "%globaltimer", "%globaltimer_lo":
		return uint64(g.counters.Instructions)
	case "%clock_hi", "%globaltimer_hi":
		return uint64(g.counters.Instructions) >> 32
	case "%dynamic_smem_size":
		return uint64(g.SharedBytes)
	case "%total_smem_size":
		return uint64(len(c.shared.data))
	}
	return 0
}

func unflatten(t int, dim [3]int) [3]int {
	return [3]int{t % dim[0], t / dim[0] % dim[1], t / (dim[0] * dim[1])}
}

// fillConstants puts the values of a function's constants into an activation's slots.
func (w *warp) fillConstants(a *activation) {
	for i := range a.f.consts {
		c := &a.f.consts[i]
		a.def[c.slot] = full
		switch {
		case c.vector != nil:
			a.v[c.slot] = c.vector
		case c.special == "_":
		case strings.HasPrefix(c.special, "%tid.") || strings.HasPrefix(c.special, "%lane"):
			for l := range warpSize {
				w.setLane(a, c, l, w.special(c.special, l))
			}
		default:
			v := c.bits
			if c.special != "" {
				v = w.special(c.special, 0)
			} else {
				v += w.address(c.symbol, a)
			}
			for l := range warpSize {
				w.setLane(a, c, l, v)
			}
		}
	}
}

func (w *warp) setLane(a *activation, c *constant, l int, v uint64) {
	if c.wide {
		(*vec64)(a.v[c.slot])[l] = v
	} else {
		(*vec32)(a.v[c.slot])[l] = uint32(v)
	}
}

// address is a symbol's address in its own space, as mov gives it.
func (w *warp) address(s *symbol, a *activation) uint64 {
	if s.function != nil {
		return w.cta.grid.fn.module.addressOf(s.function)
	}
	v := s.variable
	switch v.space {
	case spaceGlobal:
		return w.cta.grid.program.addresses[v.name]
	case spaceShared:
		if v.extern {
			return w.cta.sharedBase() + uint64(alignUp(w.cta.grid.fn.SharedBytes, max(v.align, 16)))
		}
		return w.cta.sharedBase() + uint64(v.offset)
	case spaceLocal:
		return uint64(a.localBase + v.offset)
	}
	return uint64(v.offset) // param: in the frame; const: in the bank
}

// newRegisters makes an activation's storage: one block for all its vectors.
func newRegisters(f *Function) *activation {
	wide := make([]bool, f.slots)
	for _, r := range f.regs {
		if r.typ.class != 'p' && r.slot >= 0 {
			wide[r.slot] = r.typ.bits == 64
		}
	}
	words := 0
	shared := make([]bool, f.slots)
	for _, c := range f.consts {
		wide[c.slot] = c.wide
		shared[c.slot] = c.vector != nil
	}
	for i, x := range wide {
		words += vectorWords(x, shared[i])
	}
	block := make([]uint64, words)
	a := &activation{f: f, block: block, v: make([]unsafe.Pointer, f.slots), def: make([]uint32, f.slots),
		p: make([]uint32, f.predicates), pdef: make([]uint32, f.predicates),
		param: make([]byte, f.paramSize*warpSize), paramDef: make([]uint32, f.paramSize)}
	at := 0
	for i, x := range wide {
		if !shared[i] {
			a.v[i] = unsafe.Pointer(&block[at])
		}
		at += vectorWords(x, shared[i])
	}
	return a
}

// vectorWords is the storage of a slot in 64-bit words; immediates have their vector in the function.
func vectorWords(wide, shared bool) int {
	switch {
	case shared:
		return 0
	case wide:
		return warpSize
	}
	return warpSize / 2
}
