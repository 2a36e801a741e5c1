package gen

import (
	"cmp"
	"math"
	"slices"

	"moegen/ir"
)

// place is a piece of the arena above its bottom, used by one value or, in place, by several in turn.
type place struct {
	name        string
	bytes       int64
	first, last int             // launches
	ends        [ir.Streams]int // the last launch of each stream that touches it; -1: none
	lasting     bool            // nobody may have it after the last launch
	depth       int64           // from its end to the end of the arena
	offset      int64           // of its first byte, from the end of the arena: negative
}

// touch notes that a launch uses a place.
func (p *place) touch(s ir.Stream, launch int) { p.ends[s] = launch }

// over reports whether all that use a place so far have ended when a launch begins.
func (p *place) over(order *ir.Order, launch int) bool {
	if p.lasting || launch < 0 {
		return false
	}
	for _, end := range p.ends {
		if end >= 0 && !order.Before(end, launch) {
			return false
		}
	}
	return true
}

// taken returns the places above the bottom that a program finds taken: gradients from their birth on, and results that it touches.
func (a *arenaBuilder) taken(g *ir.Graph, prog *ir.Program) (list []*place) {
	for _, born := range a.plan.Born(prog) {
		b := born.Buffer
		list = append(list, &place{name: b.Name, bytes: b.Bytes(), first: born.At, lasting: true, depth: a.plan.Gradients - b.Offset - b.Bytes()})
	}
	for _, v := range g.Outside {
		if b := a.outside[v.Name]; b.Offset < 0 {
			list = append(list, &place{name: b.Name, bytes: b.Bytes(), first: -1, lasting: true, depth: -b.Offset - b.Bytes()})
		}
	}
	slices.SortFunc(list, func(x, y *place) int { return cmp.Compare(x.depth, y.depth) })
	return list
}

// placeResults places results that live from one program to another where gradients, which do not meanwhile, leave no gaps.
func (a *arenaBuilder) placeResults(list []*ir.Buffer) {
	var places []*place
	for _, b := range list {
		places = append(places, &place{name: b.Name, bytes: roundUp(b.Bytes()), first: -1, lasting: true})
	}
	a.height = max(a.height, pack(places, a.taken(&ir.Graph{}, &ir.Program{}), nil))
	for i, p := range places {
		list[i].Offset = -p.depth - p.bytes
	}
}

// assign gives every place an offset. Which order to place them in is the best cannot be told beforehand: the better of two is taken.
// Largest first leaves few gaps; where much is kept for long, large pieces that come and go must not crowd it out.
func (a *arenaBuilder) assign(all, taken []*place, launches *ir.Order) {
	weight := func(p *place) float64 {
		return math.Sqrt(float64(p.bytes)) * float64(p.bytes) * float64(p.last-p.first+1)
	}
	orders := []func(x, y *place) int{
		func(x, y *place) int { return cmp.Or(cmp.Compare(y.bytes, x.bytes), cmp.Compare(y.last, x.last)) },
		func(x, y *place) int { return cmp.Compare(weight(y), weight(x)) },
	}
	best, least := []int64(nil), int64(math.MaxInt64)
	for _, order := range orders {
		sorted := slices.SortedFunc(slices.Values(all), func(x, y *place) int {
			return cmp.Or(order(x, y), cmp.Compare(x.first, y.first), cmp.Compare(x.name, y.name))
		})
		if height := pack(sorted, taken, launches); height < least {
			best, least = best[:0], height
			for _, p := range all {
				best = append(best, p.depth)
			}
		}
	}
	for i, p := range all {
		p.offset = -best[i] - p.bytes
	}
	a.height = max(a.height, least)
}

// pack gives places, in their order, a depth, each as near to the end of the arena as what is alive beside it allows, and returns how
// far the last is from there. The order is total, so the result does not depend on anything else.
func pack(order, taken []*place, launches *ir.Order) (height int64) {
	placed := slices.Clone(taken) // by depth
	for _, p := range order {
		p.depth = 0
		for _, q := range placed {
			if q.over(launches, p.first) || p.over(launches, q.first) || q.depth+q.bytes <= p.depth {
				continue
			}
			if q.depth >= p.depth+p.bytes {
				break
			}
			p.depth = roundUp(q.depth + q.bytes)
		}
		at, _ := slices.BinarySearchFunc(placed, p.depth, func(q *place, depth int64) int {
			return cmp.Compare(q.depth, depth)
		})
		placed = slices.Insert(placed, at, p)
		height = max(height, p.depth+p.bytes)
	}
	return height
}

// settle turns what is counted from the end of the arena into offsets, now that the end is known.
func (a *arenaBuilder) settle() {
	a.plan.Bytes = a.base + a.height
	for _, b := range a.plan.Buffers {
		if b.Role == ir.Activation || b.Role == ir.Gradient || b.Offset < 0 {
			b.Offset += a.plan.Bytes
		}
	}
}
