package sim

import "unsafe"

// Predicate slots that every function has.
const (
	predFalse = iota
	predTrue
	predFirst
)

// A constant is a read-only register slot: an immediate, a special register or an address.
type constant struct {
	slot    int
	wide    bool
	bits    uint64
	special string
	symbol  *symbol
	vector  unsafe.Pointer // of an immediate, shared by all warps
}

// layout gives the registers in use slots and variables offsets; it comes before any function is lowered, since calls look at
// their callee's layout. Shared variables are placed from offset shared on; the end of them is returned.
func (f *Function) layout(shared int) int {
	f.predicates = predFirst
	used := make([]bool, len(f.regs))
	for i := range f.code {
		in := &f.code[i]
		for _, r := range registersOf(in.args, nil) {
			used[r] = true
		}
		if in.guard >= 0 {
			used[in.guard] = true
		}
	}
	for i := range f.regs {
		r := &f.regs[i]
		if used[i] && r.typ.class == 'p' {
			r.slot = f.predicates
			f.predicates++
		}
	}
	f.assignSlots(used)
	for _, v := range f.locals {
		switch v.space {
		case spaceShared:
			shared = alignUp(shared, v.align)
			v.offset = shared
			shared += v.size
		case spaceLocal:
			f.localSize = alignUp(f.localSize, v.align)
			v.offset = f.localSize
			f.localSize += v.size
		case spaceParam:
			f.paramSize = alignUp(f.paramSize, v.align)
			v.offset = f.paramSize
			f.paramSize += v.size
		}
	}
	f.SharedBytes = shared
	f.localSize = alignUp(f.localSize, 16)
	return shared
}

// layoutConstants places the module's constant bank and its shared variables.
func (m *Module) layoutConstants() {
	bank, shared := constStart, 0
	for _, v := range m.variables {
		switch {
		case v.space == spaceConst:
			bank = alignUp(bank, v.align)
			v.offset = bank
			bank += v.size
		case v.space == spaceShared && !v.extern:
			shared = alignUp(shared, v.align)
			v.offset = shared
			shared += v.size
		}
	}
}

// sharedBytes is what module-scope shared variables take; dynamic ones follow everything static.
func (m *Module) sharedBytes() int {
	n := 0
	for _, v := range m.variables {
		if v.space == spaceShared && !v.extern {
			n = v.offset + v.size
		}
	}
	return n
}

// A lowering turns one instruction into a step.
type lowering struct {
	f    *Function
	in   *instruction
	step *step
	err  *Error
}

func (f *Function) lower() *Error {
	meet := []int(nil)
	if len(f.code) > 0 {
		meet = f.postDominators()
	}
	f.steps = make([]step, len(f.code)+1)
	for i := range f.code {
		in := &f.code[i]
		s := &f.steps[i]
		*s = step{guard: -1, in: in, meet: meet[i], site: f.module.site(in.line)}
		if in.guard >= 0 {
			s.guard = f.regs[in.guard].slot
			if in.negate {
				s.flip = full
			}
		}
		l := &lowering{f: f, in: in, step: s}
		l.lower()
		if l.err == nil && s.kind <= stepTry && s.run == nil && s.try == nil {
			l.err = in.fail(Unsupported, "this form is not simulated")
		}
		if l.err != nil {
			return l.err
		}
		s.touched = l.touches()
		f.async = f.async || in.usesAsync()
	}
	f.markProductRegisters()
	end := &f.steps[len(f.code)]
	*end = step{kind: stepReturn, guard: -1, meet: len(f.code), in: &instruction{line: f.Line, op: "ret", text: "ret", guard: -1}}
	return nil
}

// lower chooses by operation; every group has its file.
func (l *lowering) lower() {
	switch op := l.in.op; op {
	case "bra", "brx", "call", "ret", "exit", "trap", "brkpt":
		l.control()
	case "ld", "ldu":
		l.load()
	case "st":
		if l.in.has("async") {
			l.storeAsync()
		} else {
			l.store()
		}
	case "atom", "red":
		if l.in.has("async") {
			l.storeAsync()
		} else {
			l.atomic()
		}
	case "cvt":
		l.convert()
	case "setp", "set":
		l.compare()
	case "mov", "cvta", "isspacep", "selp", "slct", "mapa", "getctarank", "alloca", "stacksave", "stackrestore":
		l.move()
	case "bar", "barrier":
		l.barrier()
	case "shfl", "vote", "match", "activemask", "redux", "elect":
		l.crossLane()
	case "fence", "membar":
		l.fence()
	case "cp":
		l.copy()
	case "mbarrier":
		l.mbarrier()
	case "ldmatrix", "stmatrix", "movmatrix":
		l.matrix()
	case "mma":
		l.mma()
	case "wgmma":
		l.wgmma()
	case "setmaxnreg", "griddepcontrol", "nanosleep", "pmevent", "prefetch", "prefetchu", "applypriority", "discard", "createpolicy":
		l.hint()
	default:
		l.alu()
	}
}

func (l *lowering) fail(k Kind, format string, args ...any) {
	if l.err == nil {
		l.err = l.in.fail(k, format, args...)
	}
}

// control lowers branches, calls and ends.
func (l *lowering) control() {
	s, in := l.step, l.in
	switch in.op {
	case "bra":
		s.kind, s.target = stepBranch, in.targets[0]
	case "brx":
		s.kind, s.target = stepIndex, l.source(in.args[0], typeNamed("u32"))
	case "call":
		s.kind = stepCall
		l.call()
	case "ret":
		s.kind = stepReturn
	case "exit":
		s.kind = stepExit
	default:
		s.run = func(w *warp, m uint32) { w.fault(Illegal, lowest(m), "the program stopped itself") }
	}
}

// call resolves the callee and the parameter variables of "call (r), f, (a, b)".
func (l *lowering) call() {
	args := l.in.args
	var results []operand
	if len(args) > 0 && args[0].kind == operandArgument {
		results, args = args[0].list, args[1:]
	}
	if len(args) == 0 {
		l.fail(Syntax, "a call names no function")
		return
	}
	switch target := args[0]; {
	case target.kind == operandSymbol && target.symbol.function != nil:
		l.in.callee = target.symbol.function
		if !l.in.callee.defined {
			l.fail(Unsupported, "%s has no body in this module", l.in.callee.Name)
			return
		}
	case target.kind == operandRegister:
		l.step.target = l.source(target, typeNamed("u64"))
	default:
		l.fail(Syntax, "the called function is not declared")
		return
	}
	var list []operand
	if len(args) > 1 && args[1].kind == operandArgument {
		list = args[1].list
	}
	for _, o := range append(list, results...) {
		if o.kind != operandSymbol || o.symbol.variable == nil || o.symbol.variable.space != spaceParam {
			l.fail(Unsupported, "call operands must be .param variables")
			return
		}
		l.in.sequence = append(l.in.sequence, o.symbol.variable)
	}
	if f := l.in.callee; f != nil && (len(list) != len(f.Params) || len(results) != len(f.returns)) {
		l.fail(Syntax, "%s takes %d parameters and gives %d results", f.Name, len(f.Params), len(f.returns))
	}
}

// register gives an operand's slot; a sink gets one that nobody reads.
func (l *lowering) destination(o operand, wide bool) int {
	if o.kind == operandSink {
		return l.constant(constant{wide: wide, special: "_"})
	}
	return l.f.regs[o.reg].slot
}

// source gives the slot that holds an operand's value where the operation works in t.
func (l *lowering) source(o operand, t dtype) int {
	wide := t.bits == 64
	switch o.kind {
	case operandRegister:
		return l.f.regs[o.reg].slot
	case operandImmediate:
		return l.constant(constant{wide: wide, bits: o.inType(t)})
	case operandSpecial:
		return l.constant(constant{wide: specials[o.name].bits == 64, special: o.name})
	case operandSymbol:
		return l.constant(constant{wide: wide, symbol: o.symbol, bits: uint64(o.offset)})
	}
	panic("BUG: operand without a value: " + l.in.text)
}

// constant finds or makes a read-only slot.
func (l *lowering) constant(c constant) int {
	for _, old := range l.f.consts {
		if old.wide == c.wide && old.bits == c.bits && old.special == c.special && sameSymbol(old.symbol, c.symbol) {
			return old.slot
		}
	}
	c.slot = l.f.slots
	l.f.slots++
	if c.special == "" && c.symbol == nil {
		c.vector = broadcast(c.bits, c.wide)
	}
	l.f.consts = append(l.f.consts, c)
	return c.slot
}

func sameSymbol(a, b *symbol) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.variable == b.variable && a.function == b.function
}

func broadcast(bits uint64, wide bool) unsafe.Pointer {
	if wide {
		v := new(vec64)
		for i := range v {
			v[i] = bits
		}
		return unsafe.Pointer(v)
	}
	v := new(vec32)
	for i := range v {
		v[i] = uint32(bits)
	}
	return unsafe.Pointer(v)
}

// predicate gives a predicate operand's slot and what to xor its mask with; a number stands for true or false.
func (l *lowering) predicate(o operand) (slot int, flip uint32) {
	if o.kind == operandImmediate {
		if o.bits != 0 {
			return predTrue, 0
		}
		return predFalse, 0
	}
	if o.negate {
		flip = full
	}
	return l.f.regs[o.reg].slot, flip
}

// predicateOut gives the slot of a predicate written, -1 for a sink.
func (l *lowering) predicateOut(o operand) int {
	if o.kind == operandSink {
		return -1
	}
	return l.f.regs[o.reg].slot
}

// operands lists register operands with those inside of vectors, pairs and brackets.
func registersOf(list []operand, out []int) []int {
	for i := range list {
		o := &list[i]
		if o.kind == operandRegister {
			out = append(out, o.reg)
		}
		if o.base != nil {
			out = registersOf([]operand{*o.base}, out)
		}
		out = registersOf(o.list, out)
	}
	return out
}

// touches lists the slots of the instruction's registers; a wgmma's own are checked where it is issued.
func (l *lowering) touches() []int {
	if l.in.op == "wgmma" {
		return nil
	}
	var out []int
	for _, r := range registersOf(l.in.args, nil) {
		if l.f.regs[r].typ.class != 'p' {
			out = append(out, l.f.regs[r].slot)
		}
	}
	return out
}

// usesAsync tells whether the instruction makes an asynchronous agent.
func (in *instruction) usesAsync() bool {
	return in.op == "wgmma" || in.op == "cp" || in.has("async")
}

// site numbers an instruction for epochs.
func (m *Module) site(line int) uint64 {
	m.sites = append(m.sites, line)
	return uint64(min(len(m.sites), siteMask)) << siteShift
}

// markProductRegisters finds the instructions that touch registers which some wgmma uses.
func (f *Function) markProductRegisters() {
	used := make([]bool, f.slots)
	for i := range f.code {
		if in := &f.code[i]; in.op == "wgmma" && in.mods[0] == "mma_async" {
			for _, r := range registersOf(in.args[:2], nil) {
				used[f.regs[r].slot] = f.regs[r].typ.bits == 32
			}
		}
	}
	for i := range f.steps {
		s := &f.steps[i]
		for _, r := range s.touched {
			s.unfence = s.unfence || used[r]
		}
	}
}
