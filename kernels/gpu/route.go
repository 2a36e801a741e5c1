package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// The route: choices of experts idx [N] sorted by expert, stably. Row i of the routed activations is choice pairs[i], choice
// c is row slots[c] (−1 without an expert), expert e has rows offsets[e] to offsets[e+1].
//
// A counting sort in three launches over blocks of routeBlock choices: count the choices of every expert in every block; turn the
// counts into the first row of every block and expert; place the choices, each warp its share in order. 4 bytes in and 8 out
// for a choice; with some ten thousand choices all is latency.

// RouteDesc is what is asked. All sizes are the kernels'.
type RouteDesc struct {
	Choices, Experts int
}

const (
	routeBlock   = 2048 // choices of a block
	routeWarps   = 8
	routeExperts = 1024 // most experts: one a thread of the second launch
)

func (d RouteDesc) blocks() int { return ceil(d.Choices, routeBlock) }

func (d RouteDesc) name(kernel string) string {
	return fmt.Sprintf("route_%s_n%d_e%d", kernel, d.Choices, d.Experts)
}

// emitCount writes the first kernel: parameters idx and counts [blocks, experts].
func (d RouteDesc) emitCount(m *ptx.Module) {
	k := m.Kernel(d.name("count"), 32*routeWarps)
	idx, counts := k.ParamPtr("idx"), k.ParamPtr("counts")
	shared := k.SharedBytes(4*d.Experts, 16)
	k.WaitPrerequisites()
	tid, block := k.Read(ptx.TidX), k.Read(ptx.CtaIDX)
	d.zero(k, shared, d.Experts)
	k.Sync()
	first := k.Mad(block, routeBlock, tid)
	for i := range routeBlock / k.Threads() {
		e := d.choice(k, idx, k.Add(first, k.Threads()*i))
		k.If(k.Lt(e, d.Experts), func() {
			k.Red(ptx.Shared, ptx.AtomAdd, k.Add(k.Lea(shared), k.Shl(e, 2)).At(0), k.Const(ptx.U32, 1))
		})
	}
	k.Sync()
	k.For("expert", tid, d.Experts, k.Threads(), func(e ptx.Reg) {
		n := k.Ld(ptx.Shared, ptx.U32, k.Add(k.Lea(shared), k.Shl(e, 2)).At(0))
		k.St(ptx.Global, k.Add(counts, k.MulWide(k.Mad(block, d.Experts, e), 4)).At(0), n)
	})
	k.LaunchDependents()
	k.Exit()
}

// zero clears n words of shared memory.
func (d RouteDesc) zero(k *ptx.Kernel, at ptx.Addr, n int) {
	k.For("word", k.Read(ptx.TidX), n, k.Threads(), func(i ptx.Reg) {
		k.St(ptx.Shared, k.Add(k.Lea(at), k.Shl(i, 2)).At(0), k.Const(ptx.U32, 0))
	})
}

// choice is the expert of choice c as an unsigned number; no expert, and no choice, are larger than all experts.
func (d RouteDesc) choice(k *ptx.Kernel, idx, c ptx.Reg) ptx.Reg {
	e := k.Var(ptx.U32, "e", 0xFFFFFFFF)
	k.When(k.Lt(c, d.Choices)).To(e).Ld(ptx.Global, ptx.U32, k.Add(idx, k.MulWide(c, 4)).At(0))
	return e
}

// emitScan writes the second kernel, of one block: parameters counts, which become first rows, and offsets.
func (d RouteDesc) emitScan(m *ptx.Module) {
	threads := 32 * ceil(d.Experts, 32)
	k := m.Kernel(d.name("scan"), threads)
	counts, offsets := k.ParamPtr("counts"), k.ParamPtr("offsets")
	scratch := k.SharedBytes(4*threads/32, 16)
	k.WaitPrerequisites()
	e := k.Read(ptx.TidX)
	own := k.Lt(e, d.Experts)
	column := k.Add(counts, k.MulWide(e, 4))
	total := k.Var(ptx.U32, "total", 0)
	k.If(own, func() {
		k.For("block", 0, d.blocks(), 1, func(b ptx.Reg) {
			k.To(total).Add(total, k.Ld(ptx.Global, ptx.U32, k.Add(column, k.MulWide(b, 4*d.Experts)).At(0)))
		})
	})
	k.Comment("rows of the experts before: over the warp, then over warps")
	lane, warp := k.And(e, 31), k.Shr(e, 5)
	upTo := k.Var(ptx.U32, "up_to", total)
	for n := 1; n < 32; n *= 2 {
		k.To(upTo).Add(upTo, k.Select(k.Ge(lane, n), k.ShflUp(upTo, n), 0))
	}
	k.If(k.Eq(lane, 31), func() {
		k.St(ptx.Shared, k.Add(k.Lea(scratch), k.Shl(warp, 2)).At(0), upTo)
	})
	k.Sync()
	for w := range threads/32 - 1 {
		before := k.Ld(ptx.Shared, ptx.U32, scratch.At(4*w))
		k.To(upTo).Add(upTo, k.Select(k.Gt(warp, w), before, 0))
	}
	k.If(own, func() {
		row := k.Var(ptx.U32, "row", k.Sub(upTo, total))
		at := k.Add(offsets, k.MulWide(e, 4))
		k.St(ptx.Global, at.At(0), row)
		k.When(k.Eq(e, d.Experts-1)).St(ptx.Global, at.At(4), upTo)
		k.For("block", 0, d.blocks(), 1, func(b ptx.Reg) {
			place := k.Add(column, k.MulWide(b, 4*d.Experts))
			n := k.Ld(ptx.Global, ptx.U32, place.At(0))
			k.St(ptx.Global, place.At(0), row)
			k.To(row).Add(row, n)
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// emitPlace writes the third kernel: parameters idx, the first rows, pairs and slots.
func (d RouteDesc) emitPlace(m *ptx.Module) {
	k := m.Kernel(d.name("place"), 32*routeWarps)
	idx, firsts := k.ParamPtr("idx"), k.ParamPtr("firsts")
	pairs, slots := k.ParamPtr("pairs"), k.ParamPtr("slots")
	shared := k.SharedBytes(4*routeWarps*d.Experts, 16)
	k.WaitPrerequisites()
	tid, block := k.Read(ptx.TidX), k.Read(ptx.CtaIDX)
	lane, warp := k.And(tid, 31), k.Shr(tid, 5)
	const rounds = routeBlock / (32 * routeWarps)
	mine := k.Add(k.Lea(shared), k.Mul(warp, 4*d.Experts)) // the warp's counters
	first := k.Add(k.Mad(block, routeBlock, k.Mul(warp, 32*rounds)), lane)
	d.zero(k, shared, routeWarps*d.Experts)
	k.Sync()
	k.Comment("how many choices of every expert the warp has")
	var choices []ptx.Reg
	for i := range rounds {
		e := d.choice(k, idx, k.Add(first, 32*i))
		choices = append(choices, e)
		k.If(k.Lt(e, d.Experts), func() {
			k.Red(ptx.Shared, ptx.AtomAdd, k.Add(mine, k.Shl(e, 2)).At(0), k.Const(ptx.U32, 1))
		})
	}
	k.Sync()
	k.Comment("the first row of every expert and warp")
	k.For("expert", tid, d.Experts, k.Threads(), func(e ptx.Reg) {
		row := k.Var(ptx.U32, "row", k.Ld(ptx.Global, ptx.U32, k.Add(firsts, k.MulWide(k.Mad(block, d.Experts, e), 4)).At(0)))
		at := k.Add(k.Lea(shared), k.Shl(e, 2))
		for w := range routeWarps {
			n := k.Ld(ptx.Shared, ptx.U32, at.At(4*d.Experts*w))
			k.St(ptx.Shared, at.At(4*d.Experts*w), row)
			k.To(row).Add(row, n)
		}
	})
	k.Sync()
	k.Comment("32 choices at a time, in order: lanes of one expert stand one behind the other")
	below := k.Sub(k.Shl(k.Const(ptx.U32, 1), lane), 1)
	for i, e := range choices {
		same := k.MatchAny(e)
		rank := k.Popc(k.And(same, below))
		c := k.Add(first, 32*i)
		slot := k.Var(ptx.U32, "slot", 0xFFFFFFFF)
		chosen := k.Lt(e, d.Experts)
		counter := k.Add(mine, k.Shl(e, 2))
		k.If(chosen, func() {
			k.To(slot).Add(k.Ld(ptx.Shared, ptx.U32, counter.At(0)), rank)
			k.St(ptx.Global, k.Add(pairs, k.MulWide(slot, 4)).At(0), c)
		})
		k.When(k.Lt(c, d.Choices)).St(ptx.Global, k.Add(slots, k.MulWide(c, 4)).At(0), slot)
		k.SyncWarp()
		k.If(k.And(chosen, k.Eq(rank, 0)), func() {
			k.St(ptx.Shared, counter.At(0), k.Add(slot, k.Popc(same)))
		})
		k.SyncWarp()
	}
	k.LaunchDependents()
	k.Exit()
}

func (d RouteDesc) steps(idx, offsets, pairs, slots, work string) []Step {
	return []Step{
		{Launch{Entry: d.name("count"), Grid: d.blocks(), Dependent: true, Args: []Arg{Place(idx), Place(work)}}, d.emitCount},
		{Launch{Entry: d.name("scan"), Grid: 1, Dependent: true, Args: []Arg{Place(work), Place(offsets)}}, d.emitScan},
		{Launch{Entry: d.name("place"), Grid: d.blocks(), Dependent: true, Args: []Arg{Place(idx), Place(work), Place(pairs), Place(slots)}}, d.emitPlace},
	}
}

func routeDesc(idx ir.Type, a ir.Attrs) RouteDesc { return RouteDesc{idx.Elements(), a.Int("experts")} }

var route = &Kernel{
	Name: "route", Op: "route",
	Covers: func(n *ir.Node) bool { return n.Attrs.Int("experts") <= routeExperts },
	Workspace: func(n *ir.Node) int {
		d := routeDesc(n.In[0].Type, n.Attrs)
		return 4 * d.blocks() * d.Experts
	},
	Steps: func(l *ir.Launch) []Step {
		return routeDesc(l.In[0].Type, l.Attrs).steps(In(0), Out(0), Out(1), Out(2), Work)
	},
}

var routeFamily = Family{Name: "route", Cases: func() []Case {
	draw := func(experts int) func(int) int {
		return func(c int) int { return int(mix(uint64(c)+5) % uint64(experts)) }
	}
	return []Case{
		routeCase("spread", RouteDesc{5000, 40}, draw(40)),
		routeCase("absent", RouteDesc{777, 8}, func(c int) int { return draw(12)(c) - 4 }),
		routeCase("all_to_one", RouteDesc{2100, 16}, func(int) int { return 5 }),
		routeCase("one", RouteDesc{1, 3}, func(int) int { return 2 }),
		large(routeCase("qwen3", RouteDesc{32768, 128}, draw(128))),
	}
}}

// routeCase sorts choices; a negative one has no expert.
func routeCase(name string, d RouteDesc, expert func(c int) int) Case {
	var offsets, pairs []int
	slots := make([]int, d.Choices)
	for c := range slots {
		slots[c] = -1
	}
	byExpert := make([][]int, d.Experts)
	for c := range d.Choices {
		if e := expert(c); e >= 0 {
			byExpert[e] = append(byExpert[e], c)
		}
	}
	for _, list := range byExpert {
		offsets = append(offsets, len(pairs))
		for _, c := range list {
			slots[c] = len(pairs)
			pairs = append(pairs, c)
		}
	}
	offsets = append(offsets, len(pairs))
	exact := func(buffer string, list []int) Output {
		return Output{Buffer: buffer, Why: "numbers", Want: func(i int) (float64, float64, bool) {
			if i >= len(list) {
				return 0, 0, false
			}
			return float64(list[i]), 0, true
		}}
	}
	steps := d.steps("idx", "offsets", "pairs", "slots", "counts")
	return Case{
		Name: fmt.Sprintf("%s_%d_to_%d", name, d.Choices, d.Experts),
		Emit: func(m *ptx.Module) {
			for _, s := range steps {
				s.Emit(m)
			}
		},
		Buffers: []Buffer{{"idx", ptx.S32, d.Choices, func(c int) float64 { return float64(expert(c)) }},
			{"counts", ptx.S32, d.blocks() * d.Experts, nil}, {"offsets", ptx.S32, d.Experts + 1, nil},
			{"pairs", ptx.S32, d.Choices, nil}, {"slots", ptx.S32, d.Choices, nil}},
		Launches: []Launch{steps[0].Launch, steps[1].Launch, steps[2].Launch},
		Outputs:  []Output{exact("offsets", offsets), exact("pairs", pairs), exact("slots", slots)},
		Floor:    Floor{Bytes: int64(12 * d.Choices)},
	}
}
