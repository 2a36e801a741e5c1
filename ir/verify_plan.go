package ir

import (
	"errors"
	"fmt"
)

// VerifyPlan checks that no two buffers that are needed at the same time share memory, except a result that
// takes its operand's place where the operation allows it, that everything lies inside the arena, and that launches
// of different streams wait for each other where they must.
func VerifyPlan(p *Plan) error {
	var errs []error
	for _, b := range p.Buffers {
		if b.Offset < 0 || b.Offset+b.Bytes() > p.Bytes {
			errs = append(errs, fmt.Errorf("%s lies outside the arena", b.Name))
		}
	}
	for _, prog := range p.Programs {
		live := liveIn(p, prog)
		for i, a := range live {
			for _, b := range live[i+1:] {
				if a.overlaps(b) && !handedOver(prog, a, b) && !handedOver(prog, b, a) {
					errs = append(errs, fmt.Errorf("%s: %s and %s share memory", prog.Name, a.Name, b.Name))
				}
			}
		}
		errs = append(errs, verifyOrder(prog)...)
	}
	return errors.Join(errs...)
}

// span is a buffer with its lifetime inside one program.
type span struct {
	*Buffer
	first, last int
}

// overlaps reports whether two buffers are alive together and share an address.
func (a span) overlaps(b span) bool {
	return a.first <= b.last && b.first <= a.last &&
		a.Offset < b.Offset+b.Bytes() && b.Offset < a.Offset+a.Bytes()
}

// liveIn returns the buffers that matter to a program: its activations and everything from outside, except
// results that it does not touch.
func liveIn(p *Plan, prog *Program) []span {
	touched := map[*Buffer]bool{}
	for _, l := range prog.Launches {
		for _, bs := range [][]*Buffer{l.In, l.Out} {
			for _, b := range bs {
				touched[b] = true
			}
		}
	}
	var live []span
	for _, b := range p.Buffers {
		switch {
		case b.Role == Activation && b.Program == prog.Name:
			live = append(live, span{b, b.First, b.Last})
		case b.Role != Activation && (b.Role != Result || touched[b]):
			live = append(live, span{b, 0, len(prog.Launches)})
		}
	}
	return live
}

// handedOver reports whether launch a.last computes b in the place of a.
func handedOver(prog *Program, a, b span) bool {
	if a.last != b.first || a.Offset != b.Offset || a.last >= len(prog.Launches) {
		return false
	}
	l := prog.Launches[a.last]
	for _, pair := range l.Op.InPlace {
		if pair[0] < len(l.Out) && pair[1] < len(l.In) && l.Out[pair[0]] == b.Buffer && l.In[pair[1]] == a.Buffer {
			return true
		}
	}
	return false
}
