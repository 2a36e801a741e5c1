package sim

import (
	"encoding/binary"
	"hash/crc32"
)

// TensorMap describes a tensor in global memory and a box of it, as cuTensorMapEncodeTiled takes them. Dimensions go from
// the innermost outward.
type TensorMap struct {
	Type    int    // CUtensorMapDataType: 0 u8, 1 u16, 2 u32, 3 s32, 4 u64, 5 s64, 6 f16, 7 f32, 8 f64, 9 bf16, 10 f32 ftz, 11 tf32, 12 tf32 ftz
	Address uint64 // of the tensor
	Dims    []uint64
	Strides []uint64 // in bytes, from dimension 1 on: one less than Dims
	Box     []uint32
	Steps   []uint32 // element strides; nil: all 1
	Swizzle int      // CUtensorMapSwizzle: 0 none, 1 32 bytes, 2 64 bytes, 3 128 bytes
	NaNFill bool     // what lies outside becomes NaN instead of zero
}

var tensorTypes = []dtype{
	typeNamed("u8"), typeNamed("u16"), typeNamed("u32"), typeNamed("s32"), typeNamed("u64"), typeNamed("s64"), typeNamed("f16"),
	typeNamed("f32"), typeNamed("f64"), typeNamed("bf16"), typeNamed("f32"), typeNamed("tf32"), typeNamed("tf32"),
}

const (
	tensorMapBytes = 128
	tensorMagic    = 0x70616D54 // of the simulator's own encoding; the driver's is opaque
)

// Encode checks the map as the driver does and packs it into the 128 bytes that a kernel takes.
func (t *TensorMap) Encode() ([tensorMapBytes]byte, error) {
	var out [tensorMapBytes]byte
	if err := t.check(); err != nil {
		return out, err
	}
	le := binary.LittleEndian
	le.PutUint32(out[0:], tensorMagic)
	out[8], out[9], out[10] = byte(t.Type), byte(len(t.Dims)), byte(t.Swizzle)
	if t.NaNFill {
		out[11] = 1
	}
	le.PutUint64(out[16:], t.Address)
	for i, d := range t.Dims {
		le.PutUint32(out[24+4*i:], uint32(d-1))
		le.PutUint16(out[84+2*i:], uint16(t.Box[i]))
		out[96+i] = byte(t.step(i))
	}
	for i, s := range t.Strides {
		le.PutUint64(out[48+8*i:], s)
	}
	le.PutUint32(out[4:], crc32.ChecksumIEEE(out[8:]))
	return out, nil
}

func (t *TensorMap) step(i int) int {
	if t.Steps == nil || i == 0 { // the innermost is ignored without interleaving
		return 1
	}
	return int(t.Steps[i])
}

func (t *TensorMap) check() error {
	rank := len(t.Dims)
	switch {
	case t.Type < 0 || t.Type >= len(tensorTypes):
		return setupError("tensor map: data type %d", t.Type)
	case rank < 1 || rank > 5 || len(t.Box) != rank || len(t.Strides) != rank-1 || t.Steps != nil && len(t.Steps) != rank:
		return setupError("tensor map: %d dimensions, %d strides, %d box extents, %d element strides", rank, len(t.Strides), len(t.Box), len(t.Steps))
	case t.Address%16 != 0:
		return setupError("tensor map: address %#x is not a multiple of 16", t.Address)
	case t.Swizzle < 0 || t.Swizzle > 3:
		return setupError("tensor map: swizzle %d", t.Swizzle)
	case t.NaNFill && tensorTypes[t.Type].integer():
		return setupError("tensor map: NaN fill of integers")
	}
	for i, d := range t.Dims {
		if d < 1 || d > 1<<32 {
			return setupError("tensor map: dimension %d is %d", i, d)
		}
		if t.Box[i] < 1 || t.Box[i] > 256 {
			return setupError("tensor map: box extent %d of dimension %d; 1 to 256", t.Box[i], i)
		}
		if t.Steps != nil && (t.Steps[i] < 1 || t.Steps[i] > 8) {
			return setupError("tensor map: element stride %d of dimension %d; 1 to 8", t.Steps[i], i)
		}
	}
	for i, s := range t.Strides {
		if s%16 != 0 || s >= 1<<40 {
			return setupError("tensor map: stride %d of dimension %d; multiples of 16 below 2^40", s, i+1)
		}
	}
	inner := int(t.Box[0]) * tensorTypes[t.Type].bytes()
	if inner%16 != 0 {
		return setupError("tensor map: the box is %d bytes wide; multiples of 16", inner)
	}
	if t.Swizzle > 0 && inner > t.span() {
		return setupError("tensor map: the box is %d bytes wide, the swizzle spans %d", inner, t.span())
	}
	return nil
}

// span is the swizzle's width in bytes.
func (t *TensorMap) span() int { return 16 << t.Swizzle }

// DecodeTensorMap unpacks what Encode made; ok is false for any other bytes.
func DecodeTensorMap(b []byte) (t TensorMap, ok bool) {
	le := binary.LittleEndian
	if len(b) < tensorMapBytes || le.Uint32(b) != tensorMagic || le.Uint32(b[4:]) != crc32.ChecksumIEEE(b[8:tensorMapBytes]) {
		return t, false
	}
	rank := int(b[9])
	t = TensorMap{Type: int(b[8]), Swizzle: int(b[10]), NaNFill: b[11] != 0, Address: le.Uint64(b[16:])}
	for i := range rank {
		t.Dims = append(t.Dims, uint64(le.Uint32(b[24+4*i:]))+1)
		t.Box = append(t.Box, uint32(le.Uint16(b[84+2*i:])))
		t.Steps = append(t.Steps, uint32(b[96+i]))
	}
	for i := range rank - 1 {
		t.Strides = append(t.Strides, le.Uint64(b[48+8*i:]))
	}
	return t, true
}

// swizzle permutes 16-byte chunks within eight rows of the span: address bits 4 to 6 (5, 4) by bits 7 to 9 (8, 7).
func swizzle(address uint64, mode int) uint64 {
	return address ^ (address>>7&(1<<mode-1))<<4
}

// A box is a tensor copy at its coordinates: geometry resolved, row by row.
type box struct {
	t      TensorMap
	elem   dtype
	coords [5]int64
	count  [5]int // elements per dimension, after element strides
	pitch  int    // bytes from one row to the next in shared memory
	inner  int    // bytes of a row
}

func newBox(t TensorMap, coords []int64) *box {
	b := &box{t: t, elem: tensorTypes[t.Type]}
	for i := range b.count {
		b.count[i] = 1
		if i < len(t.Box) {
			b.coords[i] = coords[i]
			b.count[i] = (int(t.Box[i]) + t.step(i) - 1) / t.step(i)
		}
	}
	b.inner = b.count[0] * b.elem.bytes()
	b.pitch = b.inner
	if t.Swizzle > 0 {
		b.pitch = t.span() // a row takes the whole span
	}
	return b
}

// bytes is what completes on the barrier: the whole box, what lies outside included.
func (b *box) bytes() int {
	return b.inner * b.count[1] * b.count[2] * b.count[3] * b.count[4]
}

// rows is the number of rows; sharedBytes what they take in shared memory.
func (b *box) rows() int        { return b.count[1] * b.count[2] * b.count[3] * b.count[4] }
func (b *box) sharedBytes() int { return b.rows() * b.pitch }

// each calls f for every row: its index, the address of its first element inside the tensor, and which of its elements,
// from lo to hi, lie inside.
func (b *box) each(f func(row int, address uint64, lo, hi int)) {
	row := 0
	var i [5]int
	for i[4] = 0; i[4] < b.count[4]; i[4]++ {
		for i[3] = 0; i[3] < b.count[3]; i[3]++ {
			for i[2] = 0; i[2] < b.count[2]; i[2]++ {
				for i[1] = 0; i[1] < b.count[1]; i[1]++ {
					f(b.row(row, i))
					row++
				}
			}
		}
	}
}

func (b *box) row(row int, i [5]int) (int, uint64, int, int) {
	address := b.t.Address
	for d := 1; d < len(b.t.Dims); d++ {
		x := b.coords[d] + int64(i[d]*b.t.step(d))
		if x < 0 || x >= int64(b.t.Dims[d]) {
			return row, 0, 0, 0
		}
		address += uint64(x) * b.t.Strides[d-1]
	}
	lo := int(min(max(-b.coords[0], 0), int64(b.count[0])))
	hi := int(min(max(int64(b.t.Dims[0])-b.coords[0], 0), int64(b.count[0])))
	if lo >= hi {
		return row, 0, 0, 0
	}
	return row, address + uint64(b.coords[0]+int64(lo))*uint64(b.elem.bytes()), lo, hi
}
