package gen

import (
	"maps"

	"moegen/ir"
)

// schedule fixes the order of every program. The graphs come in an order that is right; three moves inside a
// section shorten lives. A cheap result that is wanted only later on in its section is computed right in
// front of its first reader. A node that leaves nothing but what is written at the end, a weight gradient,
// runs as soon as it can, before the operands that only it still needs meet new activations. Taps stand right
// behind what they watch. Programs of several GPUs are ordered for two streams, to hide what the ranks exchange.
func schedule(s *step) error {
	s.arrange(s.req.Target == "h100" && s.req.GPUs > 1 && !s.req.NoOverlap)
	return nil
}

// arrange fixes the order for one stream or for two.
func (s *step) arrange(two bool) {
	s.streams, s.after = map[*ir.Node]ir.Stream{}, map[*ir.Node][]*ir.Node{}
	s.rewrite(func(g *ir.Graph) *ir.Graph {
		h := *g
		if !two {
			h.Nodes = newScheduler(g).order()
			return &h
		}
		var after map[*ir.Node][]*ir.Node
		h.Nodes, after = overlapped(g)
		maps.Copy(s.after, after)
		for _, n := range h.Nodes {
			if n.Op.Collective() {
				s.streams[n] = ir.Communication
			}
		}
		return &h
	})
}

type scheduler struct {
	graph  *ir.Graph
	sinks  map[*ir.Node]bool       // waits for its first reader
	writes map[*ir.Node]bool       // all its results are written at the end
	taps   map[*ir.Node][]*ir.Node // by the node they watch
	placed map[*ir.Node]bool
	out    []*ir.Node
}

func newScheduler(g *ir.Graph) *scheduler {
	s := &scheduler{
		graph: g, sinks: map[*ir.Node]bool{}, writes: map[*ir.Node]bool{},
		taps: map[*ir.Node][]*ir.Node{}, placed: map[*ir.Node]bool{},
	}
	uses := g.Uses()
	written := map[*ir.Value]bool{}
	for _, w := range g.Results {
		written[w.From] = true
	}
	for _, n := range g.Nodes {
		if n.Op.Inside != nil { // to be written, or sent away, with others
			for _, v := range n.In {
				written[v] = true
			}
		}
	}
	for _, n := range g.Nodes {
		if is(n, "tap") && n.In[0].Def != nil {
			s.taps[n.In[0].Def] = append(s.taps[n.In[0].Def], n)
			s.sinks[n] = true
			continue
		}
		s.sinks[n], s.writes[n] = n.Op.Cheap, len(n.Out) > 0 && !n.Op.Collective()
		for _, v := range n.Out {
			s.writes[n] = s.writes[n] && written[v]
			s.sinks[n] = s.sinks[n] && !written[v]
			for _, u := range uses[v] {
				s.sinks[n] = s.sinks[n] && u.Section == n.Section
			}
		}
	}
	return s
}

func (s *scheduler) order() []*ir.Node {
	for _, nodes := range sectionsOf(s.graph) {
		for i, n := range nodes {
			if !s.placed[n] && !s.sinks[n] {
				s.early(n, nodes[i+1:])
				s.place(n)
			}
		}
	}
	return s.out
}

// sectionsOf cuts a graph into runs of nodes of one section.
func sectionsOf(g *ir.Graph) (out [][]*ir.Node) {
	for i, n := range g.Nodes {
		if i == 0 || n.Section != g.Nodes[i-1].Section {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], n)
	}
	return out
}

// early places nodes of the rest of a section, in front of n, that leave nothing but what is written at the end.
func (s *scheduler) early(n *ir.Node, rest []*ir.Node) {
	for _, m := range rest {
		if s.writes[m] && !s.writes[n] && s.ready(m) {
			s.place(m)
		}
	}
}

// ready reports whether all operands of a node are there, or wait only for their first reader.
func (s *scheduler) ready(n *ir.Node) bool {
	for _, v := range n.In {
		if v == nil || v.Def == nil || s.placed[v.Def] {
			continue
		}
		if !s.sinks[v.Def] || !s.ready(v.Def) {
			return false
		}
	}
	return true
}

func (s *scheduler) place(n *ir.Node) {
	if s.placed[n] {
		return
	}
	s.placed[n] = true
	for _, v := range n.In {
		if v != nil && v.Def != nil {
			s.place(v.Def)
		}
	}
	s.out = append(s.out, n)
	for _, t := range s.taps[n] {
		s.place(t)
	}
}
