package gen

import (
	"fmt"
	"slices"
	"strings"

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

// group is parameters that are updated as one array.
type group struct {
	param    *ir.Param
	typ      ir.Type
	replicas ir.Replicas
}

// The two kinds of parameters: those that all ranks hold, and those that are split over some.
var kindNames = map[bool]string{false: "dense", true: "experts"}

// groupsOf returns the groups of a graph's weights, as a rank holds them, the dense ones first: one of a kind, or, where several ranks
// hold the same, one of a kind for each part of the model whose gradients are complete at the same time, a layer or what belongs
// to none: these add their gradients up as soon as backward has them.
func groupsOf(graph *ir.Graph, m mesh) (groups []*group) {
	done := completed(graph)
	for _, expert := range []bool{false, true} {
		of := m.replicas(expert)
		byName := map[string]*group{}
		for _, v := range graph.Outside {
			if v.Role != ir.Weight || v.Param.Expert != expert {
				continue
			}
			name := kindNames[expert]
			if of.Parts > 1 {
				name = unitOf(done[v.Name]) + "." + name
			}
			g := byName[name]
			if g == nil {
				g = &group{param: &ir.Param{Name: name, Expert: expert, Parts: of.Parts}, replicas: of}
				byName[name] = g
				groups = append(groups, g)
			}
			g.add(v)
		}
	}
	return groups
}

// completed returns by weight the section in which its gradient is complete.
func completed(graph *ir.Graph) map[string]string {
	sections := map[string]string{}
	for _, n := range graph.Nodes {
		if is(n, "accumulate") {
			sections[n.In[1].Param.Name] = n.Section
		}
	}
	return sections
}

// unitOf is the part of the model that a section of backward belongs to: its layer, or the section itself.
func unitOf(section string) string {
	if i, ok := layerOf(section); ok {
		return fmt.Sprintf("%s.%d", layers, i)
	}
	return strings.TrimSuffix(section, backwardSuffix)
}

// add makes a weight a member.
func (g *group) add(v *ir.Value) {
	if g.param.Members != nil && v.Type.DType != g.typ.DType {
		panic(fmt.Sprintf("BUG: %s is %s, others of %s are %s", v.Name, v.Type.DType, g.param.Name, g.typ.DType))
	}
	elements := int(roundUp(v.Type.Bytes()) / v.Type.DType.Size())
	if g.param.Members != nil {
		elements += g.typ.Elements()
	}
	g.typ = ir.Fixed(v.Type.DType, elements)
	g.param.Shape = []int{elements}
	g.param.Members = append(g.param.Members, v.Param.Name)
	g.param.Sharded = v.Param.Sharded
}

// array declares an array of the group: its value, its gradient, or what the optimizer keeps.
func (g *group) array(b *ir.Builder, prefix string, role ir.Role, t ir.Type) *ir.Value {
	v := b.Outside(prefix+g.param.Name, role, t)
	v.Param = g.param
	return v
}

// grad declares what a rank has of the group's gradient: its share.
func (g *group) grad(b *ir.Builder) *ir.Value {
	return g.array(b, "grad.", ir.Gradient, ir.Fixed(g.typ.DType, g.share()))
}

// share is how many elements of the group are a rank's.
func (g *group) share() int { return ir.Share(g.typ.Elements(), g.replicas.Parts) }

// reduced is a graph whose gradients that several ranks have terms of are added up: as soon as those of a group are complete they are
// laid one behind the other, and of the sum over the ranks each keeps its share. It is that to which micro-batches add.
func reduced(graph *ir.Graph, groups []*group) *ir.Graph {
	of := map[string]*group{}
	for _, g := range groups {
		for _, member := range g.param.Members {
			if g.replicas.Parts > 1 {
				of[member] = g
			}
		}
	}
	parted := func(v *ir.Value) bool { return v.Role == ir.Gradient && of[v.Param.Name] != nil }
	g := *graph
	g.Outside = slices.DeleteFunc(slices.Clone(g.Outside), parted)
	g.Results = slices.DeleteFunc(slices.Clone(g.Results), func(w ir.Write) bool { return parted(w.To) })
	terms := map[string]*ir.Value{}
	return ir.Rewrite(&g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		if !is(n, "accumulate") || !parted(n.In[1]) {
			r.Copy(n)
			return
		}
		name := n.In[1].Param.Name
		terms[name] = r.Get(n.In[0])
		of[name].reduce(r.Builder, terms, r.Get(n.In[2]))
	})
}

// reduce adds the gradients of the group up if all of them are there.
func (g *group) reduce(b *ir.Builder, terms map[string]*ir.Value, record *ir.Value) {
	var own []*ir.Value
	for _, member := range g.param.Members {
		if terms[member] == nil {
			return
		}
		own = append(own, terms[member])
	}
	place := g.grad(b)
	flat := b.Op(op("pack"), "d."+g.param.Name, ir.Attrs{{Key: "unit", Value: align / int(g.typ.DType.Size())}}, own...)[0]
	b.Write(place, b.Op(op("reduce_scatter"), "sum."+g.param.Name, g.replicas.Attrs(), flat, place, record)[0])
}
