package arith

import "math"

// Operations on float64 are .rn, the only rounding the simulator's instruction table has for them. A result is NaN in one of
// two ways: the first operand that is NaN, made quiet, or, without one, FFF8000000000000.

const quiet64 = 0x7FF8000000000000

func isNaN64(u uint64) bool { return u<<1 > 0x7FF<<53 }

// Add64 is add.rn.f64.
func Add64(a, b uint64) uint64 {
	return nan64(math.Float64frombits(a)+math.Float64frombits(b), a, b, b)
}

// Sub64 is sub.rn.f64.
func Sub64(a, b uint64) uint64 {
	return nan64(math.Float64frombits(a)-math.Float64frombits(b), a, b, b)
}

// Mul64 is mul.rn.f64.
func Mul64(a, b uint64) uint64 {
	return nan64(math.Float64frombits(a)*math.Float64frombits(b), a, b, b)
}

// FMA64 is fma.rn.f64.
func FMA64(a, b, c uint64) uint64 {
	return nan64(math.FMA(math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(c)), a, b, c)
}

// Div64 is div.rn.f64.
func Div64(a, b uint64) uint64 {
	return nan64(math.Float64frombits(a)/math.Float64frombits(b), a, b, b)
}

// Sqrt64 is sqrt.rn.f64.
func Sqrt64(a uint64) uint64 { return nan64(math.Sqrt(math.Float64frombits(a)), a, a, a) }

// nan64 gives the bits of a result, of operands a, b, c.
func nan64(x float64, a, b, c uint64) uint64 {
	switch {
	case x == x:
		return math.Float64bits(x)
	case isNaN64(a):
		return a | quiet64
	case isNaN64(b):
		return b | quiet64
	case isNaN64(c):
		return c | quiet64
	}
	return 0xFFF8000000000000
}
