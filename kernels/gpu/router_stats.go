package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// What the load-balancing loss needs of a layer: how often each expert was chosen, and the sum over tokens of its
// probability,
//
//	stats[e] = #{idx = e}     stats[E+e] = Σ_t p_te     p = softmax(logits)
//
// in float32, and the gradient of the second half: dlogits = p·(d − Σ d·p), d = dstats[E:], rounded to bf16.
//
// 2·E bytes in for a token, as many out for its gradient; latency decides. A warp has the tokens that are statsBlocks(tokens)·8
// apart and adds each expert's probability in the lane that has it; the warps of a block are added in order, then, in a second
// launch, the blocks. The order depends on the number of tokens alone.

// RouterStatsDesc is what is asked. Tokens of which several share a warp are the kernel's.
type RouterStatsDesc struct {
	Tokens, Experts, TopK int
}

const (
	statsTokens = 4   // of a warp, at least
	statsBlocks = 128 // at most
)

func (d RouterStatsDesc) blocks() int {
	return min(ceil(d.Tokens, statsTokens*routerWarps), statsBlocks)
}

func (d RouterStatsDesc) name(kernel string) string {
	return fmt.Sprintf("router_stats_%s_t%d_e%d_k%d", kernel, d.Tokens, d.Experts, d.TopK)
}

// emitParts writes the first kernel: parameters logits, idx and parts [blocks, 2·experts] in float32.
func (d RouterStatsDesc) emitParts(m *ptx.Module) {
	k := m.Kernel(d.name("parts"), 32*routerWarps)
	logits, idx, parts := k.ParamPtr("logits"), k.ParamPtr("idx"), k.ParamPtr("parts")
	counts := k.SharedBytes(4*d.Experts, 16)
	sums := k.SharedBytes(4*d.Experts*routerWarps, 16)
	k.WaitPrerequisites()
	tid := k.Read(ptx.TidX)
	block := k.Read(ptx.CtaIDX)
	lane, warp := k.And(tid, 31), k.Shr(tid, 5)
	k.For("expert", tid, d.Experts, k.Threads(), func(e ptx.Reg) {
		k.St(ptx.Shared, k.Add(k.Lea(counts), k.Shl(e, 2)).At(0), k.Const(ptx.U32, 0))
	})
	k.Sync()
	var own []ptx.Reg
	for range ceil(d.Experts, 32) {
		own = append(own, k.Var(ptx.F32, "sum", 0.0))
	}
	r := &routerWarp{k: k, d: RouterDesc{Experts: d.Experts}, lane: lane}
	k.For("token", k.Mad(block, routerWarps, warp), d.Tokens, d.blocks()*routerWarps, func(t ptx.Reg) {
		r.token = t
		values := r.load(logits, noLogit)
		p, _ := r.softmax(values, r.top(values))
		for j := range p {
			k.To(own[j]).Add(own[j], p[j])
		}
		k.Comment("a lane has a choice")
		e := k.Var(ptx.U32, "e", 0xFFFFFFFF)
		k.When(k.Lt(lane, d.TopK)).To(e).Ld(ptx.Global, ptx.U32, k.Add(idx, k.MulWide(k.Mad(t, d.TopK, lane), 4)).At(0))
		k.When(k.Lt(e, d.Experts)).Red(ptx.Shared, ptx.AtomAdd, k.Add(k.Lea(counts), k.Shl(e, 2)).At(0), k.Const(ptx.U32, 1))
	})
	for j, sum := range own {
		at := k.Add(k.Lea(sums), k.Shl(k.Mad(warp, d.Experts, lane), 2))
		r.present(j).St(ptx.Shared, at.At(128*j), sum)
	}
	k.Sync()
	k.For("expert", tid, d.Experts, k.Threads(), func(e ptx.Reg) {
		at := k.Shl(e, 2)
		from := k.Add(k.Lea(sums), at)
		sum := k.Ld(ptx.Shared, ptx.F32, from.At(0))
		for w := 1; w < routerWarps; w++ {
			sum = k.Add(sum, k.Ld(ptx.Shared, ptx.F32, from.At(4*w*d.Experts)))
		}
		count := k.Convert(ptx.F32, k.Ld(ptx.Shared, ptx.U32, k.Add(k.Lea(counts), at).At(0)))
		to := k.Add(parts, k.MulWide(k.Mad(block, 2*d.Experts, e), 4))
		k.St(ptx.Global, to.At(0), count)
		k.St(ptx.Global, to.At(4*d.Experts), sum)
	})
	k.LaunchDependents()
	k.Exit()
}

// emitSum writes the second kernel: parameters parts and stats.
func (d RouterStatsDesc) emitSum(m *ptx.Module) {
	k := m.Kernel(d.name("sum"), streamThreads)
	parts, stats := k.ParamPtr("parts"), k.ParamPtr("stats")
	k.WaitPrerequisites()
	i := k.Mad(k.Read(ptx.CtaIDX), k.Threads(), k.Read(ptx.TidX))
	k.If(k.Lt(i, 2*d.Experts), func() {
		at := k.MulWide(i, 4)
		sum := k.Var(ptx.F32, "sum", 0.0)
		k.For("block", 0, d.blocks(), 1, func(b ptx.Reg) {
			k.To(sum).Add(sum, k.Ld(ptx.Global, ptx.F32, k.Add(parts, k.MadWide(b, 8*d.Experts, at)).At(0)))
		})
		k.St(ptx.Global, k.Add(stats, at).At(0), sum)
	})
	k.LaunchDependents()
	k.Exit()
}

func (d RouterStatsDesc) steps(logits, idx, parts, stats string) []Step {
	return []Step{
		{Launch{Entry: d.name("parts"), Grid: d.blocks(), Dependent: true, Args: []Arg{Place(logits), Place(idx), Place(parts)}}, d.emitParts},
		{Launch{Entry: d.name("sum"), Grid: ceil(2*d.Experts, streamThreads), Dependent: true, Args: []Arg{Place(parts), Place(stats)}}, d.emitSum},
	}
}

// workspace returns the bytes of parts.
func (d RouterStatsDesc) workspace() int { return 8 * d.blocks() * d.Experts }

func routerStatsGradName(experts int) string { return fmt.Sprintf("router_stats_grad_e%d", experts) }

// emitRouterStatsGrad writes the gradient: parameters dstats, logits, dlogits and the number of tokens.
func emitRouterStatsGrad(m *ptx.Module, experts int) {
	k := m.Kernel(routerStatsGradName(experts), 32*routerWarps)
	dstats, logits, out, tokens := k.ParamPtr("dstats"), k.ParamPtr("logits"), k.ParamPtr("dlogits"), k.ParamU32("tokens")
	k.WaitPrerequisites()
	r := newRouterWarp(k, RouterDesc{Experts: experts})
	k.If(k.Lt(r.token, tokens), func() {
		values := r.load(logits, noLogit)
		p, _ := r.softmax(values, r.top(values))
		at := k.Add(dstats, k.MulWide(r.lane, 4))
		var d, terms []ptx.Reg
		for j := range p {
			x := k.Var(ptx.F32, "d", 0.0)
			r.present(j).To(x).Ld(ptx.Global, ptx.F32, at.At(4*experts+128*j))
			d, terms = append(d, x), append(terms, k.Mul(x, p[j]))
		}
		inner := r.total(terms)
		for j := range d {
			d[j] = k.Mul(p[j], k.Sub(d[j], inner))
		}
		r.store(out, d)
	})
	k.LaunchDependents()
	k.Exit()
}

func routerStatsGradSteps(experts, tokens int, dstats, logits, dlogits string) []Step {
	return []Step{{Launch{Entry: routerStatsGradName(experts), Grid: ceil(tokens, routerWarps), Dependent: true,
		Args: []Arg{Place(dstats), Place(logits), Place(dlogits), U32(tokens)}}, func(m *ptx.Module) { emitRouterStatsGrad(m, experts) }}}
}

func routerStatsDesc(logits, idx ir.Type) RouterStatsDesc {
	return RouterStatsDesc{logits.Dim(0), logits.Dim(1), idx.Dim(1)}
}

var routerStats = &Kernel{
	Name: "router_stats", Op: "router_stats",
	Covers: func(n *ir.Node) bool {
		d := routerStatsDesc(n.In[0].Type, n.In[1].Type)
		return bfloat(n.In[0]) && RouterDesc{Experts: d.Experts, TopK: d.TopK}.covered()
	},
	Workspace: func(n *ir.Node) int { return routerStatsDesc(n.In[0].Type, n.In[1].Type).workspace() },
	Steps: func(l *ir.Launch) []Step {
		return routerStatsDesc(l.In[0].Type, l.In[1].Type).steps(In(0), In(1), Work, Out(0))
	},
}

var routerStatsGrad = &Kernel{
	Name: "router_stats", Op: "router_stats_grad",
	Covers: func(n *ir.Node) bool { return bfloat(n.In[1]) && RouterDesc{Experts: n.In[1].Type.Dim(1)}.covered() },
	Steps: func(l *ir.Launch) []Step {
		return routerStatsGradSteps(l.In[1].Type.Dim(1), l.In[1].Type.Dim(0), In(0), In(1), Out(0))
	},
}

var routerStatsFamily = Family{Name: "router_stats", Cases: func() []Case {
	return []Case{
		routerStatsCase(RouterStatsDesc{70, 40, 3}), routerStatsCase(RouterStatsDesc{1, 8, 2}), routerStatsCase(RouterStatsDesc{33, 128, 8}),
		large(routerStatsCase(RouterStatsDesc{4096, 128, 8})),
	}
}}

// routerStatsCase runs the sums and their gradient; choices are any.
func routerStatsCase(d RouterStatsDesc) Case {
	logits, dstats := normal(71, 1.5), normal(72, 1)
	idx := func(i int) int { return int(mix(uint64(i)+3) % uint64(d.Experts)) }
	solve := rowCache(func(t int) []float64 {
		p, sum := make([]float64, d.Experts), 0.0
		for e := range p {
			p[e] = math.Exp(logits(t*d.Experts + e))
			sum += p[e]
		}
		for e := range p {
			p[e] /= sum
		}
		return p
	})
	stats := make([]float64, 2*d.Experts)
	for t := range d.Tokens {
		for j := range d.TopK {
			stats[idx(t*d.TopK+j)]++
		}
		for e, p := range solve(t) {
			stats[d.Experts+e] += p
		}
	}
	forward := d.steps("logits", "idx", "parts", "stats")
	backward := routerStatsGradSteps(d.Experts, d.Tokens, "dstats", "logits", "dlogits")
	return Case{
		Name: fmt.Sprintf("%dx%d_top%d", d.Tokens, d.Experts, d.TopK),
		Emit: func(m *ptx.Module) { forward[0].Emit(m); forward[1].Emit(m); backward[0].Emit(m) },
		Buffers: []Buffer{{"logits", ptx.BF16, d.Tokens * d.Experts, logits},
			{"idx", ptx.S32, d.Tokens * d.TopK, func(i int) float64 { return float64(idx(i)) }}, {"dstats", ptx.F32, 2 * d.Experts, dstats},
			{"parts", ptx.F32, d.workspace() / 4, nil}, {"stats", ptx.F32, 2 * d.Experts, nil}, {"dlogits", ptx.BF16, d.Tokens * d.Experts, nil}},
		Launches: []Launch{forward[0].Launch, forward[1].Launch, backward[0].Launch},
		Outputs: []Output{
			{Buffer: "stats", Rel: 0x1p-16, Why: "counts are exact; sums of up to a few hundred probabilities in a row in float32",
				Want: func(i int) (float64, float64, bool) { return stats[i], 0, true }},
			{Buffer: "dlogits", Rel: bf16Rel, Acc: 0x1p-18, Why: "a rounding to bf16 (2^-8) of differences in float32 of the size of p",
				Want: func(i int) (float64, float64, bool) {
					p, inner := solve(i/d.Experts), 0.0
					for e := range p {
						inner += p[e] * dstats(d.Experts+e)
					}
					e := i % d.Experts
					return p[e] * (dstats(d.Experts+e) - inner), 4 * p[e], true
				}, Row: d.Experts},
		},
		Floor: Floor{Bytes: int64(d.Tokens) * int64(6*d.Experts+4*d.TopK)},
	}
}
