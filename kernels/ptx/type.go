package ptx

// Type is the type of a register or of an element in memory.
type Type uint8

// Registers have the types from Pred to F64. BF16x2 and F16x2 are two numbers in 32 bits, the first in the lower
// half. TF32, E4M3 and E5M2 name elements of matrices only.
const (
	Pred Type = iota + 1
	B16
	U16
	S16
	BF16
	F16
	B32
	U32
	S32
	F32
	BF16x2
	F16x2
	B64
	U64
	S64
	F64
	TF32
	E4M3
	E5M2
)

// kind says what arithmetic a type has.
type kind uint8

const (
	plain kind = iota
	unsigned
	signed
	float
)

var types = [...]struct {
	name string
	bits int
	kind kind
}{
	Pred: {"pred", 1, plain},
	B16:  {"b16", 16, plain}, U16: {"u16", 16, unsigned}, S16: {"s16", 16, signed}, BF16: {"bf16", 16, float}, F16: {"f16", 16, float},
	B32: {"b32", 32, plain}, U32: {"u32", 32, unsigned}, S32: {"s32", 32, signed}, F32: {"f32", 32, float},
	BF16x2: {"bf16x2", 32, float}, F16x2: {"f16x2", 32, float},
	B64: {"b64", 64, plain}, U64: {"u64", 64, unsigned}, S64: {"s64", 64, signed}, F64: {"f64", 64, float},
	TF32: {"tf32", 32, float}, E4M3: {"e4m3", 8, float}, E5M2: {"e5m2", 8, float},
}

// String returns PTX's name of the type.
func (t Type) String() string {
	if int(t) < len(types) && t > 0 {
		return types[t].name
	}
	return "no type"
}

// Bits returns the width: 1 for a predicate.
func (t Type) Bits() int { return types[t].bits }

// Bytes returns the size in memory.
func (t Type) Bytes() int { return types[t].bits / 8 }

func (t Type) isFloat() bool { return types[t].kind == float }
func (t Type) isInt() bool   { return types[t].kind == signed || types[t].kind == unsigned }

// untyped is the .b type of the same width; predicates have none but their own.
func (t Type) untyped() Type {
	switch t.Bits() {
	case 16:
		return B16
	case 32:
		return B32
	case 64:
		return B64
	}
	return t
}

// carrier is the type that loads, stores and moves name: they know no packed or 16-bit floats.
func (t Type) carrier() Type {
	switch t {
	case BF16, F16, BF16x2, F16x2, TF32:
		return t.untyped()
	}
	return t
}

// accepts reports whether an instruction of type t takes a register of type r: its own type, or bits of the same width
// on either side.
func (t Type) accepts(r Type) bool {
	return t == r || t.Bits() == r.Bits() && (types[t].kind == plain || types[r].kind == plain) && t != Pred && r != Pred
}
