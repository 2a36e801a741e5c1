package gen

import (
	"moegen/ir"
	"moegen/kernels"
)

// fuse joins operations that one kernel computes without a trip through memory. Each rule is a function from
// graph to graph; a rule whose pattern is not there changes nothing.
func fuse(s *step) error {
	rules := []func(*ir.Graph) *ir.Graph{fuseQKNormRope, fuseGather, fuseExpertBackward}
	if kernels.Computes(s.req.Target, "grouped_linear_unpermute") {
		rules = append(rules, fuseExpertSum)
	}
	if kernels.Computes(s.req.Target, "grouped_linear_swiglu") {
		rules = append(rules, fuseSwiGLU, fuseSwiGLUGrad)
	}
	for _, rule := range append(rules, fuseCrossEntropy, fuseResidual, fuseAccumulate) {
		s.rewrite(func(g *ir.Graph) *ir.Graph { return ir.WithoutDead(rule(g)) })
	}
	return nil
}

// readers answers who reads a value; a write at the end of the graph counts as a reader, nil.
type readers map[*ir.Value][]*ir.Node

func readersOf(g *ir.Graph) readers {
	uses := readers(g.Uses())
	for _, w := range g.Results {
		uses[w.From] = append(uses[w.From], nil)
	}
	return uses
}

// only returns the single reader of a value if that is an op of this name, else nil.
func (u readers) only(v *ir.Value, name string) *ir.Node {
	if len(u[v]) == 1 && is(u[v][0], name) {
		return u[v][0]
	}
	return nil
}

// find returns the first reader of a value that is an op of this name and reads it as operand i, or nil.
func (u readers) find(v *ir.Value, name string, i int) *ir.Node {
	for _, n := range u[v] {
		if is(n, name) && n.In[i] == v {
			return n
		}
	}
	return nil
}

func is(n *ir.Node, name string) bool { return n != nil && n.Op.Name == name }

// producedBy returns the node that defines v if it is an op of this name, else nil.
func producedBy(v *ir.Value, name string) *ir.Node {
	if v != nil && is(v.Def, name) {
		return v.Def
	}
	return nil
}

// fuseQKNormRope: rope(qk_norm(qkv)) → qk_norm_rope(qkv), and the same for the gradients.
func fuseQKNormRope(g *ir.Graph) *ir.Graph {
	uses := readersOf(g)
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		switch {
		case is(n, "qk_norm") && uses.only(n.Out[0], "rope") != nil,
			is(n, "rope_grad") && uses.only(n.Out[0], "qk_norm_grad") != nil:
		case is(n, "rope") && producedBy(n.In[0], "qk_norm") != nil && uses.only(n.In[0], "rope") != nil:
			norm := n.In[0].Def
			in := append(append([]*ir.Value{}, norm.In...), n.In[1:]...)
			r.Emit(n, op("qk_norm_rope"), norm.Attrs, r.GetAll(in)...)
		case is(n, "qk_norm_grad") && producedBy(n.In[0], "rope_grad") != nil && uses.only(n.In[0], "qk_norm_grad") != nil:
			rope := n.In[0].Def
			in := []*ir.Value{rope.In[0], n.In[1], n.In[2], n.In[3], rope.In[1], rope.In[2], rope.In[3], nil, nil, nil}
			r.Emit(n, op("qk_norm_rope_grad"), n.Attrs, r.GetAll(in)...)
		default:
			r.Copy(n)
		}
	})
}

// fuseGather: a grouped product that reads permuted rows gathers them itself.
func fuseGather(g *ir.Graph) *ir.Graph {
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		in := append([]*ir.Value{}, n.In...)
		attrs := n.Attrs
		gather := func(x, pairs int) {
			if p := producedBy(in[x], "permute"); p != nil {
				in[x], in[pairs] = p.In[0], p.In[2]
				attrs = attrs.With("top_k", p.Attrs.Int("top_k"))
			}
		}
		switch n.Op.Name {
		case "grouped_linear":
			gather(0, 3)
		case "grouped_linear_wgrad":
			gather(1, 4)
		}
		r.Emit(n, n.Op, attrs, r.GetAll(in)...)
	})
}

// expertBackward is the backward of unpermute∘(down projection)∘swiglu with router weights.
type expertBackward struct {
	scale  *ir.Node // dd = unpermute_grad(dy, w): every row times its router weight
	weight *ir.Node // dw = unpermute_wgrad(dy, d)
	dgrad  *ir.Node // da = dd · W
	wgrad  *ir.Node // dW = ddᵀ · a
	act    *ir.Node // dgu = swiglu_grad(da, gu)
}

// fuseExpertBackward moves the router weight behind the down projection, which is linear: with
// g = gather(dy) · W (unweighted), da = w·g, dw = ⟨a, g⟩ because ⟨W a, dy⟩ = ⟨a, Wᵀ dy⟩, and
// dW = gather(dy)ᵀ · (w·a). So neither the weighted rows dd nor the expert's output is needed in backward.
func fuseExpertBackward(g *ir.Graph) *ir.Graph {
	uses := readersOf(g)
	part := map[*ir.Node]*expertBackward{}
	for _, n := range g.Nodes {
		if e := matchExpertBackward(uses, n); e != nil {
			for _, m := range []*ir.Node{e.scale, e.weight, e.dgrad, e.wgrad, e.act} {
				part[m] = e
			}
		}
	}
	scaled := map[*expertBackward]*ir.Value{} // w·a
	waiting := map[*expertBackward]bool{}     // the weight gradient came before w·a existed
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		e := part[n]
		if e == nil {
			r.Copy(n)
			return
		}
		dy, pairs := e.scale.In[0], e.scale.In[3]
		attrs := e.dgrad.Attrs.With("top_k", e.scale.Attrs.Int("top_k"))
		wgrad := func() {
			r.Section = e.wgrad.Section
			r.Emit(e.wgrad, e.wgrad.Op, attrs, r.Get(dy), scaled[e], r.Get(e.wgrad.In[2]), r.Get(pairs), nil, nil, nil)
		}
		switch n {
		case e.weight:
			r.Later(n.Out[0])
		case e.dgrad:
			r.Emit(n, n.Op, attrs, r.Get(dy), r.Get(n.In[1]), r.Get(n.In[2]), r.Get(pairs))
		case e.act:
			out := r.Op(op("swiglu_unpermute_grad"), n.Out[0].Name, ir.Attrs{{Key: "top_k", Value: e.scale.Attrs.Int("top_k")}},
				r.Get(n.In[1]), r.Get(n.In[0]), r.Get(e.scale.In[1]), r.Get(e.scale.In[2]), r.Get(pairs))
			r.Set(n.Out[0], out[0])
			r.Set(e.weight.Out[0], out[2])
			scaled[e] = out[1]
			if waiting[e] {
				wgrad()
			}
		case e.wgrad:
			if scaled[e] == nil {
				waiting[e] = true
				r.Later(n.Out[0])
			} else {
				wgrad()
			}
		}
	})
}

func matchExpertBackward(uses readers, n *ir.Node) *expertBackward {
	if !is(n, "unpermute_grad") || len(uses[n.Out[0]]) != 2 {
		return nil
	}
	e := &expertBackward{
		scale: n,
		dgrad: uses.find(n.Out[0], "grouped_linear_dgrad", 0),
		wgrad: uses.find(n.Out[0], "grouped_linear_wgrad", 0),
	}
	if e.dgrad == nil || e.wgrad == nil || e.wgrad.In[3] != nil || e.wgrad.In[4] != nil {
		return nil
	}
	for _, m := range uses[n.In[0]] {
		if is(m, "unpermute_wgrad") && m.In[0] == n.In[0] && m.In[2] == n.In[2] {
			e.weight = m
		}
	}
	e.act = uses.only(e.dgrad.Out[0], "swiglu_grad")
	a := producedBy(e.wgrad.In[1], "swiglu")
	if e.weight == nil || e.act == nil || a == nil || a.In[0] != e.act.In[1] {
		return nil
	}
	return e
}

// fuseExpertSum: rows that experts compute only to be added up token by token are added up at once. The rows as
// such, every token's as often as it has experts, then stand nowhere.
func fuseExpertSum(g *ir.Graph) *ir.Graph {
	uses := readersOf(g)
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		if !is(n, "unpermute") || uses.only(n.In[0], "unpermute") == nil || n.In[0].Def == nil || n.In[0].Def.In[3] != nil {
			r.Copy(n)
			return
		}
		offsets, slots, w, residual, count := n.In[1], n.In[3], n.In[4], n.In[5], n.In[6]
		switch rows := n.In[0].Def; {
		case is(rows, "grouped_linear"):
			r.Emit(n, op("grouped_linear_unpermute"), nil,
				r.GetAll([]*ir.Value{rows.In[0], rows.In[1], offsets, slots, w, residual, count})...)
		case is(rows, "grouped_linear_dgrad") && w == nil:
			r.Emit(n, op("grouped_linear_dgrad_unpermute"), nil,
				r.GetAll([]*ir.Value{rows.In[0], rows.In[1], offsets, slots, residual, count})...)
		default:
			r.Copy(n)
		}
	})
}

// fuseSwiGLU: experts' up projections compute the activation as well. The product itself is written only where somebody else
// reads it: backward, unless it computes it again.
func fuseSwiGLU(g *ir.Graph) *ir.Graph {
	uses := readersOf(g)
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		if is(n, "swiglu") && r.Has(n.Out[0]) {
			return
		}
		if !is(n, "grouped_linear") {
			r.Copy(n)
			return
		}
		gu := n.Out[0]
		act := uses.find(gu, "swiglu", 0)
		switch in := r.GetAll(n.In); {
		case act == nil || act.Section != n.Section:
			r.Copy(n)
		case len(uses[gu]) == 1:
			r.Set(act.Out[0], r.Op(op("grouped_linear_swiglu"), act.Out[0].Name, n.Attrs, in...)[0])
		default:
			out := r.Op(op("grouped_linear_swiglu_keep"), gu.Name, n.Attrs, in...)
			r.Set(gu, out[0])
			r.Set(act.Out[0], out[1])
		}
	})
}

// fuseSwiGLUGrad: what fuseExpertBackward left of the input gradient of the down projection goes on through SwiGLU at once.
func fuseSwiGLUGrad(g *ir.Graph) *ir.Graph {
	uses := readersOf(g)
	fused := func(da *ir.Value) bool {
		act := uses.only(da, "swiglu_unpermute_grad")
		return act != nil && act.In[1] == da && da.Def.In[3] == act.In[4] && producedBy(act.In[4], "route") != nil
	}
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		switch {
		case is(n, "grouped_linear_dgrad") && fused(n.Out[0]):
		case is(n, "swiglu_unpermute_grad") && producedBy(n.In[1], "grouped_linear_dgrad") != nil && fused(n.In[1]):
			down, slots := n.In[1].Def, n.In[4].Def.Out[2]
			r.Emit(n, op("grouped_linear_dgrad_swiglu"), n.Attrs,
				r.GetAll([]*ir.Value{down.In[0], down.In[1], n.In[0], n.In[2], n.In[3], n.In[4], slots})...)
		default:
			r.Copy(n)
		}
	})
}

// fuseCrossEntropy: the output projection and the loss, forward and backward, become one operation that
// never holds the logits of all tokens; without backward, one that computes the loss only.
func fuseCrossEntropy(g *ir.Graph) *ir.Graph {
	uses := readersOf(g)
	type pattern struct{ logits, loss, dlogits, dgrad, wgrad *ir.Node }
	part := map[*ir.Node]*pattern{}
	for _, n := range g.Nodes {
		p := &pattern{loss: n}
		if !is(n, "cross_entropy") {
			continue
		}
		p.logits = producedBy(n.In[0], "linear")
		if p.logits == nil || p.logits.In[2] != nil || p.logits.In[3] != nil {
			continue
		}
		p.dlogits = uses.find(n.In[0], "cross_entropy_grad", 0)
		members := []*ir.Node{p.logits, p.loss}
		if p.dlogits != nil {
			p.dgrad = uses.find(p.dlogits.Out[0], "linear_dgrad", 0)
			p.wgrad = uses.find(p.dlogits.Out[0], "linear_wgrad", 0)
			members = append(members, p.dlogits, p.dgrad, p.wgrad)
		}
		if len(uses[n.In[0]]) != len(members)/2 || p.dlogits != nil && (p.dgrad == nil || p.wgrad == nil) {
			continue
		}
		for _, m := range members {
			part[m] = p
		}
	}
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		p := part[n]
		switch {
		case p == nil:
			r.Copy(n)
		case p.dlogits == nil && n == p.loss:
			r.Emit(n, op("linear_cross_entropy_eval"), nil,
				r.Get(p.logits.In[0]), r.Get(p.logits.In[1]), r.Get(n.In[1]), r.Get(n.In[2]))
		case n == p.dlogits:
			out := r.Op(op("linear_cross_entropy"), p.loss.Out[0].Name, nil,
				r.Get(p.logits.In[0]), r.Get(p.logits.In[1]), r.Get(n.In[1]), r.Get(n.In[2]), nil)
			r.Set(p.loss.Out[0], out[0])
			r.Set(p.dgrad.Out[0], out[1])
			r.Set(p.wgrad.Out[0], out[2])
		}
	})
}

// residualOperand gives, by operation, the operand that is added to result 0.
var residualOperand = map[string]int{"linear": 3, "linear_dgrad": 2, "rms_norm_grad": 4, "unpermute": 5,
	"grouped_linear_unpermute": 5, "grouped_linear_dgrad_unpermute": 4, "combine": 4}

// fuseResidual: a sum moves into the operation that computes one of its terms, if the other term is there by
// then.
func fuseResidual(g *ir.Graph) *ir.Graph {
	uses := readersOf(g)
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		if is(n, "add") && r.Has(n.Out[0]) {
			return
		}
		slot, can := residualOperand[n.Op.Name]
		if can && n.In[slot] == nil {
			if sum := uses.only(n.Out[0], "add"); sum != nil {
				other := sum.In[0]
				if other == n.Out[0] {
					other = sum.In[1]
				}
				if other != n.Out[0] && r.Has(other) {
					in := r.GetAll(n.In)
					in[slot] = r.Get(other)
					r.Set(sum.Out[0], r.Emit(n, n.Op, n.Attrs, in...)[0])
					return
				}
			}
		}
		r.Copy(n)
	})
}

// fuseAccumulate: a gradient is added to the accumulated one by the kernel that computes it.
func fuseAccumulate(g *ir.Graph) *ir.Graph {
	uses := readersOf(g)
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		if is(n, "accumulate") && r.Has(n.Out[0]) {
			return
		}
		in := r.GetAll(n.In)
		sums := map[int]*ir.Node{}
		for _, o := range n.Op.Sums {
			if sum := uses.only(n.Out[o.Result], "accumulate"); sum != nil && n.In[o.Grad] == nil {
				in[o.Grad], in[o.Record] = r.Get(sum.In[1]), r.Get(sum.In[2])
				sums[o.Result] = sum
			}
		}
		out := r.Emit(n, n.Op, n.Attrs, in...)
		for i, v := range out {
			if sums[i] != nil {
				r.Set(sums[i].Out[0], v)
			}
		}
	})
}
