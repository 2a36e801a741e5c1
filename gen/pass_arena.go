package gen

import (
	"cmp"
	"fmt"
	"slices"

	"moegen/ir"
)

// align is the alignment of every buffer, in bytes: a whole number of cache lines, and what tensor copies of
// a GPU ask for.
const align = 256

// arena gives every value a place. What comes from outside lives for good, at the bottom of the arena, but for gradients:
// these are its last bytes, and live as ir.Plan says. Activations of a program share the space above the bottom by lifetime, with
// the gradients too, and the programs share it with each other. A
// result takes the place of an operand where its kernel may work in place and nobody reads the operand
// later. A result written at the end of its program is computed right where it belongs. Where launches run on several streams, those
// wait for each other that pass values on; memory changes hands only between launches that are in order anyway.
func arena(s *step) error {
	a := &arenaBuilder{
		plan:    &ir.Plan{Model: s.req.Model.Name, Target: s.req.Target, Ranks: s.req.GPUs, EP: s.req.EP},
		outside: map[string]*ir.Buffer{},
	}
	graphs := s.programs()
	a.placeOutside(graphs)
	for _, g := range graphs {
		a.program(s, g)
	}
	a.settle()
	slices.SortFunc(a.plan.Buffers, func(x, y *ir.Buffer) int {
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Program, y.Program),
			cmp.Compare(x.First, y.First), cmp.Compare(x.Name, y.Name))
	})
	s.plan = a.plan
	return nil
}

type arenaBuilder struct {
	plan    *ir.Plan
	outside map[string]*ir.Buffer
	base    int64 // end of what lives for good
	height  int64 // of what lies above
}

func roundUp(n int64) int64 { return (n + align - 1) / align * align }

// placeOutside lays out what lives for good, role by role, members of a group inside it. Gradients, and results that only eval and
// head touch, are the last bytes of the arena, where activations of other programs, or of other times, may lie as well.
func (a *arenaBuilder) placeOutside(graphs []*ir.Graph) {
	var all []*ir.Buffer
	shared := map[*ir.Buffer]bool{} // touched by a program other than eval and head
	for _, g := range graphs {
		for _, v := range g.Outside {
			b := a.outside[v.Name]
			if b == nil {
				b = &ir.Buffer{Name: v.Name, Type: v.Type, Role: v.Role, Param: v.Param}
				a.outside[v.Name] = b
				all = append(all, b)
			}
			if !b.Type.Equal(v.Type) || b.Role != v.Role {
				panic(fmt.Sprintf("BUG: %s is %s %s in one program, %s %s in %s", v.Name, b.Role, b.Type, v.Role, v.Type, g.Name))
			}
			shared[b] = shared[b] || g.Name != "eval" && g.Name != "head"
		}
	}
	passing := func(b *ir.Buffer) bool { return b.Role == ir.Result && !shared[b] }
	order := []ir.Role{ir.Weight, ir.Gradient, ir.State, ir.Constant, ir.Input, ir.Result}
	slices.SortStableFunc(all, func(x, y *ir.Buffer) int {
		if passing(x) != passing(y) {
			return map[bool]int{false: -1, true: 1}[passing(x)]
		}
		return cmp.Compare(slices.Index(order, x.Role), slices.Index(order, y.Role))
	})
	members := membersOf(all)
	inside := map[*ir.Buffer]bool{} // a group, which places it
	for _, list := range members {
		for _, b := range list {
			inside[b] = true
		}
	}
	var lasting, gradients, results []*ir.Buffer
	for _, b := range all {
		switch {
		case inside[b]:
		case passing(b):
			results = append(results, b)
		case b.Role == ir.Gradient:
			gradients = append(gradients, b)
		default:
			lasting = append(lasting, b)
		}
	}
	a.base = layOut(lasting, members)
	a.plan.Gradients = layOut(gradients, members)
	a.plan.Buffers = append(a.plan.Buffers, all...)
	a.height = a.plan.Gradients
	a.placeResults(results)
}

// layOut places buffers one behind the other from 0 on, members of a group inside it, and returns where they end.
func layOut(list []*ir.Buffer, members map[*ir.Buffer][]*ir.Buffer) (end int64) {
	for _, b := range list {
		b.Offset = end
		at := end
		for _, m := range members[b] {
			m.Offset = at
			at += roundUp(m.Bytes())
		}
		end += roundUp(b.Bytes())
	}
	return end
}

// membersOf returns the members of groups, values of values and gradients of gradients, in order.
func membersOf(all []*ir.Buffer) map[*ir.Buffer][]*ir.Buffer {
	type key struct {
		name string
		role ir.Role
	}
	buffers := map[key]*ir.Buffer{}
	for _, b := range all {
		if b.Param != nil {
			buffers[key{b.Param.Name, b.Role}] = b
		}
	}
	members := map[*ir.Buffer][]*ir.Buffer{}
	for _, b := range all {
		if b.IsGroup() {
			for _, name := range b.Param.Members {
				members[b] = append(members[b], buffers[key{name, b.Role}])
			}
		}
	}
	return members
}

// program turns a graph into launches and places its activations.
func (a *arenaBuilder) program(s *step, g *ir.Graph) {
	p := &ir.Program{Name: g.Name}
	lastUse := map[*ir.Value]int{}
	for i, n := range g.Nodes {
		for _, v := range n.In {
			lastUse[v] = i
		}
	}
	buffers, places := map[*ir.Value]*ir.Buffer{}, map[*ir.Value]*place{}
	for _, v := range g.Outside {
		buffers[v] = a.outside[v.Name]
	}
	target, within := s.writeTargets(g, lastUse), insideOf(g)
	needs := dependencies(g, target, s.after)
	order := ir.NewOrder()
	var all []*place
	fresh := func(name string, bytes int64, at int) *place {
		all = append(all, &place{name: name, bytes: roundUp(bytes), first: at, last: at, ends: [ir.Streams]int{-1, -1}})
		return all[len(all)-1]
	}
	type pair struct {
		buffer *ir.Buffer
		place  *place
		at     int64 // where it begins there
	}
	var pairs []pair
	for i, n := range g.Nodes {
		k := s.kernels[n]
		l := &ir.Launch{Kernel: k.Name, Op: n.Op, Section: n.Section, Attrs: n.Attrs, Cost: n.Op.Cost(n), Stream: s.streams[n]}
		l.After = order.Waits(l.Stream, needs[i])
		order.Add(l)
		for _, v := range n.In {
			l.In = append(l.In, buffers[v])
		}
		taken := map[*place]bool{}
		for j, v := range n.Out {
			if to := target[v]; to != nil {
				buffers[v] = a.outside[to.Name]
				l.Out = append(l.Out, buffers[v])
				continue
			}
			at := inPlace(n, j, i, lastUse, places)
			if at != nil && !at.over(order, i) {
				at = nil
			}
			if k.Apart && !slices.ContainsFunc(k.Shares, func(s [2]int) bool { return s[0] == j }) {
				at = nil
			}
			whole, begin := v, int64(0)
			if part, ok := within[v]; ok {
				whole, begin = part.whole, part.at
				at = places[whole]
			} else if at != nil && taken[at] {
				at = nil
			}
			if at == nil || at.bytes < roundUp(whole.Type.Bytes()) {
				at = fresh(whole.Name, whole.Type.Bytes(), i)
				places[whole] = at
			}
			taken[at] = true
			at.last = max(at.last, i, lastUse[v], lastUse[whole])
			b := &ir.Buffer{Name: v.Name, Type: v.Type, Program: g.Name, First: i, Last: max(i, lastUse[v])}
			buffers[v], places[v] = b, at
			pairs = append(pairs, pair{b, at, begin})
			l.Out = append(l.Out, b)
		}
		for _, v := range slices.Concat(n.In, n.Out) {
			if at := places[v]; at != nil {
				at.touch(l.Stream, i)
			}
		}
		elements := 0
		if k.Workspace != nil {
			elements = k.Workspace(n)
		}
		if elements > 0 {
			name := fmt.Sprintf("%s.workspace.%d", g.Name, i)
			b := &ir.Buffer{Name: name, Type: ir.Fixed(ir.F32, elements), Program: g.Name, First: i, Last: i}
			at := fresh(name, b.Bytes(), i)
			at.touch(l.Stream, i)
			pairs = append(pairs, pair{b, at, 0})
			l.Workspace = b
		}
		p.Launches = append(p.Launches, l)
	}
	a.assign(all, a.taken(g, p), order)
	for _, x := range pairs {
		x.buffer.Offset = x.place.offset + x.at
		a.plan.Buffers = append(a.plan.Buffers, x.buffer)
	}
	a.plan.Programs = append(a.plan.Programs, p)
}

// part is where a value begins in another, in bytes.
type part struct {
	whole *ir.Value
	at    int64
}

// insideOf returns the parts that operands of operations are of results.
func insideOf(g *ir.Graph) map[*ir.Value]part {
	out := map[*ir.Value]part{}
	for _, n := range g.Nodes {
		if n.Op.Inside == nil {
			continue
		}
		for i, at := range n.Op.Inside(n) {
			out[n.In[i]] = part{n.Out[0], int64(at) * n.Out[0].Type.DType.Size()}
		}
		out[n.Out[0]] = part{n.Out[0], 0}
	}
	return out
}

// dependencies returns, for every node, the nodes in front of it that it needs to have ended, by index: those that define its
// operands, those that read what it overwrites, and those of after.
func dependencies(g *ir.Graph, target map[*ir.Value]*ir.Value, after map[*ir.Node][]*ir.Node) [][]int {
	def, readers, place := map[*ir.Value]int{}, map[*ir.Value][]int{}, map[*ir.Node]int{}
	out := make([][]int, len(g.Nodes))
	for i, n := range g.Nodes {
		place[n] = i
		for _, x := range after[n] {
			out[i] = append(out[i], place[x])
		}
		for _, v := range n.In {
			if at, ok := def[v]; ok {
				out[i] = append(out[i], at)
			}
		}
		for _, v := range n.Out {
			def[v] = i
			out[i] = append(out[i], readers[target[v]]...)
		}
		for _, v := range n.In {
			if v != nil {
				readers[v] = append(readers[v], i)
			}
		}
	}
	return out
}

// writeTargets maps every value that is written at the end to where it is computed, and makes sure that
// nobody wants the old contents after that.
func (s *step) writeTargets(g *ir.Graph, lastUse map[*ir.Value]int) map[*ir.Value]*ir.Value {
	index := map[*ir.Node]int{}
	for i, n := range g.Nodes {
		index[n] = i
	}
	target := map[*ir.Value]*ir.Value{}
	for _, w := range g.Results {
		def := w.From.Def
		if def == nil || target[w.From] != nil {
			panic(fmt.Sprintf("BUG: %s writes %s, which no node computes for it alone", g.Name, w.To.Name))
		}
		last, read := lastUse[w.To]
		if read && last > index[def] || read && last == index[def] && !mayReplace(def, w.From, w.To) {
			panic(fmt.Sprintf("BUG: %s overwrites %s, which is still read", g.Name, w.To.Name))
		}
		target[w.From] = w.To
		// What a kernel updates to make it is there already.
		for v := s.updated(g, w.From, lastUse); v != nil && target[v] == nil; v = s.updated(g, v, lastUse) {
			if last := lastUse[w.To]; last > index[v.Def] || last == index[v.Def] && !mayReplace(v.Def, v, w.To) {
				break
			}
			target[v] = w.To
		}
	}
	return target
}

// updated returns the operand that the kernel which defines v updates to make it, if it is its last reader and another node
// computes it; else nil.
func (s *step) updated(g *ir.Graph, v *ir.Value, lastUse map[*ir.Value]int) *ir.Value {
	for _, pair := range s.kernels[v.Def].Shares {
		x := v.Def.In[pair[1]]
		if v.Def.Out[pair[0]] == v && x != nil && x.Def != nil && g.Nodes[lastUse[x]] == v.Def {
			return x
		}
	}
	return nil
}

// mayReplace reports whether a node may compute result v in the place of operand x.
func mayReplace(n *ir.Node, v, x *ir.Value) bool {
	for _, pair := range n.Op.InPlace {
		if n.Out[pair[0]] == v && n.In[pair[1]] == x {
			return true
		}
	}
	return false
}

// inPlace returns the place of an operand that result j of node n, launch i, may take over, or nil.
func inPlace(n *ir.Node, j, i int, lastUse map[*ir.Value]int, places map[*ir.Value]*place) *place {
	for _, pair := range n.Op.InPlace {
		if pair[0] != j || pair[1] >= len(n.In) {
			continue
		}
		x := n.In[pair[1]]
		at := places[x]
		if at == nil || lastUse[x] > i || at.last > i {
			continue
		}
		readTwice := 0
		for _, v := range n.In {
			if v != nil && places[v] == at {
				readTwice++
			}
		}
		if readTwice == 1 {
			return at
		}
	}
	return nil
}
