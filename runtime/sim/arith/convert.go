package arith

import "math"

// F32FromBF16 is cvt.f32.bf16: exact, a NaN keeps its bits.
func F32FromBF16(x uint16) uint32 { return uint32(x) << 16 }

// F32FromF16 is cvt.f32.f16: exact, NaN32 for NaN.
func F32FromF16(x uint16) uint32 {
	sign, e, m := uint32(x&0x8000)<<16, uint32(x>>10&31), uint32(x&0x3FF)
	switch {
	case e == 31 && m != 0:
		return NaN32
	case e == 31:
		return sign | inf32
	case e == 0:
		return sign | math.Float32bits(float32(m)*0x1p-24)
	}
	return sign | (e+112)<<23 | m<<13
}

// CvtBF16 is cvt.rn.bf16.f32.
func CvtBF16(u uint32) uint16 {
	if u&abs32 > inf32 {
		return 0x7FFF
	}
	return uint16((u + 0x7FFF + u>>16&1) >> 16)
}

// CvtBF16x2 is cvt.rn.bf16x2.f32 d, a, b: a becomes the upper half, b the lower.
func CvtBF16x2(a, b uint32) uint32 { return pair(CvtBF16(a), CvtBF16(b)) }

// CvtTF32 is cvt.rna.tf32.f32: to 10 fraction bits, ties away from zero. A NaN is only cut, so that 7F800001 becomes
// infinity, as on hardware; satfinite takes one unit off infinities and NaNs, so that the former become the largest
// finite number.
func CvtTF32(u uint32, satfinite bool) uint32 {
	if u&abs32 < inf32 {
		u += 0x1000
	}
	u &^= 0x1FFF
	if satfinite && u&abs32 >= inf32 {
		return u - 0x2000
	}
	return u
}

// narrow rounds to a format of 16 or 8 bits and applies the modifiers of a conversion.
func narrow(f *format, x float64, m Mode) uint64 {
	r := f.round(x, m.Round)
	mag := r &^ f.sign
	switch {
	case x != x:
		if m.Sat {
			return 0
		}
		return f.nan
	case m.Relu && r&f.sign != 0:
		return 0
	case m.SatFinite && mag == f.inf:
		return r&f.sign | f.max
	case m.Sat && (r&f.sign != 0 || mag == 0):
		return 0
	case m.Sat:
		return min(r, uint64(f.bias)<<f.man)
	}
	return r
}

// F32FromF64 is cvt.{rn,rz,rm,rp}{.ftz}{.sat}.f32.f64. A NaN keeps its sign and the upper bits of its payload, and becomes quiet.
func F32FromF64(u uint64, m Mode) uint32 {
	if isNaN64(u) {
		return m.out(uint32(u>>32)&0x80000000 | 0x7FC00000 | uint32(u>>29)&0x7FFFFF)
	}
	return m.out(uint32(f32.round(math.Float64frombits(u), m.Round)))
}

// F64FromF32 is cvt{.ftz}.f64.f32: exact. A NaN keeps its sign and payload and becomes quiet; with .ftz it is NaN32 before.
func F64FromF32(u uint32, ftz bool) uint64 {
	if ftz {
		u = F32FromF32(u, Mode{FTZ: true})
	}
	if u&abs32 > inf32 {
		return uint64(u&0x80000000)<<32 | quiet64 | uint64(u&0x7FFFFF)<<29
	}
	return math.Float64bits(value(u))
}

// F32FromInt is cvt.{rn,rz,rm,rp}.f32 from a signed integer of any width.
func F32FromInt(v int64, r Rounding) uint32 { return uint32(fromInt(&f32, v, r)) }

// F32FromUint is cvt.{rn,rz,rm,rp}.f32 from an unsigned integer of any width.
func F32FromUint(v uint64, r Rounding) uint32 { return uint32(f32.pack(false, v, 0, r)) }

// F64FromInt is cvt.{rn,rz,rm,rp}.f64 from a signed integer of any width.
func F64FromInt(v int64, r Rounding) uint64 { return fromInt(&f64, v, r) }

// F64FromUint is cvt.{rn,rz,rm,rp}.f64 from an unsigned integer of any width.
func F64FromUint(v uint64, r Rounding) uint64 { return f64.pack(false, v, 0, r) }

func fromInt(f *format, v int64, r Rounding) uint64 {
	if v < 0 {
		return f.pack(true, uint64(-v), 0, r)
	}
	return f.pack(false, uint64(v), 0, r)
}

// integral rounds to an integer in the given direction.
func integral(x float64, r Rounding) float64 {
	switch r {
	case RZ:
		return math.Trunc(x)
	case RM:
		return math.Floor(x)
	case RP:
		return math.Ceil(x)
	}
	return math.RoundToEven(x)
}

// RoundToInt32 is cvt.{rni,rzi,rmi,rpi}{.ftz}{.sat}.f32.f32.
func RoundToInt32(u uint32, m Mode) uint32 {
	return m.out(bits32(float32(integral(value(m.in(u)), m.Round))))
}

// IntFromF64 is cvt.{rni,rzi,rmi,rpi} from float64, with the range of IntFromFloat; NaN gives the sign bit alone.
func IntFromF64(u uint64, r Rounding, width int, signed bool) uint64 {
	if isNaN64(u) {
		return 1 << (width - 1)
	}
	return IntFromFloat(math.Float64frombits(u), r, width, signed)
}

// IntFromFloat is cvt.{rni,rzi,rmi,rpi} from float32, f16 or bf16 (widened: exact) to an integer of the given width, 8 to 64
// bits. The result is clamped to the integer's range; NaN gives 0, or 8000000000000000 for 64 bits.
func IntFromFloat(x float64, r Rounding, width int, signed bool) uint64 {
	if x != x {
		if width == 64 {
			return 1 << 63
		}
		return 0
	}
	x = integral(x, r)
	if signed {
		limit := math.Ldexp(1, width-1)
		switch {
		case x >= limit:
			return 1<<(width-1) - 1
		case x < -limit:
			return uint64(int64(math.MinInt64) >> (64 - width))
		}
		return uint64(int64(x))
	}
	switch {
	case x <= 0:
		return 0
	case x >= math.Ldexp(1, width):
		return math.MaxUint64 >> (64 - width)
	}
	return uint64(x)
}

// F32FromF32 is cvt{.ftz}{.sat}.f32.f32: no rounding, only the modifiers; NaN32 for NaN.
func F32FromF32(u uint32, m Mode) uint32 { return m.out(bits32(math.Float32frombits(m.in(u)))) }
