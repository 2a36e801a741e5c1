package ir

import (
	"cmp"
	"slices"
)

// This file says where gradients lie, and since when, in a plan whose steps have one micro-batch, see Plan.

// Folded is the offset of a buffer in the arena of a rank whose steps have one micro-batch.
func (p *Plan) Folded(b *Buffer) int64 {
	if b.Offset >= p.Bytes {
		return b.Offset - p.Gradients
	}
	return b.Offset
}

// Birth is a gradient that is alive in a program from the beginning of a launch on; -1: of the program.
type Birth struct {
	Buffer *Buffer
	At     int
}

// Born returns the gradients that are alive at some time in a program, in the order of their offsets: from the first launch on that
// writes them, or from the beginning where one that reads them comes before. They live to the program's end, and on to the next
// program that reads them. What lies between the members of a group was written by the host and lives always; it stands for itself
// where no launch touches the group as a whole.
func (p *Plan) Born(prog *Program) (births []Birth) {
	first := firstTouch(prog)
	for _, b := range p.Buffers {
		if at, ok := first[b]; ok {
			births = append(births, Birth{b, at})
		} else if b.Role == Gradient && b.IsGroup() {
			for _, gap := range p.gaps(b) {
				births = append(births, Birth{gap, -1})
			}
		}
	}
	slices.SortStableFunc(births, func(a, b Birth) int { return cmp.Compare(a.Buffer.Offset, b.Buffer.Offset) })
	return births
}

// firstTouch returns for gradients the launch that touches them first, -1 where it wants what is there.
func firstTouch(prog *Program) map[*Buffer]int {
	first := map[*Buffer]int{}
	note := func(b *Buffer, launch int) {
		if _, known := first[b]; !known && b != nil && b.Role == Gradient {
			first[b] = launch
		}
	}
	for i, l := range prog.Launches {
		for j, b := range l.In {
			if !l.Op.adds(j) {
				note(b, -1)
			}
		}
		for _, b := range l.Out {
			note(b, i)
		}
	}
	return first
}

// gaps returns what lies between the members of a gradient's group, and behind the last.
func (p *Plan) gaps(group *Buffer) (gaps []*Buffer) {
	at, size := group.Offset, group.Type.DType.Size()
	upTo := func(end int64) {
		if at < end {
			gaps = append(gaps, &Buffer{Name: "a gap in " + group.Name, Type: Fixed(group.Type.DType, int((end-at)/size)), Role: Gradient, Offset: at})
		}
	}
	for _, b := range p.membersOf(group) {
		upTo(b.Offset)
		at = b.Offset + b.Bytes()
	}
	upTo(group.Offset + group.Bytes())
	return gaps
}

// membersOf returns what a group's buffer holds, by offset.
func (p *Plan) membersOf(group *Buffer) (members []*Buffer) {
	for _, b := range p.Buffers {
		if group.holds(b) {
			members = append(members, b)
		}
	}
	slices.SortFunc(members, func(a, b *Buffer) int { return cmp.Compare(a.Offset, b.Offset) })
	return members
}
