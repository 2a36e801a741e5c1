package gen

import "moegen/ir"

// shard splits the step over the ranks, one program for all of them. Rows of the batch are a rank's own. Experts are split over
// groups of ep ranks: number e of a group holds experts [e·L, (e+1)·L). What the router sends to other ranks of the group travels
// once a destination (dispatch) and comes back as one partial sum a destination (combine). The statistics of the auxiliary loss
// are summed over all ranks, and so are gradients, over the ranks that hold the same parameters: see reduced.
//
// The expert part of a layer works on received tokens instead of the rank's own. Where it meets the rest, at
// permute and unpermute and their gradients, a value over the rank's tokens goes in through dispatch and comes
// out through combine: that is the whole table, forward and backward.
func shard(s *step) error {
	m := mesh{s.req.GPUs, s.req.EP}
	if m.ranks == 1 {
		return nil
	}
	s.rewrite(func(g *ir.Graph) *ir.Graph { return shardGraph(g, m) })
	groups := groupsOf(s.micro, m)
	s.micro, s.update = reduced(s.micro, groups), update(groups, s.req, m)
	return nil
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

func shardGraph(g *ir.Graph, m mesh) *ir.Graph {
	local := func(v *ir.Value) ir.Type {
		t := v.Type
		if v.Param != nil && v.Param.Expert && v.Param.Members == nil {
			t.Shape = append([]ir.Dim{{N: t.Dim(0) / m.ep}}, t.Shape[1:]...)
		}
		return t
	}
	routes := map[*ir.Value]*exchange{} // by the old offsets
	all := ir.Attrs{{Key: "ranks", Value: m.ranks}}
	h := ir.Rewrite(g, g.Name, local, func(r *ir.Rewriter, n *ir.Node) {
		switch side, crosses := tokenSide[n.Op.Name]; {
		case n.Op.Name == "route" && m.ep > 1:
			routes[n.Out[0]] = dispatchPlan(r, n, m.ep)
		case crosses && m.ep > 1:
			cross(r, n, routes[n.In[side.offsets]], side.in, side.out)
		case n.Op.Name == "aux_loss":
			r.Set(n.In[0], r.Op(op("all_reduce"), n.In[0].Name+".all", all, r.Get(n.In[0]))[0])
			r.Emit(n, n.Op, n.Attrs.With("rows", n.Attrs.Float("rows")*float64(m.ranks)), r.GetAll(n.In)...)
		case n.Op.Name == "aux_loss_grad":
			r.Emit(n, n.Op, n.Attrs.With("rows", n.Attrs.Float("rows")*float64(m.ranks)), r.GetAll(n.In)...)
		default:
			r.Copy(n)
		}
	})
	h.Ranks = m.ranks
	for _, v := range h.Outside {
		if v.Param != nil && v.Param.Expert && m.ep > 1 {
			p := *v.Param
			p.Sharded = true
			v.Param = &p
		}
	}
	return h
}

// dispatchPlan exchanges the choices of the router and routes the received tokens to local experts.
func dispatchPlan(r *ir.Rewriter, n *ir.Node, ep int) *exchange {
	idx, experts := r.Get(n.In[0]), n.Attrs.Int("experts")
	plan := r.Op(op("dispatch_plan"), n.In[0].Name+".plan",
		ir.Attrs{{Key: "experts", Value: experts}, {Key: "ranks", Value: ep}}, idx)
	x := &exchange{received: plan[0], source: plan[1], position: plan[2], sent: map[*ir.Value]*ir.Value{}}
	attrs := n.Attrs.With("experts", experts/ep).With("expected", idx.Type.Elements())
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
