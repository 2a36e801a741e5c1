package sim

// dtype is a PTX fundamental type: its letter and its width; lanes > 1 for packed types (bf16x2).
type dtype struct {
	class byte // 'b' bits, 'u', 's', 'f' float, 'h' alternate float (bf16, tf32, fp8), 'p' predicate; 0: none
	bits  int  // of the register that holds it
	name  string
}

// types are the type modifiers that occur in opcodes and declarations, sorted by name.
var types = []dtype{
	{'b', 1024, "b1024"}, {'b', 128, "b128"}, {'b', 16, "b16"}, {'b', 32, "b32"}, {'b', 64, "b64"}, {'b', 8, "b8"},
	{'h', 16, "bf16"}, {'h', 32, "bf16x2"}, {'h', 8, "e4m3"}, {'h', 16, "e4m3x2"}, {'h', 8, "e5m2"}, {'h', 16, "e5m2x2"},
	{'f', 16, "f16"}, {'f', 32, "f16x2"}, {'f', 32, "f32"}, {'f', 64, "f64"},
	{'p', 1, "pred"},
	{'s', 16, "s16"}, {'s', 32, "s16x2"}, {'s', 32, "s32"}, {'s', 64, "s64"}, {'s', 8, "s8"},
	{'h', 32, "tf32"},
	{'u', 16, "u16"}, {'u', 32, "u16x2"}, {'u', 32, "u32"}, {'u', 64, "u64"}, {'u', 8, "u8"},
}

// typeNamed finds a type; class 0 when there is none of that name.
func typeNamed(name string) dtype {
	for _, t := range types {
		if t.name == name {
			return t
		}
	}
	return dtype{}
}

func (t dtype) signed() bool { return t.class == 's' }

// bytes is the size in memory.
func (t dtype) bytes() int { return max(1, t.bits/8) }

// accepts tells whether a register declared as r may stand where the instruction works in t: the same width, and kinds
// that do not contradict each other. Untyped bits go with everything, signed with unsigned, packed and alternate floats
// live in untyped registers (ISA: "operand type checking").
func (t dtype) accepts(r dtype) bool {
	if t.class == 'p' || r.class == 'p' {
		return t.class == r.class
	}
	if t.bits != r.bits {
		return false
	}
	return compatible(t, r)
}

func compatible(t, r dtype) bool {
	switch {
	case t.class == 'b' || r.class == 'b' || t.class == r.class && t.class != 'h':
		return true
	case t.class == 'h' || r.class == 'h':
		return r.class != 'f' || t.name == "tf32"
	case t.class == 'u' || t.class == 's':
		return r.class == 'u' || r.class == 's'
	case t.name == "f16x2" || t.name == "u16x2" || t.name == "s16x2":
		return r.class != 'f'
	}
	return false
}
