package sim

import (
	"moegen/runtime/sim/arith"
)

func flush(u uint32) uint32 { return arith.Flush32(u) }

// halfValue reads f16 or bf16 bits as a number.
func halfValue(t dtype, ftz bool) func(uint16) float64 {
	h := halfOf(t)
	return func(x uint16) float64 {
		if ftz && x&0x7FFF < 0x400 {
			x &= 0x8000
		}
		return h.Value(x)
	}
}

// halfOf is the format of a 16-bit type or its pair.
func halfOf(t dtype) arith.Half {
	if t.name == "bf16" || t.name == "bf16x2" {
		return arith.BF16
	}
	return arith.F16
}

func (in *instruction) rounding() arith.Rounding {
	switch in.one("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi") {
	case "rz", "rzi":
		return arith.RZ
	case "rm", "rmi":
		return arith.RM
	case "rp", "rpi":
		return arith.RP
	}
	return arith.RN
}

func (in *instruction) mode() arith.Mode {
	return arith.Mode{Round: in.rounding(), FTZ: in.has("ftz"), Sat: in.has("sat"), Relu: in.has("relu"), SatFinite: in.has("satfinite")}
}

// float lowers arithmetic on floating-point values.
func (l *lowering) float() {
	switch t := l.in.typ(); {
	case l.in.op == "testp":
		l.testClass(t)
	case t.name == "f32":
		l.float32(t)
	case t.name == "f64":
		l.float64(t)
	default:
		l.half(t)
	}
}

func (l *lowering) unary32(f func(a uint32) uint32) {
	t := typeNamed("b32")
	l.step.run = lanes1(l.destination(l.in.args[0], false), l.source(l.in.args[1], t), f)
}

func (l *lowering) binary32(t dtype, f func(a, b uint32) uint32) {
	in := l.in
	l.step.run = lanes2(l.destination(in.args[0], false), l.source(in.args[1], t), l.source(in.args[2], t), f)
}

func (l *lowering) ternary32(t dtype, f func(a, b, c uint32) uint32) {
	in := l.in
	l.step.run = lanes3(l.destination(in.args[0], false), l.source(in.args[1], t), l.source(in.args[2], t), l.source(in.args[3], t), f)
}

func (l *lowering) float32(t dtype) {
	in := l.in
	m := in.mode()
	switch in.op {
	case "add":
		l.binary32(t, func(a, b uint32) uint32 { return arith.Add32M(a, b, m) })
	case "sub":
		l.binary32(t, func(a, b uint32) uint32 { return arith.Sub32M(a, b, m) })
	case "mul":
		l.binary32(t, func(a, b uint32) uint32 { return arith.Mul32M(a, b, m) })
	case "fma", "mad":
		l.ternary32(t, func(a, b, c uint32) uint32 { return arith.FMA32M(a, b, c, m) })
	case "div":
		switch {
		case in.has("approx"):
			l.binary32(t, func(a, b uint32) uint32 { return arith.DivApprox(a, b, m.FTZ) })
		case in.has("full"):
			l.binary32(t, func(a, b uint32) uint32 { return arith.DivFull(a, b, m.FTZ) })
		default:
			l.binary32(t, func(a, b uint32) uint32 { return arith.Div32(a, b, m) })
		}
	case "min", "max":
		o := l.minMax()
		l.binary32(t, o.F32)
	case "copysign":
		l.binary32(t, arith.Copysign32)
	default:
		l.float32Unary(m)
	}
}

func (l *lowering) minMax() arith.MinMax {
	in := l.in
	return arith.MinMax{Max: in.op == "max", NaN: in.has("NaN"), XorSign: in.has("xorsign"), FTZ: in.has("ftz")}
}

func (l *lowering) float32Unary(m arith.Mode) {
	in := l.in
	approx := in.has("approx")
	switch in.op {
	case "abs":
		l.unary32(func(a uint32) uint32 { return arith.Abs32(a, m.FTZ) })
	case "neg":
		l.unary32(func(a uint32) uint32 { return arith.Neg32(a, m.FTZ) })
	case "rcp":
		if approx {
			l.unary32(func(a uint32) uint32 { return arith.RcpApprox(a, m.FTZ) })
		} else {
			l.unary32(func(a uint32) uint32 { return arith.Rcp32(a, m) })
		}
	case "sqrt":
		if approx {
			l.unary32(func(a uint32) uint32 { return arith.SqrtApprox(a, m.FTZ) })
		} else {
			l.unary32(func(a uint32) uint32 { return arith.Sqrt32(a, m) })
		}
	case "rsqrt":
		l.unary32(func(a uint32) uint32 { return arith.RsqrtApprox(a, m.FTZ) })
	case "sin":
		l.unary32(func(a uint32) uint32 { return arith.SinApprox(a) })
	case "cos":
		l.unary32(func(a uint32) uint32 { return arith.CosApprox(a) })
	case "lg2":
		l.unary32(func(a uint32) uint32 { return arith.Lg2Approx(a, m.FTZ) })
	case "ex2":
		l.unary32(func(a uint32) uint32 { return arith.Ex2Approx(a, m.FTZ) })
	case "tanh":
		l.unary32(arith.TanhApprox)
	default:
		l.fail(Unsupported, "%s is not simulated", in.op)
	}
}

func (l *lowering) float64(t dtype) {
	in := l.in
	switch in.op {
	case "add":
		l.binary(t, arith.Add64)
	case "sub":
		l.binary(t, arith.Sub64)
	case "mul":
		l.binary(t, arith.Mul64)
	case "fma", "mad":
		l.ternary(t, arith.FMA64)
	case "div":
		l.binary(t, arith.Div64)
	case "rcp":
		l.unary(t, func(a uint64) uint64 { return arith.Div64(0x3FF0000000000000, a) })
	case "sqrt":
		l.unary(t, arith.Sqrt64)
	case "abs":
		l.unary(t, func(a uint64) uint64 { return a &^ (1 << 63) })
	case "neg":
		l.unary(t, func(a uint64) uint64 { return a ^ 1<<63 })
	case "min", "max":
		l.binary(t, l.minMax().F64)
	case "copysign":
		l.binary(t, func(a, b uint64) uint64 { return b&^(1<<63) | a&(1<<63) })
	default:
		l.fail(Unsupported, "%s.f64 is not simulated", in.op)
	}
}

// half lowers f16, bf16 and their pairs.
func (l *lowering) half(t dtype) {
	in := l.in
	h, m := halfOf(t), in.mode()
	if t.bits == 32 {
		l.halfPair(t, h, m)
		return
	}
	two := func(f func(a, b uint16, m arith.Mode) uint16) {
		l.binary32(t, func(a, b uint32) uint32 { return uint32(f(uint16(a), uint16(b), m)) })
	}
	one := func(f func(a uint16, m arith.Mode) uint16) {
		l.unary32(func(a uint32) uint32 { return uint32(f(uint16(a), m)) })
	}
	switch in.op {
	case "add":
		two(h.Add)
	case "sub":
		two(h.Sub)
	case "mul":
		two(h.Mul)
	case "fma":
		l.ternary32(t, func(a, b, c uint32) uint32 { return uint32(h.FMA(uint16(a), uint16(b), uint16(c), m)) })
	case "abs":
		one(h.Abs)
	case "neg":
		one(h.Neg)
	case "min", "max":
		o := l.minMax()
		l.binary32(t, func(a, b uint32) uint32 { return uint32(o.Half(h, uint16(a), uint16(b))) })
	default:
		l.fail(Unsupported, "%s.%s is not simulated", in.op, t.name)
	}
}

func (l *lowering) halfPair(t dtype, h arith.Half, m arith.Mode) {
	in := l.in
	two := func(f func(a, b uint32, m arith.Mode) uint32) {
		l.binary32(t, func(a, b uint32) uint32 { return f(a, b, m) })
	}
	switch in.op {
	case "add":
		two(h.Add2)
	case "sub":
		two(h.Sub2)
	case "mul":
		two(h.Mul2)
	case "fma":
		l.ternary32(t, func(a, b, c uint32) uint32 { return h.FMA2(a, b, c, m) })
	case "abs":
		l.unary32(func(a uint32) uint32 { return h.Abs2(a, m) })
	case "neg":
		l.unary32(func(a uint32) uint32 { return h.Neg2(a, m) })
	case "min", "max":
		o := l.minMax()
		l.binary32(t, func(a, b uint32) uint32 { return o.Half2(h, a, b) })
	case "ex2":
		l.unary32(h.Ex2Approx2)
	case "tanh":
		l.unary32(h.TanhApprox2)
	default:
		l.fail(Unsupported, "%s.%s is not simulated", in.op, t.name)
	}
}

// testClass lowers testp.
func (l *lowering) testClass(t dtype) {
	var c arith.Class
	switch l.in.mods[0] {
	case "finite":
		c = arith.Finite
	case "infinite":
		c = arith.Infinite
	case "number":
		c = arith.Number
	case "notanumber":
		c = arith.NotANumber
	case "normal":
		c = arith.Normal
	case "subnormal":
		c = arith.Subnormal
	}
	p, a := l.predicateOut(l.in.args[0]), l.source(l.in.args[1], t)
	l.step.run = func(w *warp, m uint32) {
		r := uint32(0)
		for i := range warpSize {
			x := w.get(a, i, t.bits)
			if t.bits == 64 && c.Holds64(x) || t.bits == 32 && c.Holds32(uint32(x)) {
				r |= 1 << i
			}
		}
		w.setPredicate(p, m, r, w.def[a])
	}
}

// reduction is the operation of an atomic or a bulk reduction on elements of t; nil: there is none.
//
//go:noinline
func reduction(op string, t dtype, ftz bool) func(old, v uint64) uint64 {
	switch {
	case op == "exch":
		return func(old, v uint64) uint64 { return v }
	case t.class == 'f' || t.class == 'h':
		return floatReduction(op, t, ftz)
	}
	n := t.bits
	less := func(a, b uint64) bool {
		if t.signed() {
			return signExtend(a, n) < signExtend(b, n)
		}
		return a < b
	}
	switch op {
	case "add":
		return func(old, v uint64) uint64 { return cut(old+v, n) }
	case "min":
		return func(old, v uint64) uint64 {
			if less(v, old) {
				return v
			}
			return old
		}
	case "max":
		return func(old, v uint64) uint64 {
			if less(old, v) {
				return v
			}
			return old
		}
	case "and":
		return func(old, v uint64) uint64 { return old & v }
	case "or":
		return func(old, v uint64) uint64 { return old | v }
	case "xor":
		return func(old, v uint64) uint64 { return old ^ v }
	case "inc":
		return func(old, v uint64) uint64 {
			if old >= v {
				return 0
			}
			return old + 1
		}
	case "dec":
		return func(old, v uint64) uint64 {
			if old == 0 || old > v {
				return v
			}
			return old - 1
		}
	}
	return nil
}

//go:noinline
func floatReduction(op string, t dtype, ftz bool) func(old, v uint64) uint64 {
	o := arith.MinMax{Max: op == "max"}
	h := halfOf(t)
	m := arith.Mode{FTZ: ftz}
	add := op == "add"
	if !add && op != "min" && op != "max" {
		return nil
	}
	switch t.name {
	case "f32":
		if add {
			return func(old, v uint64) uint64 { return uint64(arith.Add32M(uint32(old), uint32(v), m)) }
		}
		return func(old, v uint64) uint64 { return uint64(o.F32(uint32(old), uint32(v))) }
	case "f64":
		if add {
			return arith.Add64
		}
		return o.F64
	case "f16", "bf16":
		if add {
			return func(old, v uint64) uint64 { return uint64(h.Add(uint16(old), uint16(v), arith.Mode{})) }
		}
		return func(old, v uint64) uint64 { return uint64(o.Half(h, uint16(old), uint16(v))) }
	case "f16x2", "bf16x2":
		if add {
			return func(old, v uint64) uint64 { return uint64(h.Add2(uint32(old), uint32(v), arith.Mode{})) }
		}
		return func(old, v uint64) uint64 { return uint64(o.Half2(h, uint32(old), uint32(v))) }
	}
	return nil
}
