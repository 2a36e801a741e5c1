package arith

import "math"

// The .approx instructions as ptxas expands them for sm_90: the forms without .ftz scale subnormal operands (and those
// with subnormal results) into the range of the special function unit and scale the result back.

const (
	f32Half = 0x3F000000 // 0.5
	two24   = 0x4B800000 // 2^24
	two12   = 0x45800000 // 2^12
	twoM12  = 0x39800000 // 2^-12
	quarter = 0x3E800000 // 2^-2
)

func subnormal32(x uint32) bool { return x&inf32 == 0 }

// Ex2Approx is ex2.approx{.ftz}.f32.
func Ex2Approx(x uint32, ftz bool) uint32 {
	if !ftz && math.Float32frombits(x) < -126 {
		r := mufuEx2(Mul32(x, f32Half))
		return Mul32(r, r)
	}
	return mufuEx2(x)
}

// Lg2Approx is lg2.approx{.ftz}.f32.
func Lg2Approx(x uint32, ftz bool) uint32 {
	if !ftz && subnormal32(x) {
		return Sub32(mufuLg2(Mul32(x, two24)), 0x41C00000) // 24
	}
	return mufuLg2(x)
}

// RcpApprox is rcp.approx{.ftz}.f32.
func RcpApprox(x uint32, ftz bool) uint32 {
	if ftz {
		return mufuRcp(x)
	}
	s := uint32(one32)
	if subnormal32(x) {
		s = two24
	} else if x&abs32 > 0x7E800000 { // 2^126, above which the result is subnormal
		s = quarter
	}
	return Mul32(mufuRcp(Mul32(x, s)), s)
}

// RsqrtApprox is rsqrt.approx{.ftz}.f32.
func RsqrtApprox(x uint32, ftz bool) uint32 {
	if !ftz && subnormal32(x) {
		return Mul32(mufuRsqrt(Mul32(x, two24)), two12)
	}
	return mufuRsqrt(x)
}

// SqrtApprox is sqrt.approx{.ftz}.f32.
func SqrtApprox(x uint32, ftz bool) uint32 {
	if !ftz && subnormal32(x) {
		return Mul32(mufuSqrt(Mul32(x, two24)), twoM12)
	}
	return mufuSqrt(x)
}

// TanhApprox is tanh.approx.f32.
func TanhApprox(x uint32) uint32 { return mufuTanh(x) }

// SinApprox is sin.approx{.ftz}.f32.
func SinApprox(x uint32) uint32 { return mufuSin(turns(x), x>>31<<1) }

// CosApprox is cos.approx{.ftz}.f32.
func CosApprox(x uint32) uint32 { return mufuSin(turns(x), 1) }

// turns turns an angle into revolutions, by a product cut toward zero, and drops the sign.
func turns(x uint32) uint32 {
	const perRevolution = 0x3E22F983 // 1/2π
	return Mul32M(x&abs32, perRevolution, Mode{Round: RZ, FTZ: true})
}

// DivApprox is div.approx{.ftz}.f32: x·rcp(y).
func DivApprox(x, y uint32, ftz bool) uint32 {
	m := Mode{FTZ: ftz}
	s := uint32(one32)
	if !ftz && subnormal32(y) {
		s = two24
	}
	return divScaled(x, y, s, m)
}

// DivFull is div.full{.ftz}.f32: as DivApprox, and |y| > 2^126 is scaled by 1/4.
func DivFull(x, y uint32, ftz bool) uint32 {
	m := Mode{FTZ: ftz}
	s := uint32(one32)
	if !ftz && subnormal32(y) {
		s = two24
	} else if y&abs32 > 0x7E800000 {
		s = quarter
	}
	return divScaled(x, y, s, m)
}

func divScaled(x, y, s uint32, m Mode) uint32 {
	return Mul32M(Mul32M(x, mufuRcp(Mul32M(y, s, m)), m), s, m)
}

// Ex2Approx2 is ex2.approx.ftz.bf16x2 or ex2.approx.f16x2.
func (h Half) Ex2Approx2(a uint32) uint32 { return h.approx2(mufuEx2, a) }

// TanhApprox2 is tanh.approx.bf16x2 or tanh.approx.f16x2.
func (h Half) TanhApprox2(a uint32) uint32 { return h.approx2(mufuTanh, a) }

// approx2 applies the special function unit to both halves.
func (h Half) approx2(f func(uint32) uint32, a uint32) uint32 {
	return pair(h.cut(f(h.Widen(uint16(a>>16)))), h.cut(f(h.Widen(uint16(a)))))
}

// cut drops the low bits of a float32; from 2^16 on, f16 has only infinity.
func (h Half) cut(u uint32) uint16 {
	switch {
	case h == BF16:
		return uint16(u >> 16)
	case u&abs32 >= 0x47800000:
		return h.Narrow(u, Mode{})
	}
	return h.Narrow(u, Mode{Round: RZ})
}
