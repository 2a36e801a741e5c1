package gpu

import (
	"fmt"
	"math"
	"sync"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// The backward of unpermute ∘ grouped linear ∘ SwiGLU at the activation in between. Row i has choice c = pairs[i] behind it,
// da = dy[token]·w_down without the router's weight, and a = silu(gate)·up is computed again:
//
//	dw[c] = Σ da·a     aw[i] = bf16(w[c]·a)     dgu[i] = bf16(SwiGLU's gradient under w[c]·da)
//
// and dw is zero for choices without a row. float32 in between. A warp goes over a row once, 16 bytes a lane and access,
// and sums dw over its lanes at the end. Floor: 12·Half bytes a row (gu, da in; dgu, aw out), and dw.

// SwiGLUUnpermuteDesc is what is asked.
type SwiGLUUnpermuteDesc struct {
	Half int // elements of gate, and of up, in a row
}

// SwiGLUUnpermuteConfig fixes one kernel.
type SwiGLUUnpermuteConfig struct {
	Width int // elements of an access
}

// Name is the kernel's entry.
func (c SwiGLUUnpermuteConfig) Name(d SwiGLUUnpermuteDesc) string {
	return fmt.Sprintf("swiglu_unpermute_grad_f%d_v%d", d.Half, c.Width)
}

// SwiGLUUnpermuteConfigs returns the only candidate: the widest access.
func SwiGLUUnpermuteConfigs(d SwiGLUUnpermuteDesc) (out []SwiGLUUnpermuteConfig, rejected []string) {
	return []SwiGLUUnpermuteConfig{{pieceOf(ptx.BF16, d.Half).n}}, nil
}

// SwiGLUUnpermuteFloor is what so many rows of so many choices move.
func SwiGLUUnpermuteFloor(d SwiGLUUnpermuteDesc, rows, choices int) Floor {
	return Floor{Bytes: int64(12*d.Half*rows + 8*rows + 4*choices)}
}

// EmitSwiGLUUnpermute writes the kernel: parameters gu, da, w, pairs, dgu, aw, dw (zero where there are no rows), and the
// counts that say how many rows there are. dgu may be gu, and aw da.
func EmitSwiGLUUnpermute(m *ptx.Module, d SwiGLUUnpermuteDesc, c SwiGLUUnpermuteConfig) {
	k := m.Kernel(c.Name(d), streamThreads)
	p := piece{ptx.BF16, c.Width}
	gu, da, w, pairs := k.ParamPtr("gu"), k.ParamPtr("da"), k.ParamPtr("w"), k.ParamPtr("pairs")
	dgu, aw, dw := k.ParamPtr("dgu"), k.ParamPtr("aw"), k.ParamPtr("dw")
	count := countedRows(k, true)
	k.WaitPrerequisites()
	lane := k.Read(ptx.LaneID)
	eachWarp(k, count(), func(row ptx.Reg) {
		choice := k.MulWide(k.Ld(fixed, ptx.U32, k.Add(pairs, k.MulWide(row, 4)).At(0)), 4)
		weight := k.Ld(fixed, ptx.F32, k.Add(w, choice).At(0))
		pair, one := k.MulWide(row, 4*d.Half), k.MulWide(row, 2*d.Half)
		product := k.Var(ptx.F32, "product", 0)
		k.For("col", lane, d.Half/c.Width, 32, func(col ptx.Reg) {
			at := k.MulWide(col, p.bytes())
			from, to := k.Add(k.Add(gu, pair), at), k.Add(k.Add(dgu, pair), at)
			gate, up := p.load(k, once, from.At(0)), p.load(k, once, from.At(2*d.Half))
			das := p.floats(k, p.load(k, once, k.Add(k.Add(da, one), at).At(0)))
			gates, ups := p.floats(k, gate), p.floats(k, up)
			var as, weighted []ptx.Reg
			for i, g := range gates {
				a := k.Mul(k.Mul(g, sigmoid(k, g)), ups[i])
				k.To(product).Fma(das[i], a, product)
				as, weighted = append(as, k.Mul(weight, a)), append(weighted, k.Mul(weight, das[i]))
			}
			p.store(k, k.Add(k.Add(aw, one), at).At(0), as)
			dgate, dup := swigluGradient(k, gates, ups, weighted)
			p.store(k, to.At(0), dgate)
			p.store(k, to.At(2*d.Half), dup)
		})
		sum := k.SumLanes(product, 32)
		k.When(k.Eq(lane, 0)).St(ptx.Global, k.Add(dw, choice).At(0), sum)
	})
	k.LaunchDependents()
	k.Exit()
}

// step is the launch for at most so many rows.
func (d SwiGLUUnpermuteDesc) step(rows int, args ...Arg) Step {
	configs, _ := SwiGLUUnpermuteConfigs(d)
	c := configs[0]
	return Step{
		Launch: Launch{Entry: c.Name(d), Grid: streamGrid(32 * rows), Persistent: true, Dependent: true, Args: args},
		Emit:   func(m *ptx.Module) { EmitSwiGLUUnpermute(m, d, c) },
	}
}

var swigluUnpermuteGrad = &Kernel{
	Name: "swiglu_unpermute_grad", Op: "swiglu_unpermute_grad", InPlace: true,
	Covers: func(n *ir.Node) bool { return bfloat(n.In[0]) && addressable(n.In[0]) },
	Steps: func(l *ir.Launch) []Step {
		da := l.In[1].Type
		d := SwiGLUUnpermuteDesc{Half: da.Dim(1)}
		args := []Arg{Place(In(0)), Place(In(1)), Place(In(2)), Place(In(4)), Place(Out(0)), Place(Out(1)), Place(Out(2))}
		return []Step{zeroing(Place(Out(2)), int(l.Out[2].Bytes())), d.step(da.Dim(0), append(args, rowArgs(l, 3, 0)...)...)}
	},
}

var swigluUnpermuteFamily = Family{Name: "swiglu_unpermute_grad", Cases: func() []Case {
	return []Case{
		swigluUnpermuteCase(SwiGLUUnpermuteDesc{Half: 72}, 2, 15, 21),
		swigluUnpermuteCase(SwiGLUUnpermuteDesc{Half: 520}, 3, 4, 12),
		swigluUnpermuteCase(SwiGLUUnpermuteDesc{Half: 6}, 1, 5, 5),
		swigluUnpermuteCase(SwiGLUUnpermuteDesc{Half: 8}, 2, 3, 0),
		large(swigluUnpermuteCase(SwiGLUUnpermuteDesc{Half: 768}, 8, 4096, 32768)),
	}
}}

// swigluUnpermuteCase has count rows of the choices of so many tokens.
func swigluUnpermuteCase(d SwiGLUUnpermuteDesc, topK, tokens, count int) Case {
	f, choices := d.Half, tokens*topK
	gu, da, w := normal(61, 2), normal(62, 1), normal(63, 0.5)
	pairs, rowOf := make([]int, choices), make([]int, choices)
	for i := range pairs { // a number prime to that of choices: some order
		pairs[i] = i * 7919 % choices
		rowOf[pairs[i]] = i
	}
	halves := func(row, col int) (gate, up, s float64) {
		gate = gu(2*row*f + col)
		return gate, gu((2*row+1)*f + col), 1 / (1 + math.Exp(-gate))
	}
	dw := sync.OnceValue(func() [][2]float64 {
		out := make([][2]float64, choices)
		for row := range count {
			for col := range f {
				gate, up, s := halves(row, col)
				v := da(row*f+col) * gate * s * up
				out[pairs[row]][0] += v
				out[pairs[row]][1] += math.Abs(v)
			}
		}
		return out
	})
	args := []Arg{Place("gu"), Place("da"), Place("w"), Place("pairs"), Place("dgu"), Place("aw"), Place("dw"), Place("offsets"), U32(2)}
	zero := zeroing(Place("dw"), 4*choices)
	configs, _ := SwiGLUUnpermuteConfigs(d)
	return Case{
		Name: fmt.Sprintf("%dof%d_%s", count, choices, configs[0].Name(d)),
		Emit: func(m *ptx.Module) { zero.Emit(m); EmitSwiGLUUnpermute(m, d, configs[0]) },
		Buffers: []Buffer{{"gu", ptx.BF16, 2 * choices * f, gu}, {"da", ptx.BF16, choices * f, da}, {"w", ptx.F32, choices, w},
			{"pairs", ptx.S32, choices, numbers(pairs)}, {"offsets", ptx.S32, 3, numbers([]int{0, count / 2, count})},
			{"dgu", ptx.BF16, 2 * choices * f, nil}, {"aw", ptx.BF16, choices * f, nil}, {"dw", ptx.F32, choices, nil}},
		Launches: []Launch{zero.Launch, d.step(choices, args...).Launch},
		Outputs: []Output{
			{Buffer: "dgu", Rel: 1.01 * 0x1p-8, Acc: 0x1p-20, Why: "one rounding to bf16; float32's and the sigmoid's, of both terms where 1 + gate (1 - s) cancels",
				Want: func(i int) (float64, float64, bool) {
					row, col := i/(2*f), i%f
					gate, up, s := halves(row, col)
					v := w(pairs[row]) * da(row*f+col)
					if i%(2*f) < f {
						return v * up * s * (1 + gate*(1-s)), math.Abs(v * up), row < count
					}
					return v * gate * s, 0, row < count
				}},
			{Buffer: "aw", Rel: 1.01 * 0x1p-8, Why: "one rounding to bf16; float32's and the sigmoid's are 2^-13 of that",
				Want: func(i int) (float64, float64, bool) {
					row, col := i/f, i%f
					gate, up, s := halves(row, col)
					return w(pairs[row]) * gate * s * up, 0, row < count
				}},
			{Buffer: "dw", Acc: float64(f/32+8+8) * 0x1p-23, Why: "a chain of float32 products and sums along a lane's elements and over lanes; the sigmoid's 4 units",
				Want: func(i int) (float64, float64, bool) { v := dw()[i]; return v[0], v[1], true }},
		},
		Floor: SwiGLUUnpermuteFloor(d, count, choices),
	}
}
