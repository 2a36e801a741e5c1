package gen

import (
	"hash/fnv"

	"moegen/ir"
)

// update builds the optimizer step over groups of weights, each as one flat array. Of an array that several ranks hold, every rank
// updates its part and keeps what the optimizer needs for it: backward has left it that part of the gradient, and weights are gathered
// when they are done. Every parameter counts once in the norm: on the rank that updates it.
func update(groups []*group, req Request, m mesh) *ir.Graph {
	b := ir.NewBuilder("update")
	b.Graph.Ranks = m.ranks
	record := b.Record()
	sum := squares(b, groups)
	b.Section = "clip"
	if m.ranks > 1 {
		sum = b.Op(op("all_reduce"), "squares.all", ir.Attrs{{Key: "ranks", Value: m.ranks}}, sum)[0]
	}
	clip := b.Op(op("clip_scale"), "clip", nil, record, sum)
	b.Write(b.Outside("grad_norm", ir.Result, clip[0].Type), clip[0])
	for _, g := range groups {
		b.Section = g.param.Name + ".adamw"
		g.optimize(b, req.Optimizer, clip[1], record)
	}
	return b.Graph
}

// squares adds up the squares of all gradients. Shares of several groups of a kind are one array to it.
func squares(b *ir.Builder, groups []*group) (sum *ir.Value) {
	for _, expert := range []bool{false, true} {
		name := kindNames[expert]
		var own []*ir.Value
		all := &ir.Param{Name: name, Expert: expert}
		elements := 0
		for _, g := range groups {
			if g.param.Expert == expert {
				own = append(own, g.grad(b))
				all.Members = append(all.Members, g.param.Name)
				elements += g.share()
			}
		}
		if own == nil {
			continue
		}
		grad := own[0]
		if grad.Param.Parts > 1 {
			all.Shape = []int{elements}
			grad = b.Outside("grad."+name, ir.Gradient, ir.Fixed(grad.Type.DType, elements))
			grad.Param = all
		}
		b.Section = name + ".squares"
		sum = b.Op(op("sum_squares"), "squares."+name, nil, grad, sum)[0]
	}
	return sum
}

// optimize updates the weights.
func (g *group) optimize(b *ir.Builder, profile string, scale, record *ir.Value) {
	o := optimizerOf(profile, g.typ.DType)
	value := g.array(b, "", ir.Weight, g.typ)
	places, in := []*ir.Value{value}, []*ir.Value{value, g.grad(b)}
	for _, k := range o.keeps {
		place := g.array(b, k.name+".", ir.State, ir.Fixed(k.dtype, g.share()))
		places, in = append(places, place), append(in, place)
	}
	attrs := g.replicas.Attrs()
	if o.op == "adamw_split" {
		attrs = append(ir.Attrs{{Key: "stream", Value: g.stream()}}, attrs...)
	}
	for i, out := range b.Op(op(o.op), "adamw."+g.param.Name, attrs, append(in, scale, record)...) {
		if i == 0 && g.replicas.Parts > 1 {
			out = b.Op(op("all_gather"), g.param.Name+".all", g.replicas.Attrs(), out)[0]
		}
		b.Write(places[i], out)
	}
}

// stream is the number of the group's random bits: a hash of its name.
func (g *group) stream() int {
	h := fnv.New32a()
	h.Write([]byte(g.param.Name))
	return int(h.Sum32())
}

// An optimizer is an operation that updates weights, with what it keeps beside them: its operands and results are the weights and
// their gradient, the weights, and these arrays in order.
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
