package sim

import (
	"fmt"
	"strings"
)

// fail makes an error at the instruction.
func (in *instruction) fail(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Line: in.line, Text: in.text, Warp: -1, Lane: -1, Msg: fmt.Sprintf(format, args...)}
}

// finish resolves names across the module, checks every instruction and lowers every function.
func (m *Module) finish() *Error {
	m.layoutConstants()
	for _, v := range m.variables {
		for _, i := range v.init {
			if i.symbol != "" && m.byName[i.symbol] == nil {
				return syntaxError(0, "the initial value of %s names %s, which is not declared", v.name, i.symbol)
			}
		}
	}
	for _, f := range m.functions {
		for i := range f.code {
			if err := f.check(&f.code[i]); err != nil {
				return err
			}
		}
	}
	shared := m.sharedBytes()
	for _, f := range m.functions {
		if !f.Entry {
			shared = f.layout(shared) // whichever kernel calls it
		}
	}
	for _, f := range m.functions {
		if f.Entry {
			f.layout(shared)
		}
	}
	for _, f := range m.functions {
		if err := f.lower(); err != nil {
			return err
		}
	}
	return nil
}

// check resolves the operands' names and finds the form that the instruction has.
func (f *Function) check(in *instruction) *Error {
	for i := range in.args {
		f.resolve(&in.args[i])
	}
	for _, m := range in.mods {
		if t := typeNamed(m); t.class != 0 {
			in.types = append(in.types, t)
		}
	}
	forms := table(in.op)
	if forms == nil {
		return in.fail(Unsupported, "instruction %s is not in the table", in.op)
	}
	var worst *Error
	for _, fm := range forms {
		if !fm.matches(in.mods) {
			continue
		}
		if err := f.checkOperands(in, fm.operands, in.args); err != nil {
			worst = err
			continue
		}
		if err := f.module.covers(in, fm); err != nil {
			worst = err
			continue
		}
		in.form = fm
		return nil
	}
	if worst != nil {
		return worst
	}
	return in.fail(Unsupported, "no form of %s has the modifiers .%s", in.op, strings.Join(in.mods, "."))
}

// covers checks the header's version and target.
func (m *Module) covers(in *instruction, fm *form) *Error {
	if m.Version < fm.version {
		return in.fail(Unsupported, "needs .version %d.%d, the header says %d.%d", fm.version/10, fm.version%10, m.Version/10, m.Version%10)
	}
	if m.sm < fm.target || fm.accel && !(m.accel && m.sm == fm.target) {
		a := ""
		if fm.accel {
			a = "a"
		}
		return in.fail(Unsupported, "needs .target sm_%d%s, the header says %s", fm.target, a, m.Target)
	}
	return nil
}

// resolve binds names that were unknown when the operand was read.
func (f *Function) resolve(o *operand) {
	if o.kind == operandLabel {
		if s := f.module.byName[o.name]; s != nil {
			o.kind, o.symbol = operandSymbol, s
		}
	}
	if o.base != nil {
		f.resolve(o.base)
	}
	for i := range o.list {
		f.resolve(&o.list[i])
	}
}

// checkOperands matches operands against a form's, trying to leave out what is optional.
func (f *Function) checkOperands(in *instruction, forms []operandForm, args []operand) *Error {
	if len(forms) == 1 && forms[0].code == "call" {
		return nil // its own shape is checked where it is lowered
	}
	if len(forms) == 0 {
		if len(args) > 0 {
			return in.fail(Syntax, "%d operands too many", len(args))
		}
		return nil
	}
	var err *Error
	if len(args) > 0 {
		if err = f.checkOperand(in, forms[0], args[0]); err == nil {
			if err = f.checkOperands(in, forms[1:], args[1:]); err == nil {
				return nil
			}
		}
	} else {
		err = in.fail(Syntax, "an operand is missing")
	}
	if forms[0].optional {
		if e := f.checkOperands(in, forms[1:], args); e == nil {
			return nil
		}
	}
	return err
}

// operandType is the type that a form's operand has in this instruction.
func operandType(in *instruction, fo operandForm) dtype {
	switch {
	case fo.typ.class != 0:
		return fo.typ
	case len(in.types) == 0:
		return typeNamed("b32")
	case strings.Contains(fo.code, "1"):
		return in.types[0]
	case strings.Contains(fo.code, "2"):
		return in.types[1]
	}
	t := in.typ()
	if strings.HasSuffix(fo.code, "w") {
		t.bits *= 2
		t.name = string(t.class) + itoa(t.bits)
	}
	return t
}

func (f *Function) checkOperand(in *instruction, fo operandForm, o operand) *Error {
	t := operandType(in, fo)
	wider := strings.HasSuffix(fo.code, "+")
	switch strings.TrimRight(fo.code, "12w+") {
	case "d":
		return f.checkDestination(in, t, o, wider)
	case "s":
		return f.checkSource(in, t, o, wider)
	case "dv", "sv":
		return f.checkVector(in, t, o, fo.code == "dv")
	case "dd":
		if o.kind == operandPair {
			if err := f.checkDestination(in, typeNamed("pred"), o.list[1], false); err != nil {
				return err
			}
			o = o.list[0]
		}
		return f.checkDestination(in, typeNamed("pred"), o, false)
	case "dp", "dm":
		if o.kind == operandPair {
			if err := f.checkDestination(in, typeNamed("pred"), o.list[1], false); err != nil {
				return err
			}
			o = o.list[0]
		}
		if fo.code == "dm" {
			t = typeNamed("b32")
		}
		return f.checkDestination(in, t, o, false)
	case "dmov", "smov":
		return f.checkMov(in, t, o, fo.code == "dmov")
	case "m", "mt":
		return f.checkMemory(in, o, fo.code == "mt")
	case "i":
		if o.kind != operandImmediate || o.float {
			return in.fail(Syntax, "an operand must be an integer known at assembly")
		}
	case "l":
		if o.kind == operandLabel || in.op == "brx" && o.kind == operandSymbol {
			return nil
		}
		return in.fail(Syntax, "an operand must be a label")
	case "v":
		if o.kind != operandVector {
			return in.fail(Syntax, "an operand must be a vector in braces")
		}
		for _, e := range o.list {
			if e.kind != operandRegister || f.regs[e.reg].typ.class == 'p' || f.regs[e.reg].typ.bits != 32 {
				return in.fail(Syntax, "a vector element must be a 32-bit register")
			}
		}
	case "wa":
		if o.kind == operandVector {
			return f.checkOperand(in, operandForm{code: "v"}, o)
		}
		return f.checkSource(in, typeNamed("b64"), o, false)
	case "p":
		if o.kind == operandImmediate {
			return nil
		}
		return f.checkSource(in, typeNamed("pred"), o, false)
	default:
		panic("BUG: operand form " + fo.code)
	}
	return nil
}

func (f *Function) checkDestination(in *instruction, t dtype, o operand, wider bool) *Error {
	if o.kind == operandSink {
		return nil
	}
	if o.kind != operandRegister || o.negate {
		return in.fail(Syntax, "the destination must be a register")
	}
	return f.checkRegister(in, t, o, wider)
}

func (f *Function) checkRegister(in *instruction, t dtype, o operand, wider bool) *Error {
	r := f.regs[o.reg]
	ok := t.accepts(r.typ)
	if wider && !ok && r.typ.class != 'p' && t.class != 'p' {
		ok = r.typ.bits >= t.bits && (t.bits != r.typ.bits || compatible(t, r.typ) || in.op != "cvt")
	}
	if !ok {
		return in.fail(Syntax, "register %s is .%s where .%s is needed", r.name, r.typ.name, t.name)
	}
	return nil
}

func (f *Function) checkSource(in *instruction, t dtype, o operand, wider bool) *Error {
	switch o.kind {
	case operandRegister:
		return f.checkRegister(in, t, o, wider)
	case operandImmediate:
		if t.class == 'p' {
			return in.fail(Syntax, "a predicate cannot be a number")
		}
		if o.float && t.class != 'f' && t.class != 'b' || !o.float && t.class == 'f' {
			return in.fail(Syntax, "the literal does not go with .%s", t.name)
		}
		return nil
	case operandSpecial:
		if specials[o.name].varies && in.op != "mov" {
			return in.fail(Unsupported, "%s can only be moved", o.name)
		}
		if specials[o.name].bits != t.bits && !(wider && specials[o.name].bits <= t.bits) {
			return in.fail(Syntax, "%s has %d bits where .%s is needed", o.name, specials[o.name].bits, t.name)
		}
		return nil
	case operandSymbol:
		if t.bits < 32 || t.class == 'f' || t.class == 'p' {
			return in.fail(Syntax, "an address does not go with .%s", t.name)
		}
		return nil
	case operandLabel:
		return in.fail(Syntax, "%s is not declared", o.name)
	}
	return in.fail(Syntax, "an operand must be a register or a number")
}

// checkVector checks a scalar, or a vector of as many elements as .v2, .v4, .v8 say.
func (f *Function) checkVector(in *instruction, t dtype, o operand, destination bool) *Error {
	n := 1
	switch in.one("v2", "v4", "v8") {
	case "v2":
		n = 2
	case "v4":
		n = 4
	case "v8":
		n = 8
	}
	list := []operand{o}
	if n > 1 || o.kind == operandVector {
		list = o.list
		if o.kind != operandVector || len(list) != n {
			return in.fail(Syntax, "a vector of %d elements is needed", n)
		}
	}
	wider := in.op == "ld" || in.op == "ldu" || in.op == "st"
	for _, e := range list {
		var err *Error
		if destination {
			err = f.checkDestination(in, t, e, wider)
		} else {
			err = f.checkSource(in, t, e, wider)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkMov checks one side of a move: also a vector whose elements together have the type's width.
func (f *Function) checkMov(in *instruction, t dtype, o operand, destination bool) *Error {
	if o.kind != operandVector {
		if destination {
			return f.checkDestination(in, t, o, false)
		}
		if t.class == 'p' && o.kind == operandImmediate {
			return nil
		}
		return f.checkSource(in, t, o, false)
	}
	if n := len(o.list); t.class != 'b' || n != 2 && n != 4 {
		return in.fail(Syntax, "a vector of %d elements cannot be moved as .%s", n, t.name)
	}
	part := dtype{'b', t.bits / len(o.list), "b" + itoa(t.bits/len(o.list))}
	for _, e := range o.list {
		if e.kind == operandSink {
			continue
		}
		if err := f.checkSource(in, part, e, false); err != nil {
			return err
		}
	}
	return nil
}

// checkMemory checks an address, and the coordinates of a tensor.
func (f *Function) checkMemory(in *instruction, o operand, tensor bool) *Error {
	if o.kind != operandMemory {
		return in.fail(Syntax, "an operand must be an address in brackets")
	}
	switch o.base.kind {
	case operandRegister:
		if r := f.regs[o.base.reg]; r.typ.class == 'p' || r.typ.class == 'f' || r.typ.bits < 32 {
			return in.fail(Syntax, "%s cannot hold an address", r.name)
		}
	case operandSymbol, operandImmediate:
	case operandLabel:
		return in.fail(Syntax, "%s is not declared", o.base.name)
	default:
		return in.fail(Syntax, "the address must be a register, a variable or a number")
	}
	if !tensor {
		if len(o.list) > 0 {
			return in.fail(Syntax, "an address takes no coordinates here")
		}
		return nil
	}
	if len(o.list) != 1 || o.list[0].kind != operandVector {
		return in.fail(Syntax, "a tensor needs coordinates in braces")
	}
	rank := int(in.one("1d", "2d", "3d", "4d", "5d")[0] - '0')
	if len(o.list[0].list) != rank {
		return in.fail(Syntax, "%d coordinates for a tensor of %d dimensions", len(o.list[0].list), rank)
	}
	for _, c := range o.list[0].list {
		if err := f.checkSource(in, typeNamed("s32"), c, false); err != nil {
			return err
		}
	}
	return nil
}
