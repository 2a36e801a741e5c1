package gen

import (
	"moegen/ir"
)

// schedule fixes the order of every program. The graphs come in an order that is right; results that are
// computed for a single reader later on in the same section sink to right in front of it, which shortens
// their lives. Taps rise to right behind what they watch.
func schedule(s *step) error {
	s.rewrite(func(g *ir.Graph) *ir.Graph {
		h := *g
		h.Nodes = sunk(g)
		return &h
	})
	return nil
}

// sunk orders nodes by where they are wanted: a cheap node stands in front of its first reader.
func sunk(g *ir.Graph) []*ir.Node {
	uses := g.Uses()
	written := map[*ir.Value]bool{}
	for _, w := range g.Results {
		written[w.From] = true
	}
	wanted := map[*ir.Node]bool{} // waits for its first reader
	for _, n := range g.Nodes {
		wanted[n] = n.Op.Cheap && len(n.Out) > 0
		for _, v := range n.Out {
			if written[v] {
				wanted[n] = false
			}
			for _, u := range uses[v] {
				if u.Section != n.Section {
					wanted[n] = false
				}
			}
		}
	}
	taps := map[*ir.Node][]*ir.Node{}
	var order []*ir.Node
	var place func(n *ir.Node)
	placed := map[*ir.Node]bool{}
	place = func(n *ir.Node) {
		if placed[n] {
			return
		}
		placed[n] = true
		for _, v := range n.In {
			if v != nil && v.Def != nil {
				place(v.Def)
			}
		}
		order = append(order, n)
		for _, t := range taps[n] {
			place(t)
		}
	}
	for _, n := range g.Nodes {
		if n.Op.Name == "tap" && n.In[0].Def != nil {
			taps[n.In[0].Def] = append(taps[n.In[0].Def], n)
		}
	}
	for _, n := range g.Nodes {
		if !wanted[n] && !(n.Op.Name == "tap" && n.In[0].Def != nil) {
			place(n)
		}
	}
	return order
}
