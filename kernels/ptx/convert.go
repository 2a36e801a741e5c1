package ptx

import "strings"

// Convert changes a number to type t. Integers are cut or extended; integers become floats, and wider floats narrower
// ones, by rounding to nearest even; floats become integers by cutting toward zero, saturating, NaN to 0.
func (k *Kernel) Convert(t Type, a Reg) Reg {
	from := k.numbers(a)
	if !t.isInt() && !t.isFloat() || t.Bits() < 16 || t == TF32 || t == BF16x2 || t == F16x2 || from == BF16x2 || from == F16x2 {
		k.fail("no conversion from %s to %s", from, t)
		return Reg{typ: t, name: "%none"}
	}
	mode, power := "", uint8(0)
	switch {
	case from.isInt() && t.isInt():
		power = a.power
	case t.isInt():
		mode = ".rzi"
	case from.isInt() || t.Bits() < from.Bits() || t.Bits() == 16 && from != t:
		mode = ".rn"
	}
	return k.define(t, power, "cvt"+mode+"."+t.String()+"."+from.String(), k.src(from, a))
}

// PackBF16 rounds two float32 to nearest even into one register, low in its lower half.
func (k *Kernel) PackBF16(low, high Operand) Reg {
	return k.define(BF16x2, 0, "cvt.rn.bf16x2.f32", k.src(F32, high), k.src(F32, low))
}

// PackF16 rounds two float32 to nearest even into one register, low in its lower half.
func (k *Kernel) PackF16(low, high Operand) Reg {
	return k.define(F16x2, 0, "cvt.rn.f16x2.f32", k.src(F32, high), k.src(F32, low))
}

// PackFP8 rounds two float32 to nearest even into 16 bits of e4m3 or e5m2, saturating, low in the lower byte.
func (k *Kernel) PackFP8(t Type, low, high Operand) Reg {
	if t != E4M3 && t != E5M2 {
		k.fail("%s is no 8-bit float", t)
	}
	return k.define(B16, 0, "cvt.rn.satfinite."+t.String()+"x2.f32", k.src(F32, high), k.src(F32, low))
}

// UnpackBF16 returns the two numbers of a packed register as float32, the lower half first: their bits are the upper
// half of a float32's.
func (k *Kernel) UnpackBF16(a Reg) (low, high Reg) {
	k.composite("UnpackBF16")
	w := k.src(B32, a)
	low = k.define(B32, 0, "shl.b32", w, "16").As(F32)
	high = k.define(B32, 0, "and.b32", w, "-65536").As(F32)
	return low, high
}

// RoundTF32 rounds a float32 to tf32, ties away from zero.
func (k *Kernel) RoundTF32(a Operand) Reg {
	return k.define(B32, 0, "cvt.rna.tf32.f32", k.src(F32, a))
}

// Join makes one register of type t from parts that fill it, the lowest first.
func (k *Kernel) Join(t Type, parts ...Reg) Reg {
	names := k.parts(t, parts)
	d := k.define(t.untyped(), 0, "mov."+t.untyped().String(), "{"+names+"}")
	return d.untyped(t)
}

// Split cuts a register into parts of type t, the lowest first.
func (k *Kernel) Split(t Type, a Reg) []Reg {
	k.composite("Split")
	from := k.typeOf(a)
	out := make([]Reg, from.Bits()/t.Bits())
	for i := range out {
		out[i] = k.fresh(t, 0)
	}
	k.emit("mov."+from.untyped().String(), "{"+k.parts(from, out)+"}", a.name)
	return out
}

func (k *Kernel) parts(t Type, parts []Reg) string {
	names, sum := make([]string, len(parts)), 0
	for i, p := range parts {
		if p.typ == 0 {
			k.fail("%s", p.describe())
			return ""
		}
		names[i] = p.name
		sum += p.typ.Bits()
	}
	if sum != t.Bits() || len(parts) < 2 {
		k.fail("%d parts of %d bits in all do not make up %s", len(parts), sum, t)
	}
	return strings.Join(names, ", ")
}
