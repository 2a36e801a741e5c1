package ptx

import (
	"fmt"
	"strings"
)

// ParamPtr declares a pointer to global memory and loads it. Buffers begin at multiples of 256 bytes, as allocations of
// the driver do.
func (k *Kernel) ParamPtr(name string) Reg {
	p := k.param(name, U64)
	return k.define(U64, 8, "cvta.to.global.u64", p.name)
}

// ParamU32 declares an unsigned parameter and loads it.
func (k *Kernel) ParamU32(name string) Reg { return k.param(name, U32) }

// ParamU64 declares an unsigned parameter and loads it.
func (k *Kernel) ParamU64(name string) Reg { return k.param(name, U64) }

// ParamF32 declares a float parameter and loads it.
func (k *Kernel) ParamF32(name string) Reg { return k.param(name, F32) }

func (k *Kernel) param(name string, t Type) Reg {
	k.composite("a parameter")
	k.declare(Param{Name: name, Type: t})
	return k.define(t, 0, "ld.param."+t.String(), "["+name+"]")
}

func (k *Kernel) declare(p Param) {
	if !identifier(p.Name) || p.Name == "smem" {
		k.fail("%q cannot be the name of a parameter", p.Name)
	}
	for _, q := range k.params {
		if q.Name == p.Name {
			k.fail("parameter %s is declared twice", p.Name)
		}
	}
	k.params = append(k.params, p)
}

// Var declares a register with a name of its own and a first value: a loop variable, a phase, a running sum.
func (k *Kernel) Var(t Type, name string, first Operand) Reg { return k.variable(t, 0, name, first) }

// VarMultiple declares a variable of type U32 that holds multiples of n, a power of two, only: whatever is written to
// it must be known to be one.
func (k *Kernel) VarMultiple(n int, name string, first Operand) Reg {
	if n <= 0 || n&(n-1) != 0 {
		k.fail("%d is no power of two", n)
		n = 1
	}
	return k.variable(U32, powerOf(n), name, first)
}

func (k *Kernel) variable(t Type, power uint8, name string, first Operand) Reg {
	k.composite("a variable")
	r := k.Declare(t, name)
	r.power = power
	k.Assign(r, first)
	return r
}

// Declare declares a register with a name of its own and no value yet. A name that is taken gets a number.
func (k *Kernel) Declare(t Type, name string) Reg {
	full := k.register(name)
	k.order = append(k.order, declaration{t, full, 0})
	return Reg{name: full, typ: t}
}

// DeclareArray declares n registers with one name, numbered from 0, and no values yet.
func (k *Kernel) DeclareArray(t Type, name string, n int) []Reg {
	full := k.register(name)
	if full != "%"+name {
		full += "_" // ptxas takes no count behind a digit
	}
	k.order = append(k.order, declaration{t, full, n})
	out := make([]Reg, n)
	for i := range out {
		out[i] = Reg{name: fmt.Sprint(full, i), typ: t}
	}
	return out
}

// declaration is a register with a name of its own, or n of them.
type declaration struct {
	typ  Type
	name string
	n    int
}

// register returns a name for a register that nobody has. Those of single registers never end in a digit but behind an
// underscore, those of numbered ones always do.
func (k *Kernel) register(name string) string {
	if !identifier(name) || strings.ContainsAny(name[len(name)-1:], "_0123456789") {
		k.fail("%q cannot be the name of a register: it ends in a letter", name)
		return "%none"
	}
	full := "%" + name
	for i := 2; k.taken[full]; i++ {
		full = fmt.Sprintf("%%%s_%d", name, i)
	}
	k.taken[full] = true
	return full
}

// Assume states that 2^i = n divides r, with the reason, where the arithmetic does not show it.
func (k *Kernel) Assume(r Reg, n int, why string) Reg {
	if n <= 0 || n&(n-1) != 0 {
		k.fail("%d is no power of two", n)
		return r
	}
	k.Comment("%s is a multiple of %d: %s", r.name, n, why)
	r.power = max(r.power, powerOf(n))
	return r
}
