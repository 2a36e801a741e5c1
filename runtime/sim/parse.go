package sim

import (
	"math"
	"strconv"
	"strings"
)

// Limits that no kernel comes near and that keep hostile text from exhausting memory.
const (
	maxRegisters = 1 << 16
	maxVariable  = 1 << 30
)

// Parse reads PTX text, checks every instruction against the table and lowers it. All errors are *Error and carry the line.
func Parse(ptx string) (*Module, error) {
	toks, err := tokens(ptx)
	if err != nil {
		return nil, err
	}
	p := &parser{src: ptx, toks: toks, m: &Module{byName: map[string]*symbol{}}}
	if err := p.module(); err != nil {
		return nil, err
	}
	if err := p.m.finish(); err != nil {
		return nil, err
	}
	return p.m, nil
}

type parser struct {
	src   string
	toks  []token
	pos   int
	m     *Module
	f     *Function
	scope *scope
	label map[string]int
	wait  []labelUse
}

// A scope holds the registers and variables declared between two braces.
type scope struct {
	parent *scope
	regs   map[string]int
	vars   map[string]*variable
}

type labelUse struct{ instruction, line int }

func (p *parser) peek() token { return p.toks[p.pos] }

func (p *parser) take() token {
	t := p.toks[p.pos]
	if t.kind != 0 {
		p.pos++
	}
	return t
}

func (p *parser) accept(kind byte) bool {
	if p.peek().kind == kind {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(kind byte) *Error {
	if t := p.take(); t.kind != kind {
		return syntaxError(t.line, "%q where %q should stand", t.text, string(kind))
	}
	return nil
}

// word takes a word; what names it in the error.
func (p *parser) word(what string) (token, *Error) {
	t := p.take()
	if t.kind != 'w' {
		return t, syntaxError(t.line, "%q where %s should stand", t.text, what)
	}
	return t, nil
}

func (p *parser) integer() (int64, *Error) {
	negate := p.accept('-')
	t := p.take()
	v, float, _, err := number(t)
	if err != nil {
		return 0, err
	}
	if float {
		return 0, syntaxError(t.line, "%q where an integer should stand", t.text)
	}
	if negate {
		v = -v
	}
	return int64(v), nil
}

// count takes a non-negative integer of at most limit.
func (p *parser) count(limit int64) (int, *Error) {
	line := p.peek().line
	v, err := p.integer()
	if err == nil && (v < 0 || v > limit) {
		err = syntaxError(line, "%d is not between 0 and %d", v, limit)
	}
	return int(v), err
}

// number gives the bits of a literal, whether it is a float and then its width.
func number(t token) (bits uint64, float bool, width int, err *Error) {
	bad := syntaxError(t.line, "%q is not a number", t.text)
	if t.kind != 'n' {
		return 0, false, 0, bad
	}
	s := t.text
	if len(s) > 2 && s[0] == '0' && strings.ContainsRune("fFdD", rune(s[1])) {
		width = 32
		if s[1] == 'd' || s[1] == 'D' {
			width = 64
		}
		v, e := strconv.ParseUint(s[2:], 16, 64)
		if e != nil || len(s) != 2+width/4 {
			return 0, false, 0, bad
		}
		return v, true, width, nil
	}
	hex := len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')
	if !hex && strings.ContainsAny(s, ".eE") {
		v, e := strconv.ParseFloat(s, 64)
		if e != nil {
			return 0, false, 0, bad
		}
		return math.Float64bits(v), true, 64, nil
	}
	v, e := strconv.ParseUint(strings.TrimRight(s, "U"), 0, 64)
	if e != nil || strings.Contains(s, "_") {
		return 0, false, 0, bad
	}
	return v, false, 0, nil
}

// module reads the header and everything at module scope.
func (p *parser) module() *Error {
	for {
		t := p.peek()
		if t.kind == 0 {
			break
		}
		if t.kind != 'w' || t.text[0] != '.' {
			return syntaxError(t.line, "%q at module scope where a directive should stand", t.text)
		}
		if err := p.directive(); err != nil {
			return err
		}
	}
	last := p.peek().line
	if p.m.Version == 0 {
		return syntaxError(last, ".version is missing")
	}
	if p.m.Target == "" {
		return syntaxError(last, ".target is missing")
	}
	return nil
}

func (p *parser) directive() *Error {
	extern := false
	for {
		t := p.take()
		switch t.text {
		case ".version":
			return p.version()
		case ".target":
			return p.target()
		case ".address_size":
			if n, err := p.integer(); err != nil {
				return err
			} else if n != 64 {
				return &Error{Kind: Unsupported, Line: t.line, Warp: -1, Lane: -1, Msg: "only .address_size 64"}
			}
			return nil
		case ".extern":
			extern = true
		case ".visible", ".weak", ".common":
		case ".entry", ".func":
			return p.function(t.text == ".entry", t.line)
		case ".global", ".const", ".shared":
			vars, err := p.variables(t, extern)
			if err != nil {
				return err
			}
			for _, v := range vars {
				if err := p.m.declare(t.line, v.name, &symbol{variable: v}); err != nil {
					return err
				}
				p.m.variables = append(p.m.variables, v)
			}
			return nil
		case ".file", ".loc":
			for p.peek().line == t.line && p.peek().kind != 0 {
				p.take()
			}
			return nil
		case ".section":
			return p.skipBlock()
		default:
			return &Error{Kind: Unsupported, Line: t.line, Warp: -1, Lane: -1, Msg: "directive " + t.text + " at module scope"}
		}
	}
}

// skipBlock passes over a debugging section and its braces.
func (p *parser) skipBlock() *Error {
	for p.peek().kind != '{' {
		if t := p.take(); t.kind == 0 {
			return syntaxError(t.line, "section has no body")
		}
	}
	for {
		switch t := p.take(); t.kind {
		case 0:
			return syntaxError(t.line, "section is not closed")
		case '}':
			return nil
		}
	}
}

func (p *parser) version() *Error {
	t := p.take()
	major, minor, ok := strings.Cut(t.text, ".")
	a, e1 := strconv.Atoi(major)
	b, e2 := strconv.Atoi(minor)
	if t.kind != 'n' || !ok || e1 != nil || e2 != nil || a < 1 || a > 99 || b > 9 {
		return syntaxError(t.line, "%q is not a version such as 8.1", t.text)
	}
	if p.m.Version != 0 {
		return syntaxError(t.line, ".version stands twice")
	}
	p.m.Version = 10*a + b
	return nil
}

func (p *parser) target() *Error {
	for {
		t, err := p.word("a target")
		if err != nil {
			return err
		}
		if strings.HasPrefix(t.text, "sm_") {
			p.m.Target = t.text
			number := strings.TrimRight(strings.TrimPrefix(t.text, "sm_"), "af")
			p.m.sm, _ = strconv.Atoi(number)
			p.m.accel = strings.HasSuffix(t.text, "a")
		} else if t.text != "debug" {
			return &Error{Kind: Unsupported, Line: t.line, Warp: -1, Lane: -1, Msg: "target " + t.text}
		}
		if !p.accept(',') {
			return nil
		}
	}
}

func (m *Module) declare(line int, name string, s *symbol) *Error {
	if old := m.byName[name]; old != nil {
		return syntaxError(line, "%s is declared twice", name)
	}
	m.byName[name] = s
	return nil
}

// immediate reads a literal operand, its sign included.
func (p *parser) immediate() (operand, *Error) {
	negate := p.accept('-')
	t := p.take()
	v, float, width, err := number(t)
	if err != nil {
		return operand{}, err
	}
	o := operand{kind: operandImmediate, bits: v, float: float, width: width}
	if negate {
		if float {
			o.bits ^= 1 << (width - 1)
		} else {
			o.bits = -v
		}
	}
	return o, nil
}

// operand reads one operand; depth keeps braces from nesting without end.
func (p *parser) operand(depth int) (operand, *Error) {
	t := p.peek()
	if depth > 3 {
		return operand{}, syntaxError(t.line, "operands nest too deeply")
	}
	switch t.kind {
	case '{':
		p.take()
		list, err := p.operands('}', depth)
		return operand{kind: operandVector, list: list}, err
	case '(':
		p.take()
		list, err := p.operands(')', depth)
		return operand{kind: operandArgument, list: list}, err
	case '[':
		p.take()
		return p.memory(depth)
	case '!':
		p.take()
		o, err := p.operand(depth + 1)
		o.negate = true
		return o, err
	case '-', 'n':
		return p.immediate()
	case 'w':
		p.take()
		o, err := p.named(t)
		if err != nil || !p.accept('|') {
			return o, err
		}
		second, err := p.operand(depth + 1)
		return operand{kind: operandPair, list: []operand{o, second}}, err
	}
	return operand{}, syntaxError(t.line, "%q where an operand should stand", t.text)
}

// operands reads a list up to its closing byte.
func (p *parser) operands(end byte, depth int) ([]operand, *Error) {
	var list []operand
	if p.accept(end) {
		return list, nil
	}
	for {
		o, err := p.operand(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, o)
		if p.accept(end) {
			return list, nil
		}
		if err := p.expect(','); err != nil {
			return nil, err
		}
	}
}

// memory reads the inside of brackets.
func (p *parser) memory(depth int) (operand, *Error) {
	base, err := p.operand(depth + 1)
	if err != nil {
		return operand{}, err
	}
	o := operand{kind: operandMemory, base: &base}
	if p.peek().kind == '+' || p.peek().kind == '-' {
		p.accept('+')
		if o.offset, err = p.integer(); err != nil {
			return operand{}, err
		}
	}
	if p.accept(']') {
		return o, nil
	}
	if err := p.expect(','); err != nil {
		return operand{}, err
	}
	o.list, err = p.operands(']', depth)
	return o, err
}

// named resolves a word: sink, register, special register, variable in scope; everything else waits for the module's end.
func (p *parser) named(t token) (operand, *Error) {
	if t.text == "_" {
		return operand{kind: operandSink}, nil
	}
	for s := p.scope; s != nil; s = s.parent {
		if r, ok := s.regs[t.text]; ok {
			return operand{kind: operandRegister, reg: r}, nil
		}
		if v, ok := s.vars[t.text]; ok {
			return p.displaced(operand{kind: operandSymbol, name: t.text, symbol: &symbol{variable: v}})
		}
	}
	if t.text[0] == '%' {
		if _, ok := specials[t.text]; ok {
			return operand{kind: operandSpecial, name: t.text}, nil
		}
		return operand{}, syntaxError(t.line, "%s is not declared", t.text)
	}
	if t.text == "WARP_SZ" {
		return operand{kind: operandImmediate, bits: 32}, nil
	}
	return p.displaced(operand{kind: operandLabel, name: t.text})
}

// displaced reads the constant that may follow a symbol outside of brackets.
func (p *parser) displaced(o operand) (operand, *Error) {
	if p.peek().kind != '+' {
		return o, nil
	}
	p.take()
	var err *Error
	o.offset, err = p.integer()
	return o, err
}
