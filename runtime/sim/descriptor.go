package sim

import (
	"math/bits"

	"moegen/runtime/sim/arith"
)

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

// operandShape is how an operand of rows rows (of M or N) and k columns lies: outer lines of so many chunks of 16 bytes.
func operandShape(t dtype, rows, k int, major bool) (outer, chunks int) {
	per := 128 / t.bits
	if major {
		return k, (rows + per - 1) / per
	}
	return rows, k / per
}

// readShared reads an operand, chunk by chunk.
func (p *product) readShared(desc uint64, t dtype, rows int, major bool) [][16]byte {
	d := decodeDescriptor(desc)
	o := p.op
	mem := o.cta.shared
	outer, chunks := operandShape(t, rows, p.form.k, major)
	out := make([][16]byte, 0, outer*chunks)
	lines := touchedLines{o: o, mem: mem}
	for r := range outer {
		for e := range chunks {
			off := d.address(r, 16*e, major) - sharedStart
			if off < 0 || off+16 > len(mem.data) {
				o.actor.fault(Bounds, -1, "the descriptor %#x reaches shared offset %d of %d", desc, off, len(mem.data))
			}
			lines.add(off)
			out = append(out, [16]byte(mem.data[off:]))
		}
	}
	lines.flush()
	return out
}

// touchedLines gathers reads of 16 bytes that follow one another within 128 bytes, as swizzling leaves them, for the checkers.
type touchedLines struct {
	o      *operation
	mem    *memory
	line   int
	chunks uint // of the line
}

func (l *touchedLines) add(off int) {
	if off&15 != 0 {
		l.o.touch(l.mem, off, 16, false)
		return
	}
	if off>>7 != l.line {
		l.flush()
		l.line = off >> 7
	}
	l.chunks |= 1 << (off >> 4 & 7)
}

func (l *touchedLines) flush() {
	for l.chunks != 0 {
		first := bits.TrailingZeros(l.chunks)
		n := bits.TrailingZeros(^(l.chunks >> first))
		l.o.touch(l.mem, l.line<<7+16*first, 16*n, false)
		l.chunks &^= (1<<n - 1) << first
	}
}

// loadChunks decodes an operand that readShared has read.
func loadChunks(to *arith.Operand, from [][16]byte, t dtype, rows, k int, major bool) {
	outer, chunks := operandShape(t, rows, k, major)
	size := t.bits / 8
	per := 16 / size
	for r := range outer {
		for e := range chunks {
			data := &from[r*chunks+e]
			if !major {
				to.Load(r, e*per, data[:])
				continue
			}
			for i := range min(per, rows-e*per) {
				to.Load(e*per+i, r, data[i*size:(i+1)*size])
			}
		}
	}
}
