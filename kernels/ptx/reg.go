package ptx

import (
	"fmt"
	"math"
)

// Reg is a virtual register, or nothing (its zero value). It carries the largest power of two that is known to divide
// its value, so that alignments can be proved: sums keep the smaller, products multiply, shifts and masks add.
type Reg struct {
	name  string
	typ   Type
	power uint8 // 2^power divides the value
}

// everything is the power of zero: any power of two divides it.
const everything = 31

// Type returns the register's type.
func (r Reg) Type() Type { return r.typ }

// As returns the same register read as another type of the same width; no instruction is needed.
func (r Reg) As(t Type) Reg {
	if r.typ == 0 || r.typ == Pred || r.typ.Bits() != t.Bits() {
		return Reg{name: fmt.Sprintf("%s as %s", r.describe(), t)} // no type: whoever uses it reports it
	}
	r.typ = t
	return r
}

// untyped gives the result of an instruction on bits its type back.
func (r Reg) untyped(t Type) Reg {
	r.typ = t
	return r
}

// At is the memory off bytes behind the address in r.
func (r Reg) At(off int) Addr { return Addr{Base: r, Off: off} }

func (r Reg) describe() string {
	if r.typ != 0 {
		return r.name + " of type " + r.typ.String()
	}
	if r.name != "" {
		return r.name
	}
	return "a register that nothing wrote"
}

// Addr is a place in memory: a register and a constant number of bytes.
type Addr struct {
	Base Reg
	Off  int
}

// At is the place off bytes further.
func (a Addr) At(off int) Addr { return Addr{Base: a.Base, Off: a.Off + off} }

func (a Addr) power() uint8 { return min(a.Base.power, powerOf(a.Off)) }

func (a Addr) String() string {
	if a.Off == 0 {
		return "[" + a.Base.name + "]"
	}
	return fmt.Sprintf("[%s+%d]", a.Base.name, a.Off) // ptxas takes +-4, not -4
}

// Operand is what an instruction reads: a Reg, an int for integers and bits, or a float64 for floats.
type Operand any

// powerOf returns the power of two in n.
func powerOf(n int) uint8 {
	if n == 0 {
		return everything
	}
	p := uint8(0)
	for ; n&1 == 0; n >>= 1 {
		p++
	}
	return min(p, everything)
}

// powerIn returns what is known of an operand.
func powerIn(x Operand) uint8 {
	switch x := x.(type) {
	case Reg:
		return x.power
	case int:
		return powerOf(x)
	}
	return 0
}

// immediate prints a constant of type t.
func immediate(t Type, x Operand) (string, error) {
	switch x := x.(type) {
	case int:
		if t.isFloat() {
			return immediate(t, float64(x))
		}
		if t == Pred {
			break
		}
		w := t.Bits()
		if w < 64 && (x >= 1<<w || x < -(1<<(w-1))) || types[t].kind == unsigned && x < 0 {
			return "", fmt.Errorf("%d does not fit %s", x, t)
		}
		return fmt.Sprint(x), nil
	case float64:
		switch t {
		case F32, B32:
			if f := float32(x); float64(f) == x || math.IsNaN(x) || !math.IsInf(float64(f), 0) {
				return fmt.Sprintf("0f%08X", math.Float32bits(f)), nil
			}
			return "", fmt.Errorf("%v does not fit f32", x)
		case F64, B64:
			return fmt.Sprintf("0d%016X", math.Float64bits(x)), nil
		}
	case bool:
		if t == Pred {
			if x {
				return "1", nil
			}
			return "0", nil
		}
	}
	return "", fmt.Errorf("%v (%T) is no constant of type %s", x, x, t)
}
