package gen

import (
	"slices"
	"strings"

	"moegen/ir"
)

// spread is how the arrays of a group, as the update program declares them, lie on the ranks of a step.
type spread struct {
	mesh  mesh
	group *ir.Param
	typ   ir.Type        // of the group's value
	share int            // of its gradient and of what the optimizer keeps, on a rank
	first map[string]int // of each member, in the group
	local map[string]int // elements of each member on a rank
}

// spreads returns those of all groups of a step, by the names of the members.
func spreads(s *step) map[string]*spread {
	m := mesh{1, 1}
	if s.update.Ranks > 1 {
		m = mesh{s.req.GPUs, s.req.EP}
	}
	out := map[string]*spread{}
	for _, g := range s.update.Outside {
		if g.Role != ir.Weight {
			continue
		}
		x := &spread{m, g.Param, g.Type, ir.Share(g.Type.Elements(), m.replicas(g.Param.Expert).Parts), map[string]int{}, map[string]int{}}
		at := 0
		for _, name := range g.Param.Members {
			t := s.micro.Lookup(name).Type
			x.first[name], x.local[name] = at, t.Elements()
			at += int(roundUp(t.Bytes()) / t.DType.Size())
			out[name] = x
		}
	}
	return out
}

// each calls f for every element of a member's whole array and every place that it has: the rank and the element of its array.
// Of gradients and of what the optimizer keeps an element has one place.
func (x *spread) each(member, prefix string, owned bool, f func(element, rank, at int)) {
	replicas := x.mesh.replicas(x.group.Expert)
	axes := 1
	if x.group.Sharded {
		axes = x.mesh.ep
	}
	kept := prefix != ""
	for axis := range axes {
		for e := range x.local[member] {
			at := x.first[member] + e
			for k := range replicas.Parts {
				if (kept || owned) && at/x.share != k {
					continue
				}
				place := at
				if kept {
					place = at % x.share
				}
				f(axis*x.local[member]+e, axis+k*replicas.Stride, place)
			}
		}
	}
}

// gather fills the arrays of groups from those of their members; what lies between them is zero. Shares of gradients become what is read
// as one array.
func gather(s *step, envs []ir.Env) {
	for member, x := range spreads(s) {
		for _, prefix := range x.prefixes() {
			for _, env := range envs {
				if env[prefix+x.group.Name] == nil {
					env[prefix+x.group.Name] = ir.NewTensor(x.typ)
				}
				copy(env[prefix+x.group.Name].Data[x.first[member]:], env[prefix+member].Data)
			}
		}
	}
	for _, v := range s.update.Outside {
		for _, env := range envs {
			if v.Role != ir.Gradient || env[v.Name] != nil {
				continue
			}
			all := &ir.Tensor{Type: v.Type}
			for _, name := range v.Param.Members {
				all.Data = append(all.Data, env["grad."+name].Data...)
			}
			env[v.Name] = all
		}
	}
}

// prefixes lists of what members have arrays of their own: values, and gradients that no ranks share.
func (x *spread) prefixes() []string {
	if x.group.Parts > 1 {
		return []string{""}
	}
	return []string{"", "grad."}
}

// scatter is the reverse of gather, for members.
func scatter(s *step, envs []ir.Env) {
	for member, x := range spreads(s) {
		for _, prefix := range x.prefixes() {
			for _, env := range envs {
				copy(env[prefix+member].Data, env[prefix+x.group.Name].Data[x.first[member]:])
			}
		}
	}
}

// collect returns the whole array of a member, from the rank whose own part an element is in.
func (x *spread) collect(envs []ir.Env, prefix, member string) []float64 {
	var whole []float64
	x.each(member, prefix, true, func(element, rank, at int) {
		for element >= len(whole) {
			whole = append(whole, 0)
		}
		whole[element] = envs[rank][prefix+x.group.Name].Data[at]
	})
	return whole
}

// distribute writes the whole array of a member to wherever it belongs.
func (x *spread) distribute(envs []ir.Env, prefix, member string, whole []float64) {
	x.each(member, prefix, false, func(element, rank, at int) {
		envs[rank][prefix+x.group.Name].Data[at] = whole[element]
	})
}

// keeps lists what the optimizer keeps: the first words of the names.
func keeps(s *step) (words []string) {
	for _, v := range s.update.Outside {
		name, _, _ := strings.Cut(v.Name, ".")
		if v.Role == ir.State && !slices.Contains(words, name+".") {
			words = append(words, name+".")
		}
	}
	return words
}
