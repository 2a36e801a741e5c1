package arith

import (
	"math"
	"math/bits"
)

// Rounding is the direction in which an inexact result is rounded.
type Rounding uint8

const (
	RN Rounding = iota // to nearest, ties to even (.rn, .rni)
	RZ                 // toward zero (.rz, .rzi)
	RM                 // toward minus infinity (.rm, .rmi)
	RP                 // toward plus infinity (.rp, .rpi)
)

// Mode holds the modifiers of a floating-point instruction. The zero Mode is .rn with subnormals kept.
type Mode struct {
	Round Rounding
	FTZ   bool // subnormal operands and results become zeros of their sign
	Sat   bool // the result is clamped to [0, 1], NaN becomes +0
	Relu  bool // a negative result becomes +0 (results of 16 and 8 bits); NaN stays

	SatFinite bool // a conversion gives the largest finite number instead of infinity
}

// format describes a binary floating-point format.
type format struct {
	man  int    // fraction bits
	bias int    // of the exponent field
	sign uint64 // the sign bit
	max  uint64 // the largest finite magnitude
	inf  uint64 // infinity
	nan  uint64 // what the hardware writes for NaN
}

var (
	f64  = format{52, 1023, 1 << 63, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, quiet64}
	f32  = format{23, 127, 1 << 31, 0x7F7FFFFF, 0x7F800000, 0x7FFFFFFF}
	f16  = format{10, 15, 1 << 15, 0x7BFF, 0x7C00, 0x7FFF}
	bf16 = format{7, 127, 1 << 15, 0x7F7F, 0x7F80, 0x7FFF}
	e5m2 = format{2, 15, 1 << 7, 0x7B, 0x7C, 0x7F}
	e4m3 = format{3, 7, 1 << 7, 0x7E, 0x7F, 0x7F} // no infinity: 7F is NaN, and conversions to e4m3 saturate
)

// pack rounds (-1)^neg · sig · 2^exp to the format. sig is exact, or odd when bits below its last one were lost
// (then it must have at least two bits more than the format).
func (f *format) pack(neg bool, sig uint64, exp int, r Rounding) uint64 {
	sign := uint64(0)
	if neg {
		sign = f.sign
	}
	if sig == 0 {
		return sign
	}
	lead := exp + bits.Len64(sig) - 1    // exponent of the leading bit
	field := max(lead+f.bias, 1)         // exponent field; subnormals share that of the smallest normals
	drop := field - f.bias - f.man - exp // bits of sig below the last place
	var kept, rest uint64                // rest: the dropped part as a fraction of the last place, in units of 2^-64
	switch {
	case drop <= 0:
		kept = sig << -drop
	case drop < 64:
		kept, rest = sig>>drop, sig<<(64-drop)
	default:
		rest = 1 // less than half: only integers have 64 bits, and they drop fewer
	}
	up := false
	switch r {
	case RN:
		up = rest > 1<<63 || rest == 1<<63 && kept&1 != 0
	case RM:
		up = neg && rest != 0
	case RP:
		up = !neg && rest != 0
	}
	if up {
		kept++
	}
	// The leading bit of a normal number carries into the exponent field, hence field-1; so does a carry from rounding.
	mag := uint64(field-1)<<f.man + kept
	if mag > f.max {
		if r == RZ || r == RM && !neg || r == RP && neg {
			return sign | f.max
		}
		return sign | f.inf
	}
	return sign | mag
}

// round rounds a float64, which may have been rounded to odd, to the format.
func (f *format) round(x float64, r Rounding) uint64 {
	u := math.Float64bits(x)
	neg, e, m := u>>63 != 0, int(u>>52&0x7FF), u&(1<<52-1)
	switch {
	case e == 0x7FF && m != 0:
		return f.nan
	case e == 0x7FF && neg:
		return f.sign | f.inf
	case e == 0x7FF:
		return f.inf
	case e == 0:
		e = 1
	default:
		m |= 1 << 52
	}
	return f.pack(neg, m, e-1075, r)
}

// sumOdd is a+b rounded to odd: exact, or the one of the two neighbours whose last bit is set. The sum must not overflow.
func sumOdd(a, b float64) float64 {
	s := a + b
	if s-s != 0 {
		return s // infinite or NaN, as the operands are
	}
	// Knuth's TwoSum: e is exactly a + b - s.
	t := s - a
	e := (a - (s - t)) + (b - t)
	u := math.Float64bits(s)
	switch {
	case e == 0 || u&1 != 0:
	case (e > 0) == (s > 0):
		u++
	default:
		u--
	}
	return math.Float64frombits(u)
}
