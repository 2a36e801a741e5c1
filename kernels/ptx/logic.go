package ptx

// And is a & b, bit by bit or of predicates.
func (k *Kernel) And(a, b Operand) Reg { return k.logic("and", max(powerIn(a), powerIn(b)), a, b) }

// Or is a | b.
func (k *Kernel) Or(a, b Operand) Reg { return k.logic("or", min(powerIn(a), powerIn(b)), a, b) }

// Xor is a ^ b.
func (k *Kernel) Xor(a, b Operand) Reg { return k.logic("xor", min(powerIn(a), powerIn(b)), a, b) }

func (k *Kernel) logic(op string, power uint8, a, b Operand) Reg {
	t := k.typeOf(a, b)
	u := t.untyped()
	d := k.define(u, power, op+"."+u.String(), k.src(u, a), k.src(u, b))
	return d.untyped(t)
}

// Not is ^a, or the opposite of a predicate.
func (k *Kernel) Not(a Reg) Reg {
	t := k.typeOf(a)
	d := k.define(t.untyped(), 0, "not."+t.untyped().String(), a.name)
	return d.untyped(t)
}

// Shl is a << n; shifts of the width and more give 0.
func (k *Kernel) Shl(a Reg, n Operand) Reg {
	t, p := k.typeOf(a), a.power
	if c, ok := n.(int); ok && a.power < everything {
		p = uint8(min(int(a.power)+c, everything))
	}
	d := k.define(t.untyped(), p, "shl."+t.untyped().String(), a.name, k.src(U32, n))
	return d.untyped(t)
}

// Shr is a >> n, arithmetic if a is signed.
func (k *Kernel) Shr(a Reg, n Operand) Reg {
	t, p := k.typeOf(a), uint8(0)
	if c, ok := n.(int); ok {
		p = uint8(max(int(a.power)-c, 0))
	}
	if t.isFloat() {
		k.fail("a shift of %s; As gives it an integer type", t)
	}
	return k.define(t, p, "shr."+t.String(), a.name, k.src(U32, n))
}

// Bits extracts n bits of a from bit at on, extended by their sign if a is signed.
func (k *Kernel) Bits(a Reg, at, n Operand) Reg {
	t := k.integers(a)
	return k.define(t, 0, "bfe."+t.String(), k.src(t, a), k.src(U32, at), k.src(U32, n))
}

// Insert puts the lower n bits of a into b at bit at.
func (k *Kernel) Insert(a, b Reg, at, n Operand) Reg {
	t := k.typeOf(a, b)
	d := k.define(t.untyped(), 0, "bfi."+t.untyped().String(), a.name, b.name, k.src(U32, at), k.src(U32, n))
	return d.untyped(t)
}

// Lop3 is any function of three words bit by bit; bit 4a+2b+c of table is its value.
func (k *Kernel) Lop3(a, b, c Operand, table int) Reg {
	return k.define(B32, 0, "lop3.b32", k.src(B32, a), k.src(B32, b), k.src(B32, c), k.src(B32, table))
}

// Permute picks four of the eight bytes of {a, b}, each by a nibble of the selector.
func (k *Kernel) Permute(a, b, selector Operand) Reg {
	return k.define(B32, 0, "prmt.b32", k.src(B32, a), k.src(B32, b), k.src(B32, selector))
}

// FunnelShl is the upper half of {high, low} << n, n modulo 32.
func (k *Kernel) FunnelShl(low, high, n Operand) Reg {
	return k.define(B32, 0, "shf.l.wrap.b32", k.src(B32, low), k.src(B32, high), k.src(U32, n))
}

// FunnelShr is the lower half of {high, low} >> n, n modulo 32.
func (k *Kernel) FunnelShr(low, high, n Operand) Reg {
	return k.define(B32, 0, "shf.r.wrap.b32", k.src(B32, low), k.src(B32, high), k.src(U32, n))
}

// Popc counts the set bits of a.
func (k *Kernel) Popc(a Reg) Reg { return k.bitCount("popc", a) }

// Clz counts the zero bits above the highest set one.
func (k *Kernel) Clz(a Reg) Reg { return k.bitCount("clz", a) }

// Bfind is the position of the highest set bit, 2^32-1 if there is none.
func (k *Kernel) Bfind(a Reg) Reg {
	t := k.integers(a)
	return k.define(U32, 0, "bfind."+t.String(), a.name)
}

// Brev reverses the order of a's bits.
func (k *Kernel) Brev(a Reg) Reg {
	t := k.typeOf(a)
	d := k.define(t.untyped(), 0, "brev."+t.untyped().String(), a.name)
	return d.untyped(t)
}

func (k *Kernel) bitCount(op string, a Reg) Reg {
	return k.define(U32, 0, op+"."+k.typeOf(a).untyped().String(), a.name)
}

// Comparisons of floats are false if one side is NaN, Ne excepted.

// Eq is a == b.
func (k *Kernel) Eq(a, b Operand) Reg { return k.compare("eq", a, b) }

// Ne is a != b; true for NaN.
func (k *Kernel) Ne(a, b Operand) Reg {
	if k.typeOf(a, b).isFloat() {
		return k.compare("neu", a, b)
	}
	return k.compare("ne", a, b)
}

// Lt is a < b.
func (k *Kernel) Lt(a, b Operand) Reg { return k.compare("lt", a, b) }

// Le is a <= b.
func (k *Kernel) Le(a, b Operand) Reg { return k.compare("le", a, b) }

// Gt is a > b.
func (k *Kernel) Gt(a, b Operand) Reg { return k.compare("gt", a, b) }

// Ge is a >= b.
func (k *Kernel) Ge(a, b Operand) Reg { return k.compare("ge", a, b) }

func (k *Kernel) compare(op string, a, b Operand) Reg {
	t := k.typeOf(a, b)
	ordered := op != "eq" && op != "ne"
	if t == Pred || t == BF16x2 || t == F16x2 || ordered && !t.isInt() && !t.isFloat() {
		k.fail("%s of %s", op, t)
	}
	return k.define(Pred, 0, "setp."+op+"."+t.String(), k.src(t, a), k.src(t, b))
}

// Select is a where p holds, else b.
func (k *Kernel) Select(p Reg, a, b Operand) Reg {
	t := k.typeOf(a, b)
	if t == Pred {
		k.fail("a selection of predicates")
	}
	d := k.define(t.carrier(), min(powerIn(a), powerIn(b)), "selp."+t.carrier().String(), k.src(t, a), k.src(t, b), k.src(Pred, p))
	return d.untyped(t)
}

// Assign writes x into r.
func (k *Kernel) Assign(r Reg, x Operand) {
	t := r.typ
	if t == 0 {
		k.fail("an assignment to %s", r.describe())
		return
	}
	if powerIn(x) < r.power {
		k.fail("%s holds multiples of %d, which this is not known to be", r.name, 1<<r.power)
	}
	k.emit("mov."+t.carrier().String(), r.name, k.src(t, x))
}

// Const returns a register that holds a constant of type t.
func (k *Kernel) Const(t Type, x Operand) Reg {
	return k.define(t, powerIn(x), "mov."+t.carrier().String(), k.src(t, x))
}
