package gen

import (
	"strings"

	"moegen/ir"
)

// spread is how the arrays of a group, as the update program declares them, lie on the ranks of a step.
type spread struct {
	mesh  mesh
	group *ir.Param
	share int            // of what the optimizer keeps, on a rank
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
		x := &spread{m, g.Param, ir.Share(g.Type.Elements(), m.replicas(g.Param.Expert).Parts), map[string]int{}, map[string]int{}}
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
// Of what the optimizer keeps, and of gradients after an update, an element has one place.
func (x *spread) each(member, prefix string, owned bool, f func(element, rank, at int)) {
	replicas := x.mesh.replicas(x.group.Expert)
	axes := 1
	if x.group.Sharded {
		axes = x.mesh.ep
	}
	kept := prefix != "" && prefix != "grad."
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

// gather fills the arrays of groups from those of their members; what lies between them is zero.
func gather(s *step, envs []ir.Env) {
	groups := map[string]*ir.Value{}
	for _, v := range s.update.Outside {
		groups[v.Name] = v
	}
	for member, x := range spreads(s) {
		for _, prefix := range []string{"", "grad."} {
			group := prefix + x.group.Name
			for _, env := range envs {
				if env[group] == nil {
					env[group] = ir.NewTensor(groups[group].Type)
				}
				copy(env[group].Data[x.first[member]:], env[prefix+member].Data)
			}
		}
	}
}

// scatter is the reverse.
func scatter(s *step, envs []ir.Env) {
	for member, x := range spreads(s) {
		for _, prefix := range []string{"", "grad."} {
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
		if name, of, _ := strings.Cut(v.Name, "."); v.Role == ir.State && of == "dense" {
			words = append(words, name+".")
		}
	}
	return words
}
