package gpu

import (
	"fmt"
	"math"
	"sort"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// The router: of every token's logits [E] in bf16 the top_k largest, in descending order, ties to the lower expert, and
// their weights
//
//	p = softmax(logits)     w_j = p[idx_j]  (/ Σ_i p[idx_i] with renorm), rounded to bf16
//
// in float32. 2·E bytes in and 8·top_k out for a token; a launch this small is bound by latency. A warp has a token; expert
// 32·j + lane is a lane's j-th. A choice is one reduction over the warp, because a bf16 and the expert's number fit into
// one word whose order as an unsigned number is the order of choice.

// RouterDesc is what is asked. The number of tokens is an argument.
type RouterDesc struct {
	Experts, TopK int
	Renorm        bool
}

const (
	routerWarps   = 8   // tokens of a block
	routerExperts = 512 // most experts: 16 words a lane
)

func (d RouterDesc) name(kernel string) string {
	return fmt.Sprintf("%s_e%d_k%d_renorm%d", kernel, d.Experts, d.TopK, map[bool]int{true: 1}[d.Renorm])
}

func (d RouterDesc) covered() bool { return d.limit() == "" }

// limit says what is wrong with the number of experts; "": nothing.
func (d RouterDesc) limit() string {
	if d.Experts <= routerExperts && d.TopK <= 32 {
		return ""
	}
	return fmt.Sprintf("num_experts is %d and num_experts_per_tok %d, and they must be at most %d and 32", d.Experts, d.TopK, routerExperts)
}

// routerWarp is what the kernels of a router begin with.
type routerWarp struct {
	k     *ptx.Kernel
	d     RouterDesc
	lane  ptx.Reg
	token ptx.Reg
}

func newRouterWarp(k *ptx.Kernel, d RouterDesc) *routerWarp {
	tid := k.Read(ptx.TidX)
	return &routerWarp{k: k, d: d, lane: k.And(tid, 31), token: k.Mad(k.Read(ptx.CtaIDX), routerWarps, k.Shr(tid, 5))}
}

// load reads the lane's logits as float32, absent where there is no expert.
func (r *routerWarp) load(logits ptx.Reg, absent float64) []ptx.Reg {
	k := r.k
	at := k.Add(logits, k.Add(k.MulWide(r.token, 2*r.d.Experts), k.MulWide(r.lane, 2)))
	var out []ptx.Reg
	for j := range ceil(r.d.Experts, 32) {
		v := k.Var(ptx.F32, "logit", absent)
		load := func() { k.To(v).Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, at.At(64*j))) }
		if r.d.Experts < 32*j+32 {
			k.If(k.Lt(r.lane, r.d.Experts-32*j), load)
		} else {
			load()
		}
		out = append(out, v)
	}
	return out
}

// exponentials returns exp(x - top), in place of the logits.
func (r *routerWarp) exponentials(logits []ptx.Reg, top ptx.Reg) []ptx.Reg {
	k := r.k
	var out []ptx.Reg
	for _, x := range logits {
		out = append(out, k.Ex2(k.Mul(k.Sub(x, top), math.Log2E)))
	}
	return out
}

// total adds over the lane's values and the warp.
func (r *routerWarp) total(values []ptx.Reg) ptx.Reg {
	sum := values[0]
	for _, v := range values[1:] {
		sum = r.k.Add(sum, v)
	}
	return r.k.SumLanes(sum, 32)
}

// top is the largest of the warp's logits.
func (r *routerWarp) top(logits []ptx.Reg) ptx.Reg {
	top := logits[0]
	for _, v := range logits[1:] {
		top = r.k.Max(top, v)
	}
	return r.k.MaxLanes(top, 32)
}

// softmax returns the probabilities of a lane's logits, of which the warp's largest is top, and the sum of the exponentials
// that they are shares of.
func (r *routerWarp) softmax(logits []ptx.Reg, top ptx.Reg) (p []ptx.Reg, sum ptx.Reg) {
	p = r.exponentials(logits, top)
	sum = r.total(p)
	for j := range p {
		p[j] = r.k.Div(p[j], sum)
	}
	return p, sum
}

// store writes the lane's numbers to the token's row of a matrix [tokens, experts], rounded to bf16.
func (r *routerWarp) store(out ptx.Reg, values []ptx.Reg) {
	k := r.k
	at := k.Add(out, k.Add(k.MulWide(r.token, 2*r.d.Experts), k.MulWide(r.lane, 2)))
	for j, v := range values {
		r.present(j).St(ptx.Global, at.At(64*j), k.Convert(ptx.BF16, v))
	}
}

// present is the kernel, for instructions of lanes whose j-th expert exists.
func (r *routerWarp) present(j int) *ptx.Kernel {
	if r.d.Experts < 32*j+32 {
		return r.k.When(r.k.Lt(r.lane, r.d.Experts-32*j))
	}
	return r.k
}

// noLogit stands for the logit of an expert that does not exist: below every bf16, and its exponential is 0.
const noLogit = -math.MaxFloat32

// EmitRouter writes the kernel: parameters logits, idx, w and the number of tokens, and with given the experts that are
// chosen beforehand, [tokens, top_k], in rows that do not begin with −1; a block for every 8 tokens.
func EmitRouter(m *ptx.Module, d RouterDesc, given bool) {
	k := m.Kernel(d.entry(given), 32*routerWarps)
	logits, idx, w, tokens := k.ParamPtr("logits"), k.ParamPtr("idx"), k.ParamPtr("w"), k.ParamU32("tokens")
	var choice ptx.Reg
	if given {
		choice = k.ParamPtr("choice")
	}
	k.WaitPrerequisites()
	r := newRouterWarp(k, d)
	k.If(k.Lt(r.token, tokens), func() {
		values := r.load(logits, noLogit)
		k.Comment("a word an expert: the logit, as an unsigned number of the same order, above 65535 - expert")
		var words []ptx.Reg
		for j, v := range values {
			words = append(words, r.word(v, k.Sub(0xFFFF-32*j, r.lane)))
		}
		chosen := k.Var(ptx.U32, "chosen", 0)
		var top ptx.Reg
		for i := range d.TopK {
			best := words[0]
			for _, x := range words[1:] {
				best = k.Max(best, x)
			}
			best = k.Redux(ptx.AtomMax, best)
			k.Assign(chosen, k.Select(k.Eq(r.lane, i), best, chosen))
			for j, x := range words {
				words[j] = k.Select(k.Eq(x, best), 0, x)
			}
			if i == 0 {
				top = r.value(best)
			}
		}
		k.Comment("lane j has choice j")
		has := k.Lt(r.lane, d.TopK)
		if given {
			row := k.Add(choice, k.MulWide(k.Mul(r.token, d.TopK), 4))
			chooses := k.Ge(k.Ld(ptx.Global, ptx.S32, row.At(0)), 0)
			k.If(k.And(has, chooses), func() {
				e := k.Ld(ptx.Global, ptx.U32, k.Add(row, k.MulWide(r.lane, 4)).At(0))
				logit := k.Ld(ptx.Global, ptx.BF16, k.Add(logits, k.MulWide(k.Mad(r.token, d.Experts, e), 2)).At(0))
				k.Assign(chosen, r.word(k.Convert(ptx.F32, logit), k.Sub(0xFFFF, e)))
			})
		}
		e := k.Select(has, r.exponentials([]ptx.Reg{r.value(chosen)}, top)[0], k.Const(ptx.F32, 0))
		var sum ptx.Reg
		if d.Renorm {
			sum = k.SumLanes(e, 32)
		} else {
			sum = r.total(r.exponentials(values, top))
		}
		rounded, _ := k.UnpackBF16(k.PackBF16(k.Div(e, sum), 0.0))
		at := k.Mad(r.token, d.TopK, r.lane)
		to := k.When(has)
		to.St(ptx.Global, k.Add(idx, k.MulWide(at, 4)).At(0), k.Sub(0xFFFF, k.And(chosen, 0xFFFF)))
		to.St(ptx.Global, k.Add(w, k.MulWide(at, 4)).At(0), rounded)
	})
	k.LaunchDependents()
	k.Exit()
}

// word joins a logit, as an unsigned number of the same order, and the number below it that its expert has.
func (r *routerWarp) word(logit, below ptx.Reg) ptx.Reg {
	k := r.k
	flip := k.Or(k.Shr(logit.As(ptx.S32), 31).As(ptx.U32), 1<<31)
	return k.Or(k.And(k.Xor(logit.As(ptx.U32), flip), 0xFFFF0000), below)
}

// value returns the logit in a word.
func (r *routerWarp) value(word ptx.Reg) ptx.Reg {
	k := r.k
	order := k.And(word, 0xFFFF0000)
	flip := k.Or(k.Not(k.Shr(order.As(ptx.S32), 31).As(ptx.U32)), 1<<31)
	return k.And(k.Xor(order, flip), 0xFFFF0000).As(ptx.F32)
}

// EmitRouterGrad writes the gradient: parameters dw, logits, idx, dlogits and the number of tokens.
//
//	dp[idx_j] = dw_j, or (dw_j − Σ_i dw_i·w_i) / Σ_i p[idx_i] with renorm     dlogits = p·(dp − Σ dp·p)
func EmitRouterGrad(m *ptx.Module, d RouterDesc) {
	k := m.Kernel(d.name("router_grad"), 32*routerWarps)
	dw, logits, idx := k.ParamPtr("dw"), k.ParamPtr("logits"), k.ParamPtr("idx")
	out, tokens := k.ParamPtr("dlogits"), k.ParamU32("tokens")
	k.WaitPrerequisites()
	r := newRouterWarp(k, d)
	k.If(k.Lt(r.token, tokens), func() {
		values := r.load(logits, noLogit)
		top := r.top(values)
		p, sum := r.softmax(values, top)
		k.Comment("lane j has choice j")
		has := k.Lt(r.lane, d.TopK)
		choice, g, logit := k.Var(ptx.U32, "choice", 0), k.Var(ptx.F32, "g", 0.0), k.Var(ptx.F32, "chosen", noLogit)
		k.If(has, func() {
			at := k.Mad(r.token, d.TopK, r.lane)
			k.To(choice).Ld(ptx.Global, ptx.U32, k.Add(idx, k.MulWide(at, 4)).At(0))
			k.To(g).Ld(ptx.Global, ptx.F32, k.Add(dw, k.MulWide(at, 4)).At(0))
			place := k.Add(logits, k.MulWide(k.Mad(r.token, d.Experts, choice), 2))
			k.To(logit).Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, place.At(0)))
		})
		chosen := k.Div(r.exponentials([]ptx.Reg{logit}, top)[0], sum)
		dp := g
		if d.Renorm {
			share := k.SumLanes(chosen, 32)
			k.Comment("(dw - sum of dw w) / sum of p")
			mean := k.Div(k.SumLanes(k.Mul(g, chosen), 32), share)
			dp = k.Select(has, k.Div(k.Sub(g, mean), share), k.Const(ptx.F32, 0))
		}
		inner := k.SumLanes(k.Mul(dp, chosen), 32)
		var spread []ptx.Reg
		for range p {
			spread = append(spread, k.Var(ptx.F32, "dp", 0.0))
		}
		for i := range d.TopK {
			expert, value := k.ShflIdx(choice, i), k.ShflIdx(dp, i)
			for j := range p {
				k.Assign(spread[j], k.Select(k.Eq(k.Add(r.lane, 32*j), expert), value, spread[j]))
			}
		}
		for j := range p {
			spread[j] = k.Mul(p[j], k.Sub(spread[j], inner))
		}
		r.store(out, spread)
	})
	k.LaunchDependents()
	k.Exit()
}

// entry is the name of the kernel.
func (d RouterDesc) entry(given bool) string {
	if given {
		return d.name("router") + "_choice"
	}
	return d.name("router")
}

// routerSteps is the router's launch; choice names the experts chosen beforehand, "" where the router alone chooses.
func routerSteps(d RouterDesc, tokens int, logits, choice, idx, w string) []Step {
	args := []Arg{Place(logits), Place(idx), Place(w), U32(tokens)}
	if choice != "" {
		args = append(args, Place(choice))
	}
	return []Step{{Launch{Entry: d.entry(choice != ""), Grid: ceil(tokens, routerWarps), Dependent: true, Args: args},
		func(m *ptx.Module) { EmitRouter(m, d, choice != "") }}}
}

func routerGradSteps(d RouterDesc, tokens int, dw, logits, idx, dlogits string) []Step {
	return []Step{{Launch{Entry: d.name("router_grad"), Grid: ceil(tokens, routerWarps), Dependent: true,
		Args: []Arg{Place(dw), Place(logits), Place(idx), Place(dlogits), U32(tokens)}}, func(m *ptx.Module) { EmitRouterGrad(m, d) }}}
}

func routerDesc(logits ir.Type, a ir.Attrs) RouterDesc {
	return RouterDesc{logits.Dim(1), a.Int("top_k"), a.Bool("renorm")}
}

var router = &Kernel{
	Name: "router", Op: "router",
	Covers: func(n *ir.Node) bool { return bfloat(n.In[0]) && routerDesc(n.In[0].Type, n.Attrs).covered() },
	Limit:  func(n *ir.Node) string { return routerDesc(n.In[0].Type, n.Attrs).limit() },
	Steps: func(l *ir.Launch) []Step {
		choice := ""
		if l.In[1] != nil {
			choice = In(1)
		}
		return routerSteps(routerDesc(l.In[0].Type, l.Attrs), l.In[0].Type.Dim(0), In(0), choice, Out(0), Out(1))
	},
}

var routerGrad = &Kernel{
	Name: "router_grad", Op: "router_grad",
	Covers: func(n *ir.Node) bool { return bfloat(n.In[1]) && routerDesc(n.In[1].Type, n.Attrs).covered() },
	Limit:  func(n *ir.Node) string { return routerDesc(n.In[1].Type, n.Attrs).limit() },
	Steps: func(l *ir.Launch) []Step {
		return routerGradSteps(routerDesc(l.In[1].Type, l.Attrs), l.In[1].Type.Dim(0), In(0), In(1), In(2), Out(0))
	},
}

var routerFamily = Family{Name: "router", Cases: func() []Case {
	return []Case{
		routerCase(RouterDesc{128, 8, true}, 13), routerCase(RouterDesc{8, 2, true}, 9), routerCase(RouterDesc{40, 1, false}, 17),
		routerCase(RouterDesc{512, 22, false}, 3), large(routerCase(RouterDesc{128, 8, true}, 4096)),
	}
}}

// routerCase runs the router and its gradient. Logits come in steps of 1/8, so that there are ties.
func routerCase(d RouterDesc, tokens int) Case {
	spread, dw := normal(51, 1), normal(52, 1)
	logits := func(i int) float64 { return math.RoundToEven(8*spread(i)) / 8 }
	type token struct {
		idx     []int
		p, w, g []float64
	}
	solve := rowCache(func(t int) token {
		var x token
		sum := 0.0
		for e := range d.Experts {
			x.idx = append(x.idx, e)
			x.p = append(x.p, math.Exp(logits(t*d.Experts+e)))
			sum += x.p[e]
		}
		for e := range x.p {
			x.p[e] /= sum
		}
		sort.SliceStable(x.idx, func(i, j int) bool { return x.p[x.idx[i]] > x.p[x.idx[j]] })
		x.idx = x.idx[:d.TopK]
		share, mean := 0.0, 0.0
		for j, e := range x.idx {
			share += x.p[e]
			mean += dw(t*d.TopK+j) * x.p[e]
		}
		dp := make([]float64, d.Experts)
		for j, e := range x.idx {
			if dp[e] = dw(t*d.TopK + j); d.Renorm {
				x.w = append(x.w, x.p[e]/share)
				dp[e] = (dp[e] - mean/share) / share
			} else {
				x.w = append(x.w, x.p[e])
			}
		}
		inner := 0.0
		for e := range dp {
			inner += dp[e] * x.p[e]
		}
		for e := range dp {
			x.g = append(x.g, x.p[e]*(dp[e]-inner))
		}
		return x
	})
	forward := routerSteps(d, tokens, "logits", "", "idx", "w")[0]
	backward := routerGradSteps(d, tokens, "dw", "logits", "idx", "dlogits")[0]
	return Case{
		Name: fmt.Sprintf("%dx%d_top%d_renorm%v", tokens, d.Experts, d.TopK, d.Renorm),
		Emit: func(m *ptx.Module) { forward.Emit(m); backward.Emit(m) },
		Buffers: []Buffer{{"logits", ptx.BF16, tokens * d.Experts, logits}, {"dw", ptx.F32, tokens * d.TopK, dw},
			{"idx", ptx.S32, tokens * d.TopK, nil}, {"w", ptx.F32, tokens * d.TopK, nil}, {"dlogits", ptx.BF16, tokens * d.Experts, nil}},
		Launches: []Launch{forward.Launch, backward.Launch},
		Outputs: []Output{
			{Buffer: "idx", Why: "a number", Want: func(i int) (float64, float64, bool) {
				return float64(solve(i / d.TopK).idx[i%d.TopK]), 0, true
			}},
			{Buffer: "w", Rel: bf16Rel, Why: "a rounding to bf16 (2^-8) of a softmax in float32", Want: func(i int) (float64, float64, bool) {
				return solve(i / d.TopK).w[i%d.TopK], 0, true
			}},
			{Buffer: "dlogits", Rel: bf16Rel, Acc: 0x1p-18, Why: "a rounding to bf16 (2^-8) of differences in float32 of the size of p / sum of p",
				Want: func(i int) (float64, float64, bool) {
					x := solve(i / d.Experts)
					return x.g[i%d.Experts], 8, true
				}},
		},
		Floor: Floor{Bytes: int64(tokens) * int64(6*d.Experts+16*d.TopK)},
	}
}
