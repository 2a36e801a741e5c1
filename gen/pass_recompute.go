package gen

import (
	"slices"
	"strings"

	"moegen/ir"
)

// Recompute says what backward computes again instead of keeping it from forward.
type Recompute string

const (
	// RecomputeAuto is RecomputeNone, and RecomputeUp for as many of the first layers, whose activations live
	// longest, as it takes for what is kept to find room where gradients lie later.
	RecomputeAuto Recompute = "auto"
	// RecomputeNone keeps the results of matrix products and attention; what is bound by memory bandwidth
	// (norms, rope, activations, gathers) is computed again all the same. Tokens that ranks sent each other come from a pool.
	RecomputeNone Recompute = "none"
	// RecomputeUp also computes the experts' up-projection again.
	RecomputeUp Recompute = "up"
	// RecomputeDispatch also has the ranks send each other the tokens of that product again: there is no pool, what is kept is where
	// they went.
	RecomputeDispatch Recompute = "dispatch"
	// RecomputeBlock keeps only the input of a layer and its routing.
	RecomputeBlock Recompute = "block"
)

// Recomputes lists the choices.
var Recomputes = []Recompute{RecomputeAuto, RecomputeNone, RecomputeUp, RecomputeDispatch, RecomputeBlock}

// keptFree is what RecomputeAuto always lets be kept, in bytes, so that small models are not slowed down for memory that nobody misses.
const keptFree = 64 << 20

// recompute copies forward nodes into backward, in front of the first node there that reads their results, so
// that those results need not be kept in between. Routing is never computed again: a router asked twice could
// answer twice. The head is left alone: its backward follows its forward at once.
func recompute(s *step) error {
	if mode := s.req.Recompute; mode != RecomputeDispatch && mode != RecomputeBlock {
		s.micro = pooled(s.micro, s.req.Pool)
	}
	s.micro = recomputed(s.micro, again(s.micro, s.req.Recompute))
	return nil
}

const backwardSuffix = ".grad"

func inBackward(n *ir.Node) bool { return strings.HasSuffix(n.Section, backwardSuffix) }

// sameLayer reports whether two sections belong to one layer, or both to none.
func sameLayer(a, b string) bool {
	i, _ := layerOf(a)
	j, _ := layerOf(b)
	return numbered(a) == numbered(b) && i == j
}

// again returns the forward nodes that are computed again.
func again(g *ir.Graph, mode Recompute) map[*ir.Node]bool {
	uses := g.Uses()
	set := map[*ir.Node]bool{}
	for _, n := range g.Nodes {
		if inBackward(n) || n.Section == "head" {
			continue
		}
		switch mode {
		case RecomputeAuto, RecomputeNone:
			set[n] = n.Op.Cheap || is(n, "dispatch_keep")
		case RecomputeUp:
			set[n] = n.Op.Cheap || is(n, "dispatch_keep") || feeds(uses, n, "swiglu")
		case RecomputeDispatch:
			set[n] = n.Op.Cheap || feeds(uses, n, "swiglu") || is(n, "dispatch")
		case RecomputeBlock:
			set[n] = !routing[n.Op.Name] && !leavesLayer(uses, n)
		}
	}
	if mode == RecomputeAuto {
		addUps(g, uses, set)
	}
	return set
}

// addUps adds up-projections to what is computed again, first layers first, until what is kept fits.
func addUps(g *ir.Graph, uses map[*ir.Value][]*ir.Node, set map[*ir.Node]bool) {
	gradients, kept := int64(0), int64(0)
	for _, v := range g.Outside {
		if v.Role == ir.Weight {
			gradients += v.Type.Bytes()
		}
	}
	for _, n := range g.Nodes {
		if inBackward(n) || set[n] || n.Section == "head" || feeds(uses, n, "unpermute") {
			continue // computed again, or not kept once fuse has joined it with its readers
		}
		for _, v := range n.Out {
			if slices.ContainsFunc(uses[v], func(u *ir.Node) bool { return inBackward(u) || set[u] }) {
				kept += v.Type.Bytes()
			}
		}
	}
	budget := max(keptFree, gradients)
	for _, n := range g.Nodes {
		if kept > budget && !inBackward(n) && feeds(uses, n, "swiglu") {
			set[n] = true
			kept -= n.Out[0].Type.Bytes()
		}
	}
}

// routing lists the operations whose results are always kept.
var routing = map[string]bool{"router": true, "route": true, "dispatch_plan": true, "router_stats": true}

func feeds(uses map[*ir.Value][]*ir.Node, n *ir.Node, reader string) bool {
	for _, v := range n.Out {
		for _, u := range uses[v] {
			if u.Op.Name == reader {
				return true
			}
		}
	}
	return false
}

// leavesLayer reports whether a forward node of another layer, or of none, reads a result of n.
func leavesLayer(uses map[*ir.Value][]*ir.Node, n *ir.Node) bool {
	for _, v := range n.Out {
		for _, u := range uses[v] {
			if !inBackward(u) && !sameLayer(u.Section, n.Section) {
				return true
			}
		}
	}
	return false
}

func recomputed(g *ir.Graph, set map[*ir.Node]bool) *ir.Graph {
	fresh := map[*ir.Value]*ir.Value{} // forward value → the copy that backward reads
	pool := filled(g)
	var operand func(r *ir.Rewriter, v *ir.Value) *ir.Value
	operand = func(r *ir.Rewriter, v *ir.Value) *ir.Value {
		if v == nil || v.Def == nil || !set[v.Def] {
			return r.Get(v)
		}
		if fresh[v] == nil && is(v.Def, "dispatch_keep") {
			x, source, received, position := v.Def.In[0], v.Def.In[1], v.Def.In[2], v.Def.In[3]
			fresh[v] = restored(r, v.Def, pool, []*ir.Value{operand(r, x), operand(r, source), operand(r, received), operand(r, position)})
		}
		if fresh[v] == nil {
			var in []*ir.Value
			for _, x := range v.Def.In {
				in = append(in, operand(r, x))
			}
			base := v.Name
			if len(v.Def.Out) > 1 {
				base = strings.TrimSuffix(base, "."+v.Def.Op.Results[indexOf(v.Def.Out, v)])
			}
			for i, copied := range r.Op(v.Def.Op, base+".again", v.Def.Attrs, in...) {
				fresh[v.Def.Out[i]] = copied
			}
		}
		return fresh[v]
	}
	return ir.WithoutDead(ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		if !inBackward(n) {
			r.Copy(n)
			return
		}
		in := make([]*ir.Value, len(n.In))
		for i, v := range n.In {
			in[i] = operand(r, v)
		}
		r.Emit(n, n.Op, n.Attrs, in...)
	}))
}

func indexOf(vs []*ir.Value, v *ir.Value) int {
	for i, x := range vs {
		if x == v {
			return i
		}
	}
	panic("BUG: " + v.Name + " is not a result of its node")
}
