package safetensors

// DType is an element type as a safetensors header names it.
type DType string

// The element types that this package converts, and I16, which programs keep as it is. Others are listed by a Reader and
// refused when read.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I16  DType = "I16"
	I64  DType = "I64"
	I32  DType = "I32"
)

// dtypes are all types of the format with their widths, in the format's own order: a file written by the
// reference implementation holds the tensors of later types first.
var dtypes = []struct {
	name DType
	bits int
}{
	{"BOOL", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8}, {"I8", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8},
	{"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {I16, 16}, {"U16", 16}, {F16, 16}, {BF16, 16},
	{I32, 32}, {"U32", 32}, {F32, 32}, {"C64", 64}, {F64, 64}, {I64, 64}, {"U64", 64},
}

// order is the position of d in the format's list, or -1 for a name that is none of its types.
func (d DType) order() int {
	for i := range dtypes {
		if dtypes[i].name == d {
			return i
		}
	}
	return -1
}

// bits is the width of an element; d must be a type of the format.
func (d DType) bits() int { return dtypes[d.order()].bits }

// Bytes is the size of an element; d must be a type of the format whose elements have whole bytes.
func (d DType) Bytes() int { return d.bits() / 8 }

// Float reports whether tensors of type d can be read as float32.
func (d DType) Float() bool { return d == F64 || d == F32 || d == F16 || d == BF16 }
