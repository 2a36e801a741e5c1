package main

import (
	"moegen/gen"
	"moegen/ir"
)

// gradientRows returns of the gradients of a plan the program in which they come in steps of one micro-batch, and its launches.
func gradientRows(plan *ir.Plan) map[*ir.Buffer]bufferRow {
	rows := map[*ir.Buffer]bufferRow{}
	for _, p := range plan.Programs {
		for _, born := range plan.Born(p) {
			if born.At >= 0 {
				rows[born.Buffer] = bufferRow{Program: p.Name, First: born.At, Last: len(p.Launches) - 1}
			}
		}
	}
	return rows
}

// memory splits the arena into groups, as it is in steps of one micro-batch or of several.
func memory(plan *ir.Plan, groups map[*ir.Buffer]string, several bool) []memoryGroup {
	count, bytes := map[string]int{}, map[string]int64{}
	gaps := plan.Bytes
	if several {
		gaps += plan.Gradients
	}
	take := func(b *ir.Buffer, n int64) {
		bytes[groups[b]] += n
		gaps -= n
	}
	alive := gen.Fullest(plan, several)
	for _, b := range alive {
		take(b, b.Bytes())
	}
	for _, b := range plan.Buffers {
		if b.IsGroup() {
			continue
		}
		count[groups[b]]++
		if b.Role != ir.Activation && (b.Role != ir.Gradient || several) {
			take(b, b.Bytes()-covered(plan, b, alive))
		}
	}
	var out []memoryGroup
	for _, l := range lasting {
		out = append(out, memoryGroup{l.name, count[l.name], bytes[l.name]})
	}
	for _, name := range []string{groupActivations, groupExchange, groupPool, groupWorkspace} {
		out = append(out, memoryGroup{name, count[name], bytes[name]})
	}
	return append(out, memoryGroup{groupGaps, 0, gaps})
}

// covered returns how many bytes of a result lie under others: those of eval and head give their memory to what comes and goes in
// the programs that do not touch them. Other buffers lie under nothing.
func covered(plan *ir.Plan, b *ir.Buffer, others []*ir.Buffer) int64 {
	if b.Role != ir.Result {
		return 0
	}
	var n int64
	for _, o := range others {
		at := plan.Folded(o)
		n += max(0, min(b.Offset+b.Bytes(), at+o.Bytes())-max(b.Offset, at))
	}
	return n
}
