package ir

import (
	"errors"
	"fmt"
	"slices"
)

// VerifyPlan checks that no two buffers that are needed at the same time share memory, except a result that
// takes its operand's place where the operation allows it, operands that are parts of a result, and groups with their members, that these
// lie where they should and everything inside the arena, and that launches of different streams wait for each other where they must.
//
// It is a proof for steps of one micro-batch, whose gradients share memory. For steps of several it holds all the more: gradients
// then lie elsewhere, among themselves as before.
func VerifyPlan(p *Plan) error {
	errs := append(verifyPlaces(p), verifyGroups(p)...)
	for _, prog := range p.Programs {
		live := liveIn(p, prog)
		for i, a := range live {
			for _, b := range live[i+1:] {
				if a.overlaps(b) && !handedOver(prog, a, b) && !handedOver(prog, b, a) && !a.holds(b.Buffer) && !b.holds(a.Buffer) {
					errs = append(errs, fmt.Errorf("%s: %s and %s share memory", prog.Name, a.Name, b.Name))
				}
			}
		}
		errs = append(errs, verifyInside(prog)...)
		errs = append(errs, verifyOrder(p, prog)...)
	}
	return errors.Join(errs...)
}

// verifyPlaces checks that everything lies in the arena, gradients behind all else.
func verifyPlaces(p *Plan) (errs []error) {
	if p.Gradients > p.Bytes {
		errs = append(errs, fmt.Errorf("%d bytes of gradients are more than the arena has", p.Gradients))
	}
	for _, b := range p.Buffers {
		from, to, where := int64(0), p.Bytes, "the arena"
		if b.Role == Gradient {
			from, to, where = p.Bytes, p.Bytes+p.Gradients, "the gradients' part of it"
		}
		if b.Offset < from || b.Offset+b.Bytes() > to {
			errs = append(errs, fmt.Errorf("%s lies outside %s", b.Name, where))
		}
	}
	return errs
}

// holds reports whether a buffer is a part of a group's: the value or the gradient of a member.
func (b *Buffer) holds(part *Buffer) bool {
	return b.IsGroup() && part.Param != nil && b.Role == part.Role && slices.Contains(b.Param.Members, part.Param.Name)
}

// verifyGroups checks that the members of a group lie in it, in order and one behind the other.
func verifyGroups(p *Plan) (errs []error) {
	type key struct {
		name string
		role Role
	}
	buffers := map[key]*Buffer{}
	for _, b := range p.Buffers {
		if b.Param != nil {
			buffers[key{b.Param.Name, b.Role}] = b
		}
	}
	for _, group := range p.Buffers {
		if !group.IsGroup() {
			continue
		}
		at := group.Offset
		for _, name := range group.Param.Members {
			b := buffers[key{name, group.Role}]
			if b == nil || b.Type.DType != group.Type.DType || b.Offset < at || b.Offset+b.Bytes() > group.Offset+group.Bytes() {
				errs = append(errs, fmt.Errorf("%s does not hold the %s of %s in its place", group.Name, group.Role, name))
				continue
			}
			at = b.Offset + b.Bytes()
		}
	}
	return errs
}

// verifyInside checks that operands that are parts of a result lie in it.
func verifyInside(prog *Program) (errs []error) {
	for i, l := range prog.Launches {
		if l.Op.Inside == nil {
			continue
		}
		for j, at := range l.Op.Inside(l.node()) {
			if b, y := l.In[j], l.Out[0]; b.Offset != y.Offset+int64(at)*y.Type.DType.Size() {
				errs = append(errs, fmt.Errorf("%s: launch %d (%s) does not find %s in its place in %s", prog.Name, i, l.Op.Name, b.Name, y.Name))
			}
		}
	}
	return errs
}

// node is the launch as operations know it.
func (l *Launch) node() *Node {
	n := &Node{Op: l.Op, Attrs: l.Attrs}
	for _, b := range l.In {
		var v *Value
		if b != nil {
			v = &Value{Name: b.Name, Type: b.Type}
		}
		n.In = append(n.In, v)
	}
	return n
}

// span is a buffer with where it lies, and its lifetime inside one program.
type span struct {
	*Buffer
	at          int64
	first, last int
}

// overlaps reports whether two buffers are alive together and share an address.
func (a span) overlaps(b span) bool {
	return a.first <= b.last && b.first <= a.last && a.at < b.at+b.Bytes() && b.at < a.at+a.Bytes()
}

// liveIn returns the buffers that matter to a program: its activations and everything from outside, except
// results that it does not touch and gradients that are not alive.
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
			live = append(live, span{b, b.Offset, b.First, b.Last})
		case b.Role == Weight || b.Role == Constant || b.Role == Input || b.Role == State || b.Role == Result && touched[b]:
			live = append(live, span{b, b.Offset, 0, len(prog.Launches)})
		}
	}
	for _, g := range p.Born(prog) {
		live = append(live, span{g.Buffer, p.Folded(g.Buffer), g.At, len(prog.Launches)})
	}
	return live
}

// handedOver reports whether launch a.last computes b in the place of a, or a is a part of b.
func handedOver(prog *Program, a, b span) bool {
	if a.last != b.first || a.last >= len(prog.Launches) {
		return false
	}
	l := prog.Launches[a.last]
	if l.Op.Inside != nil {
		return l.Out[0] == b.Buffer && slices.Contains(l.In, a.Buffer)
	}
	if a.at != b.at {
		return false
	}
	for _, pair := range l.Op.InPlace {
		if pair[0] < len(l.Out) && pair[1] < len(l.In) && l.Out[pair[0]] == b.Buffer && l.In[pair[1]] == a.Buffer {
			return true
		}
	}
	return false
}
