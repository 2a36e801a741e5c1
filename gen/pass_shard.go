package gen

import (
	"fmt"

	"moegen/ir"
)

// shard splits the step over the ranks, one program for all of them. Rows of the batch are a rank's own;
// experts are split: rank r holds experts [r·L, (r+1)·L). What the router sends to other ranks travels once a
// destination (dispatch) and comes back as one partial sum a destination (combine); gradients of dense
// weights and the statistics of the auxiliary loss are summed over ranks.
//
// The expert part of a layer works on received tokens instead of the rank's own. Where it meets the rest, at
// permute and unpermute and their gradients, a value over the rank's tokens goes in through dispatch and comes
// out through combine: that is the whole table, forward and backward.
func shard(s *step) error {
	ranks := s.req.GPUs
	if ranks == 1 {
		return nil
	}
	for _, v := range s.forward.Outside {
		if v.Role == ir.Weight && v.Param.Expert && v.Param.Shape[0]%ranks != 0 {
			return fmt.Errorf("%s has %d experts, not divisible by --gpus %d; use one of %v",
				s.req.Model.Name, v.Param.Shape[0], ranks, divisors(v.Param.Shape[0], 16))
		}
	}
	s.rewrite(func(g *ir.Graph) *ir.Graph { return shardGraph(g, ranks) })
	return nil
}

// divisors returns the divisors of n up to limit.
func divisors(n, limit int) (out []int) {
	for d := 1; d <= min(n, limit); d++ {
		if n%d == 0 {
			out = append(out, d)
		}
	}
	return out
}

// exchange is what one layer's dispatch leaves for everything that crosses between ranks in that layer.
type exchange struct {
	received, source, position *ir.Value
	sent                       map[*ir.Value]*ir.Value // a value over own tokens → over received tokens
}

// tokenSide lists, by operation, which operands and which result run over the tokens that were routed.
var tokenSide = map[string]struct {
	in      []int
	out     bool
	offsets int // operand that identifies the route
}{
	"permute":         {in: []int{0}, offsets: 1},
	"unpermute":       {in: []int{4}, out: true, offsets: 1},
	"unpermute_grad":  {in: []int{0, 1}, offsets: 2},
	"unpermute_wgrad": {in: []int{0}, out: true, offsets: 2},
}

func shardGraph(g *ir.Graph, ranks int) *ir.Graph {
	local := func(v *ir.Value) ir.Type {
		t := v.Type
		if v.Param != nil && v.Param.Expert {
			t.Shape = append([]ir.Dim{{N: t.Dim(0) / ranks}}, t.Shape[1:]...)
		}
		return t
	}
	routes := map[*ir.Value]*exchange{} // by the old offsets
	all := ir.Attrs{{Key: "ranks", Value: ranks}}
	h := ir.Rewrite(g, g.Name, local, func(r *ir.Rewriter, n *ir.Node) {
		switch side, crosses := tokenSide[n.Op.Name]; {
		case n.Op.Name == "route":
			routes[n.Out[0]] = dispatchPlan(r, n, ranks)
		case crosses:
			cross(r, n, routes[n.In[side.offsets]], side.in, side.out)
		case n.Op.Name == "aux_loss":
			r.Set(n.In[0], r.Op(op("all_reduce"), n.In[0].Name+".all", all, r.Get(n.In[0]))[0])
			r.Emit(n, n.Op, n.Attrs.With("rows", n.Attrs.Float("rows")*float64(ranks)), r.GetAll(n.In)...)
		case n.Op.Name == "aux_loss_grad":
			r.Emit(n, n.Op, n.Attrs.With("rows", n.Attrs.Float("rows")*float64(ranks)), r.GetAll(n.In)...)
		case n.Op.Name == "sum_squares" && !n.In[0].Param.Expert:
			grad := r.Get(n.In[0])
			sum := r.Op(op("all_reduce"), n.In[0].Name+".all", all, grad)[0]
			r.Write(grad, sum)
			r.Set(n.In[0], sum)
			r.Copy(n)
		case n.Op.Name == "clip_scale":
			for _, v := range n.In[1:] {
				if v.Def.In[0].Param.Expert {
					r.Set(v, r.Op(op("all_reduce"), v.Name+".all", all, r.Get(v))[0])
				}
			}
			r.Copy(n)
		default:
			r.Copy(n)
		}
	})
	h.Ranks = ranks
	for _, v := range h.Outside {
		if v.Param != nil && v.Param.Expert {
			p := *v.Param
			p.Sharded = true
			v.Param = &p
		}
	}
	return h
}

// dispatchPlan exchanges the choices of the router and routes the received tokens to local experts.
func dispatchPlan(r *ir.Rewriter, n *ir.Node, ranks int) *exchange {
	idx, experts := r.Get(n.In[0]), n.Attrs.Int("experts")
	plan := r.Op(op("dispatch_plan"), n.In[0].Name+".plan",
		ir.Attrs{{Key: "experts", Value: experts}, {Key: "ranks", Value: ranks}}, idx)
	x := &exchange{received: plan[0], source: plan[1], position: plan[2], sent: map[*ir.Value]*ir.Value{}}
	attrs := n.Attrs.With("experts", experts/ranks).With("expected", idx.Type.Elements())
	r.Emit(n, n.Op, attrs, plan[3])
	return x
}

// cross emits a node of the expert part with its token-side operands dispatched and its token-side result
// combined.
func cross(r *ir.Rewriter, n *ir.Node, x *exchange, in []int, out bool) {
	operands := r.GetAll(n.In)
	for _, i := range in {
		if operands[i] == nil {
			continue
		}
		sent := x.sent[operands[i]]
		if sent == nil {
			sent = r.Op(op("dispatch"), operands[i].Name+".received", nil, operands[i], x.source, x.received, x.position)[0]
			x.sent[operands[i]] = sent
		}
		operands[i] = sent
	}
	if n.Op.Name == "unpermute" {
		operands[len(operands)-1] = x.received
	}
	if !out {
		r.Emit(n, n.Op, n.Attrs, operands...)
		return
	}
	partial := r.Op(n.Op, n.Out[0].Name+".partial", n.Attrs, operands...)[0]
	r.Emit(n, op("combine"), nil, partial, x.position, x.source, x.received, nil)
}
