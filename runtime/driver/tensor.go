package driver

import "fmt"

// TensorMap is an encoded description of a tensor, opaque, for the tensor memory accelerator. It is passed to a
// kernel by value (Params.Map) and stays valid as long as the memory that it describes.
type TensorMap [128]byte

// Element is the type of a tensor's elements. The values are those of CUtensorMapDataType.
type Element uint32

// Elements that kernels move.
const (
	U8   Element = 0
	U32  Element = 2
	F16  Element = 6
	F32  Element = 7
	BF16 Element = 9
)

// Bytes returns the size of an element.
func (e Element) Bytes() int64 {
	switch e {
	case U8:
		return 1
	case F16, BF16:
		return 2
	case U32, F32:
		return 4
	}
	panic(fmt.Sprintf("BUG: element type %d", e))
}

// Tensor describes what a tensor map encodes: a tensor of up to five dimensions in device memory, and the box
// of it that one instruction moves. Elements outside the tensor read as zero.
type Tensor struct {
	Element Element
	Base    Addr    // a multiple of 16
	Dims    []int64 // elements, innermost dimension first, each up to 2^32
	Strides []int64 // bytes from one index to the next, of dimensions 1 and up: multiples of 16 below 2^40
	Box     []int   // elements, one a dimension, up to 256; the inner row is a multiple of 16 bytes
	Swizzle int     // bytes of the span within which 16-byte chunks are permuted: 0, 32, 64 or 128
}

// Check returns an error of the first rule that the tensor breaks. Drivers refuse the same with no more than a
// number, and look at neither the allocation's size nor overlapping rows: bounds are the planner's.
func (t *Tensor) Check() error {
	refuse := func(format string, args ...any) error {
		return &Error{Message: "a tensor map is not possible: " + fmt.Sprintf(format, args...)}
	}
	rank := len(t.Dims)
	if rank < 1 || rank > 5 || len(t.Box) != rank || len(t.Strides) != rank-1 {
		return refuse("%d dimensions, %d box sizes and %d strides, where 1 to 5, as many, and one less are needed", rank, len(t.Box), len(t.Strides))
	}
	if t.Base%16 != 0 {
		return refuse("its address %#x is not a multiple of 16", uint64(t.Base))
	}
	for i, d := range t.Dims {
		if d < 1 || d > 1<<32 {
			return refuse("dimension %d has %d elements, outside 1 to 2^32", i, d)
		}
		if t.Box[i] < 1 || t.Box[i] > 256 {
			return refuse("the box has %d elements in dimension %d, outside 1 to 256", t.Box[i], i)
		}
	}
	for i, s := range t.Strides {
		if s < 0 || s >= 1<<40 || s%16 != 0 {
			return refuse("the stride of dimension %d is %d bytes, not a multiple of 16 below 2^40", i+1, s)
		}
	}
	row := int64(t.Box[0]) * t.Element.Bytes()
	if row%16 != 0 {
		return refuse("a row of the box has %d bytes, not a multiple of 16", row)
	}
	switch t.Swizzle {
	case 0:
	case 32, 64, 128:
		if row > int64(t.Swizzle) {
			return refuse("a row of the box has %d bytes, more than the %d of the swizzle", row, t.Swizzle)
		}
	default:
		return refuse("a swizzle of %d bytes, not 0, 32, 64 or 128", t.Swizzle)
	}
	return nil
}
