package gen

import (
	"hash/fnv"
	"strings"

	"moegen/ir"
)

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
	s.update = update(s.forward, s.req)
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

// besideWeight declares what stands beside a weight, with elements of some type: its gradient, its moments.
func besideWeight(b *ir.Builder, prefix string, role ir.Role, d ir.DType, weight *ir.Value) *ir.Value {
	v := b.Outside(prefix+weight.Name, role, ir.Type{DType: d, Shape: weight.Type.Shape})
	v.Param = weight.Param
	return v
}

// update builds the optimizer step over all weights of a graph: the squared norms of dense and of expert
// gradients are summed apart, because expert parallelism spreads only the latter over ranks.
func update(forward *ir.Graph, req Request) *ir.Graph {
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
		g := besideWeight(b, "grad.", ir.Gradient, v.Type.DType, v)
		expert := v.Param.Expert
		name := "sum_squares." + strings.TrimPrefix(g.Name, "grad.")
		sums[expert] = b.Op(op("sum_squares"), name, whole, g, sums[expert], nil)[0]
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
		optimize(b, req, v, clip[1], record)
	}
	return b.Graph
}

// An optimizer is an operation that updates a weight, with what it keeps beside it: its operands and results are the weight and
// its gradient, the weight, and these arrays in order.
type optimizer struct {
	op    string
	keeps []kept
}

// kept is an array of an optimizer: the first word of its name, and its elements.
type kept struct {
	name  string
	dtype ir.DType
}

// optimizerOf returns the optimizer of a profile for weights of an element type.
func optimizerOf(profile string, weights ir.DType) optimizer {
	switch {
	case profile == "split":
		return optimizer{"adamw_split", []kept{{"low", ir.I16}, {"moment1", ir.BF16}, {"moment2", ir.BF16}}}
	case profile == "f32" && weights != ir.F32:
		return optimizer{"adamw_master", []kept{{"master", ir.F32}, {"moment1", ir.F32}, {"moment2", ir.F32}}}
	}
	return optimizer{"adamw", []kept{{"moment1", weights}, {"moment2", weights}}}
}

// optimize updates a weight.
func optimize(b *ir.Builder, req Request, v, scale, record *ir.Value) {
	o := optimizerOf(req.Optimizer, v.Type.DType)
	places := []*ir.Value{b.Weight(*v.Param)}
	in := []*ir.Value{places[0], besideWeight(b, "grad.", ir.Gradient, v.Type.DType, v)}
	for _, k := range o.keeps {
		place := besideWeight(b, k.name+".", ir.State, k.dtype, v)
		places, in = append(places, place), append(in, place)
	}
	attrs := whole
	if o.op == "adamw_split" {
		attrs = append(ir.Attrs{{Key: "stream", Value: streamOf(v.Param)}}, whole...)
	}
	for i, out := range b.Op(op(o.op), "adamw."+v.Name, attrs, append(in, scale, record)...) {
		b.Write(places[i], out)
	}
}

// whole says that a rank updates all of what it holds.
var whole = ir.Replicas{Parts: 1, Stride: 1}.Attrs()

// streamOf is the number of a parameter's random bits: a hash of the name of its first tensor in a checkpoint.
func streamOf(p *ir.Param) int {
	h := fnv.New32a()
	h.Write([]byte(p.Pieces[0].Name))
	return int(h.Sum32())
}
