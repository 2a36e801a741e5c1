package sim

import (
	"strings"
)

// function reads a kernel or device function, body or prototype.
func (p *parser) function(entry bool, line int) *Error {
	f := &Function{Entry: entry, Line: line, module: p.m, lists: map[string][]string{}}
	p.f, p.label, p.wait = f, map[string]int{}, nil
	p.scope = &scope{regs: map[string]int{}, vars: map[string]*variable{}}
	var err *Error
	if p.peek().kind == '(' {
		if entry {
			return syntaxError(line, "a kernel returns nothing")
		}
		if f.returns, err = p.params(); err != nil {
			return err
		}
	}
	name, err := p.word("the function's name")
	if err != nil {
		return err
	}
	f.Name = name.text
	if p.peek().kind == '(' {
		if f.Params, err = p.params(); err != nil {
			return err
		}
	}
	if err := p.functionDirectives(); err != nil {
		return err
	}
	old := p.m.byName[f.Name]
	if old != nil && (old.function == nil || old.function.defined && p.peek().kind == '{') {
		return syntaxError(line, "%s is declared twice", f.Name)
	}
	if p.accept(';') {
		if old == nil {
			p.m.byName[f.Name] = &symbol{function: f}
		}
		return nil
	}
	if err := p.expect('{'); err != nil {
		return err
	}
	if old != nil {
		*old.function = *f // earlier uses point to the prototype
		f = old.function
		p.f = f
	} else {
		p.m.byName[f.Name] = &symbol{function: f}
	}
	f.defined = true
	p.m.functions = append(p.m.functions, f)
	if err := p.body(); err != nil {
		return err
	}
	err = p.resolveLabels()
	p.f, p.scope = nil, nil
	return err
}

// params reads a parameter list; each parameter becomes a variable of the function's scope.
func (p *parser) params() ([]Param, *Error) {
	if err := p.expect('('); err != nil {
		return nil, err
	}
	var out []Param
	if p.accept(')') {
		return nil, nil
	}
	at := p.f.paramSize
	start := at
	for {
		t, err := p.word(".param")
		if err != nil {
			return nil, err
		}
		if t.text != ".param" {
			return nil, &Error{Kind: Unsupported, Line: t.line, Warp: -1, Lane: -1, Msg: "parameters outside of .param space"}
		}
		v, err := p.variable(t, spaceParam)
		if err != nil {
			return nil, err
		}
		at = alignUp(at, v.align)
		v.offset = at
		at += v.size
		out = append(out, Param{Name: v.name, Offset: v.offset - start, Size: v.size, Align: v.align})
		p.scope.vars[v.name] = v
		if p.accept(')') {
			break
		}
		if err := p.expect(','); err != nil {
			return nil, err
		}
	}
	p.f.paramSize = alignUp(at, 64) // keeps offsets of what follows aligned relative to its list, too
	return out, nil
}

func alignUp(n, align int) int { return (n + align - 1) / align * align }

func (p *parser) functionDirectives() *Error {
	for p.peek().kind == 'w' {
		t := p.take()
		f := p.f
		var err *Error
		switch t.text {
		case ".maxntid":
			f.MaxThreads, err = p.triple()
		case ".reqntid":
			f.ReqThreads, err = p.triple()
		case ".reqnctapercluster":
			f.ReqCluster, err = p.triple()
		case ".maxnreg":
			f.MaxRegs, err = p.count(255)
		case ".minnctapersm":
			f.MinCTAs, err = p.count(32)
		case ".maxclusterrank":
			_, err = p.count(16)
		case ".explicitcluster", ".noreturn":
		case ".pragma":
			err = p.pragma()
		default:
			return &Error{Kind: Unsupported, Line: t.line, Warp: -1, Lane: -1, Msg: "directive " + t.text + " of a function"}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) pragma() *Error {
	if err := p.expect('s'); err != nil {
		return err
	}
	return p.expect(';')
}

func (p *parser) triple() ([3]int, *Error) {
	out := [3]int{1, 1, 1}
	for i := range 3 {
		n, err := p.count(1 << 20)
		if err != nil {
			return out, err
		}
		out[i] = n
		if i == 2 || !p.accept(',') {
			break
		}
	}
	return out, nil
}

// body reads statements up to the brace that closes the function.
func (p *parser) body() *Error {
	depth := 1
	for {
		t := p.peek()
		switch {
		case t.kind == 0:
			return syntaxError(t.line, "the body of %s is not closed", p.f.Name)
		case t.kind == ';':
			p.take()
		case t.kind == '{':
			p.take()
			depth++
			p.scope = &scope{parent: p.scope, regs: map[string]int{}, vars: map[string]*variable{}}
		case t.kind == '}':
			p.take()
			if depth--; depth == 0 {
				return nil
			}
			p.scope = p.scope.parent
		case t.kind == '@':
			if err := p.instruction(); err != nil {
				return err
			}
		case t.kind != 'w':
			return syntaxError(t.line, "%q where a statement should stand", t.text)
		case p.toks[p.pos+1].kind == ':':
			if err := p.labelled(); err != nil {
				return err
			}
		case t.text[0] == '.':
			if err := p.statementDirective(); err != nil {
				return err
			}
		default:
			if err := p.instruction(); err != nil {
				return err
			}
		}
	}
}

// labelled reads "name:" and, where one follows, the list of targets or the prototype that it names.
func (p *parser) labelled() *Error {
	t := p.take()
	p.take()
	switch p.peek().text {
	case ".branchtargets", ".calltargets":
		p.take()
		var names []string
		for {
			n, err := p.word("a target")
			if err != nil {
				return err
			}
			names = append(names, n.text)
			if !p.accept(',') {
				break
			}
		}
		p.f.lists[t.text] = names
		return p.expect(';')
	case ".callprototype":
		for p.peek().kind != ';' {
			if p.take().kind == 0 {
				return syntaxError(t.line, "prototype is not closed")
			}
		}
		p.f.lists[t.text] = nil
		return p.expect(';')
	}
	if _, twice := p.label[t.text]; twice {
		return syntaxError(t.line, "label %s stands twice", t.text)
	}
	p.label[t.text] = len(p.f.code)
	return nil
}

func (p *parser) statementDirective() *Error {
	t := p.take()
	switch t.text {
	case ".reg":
		return p.registers()
	case ".local", ".shared", ".param":
		vars, err := p.variables(t, false)
		for _, v := range vars {
			p.scope.vars[v.name] = v
			p.f.locals = append(p.f.locals, v)
		}
		return err
	case ".pragma":
		return p.pragma()
	case ".loc", ".file":
		for p.peek().line == t.line && p.peek().kind != 0 {
			p.take()
		}
		return nil
	}
	return &Error{Kind: Unsupported, Line: t.line, Warp: -1, Lane: -1, Msg: "directive " + t.text + " in a function"}
}

func (p *parser) registers() *Error {
	t, err := p.word("a register type")
	if err != nil {
		return err
	}
	typ := typeNamed(strings.TrimPrefix(t.text, "."))
	if typ.class == 0 || typ.class == 'h' || typ.bits > 64 {
		return &Error{Kind: Unsupported, Line: t.line, Warp: -1, Lane: -1, Msg: "registers of type " + t.text}
	}
	for {
		name, err := p.word("a register's name")
		if err != nil {
			return err
		}
		if p.accept('<') {
			n, err := p.count(maxRegisters)
			if err != nil {
				return err
			}
			if err := p.expect('>'); err != nil {
				return err
			}
			for i := range n {
				if err := p.register(name, name.text+itoa(i), typ); err != nil {
					return err
				}
			}
		} else if err := p.register(name, name.text, typ); err != nil {
			return err
		}
		if !p.accept(',') {
			return p.expect(';')
		}
	}
}

func (p *parser) register(t token, name string, typ dtype) *Error {
	if _, twice := p.scope.regs[name]; twice {
		return syntaxError(t.line, "register %s is declared twice", name)
	}
	if len(p.f.regs) >= maxRegisters {
		return syntaxError(t.line, "more than %d registers", maxRegisters)
	}
	p.scope.regs[name] = len(p.f.regs)
	p.f.regs = append(p.f.regs, register{name: name, typ: typ, slot: -1})
	return nil
}

// instruction reads guard, opcode and operands up to the semicolon.
func (p *parser) instruction() *Error {
	start := p.peek()
	in := instruction{line: start.line, guard: -1}
	if p.accept('@') {
		in.negate = p.accept('!')
		t, err := p.word("a predicate")
		if err != nil {
			return err
		}
		o, err := p.named(t)
		if err != nil {
			return err
		}
		if o.kind != operandRegister || p.f.regs[o.reg].typ.class != 'p' {
			return syntaxError(t.line, "guard %s is not a predicate", t.text)
		}
		in.guard = o.reg
	}
	t, err := p.word("an instruction")
	if err != nil {
		return err
	}
	parts := strings.Split(t.text, ".")
	in.op, in.mods = parts[0], parts[1:]
	if p.peek().kind != ';' {
		for {
			o, err := p.operand(0)
			if err != nil {
				return err
			}
			in.args = append(in.args, o)
			if !p.accept(',') {
				if in.op == "call" && p.peek().kind == '(' {
					continue // "call (r), f, (a)" may lack the comma after a parenthesis
				}
				break
			}
		}
	}
	end := p.peek()
	if err := p.expect(';'); err != nil {
		return err
	}
	in.text = strings.Join(strings.Fields(p.src[start.pos:end.pos]), " ")
	p.f.code = append(p.f.code, in)
	return nil
}

// resolveLabels turns label operands of branches into indices.
func (p *parser) resolveLabels() *Error {
	for i := range p.f.code {
		in := &p.f.code[i]
		var names []string
		switch in.op {
		case "bra":
			if len(in.args) != 1 || in.args[0].kind != operandLabel {
				return syntaxError(in.line, "a branch takes one label")
			}
			names = []string{in.args[0].name}
		case "brx":
			if len(in.args) != 2 || in.args[1].kind != operandLabel {
				return syntaxError(in.line, "brx.idx takes an index and a list of targets")
			}
			names = p.f.lists[in.args[1].name]
			if len(names) == 0 {
				return syntaxError(in.line, "%s names no .branchtargets", in.args[1].name)
			}
		}
		for _, n := range names {
			target, ok := p.label[n]
			if !ok {
				return syntaxError(in.line, "no label %s in %s", n, p.f.Name)
			}
			in.targets = append(in.targets, target)
		}
	}
	return nil
}
