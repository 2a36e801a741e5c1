package sim

import (
	"math"

	"moegen/runtime/sim/arith"
)

// convert lowers cvt: among integers, between integers and floats, among floats.
func (l *lowering) convert() {
	in := l.in
	if len(in.args) == 3 { // two floats into a pair
		l.convertPair()
		return
	}
	d, s := in.types[0], in.types[1]
	f := l.conversion(d, s)
	if f == nil {
		l.fail(Unsupported, "cvt to .%s from .%s is not simulated", d.name, s.name)
		return
	}
	to, from := d.bits, s.bits
	if o := in.args[0]; o.kind == operandRegister {
		to = l.f.regs[o.reg].typ.bits
	}
	if o := in.args[1]; o.kind == operandRegister {
		from = l.f.regs[o.reg].typ.bits
	}
	if to > d.bits && d.signed() { // a narrow signed result fills its register
		g := f
		f = func(a uint64) uint64 { return cut(uint64(signExtend(g(a), d.bits)), to) }
	}
	dst, src := l.destination(in.args[0], to == 64), l.source(in.args[1], s)
	narrow := func(a uint64) uint64 { return f(cut(a, s.bits)) }
	switch {
	case to == 64 && from == 32 && d.bits == 64 && s.bits == 32 && d.integer() && s.integer():
		l.step.run = widened(dst, src, s.signed())
	case to == 32 && from == 64 && d.bits == 32 && d.integer() && s.integer() && !in.has("sat"):
		l.step.run = func(w *warp, m uint32) {
			x, r := w.v64(src), w.v32(dst)
			for i := range r {
				if m>>i&1 != 0 {
					r[i] = uint32(x[i])
				}
			}
			w.def[dst] = w.def[dst]&^m | w.def[src]&m
		}
	case to == 64 && from == 64:
		l.step.run = lanes1(dst, src, narrow)
	case to == 64:
		l.step.run = lanes1(dst, src, func(a uint32) uint64 { return narrow(uint64(a)) })
	case from == 64:
		l.step.run = lanes1(dst, src, func(a uint64) uint32 { return uint32(narrow(a)) })
	case d.name == "f32" && s.name == "bf16" && len(in.mods) == 2:
		l.step.run = whole2(lanes.shiftLeft, dst, src, l.constant(constant{bits: 16}))
	default:
		l.step.run = lanes1(dst, src, func(a uint32) uint32 { return uint32(narrow(uint64(a))) })
	}
}

// widened makes 64-bit integers of 32-bit ones.
func widened(d, a int, signed bool) func(*warp, uint32) {
	return func(w *warp, m uint32) {
		x, r := w.v32(a), w.v64(d)
		for i := range r {
			if m>>i&1 == 0 {
				continue
			}
			if signed {
				r[i] = uint64(int32(x[i]))
			} else {
				r[i] = uint64(x[i])
			}
		}
		w.def[d] = w.def[d]&^m | w.def[a]&m
	}
}

func (t dtype) integer() bool { return t.class == 'u' || t.class == 's' }

//go:noinline
func (l *lowering) conversion(d, s dtype) func(uint64) uint64 {
	in := l.in
	switch {
	case d.integer() && s.integer():
		return intConversion(d, s, in.has("sat"))
	case d.integer():
		return toInteger(d, s, in.mode())
	case s.integer():
		return fromInteger(d, s, in.mode())
	}
	return l.floatConversion(d, s, in.mode())
}

//go:noinline
func intConversion(d, s dtype, sat bool) func(uint64) uint64 {
	if !sat {
		return func(a uint64) uint64 { return cut(s.extend(a), d.bits) }
	}
	return func(a uint64) uint64 {
		x := s.extend(a)
		negative := s.signed() && int64(x) < 0
		switch {
		case d.signed():
			limit := uint64(1)<<(d.bits-1) - 1
			if negative {
				return cut(uint64(max(int64(x), -int64(limit)-1)), d.bits)
			}
			return min(x, limit)
		case negative:
			return 0
		}
		return min(x, cut(full64, d.bits))
	}
}

//go:noinline
func toInteger(d, s dtype, m arith.Mode) func(uint64) uint64 {
	switch s.name {
	case "f64":
		return func(a uint64) uint64 { return cut(arith.IntFromF64(a, m.Round, d.bits, d.signed()), d.bits) }
	case "f32":
		return func(a uint64) uint64 {
			u := uint32(a)
			if m.FTZ {
				u = flush(u)
			}
			return cut(arith.IntFromFloat(float64(math.Float32frombits(u)), m.Round, d.bits, d.signed()), d.bits)
		}
	}
	h := halfOf(s)
	return func(a uint64) uint64 {
		return cut(arith.IntFromFloat(h.Value(uint16(a)), m.Round, d.bits, d.signed()), d.bits)
	}
}

//go:noinline
func fromInteger(d, s dtype, m arith.Mode) func(uint64) uint64 {
	h := halfOf(d)
	clamp := func(v uint64) uint64 { return v }
	if m.Sat && d.name == "f32" {
		clamp = func(v uint64) uint64 { return uint64(arith.Saturate32(uint32(v))) }
	}
	signed := s.signed()
	return func(a uint64) uint64 {
		x := s.extend(a)
		switch {
		case d.name == "f32" && signed:
			return clamp(uint64(arith.F32FromInt(int64(x), m.Round)))
		case d.name == "f32":
			return clamp(uint64(arith.F32FromUint(x, m.Round)))
		case d.name == "f64" && signed:
			return arith.F64FromInt(int64(x), m.Round)
		case d.name == "f64":
			return arith.F64FromUint(x, m.Round)
		case signed:
			return uint64(h.FromInt(int64(x), m.Round))
		}
		return uint64(h.FromUint(x, m.Round))
	}
}

//go:noinline
func (l *lowering) floatConversion(d, s dtype, m arith.Mode) func(uint64) uint64 {
	in := l.in
	integral := in.one("rni", "rzi", "rmi", "rpi") != ""
	switch d.name + " " + s.name {
	case "f32 f32":
		if integral {
			return func(a uint64) uint64 { return uint64(arith.RoundToInt32(uint32(a), m)) }
		}
		return func(a uint64) uint64 { return uint64(arith.F32FromF32(uint32(a), m)) }
	case "f32 f64":
		return func(a uint64) uint64 { return uint64(arith.F32FromF64(a, m)) }
	case "f64 f32":
		return func(a uint64) uint64 { return arith.F64FromF32(uint32(a), m.FTZ) }
	case "f64 f64":
		return func(a uint64) uint64 { return roundToInt64(a, m.Round) }
	case "f32 f16", "f32 bf16":
		h := halfOf(s)
		if m != (arith.Mode{}) {
			return func(a uint64) uint64 { return uint64(arith.F32FromF32(h.Widen(uint16(a)), m)) }
		}
		return func(a uint64) uint64 { return uint64(h.Widen(uint16(a))) }
	case "f64 f16", "f64 bf16":
		h := halfOf(s)
		return func(a uint64) uint64 { return arith.F64FromF32(h.Widen(uint16(a)), false) }
	case "f16 f32", "bf16 f32":
		h := halfOf(d)
		return func(a uint64) uint64 {
			u := uint32(a)
			if m.FTZ {
				u = flush(u)
			}
			return uint64(h.Narrow(u, m))
		}
	case "f16 f64", "bf16 f64":
		h := halfOf(d)
		return func(a uint64) uint64 { return uint64(h.FromF64(a, m)) }
	case "f16 f16", "bf16 bf16":
		h := halfOf(d)
		return func(a uint64) uint64 {
			return uint64(h.Narrow(arith.RoundToInt32(h.Widen(uint16(a)), m), arith.Mode{}))
		}
	case "tf32 f32":
		sat := in.has("satfinite")
		return func(a uint64) uint64 { return uint64(arith.CvtTF32(uint32(a), sat)) }
	case "e4m3x2 f16x2", "e5m2x2 f16x2":
		t := fp8Of(d)
		return func(a uint64) uint64 { return uint64(t.NarrowF16x2(uint32(a), m.Relu)) }
	case "f16x2 e4m3x2", "f16x2 e5m2x2":
		t := fp8Of(s)
		return func(a uint64) uint64 { return uint64(t.WidenF16x2(uint16(a))) }
	}
	return nil
}

func fp8Of(t dtype) arith.FP8 {
	if t.name == "e5m2x2" {
		return arith.E5M2
	}
	return arith.E4M3
}

func roundToInt64(a uint64, r arith.Rounding) uint64 {
	x := math.Float64frombits(a)
	switch r {
	case arith.RZ:
		x = math.Trunc(x)
	case arith.RM:
		x = math.Floor(x)
	case arith.RP:
		x = math.Ceil(x)
	default:
		x = math.RoundToEven(x)
	}
	return math.Float64bits(x)
}

// convertPair lowers the conversions of two float32 into one register, the first into the upper half.
func (l *lowering) convertPair() {
	in := l.in
	t, m := in.types[0], in.mode()
	f32 := typeNamed("f32")
	switch {
	case t.bits == 16:
		p := fp8Of(t)
		l.binary32(f32, func(a, b uint32) uint32 { return uint32(p.Narrow2(a, b, m.Relu)) })
	case t.name == "bf16x2" && m == arith.Mode{}:
		l.step.run = whole2(lanes.packBF16, l.destination(in.args[0], false), l.source(in.args[1], f32), l.source(in.args[2], f32))
	default:
		h := halfOf(t)
		l.binary32(f32, func(a, b uint32) uint32 { return h.Narrow2(a, b, m) })
	}
}
