package ptx

// Arithmetic works in the type of its first register operand; float arithmetic rounds to nearest even, one rounding an
// instruction, and says so: ptxas may contract what does not.

// name returns op with its type: floats are rounded.
func rounded(op string, t Type) string {
	if t.isFloat() {
		return op + ".rn." + t.String()
	}
	return op + "." + t.String()
}

func (k *Kernel) binary(op string, t Type, power uint8, a, b Operand) Reg {
	return k.define(t, power, op, k.src(t, a), k.src(t, b))
}

// numbers is the operands' type, which must have arithmetic.
func (k *Kernel) numbers(xs ...Operand) Type {
	t := k.typeOf(xs...)
	if !t.isFloat() && !t.isInt() {
		k.fail("%s has no arithmetic; As gives it a type", t)
	}
	return t
}

func (k *Kernel) integers(xs ...Operand) Type {
	t := k.typeOf(xs...)
	if !t.isInt() {
		k.fail("%s is no integer type", t)
	}
	return t
}

// Add is a + b.
func (k *Kernel) Add(a, b Operand) Reg {
	t := k.numbers(a, b)
	return k.binary(rounded("add", t), t, min(powerIn(a), powerIn(b)), a, b)
}

// Sub is a - b.
func (k *Kernel) Sub(a, b Operand) Reg {
	t := k.numbers(a, b)
	return k.binary(rounded("sub", t), t, min(powerIn(a), powerIn(b)), a, b)
}

// Mul is a·b, for integers its lower half.
func (k *Kernel) Mul(a, b Operand) Reg {
	t := k.numbers(a, b)
	if t.isFloat() {
		return k.binary(rounded("mul", t), t, 0, a, b)
	}
	return k.binary("mul.lo."+t.String(), t, product(a, b), a, b)
}

func product(a, b Operand) uint8 { return min(powerIn(a)+powerIn(b), everything) }

// MulHi is the upper half of an integer product.
func (k *Kernel) MulHi(a, b Operand) Reg {
	t := k.integers(a, b)
	return k.binary("mul.hi."+t.String(), t, 0, a, b)
}

var doubled = map[Type]Type{U16: U32, S16: S32, U32: U64, S32: S64}

// MulWide is the whole product of two integers, in twice their width.
func (k *Kernel) MulWide(a, b Operand) Reg {
	t := k.integers(a, b)
	w, ok := doubled[t]
	if !ok {
		k.fail("no type is twice as wide as %s", t)
		w = t
	}
	return k.define(w, product(a, b), "mul.wide."+t.String(), k.src(t, a), k.src(t, b))
}

// Mad is a·b + c of integers, its lower half.
func (k *Kernel) Mad(a, b, c Operand) Reg {
	t := k.integers(a, b, c)
	return k.define(t, min(product(a, b), powerIn(c)), "mad.lo."+t.String(), k.src(t, a), k.src(t, b), k.src(t, c))
}

// MadWide is a·b + c with a sum of twice the width of the factors.
func (k *Kernel) MadWide(a, b, c Operand) Reg {
	t := k.integers(a, b)
	w := doubled[t]
	if w == 0 {
		k.fail("no type is twice as wide as %s", t)
		w = t
	}
	return k.define(w, min(product(a, b), powerIn(c)), "mad.wide."+t.String(), k.src(t, a), k.src(t, b), k.src(w, c))
}

// Fma is a·b + c of floats, rounded once.
func (k *Kernel) Fma(a, b, c Operand) Reg {
	t := k.typeOf(a, b, c)
	if !t.isFloat() {
		k.fail("fma of %s; integers have Mad", t)
	}
	return k.define(t, 0, "fma.rn."+t.String(), k.src(t, a), k.src(t, b), k.src(t, c))
}

// Div is a / b: of integers cut toward zero, of floats correctly rounded.
func (k *Kernel) Div(a, b Operand) Reg {
	t := k.numbers(a, b)
	return k.binary(rounded("div", t), t, 0, a, b)
}

// Rem is the rest of the integer division a / b.
func (k *Kernel) Rem(a, b Operand) Reg {
	t := k.integers(a, b)
	return k.binary("rem."+t.String(), t, 0, a, b)
}

// Min is the smaller of a and b; a NaN loses.
func (k *Kernel) Min(a, b Operand) Reg {
	t := k.numbers(a, b)
	return k.binary("min."+t.String(), t, min(powerIn(a), powerIn(b)), a, b)
}

// Max is the larger of a and b; a NaN loses.
func (k *Kernel) Max(a, b Operand) Reg {
	t := k.numbers(a, b)
	return k.binary("max."+t.String(), t, min(powerIn(a), powerIn(b)), a, b)
}

// Neg is -a of a signed integer or float.
func (k *Kernel) Neg(a Reg) Reg { return k.signedUnary("neg", a) }

// Abs is |a| of a signed integer or float.
func (k *Kernel) Abs(a Reg) Reg { return k.signedUnary("abs", a) }

func (k *Kernel) signedUnary(op string, a Reg) Reg {
	t := k.typeOf(a)
	if !t.isFloat() && types[t].kind != signed {
		k.fail("%s of %s, which has no sign", op, t)
	}
	return k.define(t, a.power, op+"."+t.String(), k.src(t, a))
}

// The approximate functions flush subnormals; their bits are those of the hardware's tables.

// Ex2 is 2^a, to 2 units in the last place.
func (k *Kernel) Ex2(a Operand) Reg { return k.approx("ex2.approx.ftz.f32", a) }

// Lg2 is the logarithm of a to base 2, to 2^-22.
func (k *Kernel) Lg2(a Operand) Reg { return k.approx("lg2.approx.ftz.f32", a) }

// RcpApprox is 1/a to one unit in the last place.
func (k *Kernel) RcpApprox(a Operand) Reg { return k.approx("rcp.approx.ftz.f32", a) }

// RsqrtApprox is 1/sqrt(a), to 2^-22.9 relative.
func (k *Kernel) RsqrtApprox(a Operand) Reg { return k.approx("rsqrt.approx.ftz.f32", a) }

// SqrtApprox is sqrt(a), to 2^-23 relative.
func (k *Kernel) SqrtApprox(a Operand) Reg { return k.approx("sqrt.approx.ftz.f32", a) }

// TanhApprox is tanh(a), to 2^-11 relative.
func (k *Kernel) TanhApprox(a Operand) Reg { return k.approx("tanh.approx.f32", a) }

// Rcp is 1/a, correctly rounded.
func (k *Kernel) Rcp(a Operand) Reg { return k.approx("rcp.rn.f32", a) }

// Sqrt is sqrt(a), correctly rounded.
func (k *Kernel) Sqrt(a Operand) Reg { return k.approx("sqrt.rn.f32", a) }

func (k *Kernel) approx(op string, a Operand) Reg { return k.define(F32, 0, op, k.src(F32, a)) }

// Ex2Half and TanhHalf work on two bf16 or f16 at once; the float32 result is cut to the type, not rounded.

// Ex2Half is 2^a of both halves.
func (k *Kernel) Ex2Half(a Reg) Reg {
	op := "ex2.approx.f16x2"
	if a.typ == BF16x2 {
		op = "ex2.approx.ftz.bf16x2"
	}
	return k.half(op, a)
}

// TanhHalf is tanh(a) of both halves.
func (k *Kernel) TanhHalf(a Reg) Reg { return k.half("tanh.approx."+a.typ.String(), a) }

func (k *Kernel) half(op string, a Reg) Reg {
	if a.typ != BF16x2 && a.typ != F16x2 {
		k.fail("%s where two halves are wanted", a.describe())
		return a
	}
	return k.define(a.typ, 0, op, a.name)
}
