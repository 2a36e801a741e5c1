package arith

import "math"

// Add64 is add.rn.f64.
func Add64(a, b uint64) uint64 {
	return bits64(math.Float64frombits(a) + math.Float64frombits(b))
}

// Sub64 is sub.rn.f64.
func Sub64(a, b uint64) uint64 {
	return bits64(math.Float64frombits(a) - math.Float64frombits(b))
}

// Mul64 is mul.rn.f64.
func Mul64(a, b uint64) uint64 {
	return bits64(math.Float64frombits(a) * math.Float64frombits(b))
}

// FMA64 is fma.rn.f64.
func FMA64(a, b, c uint64) uint64 {
	return bits64(math.FMA(math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(c)))
}

// Div64 is div.rn.f64.
func Div64(a, b uint64) uint64 {
	return bits64(math.Float64frombits(a) / math.Float64frombits(b))
}

// Sqrt64 is sqrt.rn.f64.
func Sqrt64(a uint64) uint64 { return bits64(math.Sqrt(math.Float64frombits(a))) }

func bits64(x float64) uint64 {
	if x != x {
		return NaN64
	}
	return math.Float64bits(x)
}

// NaN64 is the NaN that float64 instructions write.
const NaN64 = 0xFFF8000000000000
