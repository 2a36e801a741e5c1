package sim

import (
	"math/bits"
	"slices"
)

// Registers whose lives do not meet share a slot: the slots of a warp that the host's cache must hold become few. A slot keeps
// what the undefined-register check needs, since a register that may be read before it is written on some way from the
// function's beginning has its slot to itself from there on.

// A life is the stretch of instructions from the first to the last at which a register's value may still be wanted, or at
// which it is written.
type life struct{ reg, first, last int }

// assignSlots gives the used registers that are no predicates their slots.
func (f *Function) assignSlots(used []bool) {
	lives := f.lives(used)
	slices.SortStableFunc(lives, func(a, b life) int { return a.first - b.first })
	type held struct{ slot, last int }
	var busy [2][]held // by width
	for _, l := range lives {
		r := &f.regs[l.reg]
		class := &busy[bit2(r.typ.bits == 64)]
		at := slices.IndexFunc(*class, func(h held) bool { return h.last < l.first })
		if at < 0 {
			at = len(*class)
			*class = append(*class, held{slot: f.slots})
			f.slots++
		}
		r.slot = (*class)[at].slot
		(*class)[at].last = l.last
	}
}

// lives finds every used register's life by the usual backward iteration over blocks. Those of wgmma, which are in use while
// nothing names them, live all the time.
func (f *Function) lives(used []bool) []life {
	at := make([]life, len(f.regs))
	for r := range at {
		at[r] = life{reg: r, first: len(f.code), last: -1}
	}
	extend := func(r, i int) { at[r].first, at[r].last = min(at[r].first, i), max(at[r].last, i) }
	starts, block := f.blocks()
	words := (len(f.regs) + 63) / 64
	sets := make([]uint64, 3*len(starts)*words)
	in, reads, writes := sets[:len(starts)*words], sets[len(starts)*words:2*len(starts)*words], sets[2*len(starts)*words:]
	for i := range f.code {
		c := &f.code[i]
		k := block[i] * words
		read, written := c.readAndWritten()
		for _, r := range read {
			extend(r, i)
			if writes[k+r/64]>>(r%64)&1 == 0 {
				reads[k+r/64] |= 1 << (r % 64)
			}
			if c.op == "wgmma" {
				at[r].first, at[r].last = 0, len(f.code)
			}
		}
		for _, r := range written {
			extend(r, i)
			if c.guard < 0 {
				writes[k+r/64] |= 1 << (r % 64)
			}
		}
	}
	end := func(b int) int {
		if b+1 < len(starts) {
			return starts[b+1]
		}
		return len(f.code)
	}
	out := make([]uint64, words)
	for changed := true; changed; {
		changed = false
		for b := len(starts) - 1; b >= 0; b-- {
			clear(out)
			for _, s := range f.successors(end(b) - 1) {
				if s < len(f.code) {
					for i := range out {
						out[i] |= in[block[s]*words+i]
					}
				}
			}
			for i := range out {
				k := b*words + i
				if v := reads[k] | out[i]&^writes[k]; v != in[k] {
					in[k], changed = v, true
				}
			}
		}
	}
	for b := range starts {
		for i, set := range in[b*words : (b+1)*words] {
			for ; set != 0; set &= set - 1 {
				extend(64*i+bits.TrailingZeros64(set), starts[b])
			}
		}
		for _, s := range f.successors(end(b) - 1) {
			if s >= len(f.code) {
				continue
			}
			for i, set := range in[block[s]*words : (block[s]+1)*words] {
				for ; set != 0; set &= set - 1 {
					extend(64*i+bits.TrailingZeros64(set), end(b)-1)
				}
			}
		}
	}
	return slices.DeleteFunc(at, func(l life) bool { return !used[l.reg] || f.regs[l.reg].typ.class == 'p' })
}

// readAndWritten lists the registers whose values the instruction wants and those that it replaces. Where a guard may keep
// the old value, that is wanted too.
func (in *instruction) readAndWritten() (read, written []int) {
	args := in.args
	if len(args) > 0 && (in.form.operands[0].code[0] == 'd' || in.op == "ldmatrix" || in.op == "mma") {
		written = registersOf(args[:1], nil)
		args = args[1:]
	}
	if in.guard >= 0 {
		read = append(read, written...)
	}
	return registersOf(args, read), written
}
