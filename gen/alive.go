package gen

import (
	"fmt"
	"slices"

	"moegen/ir"
)

// eachMoment calls f for every launch of a plan with what comes and goes and is alive then, and its bytes: activations, and gradients
// but in steps of several micro-batches. An activation of another stream is alive until a launch knows that it is not. Of those
// that share a place, a result and the operand that it replaces or is made of, the larger counts.
func eachMoment(plan *ir.Plan, several bool, f func(p *ir.Program, launch int, alive []*ir.Buffer, bytes int64)) {
	for _, p := range plan.Programs {
		own, births := usesIn(plan, p), plan.Born(p)
		if several {
			births = nil
		}
		order := ir.NewOrder()
		for i, l := range p.Launches {
			order.Add(l)
			alive, bytes := aliveAt(own, births, order, i)
			f(p, i, alive, bytes)
		}
	}
}

// use is an activation with the last launch of each stream that touches it; -1: none.
type use struct {
	*ir.Buffer
	ends [ir.Streams]int
}

// usesIn returns the activations of a program, in the order of their offsets.
func usesIn(plan *ir.Plan, p *ir.Program) (uses []*use) {
	of := map[*ir.Buffer]*use{}
	for _, b := range plan.Buffers {
		if b.Role == ir.Activation && b.Program == p.Name {
			of[b] = &use{Buffer: b}
			for s := range of[b].ends {
				of[b].ends[s] = -1
			}
			uses = append(uses, of[b])
		}
	}
	for i, l := range p.Launches {
		for _, b := range append(slices.Concat(l.In, l.Out), l.Workspace) {
			if u := of[b]; u != nil {
				u.ends[l.Stream] = i
			}
		}
	}
	return uses
}

// at reports whether an activation is alive at a launch.
func (u *use) at(order *ir.Order, launch int) bool {
	return u.First <= launch && slices.ContainsFunc(u.ends[:], func(end int) bool {
		return end >= launch || end >= 0 && !order.Before(end, launch)
	})
}

// aliveAt returns what is alive at a launch, and its bytes.
func aliveAt(activations []*use, births []ir.Birth, order *ir.Order, launch int) (alive []*ir.Buffer, bytes int64) {
	var gradients []*ir.Buffer
	for _, u := range activations {
		if u.at(order, launch) {
			alive = withoutParts(alive, u.Buffer)
		}
	}
	for _, born := range births {
		if born.Buffer.Param != nil && born.At <= launch { // else it is a gap
			gradients = withoutParts(gradients, born.Buffer)
		}
	}
	alive = append(alive, gradients...)
	for _, b := range alive {
		bytes += b.Bytes()
	}
	return alive, bytes
}

// withoutParts appends a buffer to a list by offset, of those that share memory the larger.
func withoutParts(list []*ir.Buffer, b *ir.Buffer) []*ir.Buffer {
	n := len(list)
	switch {
	case n == 0 || b.Offset >= list[n-1].Offset+list[n-1].Bytes():
		return append(list, b)
	case b.Offset == list[n-1].Offset && b.Bytes() > list[n-1].Bytes():
		list[n-1] = b
	}
	return list
}

// Fullest returns what comes and goes and is alive at the launch where that takes the most bytes.
func Fullest(plan *ir.Plan, several bool) (fullest []*ir.Buffer) {
	most := int64(0)
	eachMoment(plan, several, func(_ *ir.Program, _ int, alive []*ir.Buffer, bytes int64) {
		if bytes > most {
			fullest, most = alive, bytes
		}
	})
	return fullest
}

// memory is what a rank takes, such that it grows by the same with every layer, but for the gaps.
type memory struct {
	bytes   int64
	lasting int64            // what lives for good
	moments map[string]int64 // what comes and goes, at its most in some part of one of the first layers, of the last, or outside layers
	gaps    int64            // in the arena: what comes and goes does not fit together without any
}

// atEnds is how many of the first layers, and of the last, are not like those between them, which have neighbours on both sides that
// are like them. From the first of those to the last what comes and goes changes evenly: it is the most in one of these two.
const atEnds = 2

// memory takes the peak in steps of so many micro-batches apart.
func (p *Planned) memory(accumulate int) memory {
	m := memory{bytes: p.Peak(accumulate), lasting: p.Peak(accumulate) - p.Plan.Bytes, moments: map[string]int64{}, gaps: p.Plan.Bytes}
	for _, b := range p.Plan.Buffers {
		if !b.IsGroup() && b.Role != ir.Activation && b.Role != ir.Gradient && b.Role != ir.Result {
			m.lasting += b.Bytes()
			m.gaps -= b.Bytes()
		}
	}
	most, layers := int64(0), p.Request.Model.Facts.Layers
	eachMoment(p.Plan, false, func(prog *ir.Program, launch int, _ []*ir.Buffer, bytes int64) {
		most = max(most, bytes)
		section := prog.Launches[launch].Section
		key := prog.Name + sectionKind(section)
		if layer, ok := layerOf(section); ok && layer < atEnds {
			key += fmt.Sprint(layer)
		} else if ok {
			key += fmt.Sprint(max(layer-layers, -atEnds-1))
		}
		m.moments[key] = max(m.moments[key], bytes)
	})
	m.gaps -= most
	return m
}

// memory returns the bytes that a rank takes beyond two samples, with the gaps of the larger.
func (l line) memory(few, more memory) int64 {
	most := int64(0)
	for key, bytes := range more.moments {
		if less, ok := few.moments[key]; ok {
			most = max(most, l.bytes(less, bytes))
		}
	}
	return l.bytes(few.lasting, more.lasting) + most + more.gaps
}
