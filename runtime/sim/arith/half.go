package arith

import "math"

// Half is one of the two 16-bit formats. Functions ending in 2 work on packed pairs (f16x2, bf16x2).
type Half uint8

const (
	F16 Half = iota
	BF16
)

func (h Half) format() *format {
	if h == F16 {
		return &f16
	}
	return &bf16
}

// Widen is cvt.f32.f16 or cvt.f32.bf16: exact; a NaN of bf16 keeps its bits, one of f16 becomes NaN32.
func (h Half) Widen(x uint16) uint32 {
	if h == F16 {
		return F32FromF16(x)
	}
	return F32FromBF16(x)
}

// Value is Widen as a number.
func (h Half) Value(x uint16) float64 { return value(h.Widen(x)) }

// Add is add.rn.
func (h Half) Add(a, b uint16, m Mode) uint16 {
	// Rounding twice is right: the sum of two numbers of at most 11 bits is exact in float64, or far from any tie.
	return h.out(h.Value(h.in(a, m))+h.Value(h.in(b, m)), m)
}

// Sub is sub.rn.
func (h Half) Sub(a, b uint16, m Mode) uint16 { return h.Add(a, b^0x8000, m) }

// Mul is mul.rn.
func (h Half) Mul(a, b uint16, m Mode) uint16 {
	return h.out(h.Value(h.in(a, m))*h.Value(h.in(b, m)), m)
}

// FMA is fma.rn: one rounding.
func (h Half) FMA(a, b, c uint16, m Mode) uint16 {
	return h.out(sumOdd(h.Value(h.in(a, m))*h.Value(h.in(b, m)), h.Value(h.in(c, m))), m)
}

// Abs is abs; NaN becomes the hardware's.
func (h Half) Abs(a uint16, m Mode) uint16 { return h.signed(a, a&0x7FFF, m) }

// Neg is neg; NaN becomes the hardware's.
func (h Half) Neg(a uint16, m Mode) uint16 { return h.signed(a, a^0x8000, m) }

func (h Half) signed(a, r uint16, m Mode) uint16 {
	if h.isNaN(a) {
		return 0x7FFF
	}
	return h.in(r, m)
}

func (h Half) isNaN(x uint16) bool { return uint64(x&0x7FFF) > h.format().inf }

// in applies .ftz to an operand.
func (h Half) in(x uint16, m Mode) uint16 {
	if m.FTZ && uint64(x)&h.format().inf == 0 {
		return x & 0x8000
	}
	return x
}

// out rounds a result, exact or odd, and applies the modifiers.
func (h Half) out(x float64, m Mode) uint16 {
	r := uint16(h.format().round(x, RN))
	r = h.in(r, m)
	if m.Sat {
		return h.saturate(r)
	}
	if m.Relu && r >= 0x8000 {
		return 0
	}
	return r
}

// saturate clamps to [0, 1]; NaN becomes +0.
func (h Half) saturate(x uint16) uint16 {
	one := uint16(h.format().bias << h.format().man)
	switch {
	case x >= 0x8000 || h.isNaN(x):
		return 0
	case x > one:
		return one
	}
	return x
}

// Narrow is cvt.f16.f32 or cvt.bf16.f32 in any rounding, with .relu, .sat and .satfinite.
func (h Half) Narrow(u uint32, m Mode) uint16 {
	return uint16(narrow(h.format(), value(u), m))
}

// FromF64 is cvt.f16.f64 or cvt.bf16.f64.
func (h Half) FromF64(u uint64, m Mode) uint16 {
	return uint16(narrow(h.format(), math.Float64frombits(u), m))
}

// FromInt is cvt from a signed integer.
func (h Half) FromInt(v int64, r Rounding) uint16 { return uint16(fromInt(h.format(), v, r)) }

// FromUint is cvt from an unsigned integer.
func (h Half) FromUint(v uint64, r Rounding) uint16 {
	return uint16(h.format().pack(false, v, 0, r))
}

// Add2 is add on a pair.
func (h Half) Add2(a, b uint32, m Mode) uint32 {
	return pair(h.Add(uint16(a>>16), uint16(b>>16), m), h.Add(uint16(a), uint16(b), m))
}

// Sub2 is sub on a pair.
func (h Half) Sub2(a, b uint32, m Mode) uint32 { return h.Add2(a, b^0x80008000, m) }

// Mul2 is mul on a pair.
func (h Half) Mul2(a, b uint32, m Mode) uint32 {
	return pair(h.Mul(uint16(a>>16), uint16(b>>16), m), h.Mul(uint16(a), uint16(b), m))
}

// FMA2 is fma on a pair.
func (h Half) FMA2(a, b, c uint32, m Mode) uint32 {
	return pair(h.FMA(uint16(a>>16), uint16(b>>16), uint16(c>>16), m), h.FMA(uint16(a), uint16(b), uint16(c), m))
}

// Abs2 is abs on a pair.
func (h Half) Abs2(a uint32, m Mode) uint32 {
	return pair(h.Abs(uint16(a>>16), m), h.Abs(uint16(a), m))
}

// Neg2 is neg on a pair.
func (h Half) Neg2(a uint32, m Mode) uint32 {
	return pair(h.Neg(uint16(a>>16), m), h.Neg(uint16(a), m))
}

// Narrow2 is cvt.f16x2.f32 or cvt.bf16x2.f32 d, a, b: a becomes the upper half.
func (h Half) Narrow2(a, b uint32, m Mode) uint32 { return pair(h.Narrow(a, m), h.Narrow(b, m)) }

func pair(hi, lo uint16) uint32 { return uint32(hi)<<16 | uint32(lo) }
