package ir

import "fmt"

// Builder appends nodes to a graph. The typed methods that models call (Linear, Attention, ...) stand beside
// their operations. A wrong use is a bug of the caller and panics.
type Builder struct {
	Graph   *Graph
	Section string // given to the nodes that are added
	DType   DType  // of the weights that are declared
	taken   map[string]bool
	lookup  func(name string) (*Op, bool) // LookupOp; see named
}

// NewBuilder starts an empty graph for one rank.
func NewBuilder(name string) *Builder {
	return Extend(&Graph{Name: name, Ranks: 1})
}

// Extend continues a graph.
func Extend(g *Graph) *Builder {
	b := &Builder{Graph: g, taken: map[string]bool{}, lookup: LookupOp}
	for _, v := range g.Outside {
		b.taken[v.Name] = true
	}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			b.taken[v.Name] = true
		}
	}
	return b
}

// Fresh returns name, or name with the first number that makes it unique.
func (b *Builder) Fresh(name string) string {
	unique := name
	for i := 2; b.taken[unique]; i++ {
		unique = fmt.Sprintf("%s.%d", name, i)
	}
	b.taken[unique] = true
	return unique
}

// Outside declares an operand from outside. Declaring it again returns the first.
func (b *Builder) Outside(name string, role Role, t Type) *Value {
	for _, v := range b.Graph.Outside {
		if v.Name == name {
			if v.Role != role || !v.Type.Equal(t) {
				panic(fmt.Sprintf("BUG: %s is declared as %s %s and as %s %s", name, v.Role, v.Type, role, t))
			}
			return v
		}
	}
	v := &Value{Name: b.Fresh(name), Type: t, Role: role}
	b.Graph.Outside = append(b.Graph.Outside, v)
	return v
}

// Weight declares a trained parameter.
func (b *Builder) Weight(p Param) *Value {
	v := b.Outside(p.Name, Weight, Fixed(b.DType, p.Shape...))
	if v.Param == nil {
		v.Param = &p
	}
	return v
}

// Op appends a node and returns its results, named name, or name and the result's own name where there are
// several. Operands may be nil where the operation allows it.
func (b *Builder) Op(op *Op, name string, attrs Attrs, in ...*Value) []*Value {
	out := b.add(op, name, attrs, in)
	for i, v := range out {
		if len(out) > 1 {
			v.Name += "." + op.Results[i]
		}
		v.Name = b.Fresh(v.Name)
	}
	return out
}

// add appends a node whose results all have the same name still.
func (b *Builder) add(op *Op, name string, attrs Attrs, in []*Value) []*Value {
	n := &Node{Op: op, In: in, Attrs: attrs, Section: b.Section}
	types, err := inferNode(n)
	if err != nil {
		panic(fmt.Sprintf("BUG: %s %s: %v", op.Name, name, err))
	}
	for _, t := range types {
		n.Out = append(n.Out, &Value{Name: name, Type: t, Def: n})
	}
	b.Graph.Nodes = append(b.Graph.Nodes, n)
	return n.Out
}

// named is Op for an operation with one result, known by its name: two operations that are each other's
// gradient cannot both be initialised from the other.
func (b *Builder) named(op, name string, in ...*Value) *Value {
	o, ok := b.lookup(op)
	if !ok {
		panic("BUG: no operation " + op)
	}
	return b.Op(o, name, nil, in...)[0]
}

// Write records that at the end of the graph to holds from.
func (b *Builder) Write(to, from *Value) {
	b.Graph.Results = append(b.Graph.Results, Write{to, from})
}

// Tap makes a value observable under a name: "hidden", "router", "topk" of a layer.
func (b *Builder) Tap(v *Value, name string, layer int) {
	b.Op(tap, "", Attrs{{"name", name}, {"layer", layer}}, v)
}
