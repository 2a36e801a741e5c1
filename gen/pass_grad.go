package gen

import "moegen/ir"

// grad makes the programs of the binary out of the model's forward graph: the micro-batch (forward and
// backward, gradients accumulated), the update (global norm, clipping, AdamW) and eval (forward only).
func grad(s *step) error {
	if s.req.Target == "h100" {
		s.forward = choosable(s.forward)
	}
	s.micro = ir.Rewrite(s.forward, "micro_batch", nil, (*ir.Rewriter).Copy)
	var objective []*ir.Value
	results := s.micro.Results[:0]
	for _, w := range s.micro.Results {
		if w.To.Name == "loss" || w.To.Name == "aux_loss" {
			objective = append(objective, w.From)
			results = append(results, w)
		}
	}
	s.micro.Results = results
	s.micro.Outside = withoutUnused(s.micro)
	if _, err := ir.Differentiate(s.micro, objective...); err != nil {
		return err
	}
	s.eval = ir.Rewrite(s.forward, "eval", nil, (*ir.Rewriter).Copy)
	one := mesh{1, 1}
	s.update = update(groupsOf(s.micro, one), s.req, one)
	return nil
}

// choosable lets the experts of every token, in all layers, be given to the program, so that it can be measured under any
// routing: an input of Layout of the runtime.
func choosable(g *ir.Graph) *ir.Graph {
	return ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		if !is(n, "router") {
			r.Copy(n)
			return
		}
		r.Emit(n, n.Op, n.Attrs, r.Get(n.In[0]), r.Outside("choice", ir.Input, n.Out[0].Type))
	})
}

// withoutUnused returns the operands from outside that a node reads or a write concerns.
func withoutUnused(g *ir.Graph) []*ir.Value {
	used := map[*ir.Value]bool{}
	for v := range g.Uses() {
		used[v] = true
	}
	for _, w := range g.Results {
		used[w.To], used[w.From] = true, true
	}
	var out []*ir.Value
	for _, v := range g.Outside {
		if used[v] {
			out = append(out, v)
		}
	}
	return out
}
