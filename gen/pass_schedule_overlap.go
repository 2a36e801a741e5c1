package gen

import (
	"cmp"
	"slices"

	"moegen/ir"
)

// An overlapper orders a program of several ranks for two streams: collectives run on the communication stream, all else on the
// compute stream, and a launch waits for the other stream only where it reads what that made. So what stands between an
// exchange and its first reader runs while it travels, and the order is chosen to put something there:
//
//   - The gradients of weights, which nobody waits for, come when computation would wait for an exchange, in their section or the
//     next one; but at once, as in other programs, where there is none, or where they alone keep more than an exchange brings.
//   - What else of a section is ready comes then, too.
//   - Exchanges whose operands are known in the section in front, tokens that backward has sent again, travel under its longest
//     launch. What comes behind that waits for them: there they have arrived, and their memory is known to be free.
//   - Sums of gradients over the ranks, which nobody waits for either, begin when they are complete and computation waits for no
//     exchange of their section and of the next one: behind the last of these.
//
// All four move launches by one section of a layer at most, so that what they keep in memory is a layer's. A launch that moves
// into another section belongs to that one from then on.
type overlapper struct {
	*scheduler
	uses    map[*ir.Value][]*ir.Node
	section string                  // that is being ordered
	noted   int                     // nodes of the order that are taken into account below
	sent    map[*ir.Node]int        // exchanges, numbered from 1 as they are sent
	arrived int                     // the last one that computation has waited for, and with it those in front
	late    []*ir.Node              // gradients of weights that wait for an exchange
	sums    []*ir.Node              // of gradients over the ranks, that wait for their time
	ahead   []*ir.Node              // exchanges that the next node of computation waits for, whether it reads them or not
	after   map[*ir.Node][]*ir.Node // by node, exchanges that it waits for without reading them
}

// overlapped orders a graph. It returns as well which nodes have to wait for some whose results they do not read.
func overlapped(g *ir.Graph) (order []*ir.Node, after map[*ir.Node][]*ir.Node) {
	o := &overlapper{scheduler: newScheduler(g), uses: g.Uses(), sent: map[*ir.Node]int{}, after: map[*ir.Node][]*ir.Node{}}
	sections := sectionsOf(g)
	for i, nodes := range sections {
		var next []*ir.Node
		if i+1 < len(sections) {
			next = sections[i+1]
		}
		o.run(nodes, next)
	}
	return o.out, o.after
}

// exchanges reports whether a node crosses between ranks and computation waits for it; sums of gradients do the one alone.
func exchanges(n *ir.Node) bool { return n.Op.Collective() && !is(n, "reduce_scatter") }

// run orders a section; next is the one behind it.
func (o *overlapper) run(nodes, next []*ir.Node) {
	o.section = nodes[0].Section
	stays := ofLayer(nodes) && ofLayer(next) // what moves from one to the other
	keeps := stays && brings(next) > 0
	room := int64(-1) // bytes that what comes late may keep
	if keeps || ofLayer(nodes) && brings(nodes) > 0 {
		room = max(brings(nodes), brings(next))
	}
	var cover *ir.Node // of exchanges of the next section
	if keeps {
		cover = o.longest(nodes)
	}
	crossing := slices.ContainsFunc(nodes, exchanges)
	for i, n := range nodes {
		if crossing || !slices.ContainsFunc(next, exchanges) {
			o.reduce(nodes[i:])
		}
		if is(n, "reduce_scatter") {
			o.sums = append(o.sums, n)
			continue
		}
		if o.placed[n] || o.sinks[n] || slices.Contains(o.late, n) {
			continue
		}
		o.gradients(nodes[i:], o.waits(n), room)
		if slices.Contains(o.late, n) || o.placed[n] {
			continue
		}
		if number := o.waits(n); number > 0 {
			o.fill(nodes[i+1:], number)
		}
		if n != cover {
			o.put(n)
			continue
		}
		fetched := o.prefetch(next)
		o.put(n)
		o.ahead = fetched
	}
	if !keeps {
		o.fill(nil, len(o.sent)+1)
	}
	if crossing || !slices.ContainsFunc(next, exchanges) {
		o.reduce(nil)
	}
}

// reduce places sums of gradients that can begin, if no exchange of the rest of the section is still to come.
func (o *overlapper) reduce(rest []*ir.Node) {
	if slices.ContainsFunc(rest, func(n *ir.Node) bool { return exchanges(n) && !o.placed[n] }) {
		return
	}
	o.sums = slices.DeleteFunc(o.sums, func(n *ir.Node) bool {
		begins := o.ready(n)
		if begins {
			o.put(n)
		}
		return begins
	})
}

// gradients places gradients of weights of the rest of a section that are ready, or puts them on the list of those that come late,
// where these alone keep no more than room.
func (o *overlapper) gradients(rest []*ir.Node, number int, room int64) {
	for _, m := range rest {
		switch {
		case !o.writes[m] || o.placed[m] || slices.Contains(o.late, m) || !o.ready(m) || o.waits(m) > number:
		case o.postponable(m) && o.alone(m) <= room:
			o.late = append(o.late, m)
		default:
			o.put(m)
		}
	}
}

// alone returns the bytes that are kept for a node alone.
func (o *overlapper) alone(n *ir.Node) (bytes int64) {
	for _, v := range n.In {
		wanted := func(u *ir.Node) bool { return u != n && !o.placed[u] }
		if v != nil && v.Def != nil && o.placed[v.Def] && !slices.ContainsFunc(o.uses[v], wanted) {
			bytes += v.Type.Bytes()
		}
	}
	return bytes
}

// ofLayer reports whether a section is the backward of a part of a layer.
func ofLayer(nodes []*ir.Node) bool {
	return len(nodes) > 0 && numbered(nodes[0].Section) && inBackward(nodes[0])
}

// brings returns the bytes of the largest result of an exchange in a section, 0 without one.
func brings(nodes []*ir.Node) (bytes int64) {
	for _, n := range nodes {
		if exchanges(n) {
			for _, v := range n.Out {
				bytes = max(bytes, v.Type.Bytes())
			}
		}
	}
	return bytes
}

// longest returns the node of a section with the most arithmetic, of those that do not come late.
func (o *overlapper) longest(nodes []*ir.Node) *ir.Node {
	return slices.MaxFunc(nodes, func(a, b *ir.Node) int {
		work := func(n *ir.Node) int64 {
			if o.postponable(n) {
				return -1
			}
			return n.Op.Cost(n).FLOPs
		}
		return cmp.Compare(work(a), work(b))
	})
}

// prefetch begins the exchanges of the next section that can begin now, and returns them.
func (o *overlapper) prefetch(next []*ir.Node) (begun []*ir.Node) {
	for _, n := range next {
		if exchanges(n) && o.ready(n) && o.waits(n) == 0 {
			o.put(n)
			begun = append(begun, n)
		}
	}
	return begun
}

// postponable reports whether nothing in the program reads what a node of backward makes, but to send it away.
func (o *overlapper) postponable(n *ir.Node) bool {
	read := func(u *ir.Node) bool { return u.Op.Inside == nil }
	return o.writes[n] && inBackward(n) && !slices.ContainsFunc(n.Out, func(v *ir.Value) bool { return slices.ContainsFunc(o.uses[v], read) })
}

// waits returns the number of the last exchange that computation has to wait for when a node is placed, 0 for none. A collective
// comes behind others anyway.
func (o *overlapper) waits(n *ir.Node) (number int) {
	for _, v := range n.In {
		switch {
		case v == nil || v.Def == nil:
		case !o.placed[v.Def]:
			number = max(number, o.waits(v.Def))
		case !n.Op.Collective() && o.sent[v.Def] > o.arrived:
			number = max(number, o.sent[v.Def])
		}
	}
	return number
}

// fill places what is ready while exchange number travels: gradients of weights, then what else there is of the section. For
// exchanges in front of that one it may wait.
func (o *overlapper) fill(rest []*ir.Node, number int) {
	o.late = slices.DeleteFunc(o.late, func(n *ir.Node) bool {
		fits := o.waits(n) < number
		if fits {
			o.put(n)
		}
		return fits
	})
	for _, n := range rest {
		if !o.placed[n] && !o.sinks[n] && !is(n, "reduce_scatter") && !o.postponable(n) && o.ready(n) && o.waits(n) < number {
			o.put(n)
		}
	}
}

// put places a node in the section, and the sinks that it reads.
func (o *overlapper) put(n *ir.Node) {
	o.place(n)
	for ; o.noted < len(o.out); o.noted++ {
		m := o.out[o.noted]
		m.Section = o.section
		o.arrived = max(o.arrived, o.waits(m))
		if m.Op.Collective() {
			o.sent[m] = len(o.sent) + 1
			continue
		}
		for _, x := range o.ahead {
			o.arrived = max(o.arrived, o.sent[x])
			o.after[m] = append(o.after[m], x)
		}
		o.ahead = nil
	}
}
