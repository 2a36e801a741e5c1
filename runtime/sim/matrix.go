package sim

import "encoding/binary"

// matrix lowers ldmatrix, stmatrix and movmatrix: 8×8 matrices of 16-bit elements spread over a warp. Lane t holds
// elements (t/4, 2·(t mod 4)) and the next one of each; transposed, (2·(t mod 4), t/4) and the one below.
func (l *lowering) matrix() {
	in := l.in
	l.step.aligned = true
	if in.op == "movmatrix" {
		d, a := l.destination(in.args[0], false), l.source(in.args[1], typeNamed("b32"))
		l.step.run = func(w *warp, m uint32) { w.transpose(d, a) }
		return
	}
	mem, vec := in.args[1], in.args[0]
	store := in.op == "stmatrix"
	if store {
		mem, vec = in.args[0], in.args[1]
	}
	spc := spaceGeneric
	if in.one("shared", "shared::cta") != "" {
		spc = spaceShared
	}
	n := int(in.one("x1", "x2", "x4")[1] - '0')
	if len(vec.list) != n {
		l.fail(Syntax, "%d registers for %d matrices", len(vec.list), n)
		return
	}
	a := l.addressing(mem, spc)
	regs := make([]int, n)
	for i, e := range vec.list {
		regs[i] = l.source(e, typeNamed("b32"))
	}
	trans := in.has("trans")
	l.step.run = func(w *warp, m uint32) { w.moveMatrices(&a, regs, store, trans, m) }
}

// moveMatrices moves one matrix per register; the addresses of its eight rows come from eight lanes.
func (w *warp) moveMatrices(a *addressing, regs []int, store, trans bool, m uint32) {
	if m != full {
		w.fault(Divergence, lowest(^m), "a matrix instruction needs 32 lanes")
	}
	suppliers := uint32(full)
	if len(regs) < 4 {
		suppliers = 1<<(8*len(regs)) - 1
	}
	addr := w.addresses(a, suppliers)
	machine := w.cta.machine
	c := w.cta.grid.counters
	for k, r := range regs {
		var rows [8]target
		for i := range rows {
			lane := 8*k + i
			mem, off := w.locate(a.spc, addr[lane], 16, 16, lane)
			if mem.cta == nil {
				w.fault(Bounds, lane, "a matrix must be in shared memory")
			}
			rows[i] = target{mem, off}
			if !store {
				w.checkDefined(mem, off, 16, lane)
			}
			if machine.races {
				x := w.accessOf(mem, store, 0)
				x.lane = warpSize
				x.span(off, 16)
			}
			mem.defineIf(store, off, 16)
		}
		passes, least := bankPasses(matrixAddresses(addr, k), 16, 0xFF)
		c.SharedRequests++
		c.SharedPasses += int64(passes)
		c.BankConflicts += int64(passes - least)
		if store {
			if undef := ^w.def[r]; undef != 0 {
				w.fault(Undefined, lowest(undef), "the stored register is undefined")
			}
			c.Shared.Written += 128
			machine.progress++
		} else {
			c.Shared.Read += 128
			w.def[r] = full
		}
		moveFragment(w.v32(r), &rows, store, trans)
	}
}

func (m *memory) defineIf(yes bool, off, n int) {
	if yes {
		m.define(off, n)
	}
}

// matrixAddresses brings the eight rows of matrix k to the first lanes.
func matrixAddresses(addr *vec64, k int) *vec64 {
	var v vec64
	copy(v[:8], addr[8*k:])
	return &v
}

func moveFragment(v *vec32, rows *[8]target, store, trans bool) {
	le := binary.LittleEndian
	for t := range v {
		for h := range 2 {
			r, c := t/4, 2*(t%4)+h
			if trans {
				r, c = c, r
			}
			b := rows[r].mem.data[rows[r].off+2*c:]
			if store {
				le.PutUint16(b, uint16(v[t]>>(16*h)))
			} else {
				v[t] = v[t]&^(0xFFFF<<(16*h)) | uint32(le.Uint16(b))<<(16*h)
			}
		}
	}
}

func (w *warp) transpose(d, a int) {
	w.needs(a, full)
	src := *w.v32(a)
	out := w.v32(d)
	for t := range out {
		v := uint32(0)
		for h := range 2 {
			r, c := 2*(t%4)+h, t/4 // of the source
			v |= src[4*r+c/2] >> (16 * (c % 2)) & 0xFFFF << (16 * h)
		}
		out[t] = v
	}
	w.def[d] = full
}
