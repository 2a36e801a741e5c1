package ir

import (
	"slices"
	"strings"
)

// Parse reads the text form of a graph. Nodes are checked as they are read: operands are defined, attributes
// are those of the operation, stated types are the inferred ones. An error begins with its line number.
func Parse(src string) (*Graph, error) {
	p := parser{params: map[string]*Param{}}
	g := &Graph{}
	values := map[string]*Value{}
	define := func(v *Value) *Value {
		if values[v.Name] != nil {
			p.fail("%s is defined twice", v.Name)
		}
		values[v.Name] = v
		return v
	}
	value := func(name string) *Value {
		if values[name] == nil {
			p.fail("%s is not defined", name)
		}
		return values[name]
	}
	p.eachLine(src, func(keyword string) {
		switch {
		case keyword == "graph":
			g.Name = p.name()
			p.expect("ranks")
			g.Ranks = p.int()
		case keyword == "map" || keyword == "piece":
			p.mapLine(keyword)
		case keyword == "write":
			to := value(p.name())
			p.expect("<-")
			g.Results = append(g.Results, Write{to, value(p.name())})
		case slices.Contains(roleNames[1:], keyword):
			v := &Value{Role: Role(slices.Index(roleNames[:], keyword)), Name: p.name(), Type: p.typ(), Param: p.of()}
			g.Outside = append(g.Outside, define(v))
		case keyword == "":
			n := p.node(value)
			for _, v := range n.Out {
				define(v)
			}
			g.Nodes = append(g.Nodes, n)
		default:
			p.fail("%q begins no line of a graph", keyword)
		}
	})
	if p.err == nil && g.Name == "" {
		p.fail("no line says graph NAME ranks N")
	}
	if p.err != nil {
		return nil, p.err
	}
	return g, nil
}

// ParsePlan reads the text form of a plan. A launch finds its buffers by name: its program's activations, then
// what is persistent. An error begins with its line number.
func ParsePlan(src string) (*Plan, error) {
	p := parser{params: map[string]*Param{}}
	plan := &Plan{}
	type key struct{ program, name string }
	buffers := map[key]*Buffer{}
	var program *Program
	buffer := func(name string) *Buffer {
		for _, k := range []key{{program.Name, name}, {"", name}} {
			if b := buffers[k]; b != nil {
				return b
			}
		}
		p.fail("%s is not a buffer of program %s", name, program.Name)
		return nil
	}
	p.eachLine(src, func(keyword string) {
		switch {
		case keyword == "plan":
			plan.Model = p.quoted()
			p.expect("target")
			plan.Target = p.quoted()
			p.expect("ranks")
			plan.Ranks = p.int()
			p.expect("ep")
			plan.EP = p.int()
			p.expect("bytes")
			plan.Bytes = int64(p.int())
			p.expect("gradients")
			plan.Gradients = int64(p.int())
		case keyword == "map" || keyword == "piece":
			p.mapLine(keyword)
		case keyword == "buffer":
			b := p.buffer()
			if k := (key{b.Program, b.Name}); buffers[k] == nil {
				buffers[k] = b
			} else {
				p.fail("buffer %s is defined twice", b.Name)
			}
			plan.Buffers = append(plan.Buffers, b)
		case keyword == "program":
			program = &Program{Name: p.name()}
			plan.Programs = append(plan.Programs, program)
		case keyword != "":
			p.fail("%q begins no line of a plan", keyword)
		case program == nil:
			p.fail("a launch before the first program")
		default:
			program.Launches = append(program.Launches, p.launch(buffer))
		}
	})
	if p.err == nil && plan.Ranks == 0 {
		p.fail("no line says plan MODEL target TARGET ranks N ep N bytes N gradients N")
	}
	if p.err != nil {
		return nil, p.err
	}
	return plan, nil
}

// node reads a node, its operands through lookup; its results carry their inferred types.
func (p *parser) node(lookup func(string) *Value) *Node {
	c := p.call()
	n := &Node{Op: c.op, Attrs: c.attrs, Section: c.section}
	for _, name := range c.in {
		n.In = append(n.In, optional(name, lookup))
	}
	if p.err != nil {
		return n
	}
	types, err := inferNode(n)
	if err != nil {
		p.fail("%s: %v", c.op.Name, err)
	} else if len(types) != len(c.out) {
		p.fail("%s has %d results, %d are named", c.op.Name, len(types), len(c.out))
	}
	if p.err != nil {
		return n
	}
	for i, t := range types {
		n.Out = append(n.Out, &Value{Name: c.out[i], Type: t, Def: n})
	}
	if p.accept(":") {
		for i, v := range n.Out {
			if i > 0 {
				p.expect(",")
			}
			if t := p.typ(); p.err == nil && !t.Equal(v.Type) {
				p.fail("%s has type %s, stated is %s", v.Name, v.Type, t)
			}
		}
	}
	return n
}

// optional looks a name up, unless it says that an operand is left out.
func optional[T any](name string, lookup func(string) *T) *T {
	if name == "_" {
		return nil
	}
	return lookup(name)
}

// buffer reads what follows the word buffer.
func (p *parser) buffer() *Buffer {
	b := &Buffer{Name: p.name(), Type: p.typ()}
	role := p.next()
	i := slices.Index(roleNames[:], role)
	if i < 0 {
		p.fail("%q is not a role", role)
		return b
	}
	if b.Role = Role(i); b.Role == Activation {
		b.Program = p.name()
		first, last, _ := strings.Cut(p.next(), "..")
		b.First, b.Last = p.atoi(first), p.atoi(last)
	}
	b.Param = p.of()
	p.expect("at")
	b.Offset = int64(p.int())
	return b
}

// launch reads a launch, its buffers through lookup.
func (p *parser) launch(lookup func(string) *Buffer) *Launch {
	c := p.call()
	l := &Launch{Op: c.op, Attrs: c.attrs, Section: c.section}
	for _, name := range c.in {
		l.In = append(l.In, optional(name, lookup))
	}
	for _, name := range c.out {
		l.Out = append(l.Out, lookup(name))
	}
	p.expect("kernel")
	l.Kernel = p.name()
	if p.accept("workspace") {
		l.Workspace = lookup(p.name())
	}
	p.expect("cost")
	l.Cost = Cost{int64(p.int()), int64(p.int()), int64(p.int())}
	if p.accept("on") {
		name := p.name()
		s := slices.Index(streamNames[:], name)
		if s < 0 {
			p.fail("%q is not a stream", name)
			return l
		}
		l.Stream = Stream(s)
	}
	if p.accept("after") {
		for p.err == nil && (len(l.After) == 0 || len(p.rest) > 0) {
			l.After = append(l.After, p.int())
		}
	}
	return l
}
