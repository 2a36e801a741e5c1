package sim

import (
	"encoding/binary"
	"math"
	"unsafe"

	"moegen/runtime/sim/arith"
)

// The operations of laneOps in Go, each with its loop written out: a call per lane would double its cost. Those on integers
// serve 64-bit lanes as well.

func addLanes[T lane](d, a, b *[warpSize]T, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i] + b[i]
		}
	}
}

func subLanes[T lane](d, a, b *[warpSize]T, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i] - b[i]
		}
	}
}

func mulLanes[T lane](d, a, b *[warpSize]T, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i] * b[i]
		}
	}
}

func andLanes[T lane](d, a, b *[warpSize]T, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i] & b[i]
		}
	}
}

func orLanes[T lane](d, a, b *[warpSize]T, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i] | b[i]
		}
	}
}

func xorLanes[T lane](d, a, b *[warpSize]T, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i] ^ b[i]
		}
	}
}

func shiftLeft[T lane](d, a *[warpSize]T, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i] << b[i]
		}
	}
}

func shiftRight[T lane](d, a *[warpSize]T, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i] >> b[i]
		}
	}
}

func shiftSigned(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = uint32(int32(a[i]) >> b[i])
		}
	}
}

func minSigned(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = uint32(min(int32(a[i]), int32(b[i])))
		}
	}
}

func maxSigned(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = uint32(max(int32(a[i]), int32(b[i])))
		}
	}
}

func minUnsigned(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = min(a[i], b[i])
		}
	}
}

func maxUnsigned(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = max(a[i], b[i])
		}
	}
}

func madInts(d, a, b, c *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = a[i]*b[i] + c[i]
		}
	}
}

func mulWide(d *vec64, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = uint64(a[i]) * uint64(b[i])
		}
	}
}

func selectLanes[T lane](d, a, b *[warpSize]T, c, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			v := b[i]
			if c>>i&1 != 0 {
				v = a[i]
			}
			d[i] = v
		}
	}
}

// cleaned is a result with every NaN made the one that operations give.
func cleaned(f float32) uint32 {
	if f != f {
		return arith.NaN32
	}
	return math.Float32bits(f)
}

func addFloats(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = cleaned(math.Float32frombits(a[i]) + math.Float32frombits(b[i]))
		}
	}
}

func subFloats(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = cleaned(math.Float32frombits(a[i]) - math.Float32frombits(b[i]))
		}
	}
}

func mulFloats(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = cleaned(math.Float32frombits(a[i]) * math.Float32frombits(b[i]))
		}
	}
}

// fmaFloats computes in float64, where the product is exact. The sum's second rounding can go wrong only if it was inexact and
// its last 29 bits are exactly half a unit, or where the result is subnormal or not finite: then the slow way.
func fmaFloats(d, a, b, c *vec32, m uint32) {
	for i := range d {
		if m>>i&1 == 0 {
			continue
		}
		p := float64(math.Float32frombits(a[i])) * float64(math.Float32frombits(b[i]))
		q := float64(math.Float32frombits(c[i]))
		s := p + q
		u := math.Float64bits(s)
		if u<<35 == 1<<63 && inexact(p, q, s) || u<<1-normal32<<53 >= (0x7FF-normal32)<<53 {
			d[i] = arith.FMA32(a[i], b[i], c[i])
			continue
		}
		d[i] = math.Float32bits(float32(s))
	}
}

// normal32 is the float64 exponent field of the smallest normal float32.
const normal32 = 1023 - 126

// inexact tells whether s is not exactly p + q (Knuth's two-sum).
func inexact(p, q, s float64) bool {
	t := s - p
	return (p-(s-t))+(q-t) != 0
}

func packBF16(d, a, b *vec32, m uint32) {
	for i := range d {
		if m>>i&1 != 0 {
			d[i] = arith.CvtBF16x2(a[i], b[i])
		}
	}
}

func orderInts(a, b *vec32, flip uint32) (less, equal uint32) {
	for i := range a {
		if int32(a[i]^flip) < int32(b[i]^flip) {
			less |= 1 << i
		}
		if a[i] == b[i] {
			equal |= 1 << i
		}
	}
	return less, equal
}

func orderFloats(a, b *vec32) (less, equal, unordered uint32) {
	for i := range a {
		p, q := math.Float32frombits(a[i]), math.Float32frombits(b[i])
		switch {
		case p < q:
			less |= 1 << i
		case p == q:
			equal |= 1 << i
		case p != p || q != q:
			unordered |= 1 << i
		}
	}
	return less, equal, unordered
}

func readColumns(d0, d1, d2, d3 *vec32, from *byte) {
	data := (*[16 * warpSize]byte)(unsafe.Pointer(from))
	for i := range d0 {
		row := data[16*i : 16*i+16]
		d0[i], d1[i] = binary.LittleEndian.Uint32(row), binary.LittleEndian.Uint32(row[4:])
		d2[i], d3[i] = binary.LittleEndian.Uint32(row[8:]), binary.LittleEndian.Uint32(row[12:])
	}
}

func writeColumns(to *byte, a0, a1, a2, a3 *vec32) {
	data := (*[16 * warpSize]byte)(unsafe.Pointer(to))
	for i := range a0 {
		row := data[16*i : 16*i+16]
		binary.LittleEndian.PutUint32(row, a0[i])
		binary.LittleEndian.PutUint32(row[4:], a1[i])
		binary.LittleEndian.PutUint32(row[8:], a2[i])
		binary.LittleEndian.PutUint32(row[12:], a3[i])
	}
}
