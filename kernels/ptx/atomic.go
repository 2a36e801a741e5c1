package ptx

// AtomOp is what an atomic instruction does with memory and its operand.
type AtomOp string

// The operations. Those on bits take B32 or B64.
const (
	AtomAdd  AtomOp = "add"
	AtomMin  AtomOp = "min"
	AtomMax  AtomOp = "max"
	AtomInc  AtomOp = "inc"
	AtomDec  AtomOp = "dec"
	AtomAnd  AtomOp = "and"
	AtomOr   AtomOp = "or"
	AtomXor  AtomOp = "xor"
	AtomExch AtomOp = "exch"
)

// Atom performs op on memory and returns what was there before. Order defaults to relaxed, Scope to the GPU. Adding
// float32 in global memory flushes subnormals, in shared memory it does not.
func (k *Kernel) Atom(a Access, op AtomOp, at Addr, x Reg) Reg {
	t := k.typeOf(x)
	name, u := k.atomic("atom", a, op, t)
	return k.define(u, 0, name+"."+u.String(), k.mem(at, a.Space.width()), k.src(u, x)).untyped(t)
}

// AtomCAS writes new if memory holds old, and returns what was there before.
func (k *Kernel) AtomCAS(a Access, at Addr, old, new Operand) Reg {
	t := k.typeOf(old, new)
	name, u := k.atomic("atom", a, "cas", t)
	d := k.define(u, 0, name+"."+u.String(), k.mem(at, a.Space.width()), k.src(t, old), k.src(t, new))
	return d.untyped(t)
}

// Red performs op on memory without an answer, on one element or, for adding in global memory, on two or four
// neighbouring float32 or bf16x2; elements are atomic one by one.
func (k *Kernel) Red(a Access, op AtomOp, at Addr, x ...Reg) {
	if len(x) == 0 {
		k.fail("nothing to reduce")
		return
	}
	name, t := k.atomic("red", a, op, k.typeOf(x[0]))
	list := k.src(t, x[0])
	if len(x) > 1 {
		if a.Space != GlobalSpace || op != AtomAdd || types[t].kind != float {
			k.fail("a vector reduction adds floats in global memory")
		}
		list, _ = k.vector(x)
	}
	k.emit(name+vec(len(x))+"."+t.String(), k.mem(at, a.Space.width()), list)
}

// atomic prints an atomic instruction up to its type, which it may make untyped.
func (k *Kernel) atomic(op string, a Access, what AtomOp, t Type) (string, Type) {
	if a.Const || a.L1 != "" || a.L2 != 0 || a.Order == Volatile {
		k.fail("%s takes an order and a scope, no caching", op)
	}
	if op == "red" && (a.Order == Acquire || a.Order == AcqRel) {
		k.fail("red acquires nothing")
	}
	name := op
	if a.Order != "" {
		name += "." + string(a.Order)
	}
	if a.Scope != "" {
		name += "." + string(a.Scope)
	}
	name += "." + string(a.Space) + "." + string(what)
	switch what {
	case AtomAnd, AtomOr, AtomXor, AtomExch, "cas":
		return name, t.untyped()
	case AtomAdd:
		switch t {
		case F16, F16x2, BF16, BF16x2:
			return name + ".noftz", t
		}
	case AtomInc, AtomDec:
		if t != U32 {
			k.fail("%s of %s; u32", what, t)
		}
	}
	if !t.isInt() && !(what == AtomAdd && t.isFloat()) {
		k.fail("atomic %s of %s", what, t)
	}
	return name, t
}
