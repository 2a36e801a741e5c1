package ir

import (
	"fmt"
	"strings"
)

// Differentiate appends to a forward graph the nodes that compute, by reverse-mode differentiation, the
// gradients of all its weights for the sum of the objectives, each the result of a loss (Op.Loss). Nodes come
// in the reverse order of the forward ones, in their section + ".grad".
//
// As soon as the gradient of a weight is complete, an accumulate node adds it, under the record, to the
// operand "grad.<weight>" (role Gradient), which the graph writes at its end: lifetimes of gradients stay short,
// and a step is as many runs of the graph as it has micro-batches. Returned are these operands by weight.
//
// It is an error if an objective is no loss, if an operation that has no gradient stands between a weight and an
// objective, and if a weight has no part in the objectives.
func Differentiate(g *Graph, objectives ...*Value) (map[*Value]*Value, error) {
	d := backward{b: Extend(g), depends: map[*Value]bool{}, grads: map[*Value]*Value{}, weights: map[*Value]*Value{}}
	forward := append([]*Node(nil), g.Nodes...)
	first := map[*Value]int{} // the node that uses a value first is the last to add to its gradient
	for i, n := range forward {
		for _, v := range n.In {
			if _, seen := first[v]; !seen {
				first[v] = i
			}
		}
		d.follow(n)
	}
	aims := map[*Value]bool{}
	for _, v := range objectives {
		if v.Def == nil || !v.Def.Op.Loss {
			return nil, fmt.Errorf("%s: %s cannot be an objective: no loss computes it", g.Name, v.Name)
		}
		aims[v] = true
	}
	for i := len(forward) - 1; i >= 0; i-- {
		n := forward[i]
		d.b.Section = strings.TrimPrefix(n.Section+".grad", ".")
		if err := d.node(n, aims); err != nil {
			return nil, fmt.Errorf("%s: %w", g.Name, err)
		}
		for _, v := range n.In {
			if v != nil && v.Role == Weight && first[v] == i {
				d.complete(v)
			}
		}
	}
	for _, v := range g.Outside {
		if v.Role == Weight && d.weights[v] == nil {
			return nil, fmt.Errorf("%s: the objectives do not depend on %s", g.Name, v.Name)
		}
	}
	return d.weights, nil
}

// backward is the state of a differentiation.
type backward struct {
	b       *Builder
	depends map[*Value]bool   // values that depend on a weight
	grads   map[*Value]*Value // sums of the gradients found so far
	weights map[*Value]*Value // by weight: its accumulated gradient, once complete
}

// follow marks the results of a node that depend on weights. Integers have no gradient.
func (d *backward) follow(n *Node) {
	for _, v := range n.In {
		if v != nil && (v.Role == Weight || d.depends[v]) {
			d.depends[v] = true
			for _, y := range n.Out {
				d.depends[y] = y.Type.DType != I32
			}
		}
	}
}

// node appends the gradient of one forward node, if an objective depends on it, and adds what it finds to the
// gradients of the operands.
func (d *backward) node(n *Node, aims map[*Value]bool) error {
	dy := make([]*Value, len(n.Out))
	wanted := false
	for i, v := range n.Out {
		dy[i] = d.grads[v]
		wanted = wanted || d.depends[v] && (dy[i] != nil || aims[v])
		if n.Op.Loss && dy[i] != nil {
			panic("BUG: " + v.Name + " is a loss but has a gradient")
		}
	}
	if !wanted {
		return nil
	}
	if n.Op.Grad == nil {
		return fmt.Errorf("%s (%s) stands between a weight and an objective but has no gradient", n.Out[0].Name, n.Op.Name)
	}
	for i, dx := range n.Op.Grad(d.b, n, dy) {
		v := n.In[i]
		switch {
		case dx == nil || !d.depends[v]:
		case d.grads[v] == nil:
			d.grads[v] = dx
		default:
			d.grads[v] = d.b.Op(add, "d."+v.Name, nil, d.grads[v], dx)[0]
		}
	}
	return nil
}

// complete accumulates the gradient of a weight all of whose uses have been seen.
func (d *backward) complete(w *Value) {
	if d.grads[w] == nil || d.weights[w] != nil {
		return
	}
	grad := d.b.Outside("grad."+w.Name, Gradient, w.Type)
	grad.Param = w.Param
	sum := d.b.Op(accumulate, "acc."+w.Name, nil, d.grads[w], grad, d.b.Record())[0]
	d.b.Write(grad, sum)
	d.weights[w] = grad
}
