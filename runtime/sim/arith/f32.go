package arith

import "math"

// NaN32 is the NaN that float32 instructions write.
const NaN32 = 0x7FFFFFFF

const (
	abs32 = 0x7FFFFFFF
	inf32 = 0x7F800000
	one32 = 0x3F800000
)

func value(u uint32) float64 { return float64(math.Float32frombits(u)) }

// bits32 gives the bits of a result, NaN as the hardware writes it.
func bits32(x float32) uint32 {
	if x != x {
		return NaN32
	}
	return math.Float32bits(x)
}

// Flush32 replaces a subnormal by the zero of its sign.
func Flush32(u uint32) uint32 {
	if u&inf32 == 0 {
		return u & 0x80000000
	}
	return u
}

// Add32 is add.rn.f32.
func Add32(a, b uint32) uint32 { return bits32(math.Float32frombits(a) + math.Float32frombits(b)) }

// Sub32 is sub.rn.f32.
func Sub32(a, b uint32) uint32 { return bits32(math.Float32frombits(a) - math.Float32frombits(b)) }

// Mul32 is mul.rn.f32.
func Mul32(a, b uint32) uint32 { return bits32(math.Float32frombits(a) * math.Float32frombits(b)) }

// FMA32 is fma.rn.f32: a·b + c, rounded once.
func FMA32(a, b, c uint32) uint32 {
	// The product is exact in float64. Rounding the sum twice, to 53 and to 24 bits, is wrong only when the first
	// rounding lands on a tie of the second, or when the result is subnormal and has fewer than 24 bits.
	s := value(a)*value(b) + value(c)
	u := math.Float64bits(s)
	if u<<35 == 1<<63 || u<<1-897<<53 >= (2047-897)<<53 {
		return fmaRare(a, b, c, s)
	}
	return math.Float32bits(float32(s))
}

// fmaRare is FMA32 where the float64 sum s is a tie, zero, infinite, NaN, or less than 2^-126.
func fmaRare(a, b, c uint32, s float64) uint32 {
	if s == 0 || s-s != 0 {
		return bits32(float32(s))
	}
	return fmaOdd(a, b, c, RN)
}

// fmaOdd is a·b + c in any rounding.
func fmaOdd(a, b, c uint32, r Rounding) uint32 {
	return roundSum(value(a)*value(b), value(c), r)
}

// roundSum rounds x + y to float32. An exact sum of opposite terms that is zero is -0 when rounding down (IEEE 754, 6.3).
func roundSum(x, y float64, r Rounding) uint32 {
	s := sumOdd(x, y)
	if s == 0 && r == RM && math.Signbit(x) != math.Signbit(y) {
		return 0x80000000
	}
	return uint32(f32.round(s, r))
}

// Add32M is add.f32 with modifiers.
func Add32M(a, b uint32, m Mode) uint32 {
	a, b = m.in(a), m.in(b)
	if m.Round == RN {
		return m.out(Add32(a, b))
	}
	return m.out(roundSum(value(a), value(b), m.Round))
}

// Sub32M is sub.f32 with modifiers.
func Sub32M(a, b uint32, m Mode) uint32 {
	return Add32M(a, b^0x80000000, m)
}

// Mul32M is mul.f32 with modifiers.
func Mul32M(a, b uint32, m Mode) uint32 {
	a, b = m.in(a), m.in(b)
	if m.Round == RN {
		return m.out(Mul32(a, b))
	}
	return m.out(uint32(f32.round(value(a)*value(b), m.Round)))
}

// FMA32M is fma.f32 with modifiers.
func FMA32M(a, b, c uint32, m Mode) uint32 {
	a, b, c = m.in(a), m.in(b), m.in(c)
	if m.Round == RN {
		return m.out(FMA32(a, b, c))
	}
	return m.out(fmaOdd(a, b, c, m.Round))
}

// Div32 is div.{rn,rz,rm,rp}{.ftz}.f32.
func Div32(a, b uint32, m Mode) uint32 {
	// A quotient x/y of 24-bit numbers that is not t, a number or a tie of 25 bits, is at least 2^-49 off: x - t·y is an
	// integer of 49 bits. So rounding to 53 bits cannot land on t, and rounding twice is right. Likewise in Sqrt32.
	return m.out(uint32(f32.round(value(m.in(a))/value(m.in(b)), m.Round)))
}

// Rcp32 is rcp.{rn,rz,rm,rp}{.ftz}.f32.
func Rcp32(a uint32, m Mode) uint32 { return Div32(one32, a, m) }

// Sqrt32 is sqrt.{rn,rz,rm,rp}{.ftz}.f32.
func Sqrt32(a uint32, m Mode) uint32 {
	return m.out(uint32(f32.round(math.Sqrt(value(m.in(a))), m.Round)))
}

// Abs32 is abs.f32.
func Abs32(a uint32, ftz bool) uint32 { return sign32(a, a&abs32, ftz) }

// Neg32 is neg.f32.
func Neg32(a uint32, ftz bool) uint32 { return sign32(a, a^0x80000000, ftz) }

func sign32(a, r uint32, ftz bool) uint32 {
	switch {
	case a&abs32 > inf32:
		return NaN32
	case ftz:
		return Flush32(r)
	}
	return r
}

// Copysign32 is copysign.f32: the magnitude of b with the sign of a, NaN payloads kept.
func Copysign32(a, b uint32) uint32 { return a&0x80000000 | b&abs32 }

// in applies .ftz to an operand.
func (m Mode) in(u uint32) uint32 {
	if m.FTZ {
		return Flush32(u)
	}
	return u
}

// out applies .ftz and .sat to a result.
func (m Mode) out(u uint32) uint32 {
	if m.FTZ {
		u = Flush32(u)
	}
	if m.Sat {
		return Saturate32(u)
	}
	return u
}

// Saturate32 clamps to [0, 1]; NaN becomes +0.
func Saturate32(u uint32) uint32 {
	switch {
	case u > inf32: // negative or NaN
		return 0
	case u > one32:
		return one32
	}
	return u
}
