package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// The gradient of the weights with which a token's rows were summed:
//
//	dw[t,j] = Σ dy[t] · x[slots[t,j]]     zero for choices without a row
//
// in float32. A warp takes a token: it reads its row of dy once for all choices of a batch, 16 bytes a lane and access.
// Floor: each row of x and of dy is read once, 2·(R + T)·Cols bytes.

// UnpermuteWGradDesc is what is asked.
type UnpermuteWGradDesc struct {
	Cols, TopK int
}

// UnpermuteWGradConfig fixes one kernel.
type UnpermuteWGradConfig struct {
	Width int // elements of an access
	Batch int // choices that are summed at once
}

// Name is the kernel's entry.
func (c UnpermuteWGradConfig) Name(d UnpermuteWGradDesc) string {
	return fmt.Sprintf("unpermute_wgrad_d%d_t%d_v%d_b%d", d.Cols, d.TopK, c.Width, c.Batch)
}

// UnpermuteWGradConfigs returns the candidates, the preferred first: dy is read once for as many choices as registers allow.
func UnpermuteWGradConfigs(d UnpermuteWGradDesc) (out []UnpermuteWGradConfig, rejected []string) {
	width := pieceOf(ptx.BF16, d.Cols).n
	for _, batch := range []int{8, 4} {
		out = append(out, UnpermuteWGradConfig{width, min(batch, d.TopK)})
	}
	return out, nil
}

// UnpermuteWGradFloor is what so many tokens with so many rows move.
func UnpermuteWGradFloor(d UnpermuteWGradDesc, tokens, rows int) Floor {
	return Floor{Bytes: int64(2*(tokens+rows)*d.Cols + 8*tokens*d.TopK)}
}

// EmitUnpermuteWGrad writes the kernel: parameters dy, x, slots, dw and the number of tokens.
func EmitUnpermuteWGrad(m *ptx.Module, d UnpermuteWGradDesc, c UnpermuteWGradConfig) {
	k := m.Kernel(c.Name(d), streamThreads)
	k.NoSpills()
	p := piece{ptx.BF16, c.Width}
	dy, x, slots, dw := k.ParamPtr("dy"), k.ParamPtr("x"), k.ParamPtr("slots"), k.ParamPtr("dw")
	tokens := k.ParamU32("tokens")
	k.WaitPrerequisites()
	lane := k.Read(ptx.LaneID)
	eachWarp(k, tokens, func(token ptx.Reg) {
		choices := k.MulWide(token, 4*d.TopK)
		for first := 0; first < d.TopK; first += c.Batch {
			n := min(c.Batch, d.TopK-first)
			sums := k.DeclareArray(ptx.F32, "sum", n)
			var has, from []ptx.Reg
			any := k.Const(ptx.U32, 0)
			for j := range n {
				k.Assign(sums[j], 0)
				slot := k.Ld(fixed, ptx.S32, k.Add(slots, choices).At(4*(first+j)))
				has = append(has, k.Ge(slot, 0))
				from = append(from, k.Add(x, k.MulWide(slot, 2*d.Cols).As(ptx.U64)))
				any = k.Add(any, k.Select(has[j], 1, k.Const(ptx.U32, 0)))
			}
			k.If(k.Ne(any, 0), func() {
				k.For("col", lane, d.Cols/c.Width, 32, func(col ptx.Reg) {
					at := k.MulWide(col, p.bytes())
					row := p.load(k, fixed, k.Add(k.Add(dy, k.MulWide(token, 2*d.Cols)), at).At(0))
					var rows [][]ptx.Reg
					for j := range n {
						rows = append(rows, p.loadIf(k, has[j], once, k.Add(from[j], at).At(0)))
					}
					dys := p.floats(k, row)
					for j := range n {
						for i, v := range p.floats(k, rows[j]) {
							k.To(sums[j]).Fma(dys[i], v, sums[j])
						}
					}
				})
			})
			for j := range n {
				sum := k.SumLanes(sums[j], 32)
				k.When(k.Eq(lane, 0)).St(ptx.Global, k.Add(dw, choices).At(4*(first+j)), sum)
			}
		}
	})
	k.LaunchDependents()
	k.Exit()
}

// step is the launch for so many tokens.
func (d UnpermuteWGradDesc) step(tokens int, args ...Arg) Step {
	configs, _ := UnpermuteWGradConfigs(d)
	c := configs[0]
	return Step{
		Launch: Launch{Entry: c.Name(d), Grid: streamGrid(32 * tokens), Persistent: true, Dependent: true, Args: append(args, U32(tokens))},
		Emit:   func(m *ptx.Module) { EmitUnpermuteWGrad(m, d, c) },
	}
}

var unpermuteWGrad = &Kernel{
	Name: "unpermute_wgrad", Op: "unpermute_wgrad",
	Covers: func(n *ir.Node) bool { return bfloat(n.In[0]) && addressable(n.In[0], n.In[1]) },
	Steps: func(l *ir.Launch) []Step {
		dy := l.In[0].Type
		d := UnpermuteWGradDesc{Cols: dy.Dim(1), TopK: l.Attrs.Int("top_k")}
		return []Step{d.step(dy.Dim(0), Place(In(0)), Place(In(1)), Place(In(4)), Place(Out(0)))}
	},
}

var unpermuteWGradFamily = Family{Name: "unpermute_wgrad", Cases: func() []Case {
	return []Case{
		unpermuteWGradCase(UnpermuteWGradDesc{Cols: 264, TopK: 3}, 9),
		unpermuteWGradCase(UnpermuteWGradDesc{Cols: 16, TopK: 11}, 4),
		unpermuteWGradCase(UnpermuteWGradDesc{Cols: 7, TopK: 1}, 5),
		large(unpermuteWGradCase(UnpermuteWGradDesc{Cols: 2048, TopK: 8}, 4096)),
	}
}}

// unpermuteWGradCase has so many tokens; every seventh choice has no row.
func unpermuteWGradCase(d UnpermuteWGradDesc, tokens int) Case {
	dy, x := normal(71, 1), normal(72, 1)
	rows, list := 0, make([]int, tokens*d.TopK)
	for i := range list {
		list[i] = -1
		if i%7 != 2 {
			list[i] = rows
			rows++
		}
	}
	configs, _ := UnpermuteWGradConfigs(d)
	return Case{
		Name: fmt.Sprintf("%d_%s", tokens, configs[0].Name(d)),
		Emit: func(m *ptx.Module) { EmitUnpermuteWGrad(m, d, configs[0]) },
		Buffers: []Buffer{{"dy", ptx.BF16, tokens * d.Cols, dy}, {"x", ptx.BF16, rows * d.Cols, x},
			{"slots", ptx.S32, len(list), numbers(list)}, {"dw", ptx.F32, len(list), nil}},
		Launches: []Launch{d.step(tokens, Place("dy"), Place("x"), Place("slots"), Place("dw")).Launch},
		Outputs: []Output{{Buffer: "dw", Acc: float64(d.Cols/32+8+5) * 0x1p-24, Why: "a chain of float32 sums along a lane's elements and over lanes",
			Want: func(i int) (value, magnitude float64, ok bool) {
				if list[i] < 0 {
					return 0, 0, true
				}
				for col := range d.Cols {
					v := dy(i/d.TopK*d.Cols+col) * x(list[i]*d.Cols+col)
					value, magnitude = value+v, magnitude+max(v, -v)
				}
				return value, magnitude, true
			}}},
		Floor: UnpermuteWGradFloor(d, tokens, rows),
	}
}
