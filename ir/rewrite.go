package ir

import "fmt"

// Rewriter copies a graph node by node into a new one, in order, inferring types afresh. A pass decides at
// every node whether to copy it, to emit others in its place, or to leave it out.
type Rewriter struct {
	*Builder
	to    map[*Value]*Value
	later map[*Value]bool
}

// Rewrite returns a new graph with that name. Operands from outside are copied first, through outside where it
// is not nil (it returns the new type of an operand); then visit is called for every node in order, but for
// readers of what has been put off with Later, which wait for it; writes follow.
func Rewrite(g *Graph, name string, outside func(*Value) Type, visit func(*Rewriter, *Node)) *Graph {
	r := &Rewriter{Builder: NewBuilder(name), to: map[*Value]*Value{}, later: map[*Value]bool{}}
	r.Graph.Ranks = g.Ranks
	for _, v := range g.Outside {
		t := v.Type
		if outside != nil {
			t = outside(v)
		}
		w := r.Outside(v.Name, v.Role, t)
		w.Param = v.Param
		r.to[v] = w
	}
	var waiting []*Node
	for _, n := range g.Nodes {
		waiting = append(waiting, n)
		for i := 0; i < len(waiting); {
			if n := waiting[i]; r.ready(n) {
				waiting = append(waiting[:i], waiting[i+1:]...)
				r.Section = n.Section
				visit(r, n)
				i = 0
			} else {
				for _, v := range n.Out {
					r.Later(v) // who reads it waits, too
				}
				i++
			}
		}
	}
	for _, n := range waiting {
		panic(fmt.Sprintf("BUG: %s of %s waits for ever", n.Op.Name, g.Name))
	}
	for _, w := range g.Results {
		r.Write(r.Get(w.To), r.Get(w.From))
	}
	return r.Graph
}

// Later says that a value will be Set at a later node; nodes that read it wait until then.
func (r *Rewriter) Later(v *Value) { r.later[v] = true }

func (r *Rewriter) ready(n *Node) bool {
	for _, v := range n.In {
		if r.later[v] && r.to[v] == nil {
			return false
		}
	}
	return true
}

// Get returns what stands for a value of the old graph in the new one.
func (r *Rewriter) Get(v *Value) *Value {
	if v == nil {
		return nil
	}
	w := r.to[v]
	if w == nil {
		panic(fmt.Sprintf("BUG: %s was left out of %s but is still used", v.Name, r.Graph.Name))
	}
	return w
}

// Has reports whether a value of the old graph has a counterpart yet.
func (r *Rewriter) Has(v *Value) bool { return r.to[v] != nil }

// Set lets a value of the new graph stand for one of the old graph.
func (r *Rewriter) Set(old, new *Value) { r.to[old] = new }

// Copy copies a node with its operands replaced.
func (r *Rewriter) Copy(n *Node) { r.Emit(n, n.Op, n.Attrs, r.GetAll(n.In)...) }

// Emit appends an operation in place of n: result i stands for result i of n and takes its name; the
// operation has as many results as n.
func (r *Rewriter) Emit(n *Node, op *Op, attrs Attrs, in ...*Value) []*Value {
	out := r.add(op, n.Op.Name, attrs, in)
	for i, v := range out {
		v.Name = r.Fresh(n.Out[i].Name)
		r.to[n.Out[i]] = v
	}
	return out
}

// GetAll applies Get to a list; nil stays nil.
func (r *Rewriter) GetAll(vs []*Value) []*Value {
	out := make([]*Value, len(vs))
	for i, v := range vs {
		out[i] = r.Get(v)
	}
	return out
}

// WithoutDead returns the graph without nodes whose results nobody reads. Taps and collectives that feed
// nothing are dead too, unless they have no results at all.
func WithoutDead(g *Graph) *Graph {
	live := map[*Value]bool{}
	for _, w := range g.Results {
		live[w.From] = true
	}
	keep := make([]bool, len(g.Nodes))
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		keep[i] = len(n.Out) == 0
		for _, v := range n.Out {
			keep[i] = keep[i] || live[v]
		}
		if keep[i] {
			for _, v := range n.In {
				live[v] = true
			}
		}
	}
	h := *g
	h.Nodes = nil
	for i, n := range g.Nodes {
		if keep[i] {
			h.Nodes = append(h.Nodes, n)
		}
	}
	return &h
}
