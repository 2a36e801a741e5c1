package gen

import (
	"fmt"
	"hash/fnv"

	"moegen/ir"
)

// mesh is how the ranks share the work: rank r is number r mod ep of those that share the experts, and number r / ep of those
// that hold the same ones. Both share the rows of a batch.
type mesh struct{ ranks, ep int }

// replicas returns which ranks hold the same of a parameter.
func (m mesh) replicas(expert bool) ir.Replicas {
	if expert {
		return ir.Replicas{Parts: m.ranks / m.ep, Stride: m.ep}
	}
	return ir.Replicas{Parts: m.ranks, Stride: 1}
}

// update builds the optimizer step over all weights of a graph, as a rank holds them. It works on two groups, the dense
// parameters and the experts, each as one flat array. Of an array that several ranks hold, every rank updates its part
// and keeps what the optimizer needs for it: gradients are added up where they are used, and weights are gathered when all
// parts are done. Every parameter counts once in the norm: on the rank that updates it.
func update(graph *ir.Graph, req Request, m mesh) *ir.Graph {
	b := ir.NewBuilder("update")
	b.Graph.Ranks = m.ranks
	record := b.Record()
	var all []*group
	for _, expert := range []bool{false, true} {
		if g := newGroup(graph, expert, m); g != nil {
			all = append(all, g)
		}
	}
	var sum *ir.Value
	for _, g := range all {
		b.Section = g.param.Name + ".reduce"
		sum = g.reduce(b, sum, record)
	}
	b.Section = "clip"
	if m.ranks > 1 {
		sum = b.Op(op("all_reduce"), "squares.all", ir.Attrs{{Key: "ranks", Value: m.ranks}}, sum)[0]
	}
	clip := b.Op(op("clip_scale"), "clip", nil, record, sum)
	b.Write(b.Outside("grad_norm", ir.Result, clip[0].Type), clip[0])
	for _, g := range all {
		b.Section = g.param.Name + ".adamw"
		g.optimize(b, req.Optimizer, clip[1], record)
	}
	return b.Graph
}

// group is parameters that are updated as one array.
type group struct {
	param    *ir.Param
	typ      ir.Type
	replicas ir.Replicas
	grad     *ir.Value // at least the own part of it is what all replicas' gradients add up to
}

// newGroup returns the experts, or all other weights, of a graph, nil if it has none.
func newGroup(graph *ir.Graph, expert bool, m mesh) *group {
	g := &group{param: &ir.Param{Name: "dense", Expert: expert}, replicas: m.replicas(expert)}
	if expert {
		g.param.Name = "experts"
	}
	elements := 0
	for _, v := range graph.Outside {
		if v.Role != ir.Weight || v.Param.Expert != expert {
			continue
		}
		if elements > 0 && v.Type.DType != g.typ.DType {
			panic(fmt.Sprintf("BUG: %s is %s, others of %s are %s", v.Name, v.Type.DType, g.param.Name, g.typ.DType))
		}
		g.typ.DType = v.Type.DType
		g.param.Members = append(g.param.Members, v.Name)
		g.param.Sharded = v.Param.Sharded
		elements += int(roundUp(v.Type.Bytes()) / v.Type.DType.Size())
	}
	if elements == 0 {
		return nil
	}
	g.param.Shape = []int{elements}
	g.typ = ir.Fixed(g.typ.DType, elements)
	return g
}

// array declares an array of the group: its value, its gradient, or what the optimizer keeps.
func (g *group) array(b *ir.Builder, prefix string, role ir.Role, t ir.Type) *ir.Value {
	v := b.Outside(prefix+g.param.Name, role, t)
	v.Param = g.param
	return v
}

// reduce adds the gradients up and their squares to sum, which may be nil.
func (g *group) reduce(b *ir.Builder, sum, record *ir.Value) *ir.Value {
	place := g.array(b, "grad.", ir.Gradient, g.typ)
	g.grad = place
	if g.replicas.Parts > 1 {
		g.grad = b.Op(op("reduce_scatter"), place.Name+".all", g.replicas.Attrs(), place)[0]
		b.Write(place, g.grad)
	} else {
		record = nil
	}
	return b.Op(op("sum_squares"), "squares."+g.param.Name, g.replicas.Attrs(), g.grad, sum, record)[0]
}

// optimize updates the weights.
func (g *group) optimize(b *ir.Builder, profile string, scale, record *ir.Value) {
	o := optimizerOf(profile, g.typ.DType)
	value := g.array(b, "", ir.Weight, g.typ)
	places, in := []*ir.Value{value}, []*ir.Value{value, g.grad}
	share := ir.Share(g.typ.Elements(), g.replicas.Parts)
	for _, k := range o.keeps {
		place := g.array(b, k.name+".", ir.State, ir.Fixed(k.dtype, share))
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
