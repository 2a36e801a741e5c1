package ir

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// parser reads a text form line by line. The first error stays; after it every method returns zero values.
type parser struct {
	number int      // of the current line, from 1
	rest   []string // what is left of it
	err    error
	params map[string]*Param
	param  *Param // the one whose pieces follow
}

// token is a quoted string, an arrow, a bound, one separator, or a word.
var token = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|<-|<=|[(),{}\[\]=:@]|[^\s(),{}\[\]=:@"<]+|\S`)

// eachLine calls f for every line with the keyword that it begins with, "" for a node or launch, which begins
// with a name; the other tokens stand in rest. What f leaves there is an error.
func (p *parser) eachLine(src string, f func(keyword string)) {
	for i, line := range strings.Split(src, "\n") {
		p.number = i + 1
		p.rest = token.FindAllString(line, -1)
		if len(p.rest) == 0 || strings.HasPrefix(p.rest[0], "#") {
			continue
		}
		keyword := ""
		if len(p.rest) == 1 || !strings.Contains("=,(", p.rest[1]) {
			keyword = p.next()
		}
		f(keyword)
		if len(p.rest) > 0 {
			p.fail("unexpected %q", p.rest[0])
		}
		if p.err != nil {
			return
		}
	}
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("line %d: %s", p.number, fmt.Sprintf(format, args...))
	}
}

// next takes the next token, "" at the end of the line.
func (p *parser) next() string {
	if len(p.rest) == 0 {
		return ""
	}
	t := p.rest[0]
	p.rest = p.rest[1:]
	return t
}

// accept takes the next token if it is the one given.
func (p *parser) accept(want string) bool {
	if len(p.rest) == 0 || p.rest[0] != want {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *parser) expect(want string) {
	switch {
	case p.accept(want):
	case len(p.rest) == 0:
		p.fail("the line ends before %q", want)
	default:
		p.fail("%q instead of %q", p.rest[0], want)
	}
}

func (p *parser) name() string {
	s := p.next()
	if !isName(s) {
		p.fail("%q is not a name", s)
	}
	return s
}

func (p *parser) quoted() string {
	t := p.next()
	s, err := strconv.Unquote(t)
	if err != nil {
		p.fail("%s is not a quoted string", t)
	}
	return s
}

func (p *parser) int() int { return p.atoi(p.next()) }

func (p *parser) atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		p.fail("%q is not an integer", s)
	}
	return n
}

// ints reads [1 2 3].
func (p *parser) ints() []int {
	list := []int{}
	p.list(func(s string) { list = append(list, p.atoi(s)) })
	return list
}

// list calls f for every token between brackets.
func (p *parser) list(f func(string)) {
	p.expect("[")
	for p.err == nil && !p.accept("]") {
		f(p.next())
	}
}

// typ reads f32[<=8~4 16].
func (p *parser) typ() Type {
	s := p.next()
	i := slices.Index(dtypeNames[:], s)
	if i < 0 {
		p.fail("%q is not an element type", s)
		return Type{}
	}
	t := Type{DType: DType(i), Shape: []Dim{}}
	p.list(func(s string) {
		d := Dim{}
		if d.Bounded = s == "<="; d.Bounded {
			n, expected, _ := strings.Cut(p.next(), "~")
			d.N, d.Expected = p.atoi(n), p.atoi(expected)
		} else {
			d.N = p.atoi(s)
		}
		t.Shape = append(t.Shape, d)
	})
	return t
}

// mapLine reads what follows the words map and piece.
func (p *parser) mapLine(keyword string) {
	if keyword == "piece" {
		p.piece()
		return
	}
	p.param = &Param{Name: p.name(), Shape: p.ints()}
	p.param.Expert = p.accept("expert")
	p.param.Sharded = p.accept("sharded")
	if p.accept("init") {
		p.param.Init = Init{Kind: p.name(), Std: p.float(p.next())}
		if p.accept("zero") {
			p.param.Init.ZeroRows = p.ints()
		}
	}
	if p.accept("parts") {
		p.param.Parts = p.int()
	}
	if p.accept("members") {
		p.list(func(name string) {
			if !isName(name) {
				p.fail("%q is not a name", name)
			}
			p.param.Members = append(p.param.Members, name)
		})
	}
	if p.params[p.param.Name] != nil {
		p.fail("map %s is defined twice", p.param.Name)
	}
	p.params[p.param.Name] = p.param
}

func (p *parser) piece() {
	if p.param == nil {
		p.fail("a piece before the first map")
		return
	}
	piece := Piece{Name: p.quoted(), Shape: p.ints()}
	p.expect("at")
	piece.Offset = p.int()
	if p.accept("strides") {
		piece.Strides = p.ints()
	}
	if p.accept("count") {
		piece.Count = p.int()
		p.expect("step")
		piece.Step = p.int()
	}
	if p.accept("tied") {
		piece.Tied = p.quoted()
	}
	p.param.Pieces = append(p.param.Pieces, piece)
}

// of reads the reference to a map that ends a declaration, if there is one.
func (p *parser) of() *Param {
	if !p.accept("of") {
		return nil
	}
	name := p.name()
	if p.params[name] == nil {
		p.fail("no map %s", name)
	}
	return p.params[name]
}

// callText is what graphs and plans share of a node, names not yet looked up.
type callText struct {
	out, in []string
	op      *Op
	attrs   Attrs
	section string
}

// call reads out, out = op(in, in) {key=value, key=value} @section.
func (p *parser) call() callText {
	var c callText
	if slices.Contains(p.rest, "=") && p.rest[1] != "(" {
		c.out = append(c.out, p.name())
		for p.accept(",") {
			c.out = append(c.out, p.name())
		}
		p.expect("=")
	}
	name := p.next()
	op, ok := LookupOp(name)
	if !ok {
		p.fail("%q is not an operation", name)
		return c
	}
	c.op = op
	p.expect("(")
	for p.err == nil && !p.accept(")") {
		if len(c.in) > 0 {
			p.expect(",")
		}
		if p.accept("_") {
			c.in = append(c.in, "_")
		} else {
			c.in = append(c.in, p.name())
		}
	}
	if p.accept("{") {
		for p.err == nil && !p.accept("}") {
			if len(c.attrs) > 0 {
				p.expect(",")
			}
			key := p.name()
			p.expect("=")
			c.attrs = append(c.attrs, Attr{key, p.attr()})
		}
	}
	if p.accept("@") {
		c.section = p.name()
	}
	return c
}

// attr reads the value of an attribute; what it looks like says what type it has.
func (p *parser) attr() any {
	if len(p.rest) > 0 && p.rest[0] == "[" {
		list := []float64{}
		p.list(func(s string) { list = append(list, p.float(s)) })
		return list
	}
	s := p.next()
	if strings.HasPrefix(s, `"`) {
		p.rest = append([]string{s}, p.rest...)
		return p.quoted()
	}
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if s == "true" || s == "false" {
		return s == "true"
	}
	return p.float(s)
}

func (p *parser) float(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		p.fail("%q is not a number", s)
	}
	return x
}
