package sim

import "encoding/binary"

// tensor lowers cp.async.bulk.tensor and cp.reduce.async.bulk.tensor.
func (l *lowering) tensor() {
	in := l.in
	args := in.args
	load := in.has("mbarrier::complete_tx::bytes")
	shared, tensor := args[0], args[1]
	if !load {
		tensor, shared = args[0], args[1]
	}
	spc := spaceCluster
	if !load || in.has("shared::cta") {
		spc = spaceShared
	}
	smem := l.addressing(shared, spc)
	mapAt := l.addressing(operand{kind: operandMemory, base: tensor.base, offset: tensor.offset}, spaceGeneric)
	var coords []int
	for _, c := range tensor.list[0].list {
		coords = append(coords, l.source(c, typeNamed("s32")))
	}
	var bar addressing
	mask := -1
	if load {
		bar = l.addressing(args[2], spc)
		if in.has("multicast::cluster") {
			mask = l.source(args[3], typeNamed("b16"))
		}
	}
	combine := ""
	if in.has("reduce") {
		combine = in.one("add", "min", "max", "inc", "dec", "and", "or", "xor")
	}
	l.step.run = func(w *warp, m uint32) {
		s := *w.addresses(&smem, m)
		t := *w.addresses(&mapAt, m)
		var b vec64
		if load {
			b = *w.addresses(&bar, m)
		}
		for mm := m; mm != 0; mm &= mm - 1 {
			i := lowest(mm)
			x := w.box(t[i], coords, i, load)
			if load {
				w.loadTensor(x, s[i], b[i], spc, mask, i)
			} else {
				w.storeTensor(x, s[i], combine, i)
			}
		}
	}
}

// box reads the map and checks what hardware checks when the copy is executed.
func (w *warp) box(address uint64, coords []int, lane int, load bool) *box {
	if address%64 != 0 {
		w.fault(Misaligned, lane, "tensor map address %#x is not a multiple of 64", address)
	}
	t, ok := DecodeTensorMap(w.mapBytes(address, lane))
	if !ok {
		w.fault(Illegal, lane, "the 128 bytes at %#x are no tensor map", address)
	}
	if len(t.Dims) != len(coords) {
		w.fault(Illegal, lane, "%d coordinates for a tensor map of %d dimensions", len(coords), len(t.Dims))
	}
	var c []int64
	for _, slot := range coords {
		c = append(c, int64(int32(w.value(slot, lane))))
	}
	b := newBox(t, c)
	if n := c[0] * int64(b.elem.bytes()); n%16 != 0 {
		w.fault(Illegal, lane, "the first coordinate, %d, is %d bytes: not a multiple of 16", c[0], n)
	}
	if !load {
		for d, x := range c {
			if x < 0 {
				w.fault(Illegal, lane, "coordinate %d of a store is %d", d, x)
			}
		}
	}
	return b
}

// mapBytes reads a tensor map from a kernel's parameters or from global memory, by generic address.
func (w *warp) mapBytes(address uint64, lane int) []byte {
	s, a := splitGeneric(address)
	switch s {
	case spaceParam:
		p := w.cta.grid.Params
		if a+tensorMapBytes > uint64(len(p)) {
			w.fault(Bounds, lane, "a tensor map at parameter offset %d of %d", a, len(p))
		}
		return p[a:]
	case spaceGlobal:
		if a < globalStart {
			w.fault(Misaligned, lane, "tensor map address %#x is no generic address: cvta.param is missing", address)
		}
		m, off := w.locateGlobal(a, tensorMapBytes, lane)
		w.checkDefined(m, off, tensorMapBytes, lane)
		return m.data[off:]
	case spaceConst:
		m, off := w.locate(spaceConst, a, tensorMapBytes, 64, lane)
		return m.data[off:]
	}
	w.fault(Illegal, lane, "a tensor map in %s memory", s)
	return nil
}

// sharedAlign is what tensor copies need of shared addresses, with swizzling or without.
const sharedAlign = 128

func (w *warp) loadTensor(b *box, address, bar uint64, spc space, mask, lane int) {
	o := w.newOperation(false)
	targets := w.targets(spc, address, b.sharedBytes(), sharedAlign, lane, mask)
	bars := w.targets(spc, bar, 8, 8, lane, mask)
	rows := make([]byte, b.rows()*b.inner)
	w.checkTensor(b, lane)
	o.read = func() { o.readTensor(b, rows) }
	o.write = func() {
		for k, t := range targets {
			for row := range b.rows() {
				o.spread(b, t, row, rows[row*b.inner:(row+1)*b.inner])
			}
			o.completeTx(bars[k].mem, bars[k].off, b.bytes())
		}
	}
	w.cta.grid.counters.Async.Read += int64(b.bytes())
	o.start()
}

// checkTensor checks that all that the box covers inside of the tensor is allocated.
func (w *warp) checkTensor(b *box, lane int) {
	b.each(func(row int, address uint64, lo, hi int) {
		if hi > lo {
			w.locateGlobal(address, (hi-lo)*b.elem.bytes(), lane)
		}
	})
}

// readTensor gathers the box's rows, outside elements filled.
func (o *operation) readTensor(b *box, rows []byte) {
	w := o.actor.warp
	es := b.elem.bytes()
	b.each(func(row int, address uint64, lo, hi int) {
		dst := rows[row*b.inner : (row+1)*b.inner]
		if b.t.NaNFill {
			for i := 0; i < len(dst); i += 2 {
				binary.LittleEndian.PutUint16(dst[i:], 0x7FF7)
			}
		}
		if hi > lo {
			mem, off := w.cta.machine.globalAt(address)
			n := (hi - lo) * es
			o.touch(mem, off, n, false)
			copy(dst[lo*es:], mem.data[off:off+n])
			if b.elem.name == "tf32" {
				roundTF32(dst[lo*es : hi*es])
			}
		}
	})
}

// globalAt finds memory that was checked before.
func (m *Machine) globalAt(address uint64) (*memory, int) {
	mem, _ := m.heap.find(address)
	return mem, int(address - mem.base)
}

// roundTF32 is what a copy of type tf32 does to its elements: to nearest even at 10 fraction bits, NaN to 7FFFE000.
func roundTF32(b []byte) {
	for i := 0; i < len(b); i += 4 {
		u := binary.LittleEndian.Uint32(b[i:])
		switch {
		case u&0x7FFFFFFF > 0x7F800000:
			u = 0x7FFFE000
		case u&0x7F800000 != 0x7F800000:
			u = (u + 0xFFF + u>>13&1) &^ 0x1FFF
		}
		binary.LittleEndian.PutUint32(b[i:], u)
	}
}

// chunk is where 16 bytes of a row lie in shared memory: swizzled by the absolute address.
func (b *box) chunk(t target, row, at int) int {
	linear := t.mem.base + uint64(t.off+row*b.pitch+at)
	return int(swizzle(linear, b.t.Swizzle) - t.mem.base)
}

// spread writes a row into shared memory.
func (o *operation) spread(b *box, t target, row int, data []byte) {
	for at := 0; at < len(data); at += 16 {
		off := b.chunk(t, row, at)
		o.touch(t.mem, off, 16, true)
		copy(t.mem.data[off:off+16], data[at:])
		t.mem.define(off, 16)
	}
}

func (w *warp) storeTensor(b *box, address uint64, combine string, lane int) {
	o := w.newOperation(false)
	mem, off := w.locate(spaceShared, address, b.sharedBytes(), sharedAlign, lane)
	w.checkTensor(b, lane)
	from := target{mem, off}
	rows := make([]byte, b.rows()*b.inner)
	var op func(old, v uint64) uint64
	if combine != "" {
		op = reduction(combine, b.elem, b.t.Type == 10)
		if op == nil {
			w.fault(Illegal, lane, "reduction .%s of .%s", combine, b.elem.name)
		}
	}
	o.read = func() {
		for row := range b.rows() {
			for at := 0; at < b.inner; at += 16 {
				c := b.chunk(from, row, at)
				o.touch(mem, c, 16, false)
				copy(rows[row*b.inner+at:][:16], mem.data[c:])
			}
		}
	}
	o.write = func() {
		es := b.elem.bytes()
		b.each(func(row int, address uint64, lo, hi int) {
			if hi <= lo {
				return
			}
			src := rows[row*b.inner+lo*es : row*b.inner+hi*es]
			to, at := o.cta.machine.globalAt(address)
			if op != nil {
				o.touchAs(to, at, len(src), true, flagStrong)
				o.reduce(to, at, src, b.elem, op)
				return
			}
			o.touch(to, at, len(src), true)
			copy(to.data[at:], src)
			to.define(at, len(src))
		})
	}
	w.cta.grid.counters.Async.Written += int64(b.bytes())
	g := &w.lane(lane).bulk
	g.open = append(g.open, o)
	o.start()
}
