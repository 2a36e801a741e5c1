package arith

import (
	"maps"
	"slices"
	"testing"
)

type fn = func(a, b, c uint64) uint64

func u32fn(f func(a, b, c uint32) uint32) fn {
	return func(a, b, c uint64) uint64 { return uint64(f(uint32(a), uint32(b), uint32(c))) }
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

var roundings = map[string]Rounding{"rn": RN, "rz": RZ, "rm": RM, "rp": RP}

func TestFloat32(t *testing.T) {
	fs := map[string]fn{}
	for n, r := range roundings {
		m, z := Mode{Round: r}, Mode{Round: r, FTZ: true}
		fs["add."+n+".f32"] = u32fn(func(a, b, _ uint32) uint32 { return Add32M(a, b, m) })
		fs["sub."+n+".f32"] = u32fn(func(a, b, _ uint32) uint32 { return Sub32M(a, b, m) })
		fs["mul."+n+".f32"] = u32fn(func(a, b, _ uint32) uint32 { return Mul32M(a, b, m) })
		fs["fma."+n+".f32"] = u32fn(func(a, b, c uint32) uint32 { return FMA32M(a, b, c, m) })
		fs["fma."+n+".ftz.f32"] = u32fn(func(a, b, c uint32) uint32 { return FMA32M(a, b, c, z) })
		fs["div."+n+".f32"] = u32fn(func(a, b, _ uint32) uint32 { return Div32(a, b, m) })
		fs["rcp."+n+".f32"] = u32fn(func(a, _, _ uint32) uint32 { return Rcp32(a, m) })
		fs["sqrt."+n+".f32"] = u32fn(func(a, _, _ uint32) uint32 { return Sqrt32(a, m) })
	}
	ftz, sat := Mode{FTZ: true}, Mode{Sat: true}
	fs["add.ftz.f32"] = u32fn(func(a, b, _ uint32) uint32 { return Add32M(a, b, ftz) })
	fs["mul.ftz.f32"] = u32fn(func(a, b, _ uint32) uint32 { return Mul32M(a, b, ftz) })
	fs["add.sat.f32"] = u32fn(func(a, b, _ uint32) uint32 { return Add32M(a, b, sat) })
	fs["mul.sat.f32"] = u32fn(func(a, b, _ uint32) uint32 { return Mul32M(a, b, sat) })
	fs["fma.rn.sat.f32"] = u32fn(func(a, b, c uint32) uint32 { return FMA32M(a, b, c, sat) })
	fs["mul then add"] = u32fn(func(a, b, c uint32) uint32 { return Add32(Mul32(a, b), c) })
	fs["div.approx.f32"] = u32fn(func(a, b, _ uint32) uint32 { return DivApprox(a, b, false) })
	fs["div.approx.ftz.f32"] = u32fn(func(a, b, _ uint32) uint32 { return DivApprox(a, b, true) })
	fs["div.full.f32"] = u32fn(func(a, b, _ uint32) uint32 { return DivFull(a, b, false) })
	fs["div.full.ftz.f32"] = u32fn(func(a, b, _ uint32) uint32 { return DivFull(a, b, true) })
	for n, o := range map[string]MinMax{"min": {}, "max": {Max: true}, "min.ftz": {FTZ: true}, "min.NaN": {NaN: true}, "max.NaN": {Max: true, NaN: true},
		"min.xorsign.abs": {XorSign: true}, "max.NaN.xorsign.abs": {Max: true, NaN: true, XorSign: true}} {
		fs[n+".f32"] = u32fn(func(a, b, _ uint32) uint32 { return o.F32(a, b) })
	}
	fs["min.f64"] = func(a, b, _ uint64) uint64 { return MinMax{}.F64(a, b) }
	fs["max.f64"] = func(a, b, _ uint64) uint64 { return MinMax{Max: true}.F64(a, b) }
	fs["copysign.f32"] = u32fn(func(a, b, _ uint32) uint32 { return Copysign32(a, b) })
	fs["abs.f32"] = u32fn(func(a, _, _ uint32) uint32 { return Abs32(a, false) })
	fs["abs.ftz.f32"] = u32fn(func(a, _, _ uint32) uint32 { return Abs32(a, true) })
	fs["neg.f32"] = u32fn(func(a, _, _ uint32) uint32 { return Neg32(a, false) })
	fs["neg.ftz.f32"] = u32fn(func(a, _, _ uint32) uint32 { return Neg32(a, true) })
	for n, k := range map[string]Class{"finite": Finite, "infinite": Infinite, "number": Number, "notanumber": NotANumber, "normal": Normal, "subnormal": Subnormal} {
		fs["testp."+n+".f32"] = u32fn(func(a, _, _ uint32) uint32 { return flag(k.Holds32(a)) })
	}
	fs["add.rn.f64"] = func(a, b, _ uint64) uint64 { return Add64(a, b) }
	fs["mul.rn.f64"] = func(a, b, _ uint64) uint64 { return Mul64(a, b) }
	fs["div.rn.f64"] = func(a, b, _ uint64) uint64 { return Div64(a, b) }
	fs["fma.rn.f64"] = func(a, b, c uint64) uint64 { return FMA64(a, b, c) }
	fs["sqrt.rn.f64"] = func(a, _, _ uint64) uint64 { return Sqrt64(a) }
	elementwise(t, "f32", fs)
}

func TestHalf(t *testing.T) {
	fs := map[string]fn{}
	for name, h := range map[string]Half{"bf16x2": BF16, "f16x2": F16} {
		var plain Mode
		relu := Mode{Relu: true}
		fs["add.rn."+name] = u32fn(func(a, b, _ uint32) uint32 { return h.Add2(a, b, plain) })
		fs["sub.rn."+name] = u32fn(func(a, b, _ uint32) uint32 { return h.Sub2(a, b, plain) })
		fs["mul.rn."+name] = u32fn(func(a, b, _ uint32) uint32 { return h.Mul2(a, b, plain) })
		fs["fma.rn."+name] = u32fn(func(a, b, c uint32) uint32 { return h.FMA2(a, b, c, plain) })
		fs["fma.rn.relu."+name] = u32fn(func(a, b, c uint32) uint32 { return h.FMA2(a, b, c, relu) })
		fs["abs."+name] = u32fn(func(a, _, _ uint32) uint32 { return h.Abs2(a, plain) })
		fs["neg."+name] = u32fn(func(a, _, _ uint32) uint32 { return h.Neg2(a, plain) })
		for n, o := range map[string]MinMax{"min": {}, "max": {Max: true}, "min.NaN": {NaN: true}, "max.NaN": {Max: true, NaN: true}, "min.xorsign.abs": {XorSign: true}} {
			fs[n+"."+name] = u32fn(func(a, b, _ uint32) uint32 { return o.Half2(h, a, b) })
		}
	}
	fs["ex2.approx.ftz.bf16x2"] = u32fn(func(a, _, _ uint32) uint32 { return BF16.Ex2Approx2(a) })
	fs["tanh.approx.bf16x2"] = u32fn(func(a, _, _ uint32) uint32 { return BF16.TanhApprox2(a) })
	fs["ex2.approx.f16x2"] = u32fn(func(a, _, _ uint32) uint32 { return F16.Ex2Approx2(a) })
	fs["tanh.approx.f16x2"] = u32fn(func(a, _, _ uint32) uint32 { return F16.TanhApprox2(a) })
	fs["fma.rn.sat.f16x2"] = u32fn(func(a, b, c uint32) uint32 { return F16.FMA2(a, b, c, Mode{Sat: true}) })
	fs["fma.rn.ftz.f16x2"] = u32fn(func(a, b, c uint32) uint32 { return F16.FMA2(a, b, c, Mode{FTZ: true}) })
	fs["add.ftz.f16x2"] = u32fn(func(a, b, _ uint32) uint32 { return F16.Add2(a, b, Mode{FTZ: true}) })
	fs["add.sat.f16x2"] = u32fn(func(a, b, _ uint32) uint32 { return F16.Add2(a, b, Mode{Sat: true}) })
	elementwise(t, "half", fs)
}

func TestConversions(t *testing.T) {
	fs := map[string]fn{}
	// toInt is cvt to an integer of a width, sign- or zero-extended to 32 bits as the case's second cvt does.
	toInt := func(r Rounding, width int, signed bool) fn {
		return func(a, _, _ uint64) uint64 {
			v := IntFromFloat(value(uint32(a)), r, width, signed)
			if signed && width < 32 {
				return uint64(uint32(int32(int64(v<<(64-width)) >> (64 - width))))
			}
			return v & (1<<max(width, 32) - 1)
		}
	}
	for n, r := range roundings {
		m := Mode{Round: r}
		fs["cvt."+n+"i.s32.f32"] = toInt(r, 32, true)
		fs["cvt."+n+"i.u32.f32"] = toInt(r, 32, false)
		fs["cvt."+n+"i.f32.f32"] = u32fn(func(a, _, _ uint32) uint32 { return RoundToInt32(a, m) })
		fs["cvt."+n+".f32.s32"] = u32fn(func(a, _, _ uint32) uint32 { return F32FromInt(int64(int32(a)), r) })
		fs["cvt."+n+".f32.u32"] = u32fn(func(a, _, _ uint32) uint32 { return F32FromUint(uint64(a), r) })
		fs["cvt."+n+".f32.s64"] = func(a, _, _ uint64) uint64 { return uint64(F32FromInt(int64(a), r)) }
		fs["cvt."+n+".f32.f64"] = func(a, _, _ uint64) uint64 { return uint64(F32FromF64(a, m)) }
	}
	fs["cvt.rni.ftz.f32.f32"] = u32fn(func(a, _, _ uint32) uint32 { return RoundToInt32(a, Mode{FTZ: true}) })
	for n, w := range map[string]int{"8": 8, "16": 16} {
		for _, sat := range []string{"", "sat."} {
			fs["cvt.rni."+sat+"s"+n+".f32"] = toInt(RN, w, true)
			fs["cvt.rni."+sat+"u"+n+".f32"] = toInt(RN, w, false)
		}
	}
	fs["cvt.rzi.s64.f32"] = toInt(RZ, 64, true)
	fs["cvt.rzi.u64.f32"] = toInt(RZ, 64, false)
	fs["cvt.rzi.s32.f64"] = func(a, _, _ uint64) uint64 { return uint64(uint32(IntFromF64(a, RZ, 32, true))) }
	fs["cvt.rn.f32.u64"] = func(a, _, _ uint64) uint64 { return uint64(F32FromUint(a, RN)) }
	fs["cvt.rn.ftz.f32.f64"] = func(a, _, _ uint64) uint64 { return uint64(F32FromF64(a, Mode{FTZ: true})) }
	fs["cvt.f64.f32"] = func(a, _, _ uint64) uint64 { return F64FromF32(uint32(a), false) }
	fs["cvt.ftz.f64.f32"] = func(a, _, _ uint64) uint64 { return F64FromF32(uint32(a), true) }
	fs["cvt.sat.f32.f32"] = u32fn(func(a, _, _ uint32) uint32 { return F32FromF32(a, Mode{Sat: true}) })
	fs["cvt.ftz.f32.f32"] = u32fn(func(a, _, _ uint32) uint32 { return F32FromF32(a, Mode{FTZ: true}) })
	for n, m := range map[string]Mode{"rn": {}, "rz": {Round: RZ}, "rn.relu": {Relu: true}, "rz.relu": {Round: RZ, Relu: true}} {
		fs["cvt."+n+".bf16.f32"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(BF16.Narrow(a, m)) })
		fs["cvt."+n+".bf16x2.f32"] = u32fn(func(a, b, _ uint32) uint32 { return BF16.Narrow2(a, b, m) })
		fs["cvt."+n+".f16x2.f32"] = u32fn(func(a, b, _ uint32) uint32 { return F16.Narrow2(a, b, m) })
	}
	fs["cvt.rn.satfinite.bf16.f32"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(BF16.Narrow(a, Mode{SatFinite: true})) })
	fs["cvt.rn.satfinite.relu.bf16x2.f32"] = u32fn(func(a, b, _ uint32) uint32 { return BF16.Narrow2(a, b, Mode{SatFinite: true, Relu: true}) })
	fs["cvt.rn.f16.f32"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(F16.Narrow(a, Mode{})) })
	fs["cvt.rz.f16.f32"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(F16.Narrow(a, Mode{Round: RZ})) })
	fs["cvt.rn.sat.f16.f32"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(F16.Narrow(a, Mode{Sat: true})) })
	fs["cvt.rna.tf32.f32"] = u32fn(func(a, _, _ uint32) uint32 { return CvtTF32(a, false) })
	fs["cvt.rna.satfinite.tf32.f32"] = u32fn(func(a, _, _ uint32) uint32 { return CvtTF32(a, true) })
	fs["cvt.f32.f16"] = u32fn(func(a, _, _ uint32) uint32 { return F32FromF16(uint16(a >> 16)) })
	fs["cvt.f32.bf16"] = u32fn(func(a, _, _ uint32) uint32 { return F32FromBF16(uint16(a >> 16)) })
	fs["cvt.rn.bf16.f16 by f32"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(CvtBF16(F32FromF16(uint16(a >> 16)))) })
	for n, f := range map[string]FP8{"e4m3x2": E4M3, "e5m2x2": E5M2} {
		fs["cvt.rn.satfinite."+n+".f32"] = u32fn(func(a, b, _ uint32) uint32 { return uint32(f.Narrow2(a, b, false)) })
		fs["cvt.rn.satfinite.relu."+n+".f32"] = u32fn(func(a, b, _ uint32) uint32 { return uint32(f.Narrow2(a, b, true)) })
		fs["cvt.rn.satfinite."+n+".f16x2"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(f.NarrowF16x2(a, false)) })
		fs["cvt.rn.f16x2."+n] = u32fn(func(a, _, _ uint32) uint32 { return f.WidenF16x2(uint16(a >> 16)) })
	}
	fs["cvt.rn.f16.s32"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(F16.FromInt(int64(int32(a)), RN)) })
	fs["cvt.rn.bf16.s32"] = u32fn(func(a, _, _ uint32) uint32 { return uint32(BF16.FromInt(int64(int32(a)), RN)) })
	fs["cvt.rni.s32.bf16"] = u32fn(func(a, _, _ uint32) uint32 {
		return uint32(IntFromFloat(BF16.Value(uint16(a>>16)), RN, 32, true))
	})
	fs["cvt.rzi.s32.f16"] = u32fn(func(a, _, _ uint32) uint32 {
		return uint32(IntFromFloat(F16.Value(uint16(a>>16)), RZ, 32, true))
	})
	elementwise(t, "cvt", fs)
}

// approximations are the instructions whose model is exact, by name.
var approximations = map[string]func(uint32) uint32{
	"ex2.approx.f32":       func(x uint32) uint32 { return Ex2Approx(x, false) },
	"ex2.approx.ftz.f32":   func(x uint32) uint32 { return Ex2Approx(x, true) },
	"lg2.approx.f32":       func(x uint32) uint32 { return Lg2Approx(x, false) },
	"lg2.approx.ftz.f32":   func(x uint32) uint32 { return Lg2Approx(x, true) },
	"rcp.approx.f32":       func(x uint32) uint32 { return RcpApprox(x, false) },
	"rcp.approx.ftz.f32":   func(x uint32) uint32 { return RcpApprox(x, true) },
	"rsqrt.approx.f32":     func(x uint32) uint32 { return RsqrtApprox(x, false) },
	"rsqrt.approx.ftz.f32": func(x uint32) uint32 { return RsqrtApprox(x, true) },
	"sqrt.approx.f32":      func(x uint32) uint32 { return SqrtApprox(x, false) },
	"sqrt.approx.ftz.f32":  func(x uint32) uint32 { return SqrtApprox(x, true) },
	"tanh.approx.f32":      TanhApprox,
	"sin.approx.f32":       SinApprox,
	"cos.approx.f32":       CosApprox,
}

func TestApproximations(t *testing.T) {
	fs := map[string]fn{}
	for name, f := range approximations {
		fs[name] = u32fn(func(a, _, _ uint32) uint32 { return f(a) })
	}
	elementwise(t, "approx", fs)
}

func BenchmarkApprox(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(approximations)) {
		f := approximations[name]
		b.Run(name, func(b *testing.B) {
			x, s := uint32(0x3F000000), uint32(0)
			for b.Loop() {
				s += f(x)
				x += 4099
			}
			sink = s
		})
	}
}

var sink uint32

func BenchmarkCvtBF16x2(b *testing.B) {
	var x, y, d [32]uint32
	for i := range x {
		x[i], y[i] = one32+uint32(i)*0x12345, one32+uint32(i)*0x54321
	}
	for b.Loop() {
		for i := range d {
			d[i] = CvtBF16x2(x[i], y[i])
		}
	}
	sink = d[7]
}
