package gen

import (
	"strings"

	"moegen/ir"
)

// grad makes the programs of the binary out of the model's forward graph: the micro-batch (forward and
// backward, gradients accumulated), the update (global norm, clipping, AdamW) and eval (forward only).
func grad(s *step) error {
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
	s.update = update(s.forward)
	return nil
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

// beside declares what stands beside a weight: its gradient, its moments.
func beside(b *ir.Builder, prefix string, role ir.Role, weight *ir.Value) *ir.Value {
	v := b.Outside(prefix+weight.Name, role, weight.Type)
	v.Param = weight.Param
	return v
}

// update builds the optimizer step over all weights of a graph: the squared norms of dense and of expert
// gradients are summed apart, because expert parallelism spreads only the latter over ranks.
func update(forward *ir.Graph) *ir.Graph {
	b := ir.NewBuilder("update")
	record := b.Record()
	uses := forward.Uses()
	var weights []*ir.Value
	sections := map[*ir.Value]string{}
	for _, v := range forward.Outside {
		if v.Role == ir.Weight {
			weights = append(weights, v)
			sections[v] = uses[v][0].Section
		}
	}
	sums := map[bool]*ir.Value{}
	for _, v := range weights {
		b.Section = sections[v] + ".squares"
		g := beside(b, "grad.", ir.Gradient, v)
		expert := v.Param.Expert
		name := "sum_squares." + strings.TrimPrefix(g.Name, "grad.")
		sums[expert] = b.Op(op("sum_squares"), name, nil, g, sums[expert])[0]
	}
	b.Section = "clip"
	in := []*ir.Value{record}
	for _, expert := range []bool{false, true} {
		if sums[expert] != nil {
			in = append(in, sums[expert])
		}
	}
	clip := b.Op(op("clip_scale"), "clip", nil, in...)
	b.Write(b.Outside("grad_norm", ir.Result, clip[0].Type), clip[0])
	for _, v := range weights {
		b.Section = sections[v] + ".adamw"
		b.DType = v.Type.DType
		value, m, mv := b.Weight(*v.Param), beside(b, "moment1.", ir.State, v), beside(b, "moment2.", ir.State, v)
		out := b.Op(op("adamw"), "adamw."+v.Name, nil, value, beside(b, "grad.", ir.Gradient, v), m, mv, clip[1], record)
		b.Write(value, out[0])
		b.Write(m, out[1])
		b.Write(mv, out[2])
	}
	return b.Graph
}
