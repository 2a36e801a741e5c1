package sim

import (
	"math"
	"strconv"
	"strings"
)

func itoa(i int) string { return strconv.Itoa(i) }

var spaceOf = map[string]space{
	".global": spaceGlobal, ".const": spaceConst, ".shared": spaceShared, ".local": spaceLocal, ".param": spaceParam,
}

// variables reads a declaration after its space, up to the semicolon.
func (p *parser) variables(t token, extern bool) ([]*variable, *Error) {
	var out []*variable
	for {
		v, err := p.variable(t, spaceOf[t.text])
		if err != nil {
			return nil, err
		}
		v.extern = extern
		if v.size == 0 && !extern && v.space != spaceParam {
			return nil, syntaxError(t.line, "%s has no size; only .extern shared memory may leave it open", v.name)
		}
		if extern && v.space != spaceShared {
			return nil, &Error{Kind: Unsupported, Line: t.line, Warp: -1, Lane: -1, Msg: "external variable " + v.name + " (a module stands alone)"}
		}
		out = append(out, v)
		if !p.accept(',') {
			return out, p.expect(';')
		}
	}
}

// variable reads alignment, type, name, dimensions and initial values.
func (p *parser) variable(t token, s space) (*variable, *Error) {
	v := &variable{space: s}
	var typ dtype
	lanes := 1
	for typ.class == 0 || strings.HasPrefix(p.peek().text, ".") {
		w, err := p.word("a type")
		if err != nil {
			return nil, err
		}
		switch w.text {
		case ".align":
			if v.align, err = p.alignment(); err != nil {
				return nil, err
			}
		case ".v2":
			lanes = 2
		case ".v4":
			lanes = 4
		case ".ptr": // attributes of a pointer parameter: hints for the assembler
		case ".global", ".shared", ".local", ".const":
			if s != spaceParam {
				return nil, syntaxError(w.line, "%q where a type should stand", w.text)
			}
		default:
			typ = typeNamed(strings.TrimPrefix(w.text, "."))
			if typ.class == 0 || typ.class == 'p' || typ.class == 'h' {
				return nil, syntaxError(w.line, "%q is not the type of a variable", w.text)
			}
		}
	}
	name, err := p.word("a variable's name")
	if err != nil {
		return nil, err
	}
	v.name = name.text
	elem := typ.bytes() * lanes
	v.align = max(v.align, elem)
	v.size = elem
	for p.accept('[') {
		n := 0
		if p.peek().kind != ']' {
			if n, err = p.count(maxVariable); err != nil {
				return nil, err
			}
		}
		if n > 0 && v.size > maxVariable/n {
			return nil, syntaxError(name.line, "%s is larger than %d bytes", v.name, maxVariable)
		}
		v.size *= n
		if err := p.expect(']'); err != nil {
			return nil, err
		}
	}
	if p.accept('=') {
		if s != spaceGlobal && s != spaceConst {
			return nil, syntaxError(name.line, "%s cannot have an initial value in this space", v.name)
		}
		at := 0
		return v, p.initial(v, typ, &at, 0)
	}
	return v, nil
}

// alignment reads the number after .align; in a parameter list it may follow the type (".ptr .align 16").
func (p *parser) alignment() (int, *Error) {
	line := p.peek().line
	n, err := p.count(1 << 16)
	if err == nil && (n == 0 || n&(n-1) != 0) {
		err = syntaxError(line, ".align %d is not a power of two", n)
	}
	return n, err
}

// initial reads a value or a braced list of them; at is the offset of the next element.
func (p *parser) initial(v *variable, typ dtype, at *int, depth int) *Error {
	t := p.peek()
	if p.accept('{') {
		if depth > 4 {
			return syntaxError(t.line, "initial values nest too deeply")
		}
		for !p.accept('}') {
			if err := p.initial(v, typ, at, depth+1); err != nil {
				return err
			}
			if !p.accept(',') {
				return p.expect('}')
			}
		}
		return nil
	}
	i := initializer{offset: *at, size: typ.bytes()}
	*at += i.size
	if *at > v.size {
		return syntaxError(t.line, "%s has more initial values than elements", v.name)
	}
	if t.kind == 'w' {
		if err := p.initialAddress(&i); err != nil {
			return err
		}
	} else {
		o, err := p.immediate()
		if err != nil {
			return err
		}
		i.value = o.inType(typ)
	}
	v.init = append(v.init, i)
	return nil
}

// initialAddress reads "name", "name+4" or "generic(name)+4".
func (p *parser) initialAddress(i *initializer) *Error {
	t := p.take()
	if t.text == "generic" && p.accept('(') {
		i.generic = true
		w, err := p.word("a variable's name")
		if err != nil {
			return err
		}
		if err := p.expect(')'); err != nil {
			return err
		}
		t = w
	}
	i.symbol = t.text
	if p.accept('+') {
		n, err := p.integer()
		if err != nil {
			return err
		}
		i.value = uint64(n)
	}
	return nil
}

// inType gives the bits of an immediate where an operation works in t: floats are converted to its width, integers cut.
func (o operand) inType(t dtype) uint64 {
	v := o.bits
	if o.float && o.width == 64 && t.bits == 32 {
		v = uint64(math.Float32bits(float32(math.Float64frombits(v))))
	} else if o.float && o.width == 32 && t.bits == 64 {
		v = math.Float64bits(float64(math.Float32frombits(uint32(v))))
	}
	if t.bits < 64 && t.bits > 0 {
		v &= 1<<t.bits - 1
	}
	return v
}
