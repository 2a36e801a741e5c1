package sim

import "moegen/runtime/sim/arith"

// A descriptor says where a wgmma operand lies in shared memory (PTX ISA, "Matrix Descriptor Format"): start address,
// leading and stride byte offsets, base offset and swizzle mode.
type descriptor struct {
	start   int
	leading int
	stride  int
	base    int // base offset: which row of the swizzle pattern the start is
	span    int // of the swizzle in bytes, 16: none
	mode    int // bits that the swizzle permutes: 0, 1, 2, 3
}

func decodeDescriptor(u uint64) descriptor {
	field := func(at int) int { return int(u>>at&0x3FFF) << 4 }
	d := descriptor{start: field(0), leading: field(16), stride: field(32), base: int(u >> 49 & 7)}
	switch u >> 62 {
	case 1:
		d.mode = 3
	case 2:
		d.mode = 2
	case 3:
		d.mode = 1
	}
	d.span = 16 << d.mode
	return d
}

// address is where an element lies, as a shared address: its row among M or N, its byte along K if K-major, or its byte
// among M or N and its row along K.
func (d *descriptor) address(row, at int, major bool) int {
	var linear int
	switch {
	case !major && d.mode > 0: // K-major
		linear = row%8*d.span + row/8*d.stride + at
	case !major:
		linear = row%8*16 + row/8*d.stride + at/16*d.leading + at%16
	case d.mode > 0: // MN-major: at runs along M or N, row along K
		linear = at%d.span + at/d.span*d.leading + row%8*d.span + row/8*d.stride
	default:
		linear = at%16 + at/16*d.stride + row%8*16 + row/8*d.leading
	}
	a := d.start + linear
	return a ^ ((a>>7-d.base)&(1<<d.mode-1))<<4
}

// loadShared decodes an operand of rows rows (of M or N) in chunks of 16 bytes.
func (p *product) loadShared(to *arith.Operand, desc uint64, rows int, major bool) {
	d := decodeDescriptor(desc)
	o := p.op
	mem := o.cta.shared
	es := 32 / p.form.k
	chunk := 16 / es
	outer, inner := rows, p.form.k
	if major {
		outer, inner = inner, outer
	}
	for r := range outer {
		for e := 0; e < inner; e += chunk {
			off := d.address(r, e*es, major) - sharedStart
			if off < 0 || off+16 > len(mem.data) {
				o.actor.fault(Bounds, -1, "the descriptor %#x reaches shared offset %d of %d", desc, off, len(mem.data))
			}
			o.touch(mem, off, 16, false)
			data := mem.data[off : off+16]
			if !major {
				to.Load(r, e, data)
				continue
			}
			for i := range min(chunk, inner-e) {
				to.Load(e+i, r, data[i*es:(i+1)*es])
			}
		}
	}
}
