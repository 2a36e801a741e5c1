package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// The rows of a token's experts come back together:
//
//	y[t] = bf16((residual[t] +) bf16(Σ_j w[t,j] · x[slots[t,j]]))     choices without a row (slots -1) left out
//
// in float32, in the order of the choices; the residual is added where Transformers adds it, to the rounded sum. A warp
// takes a part of a token's row, 16 bytes a lane and access; the loads of its choices are under way together. Floor: each
// row of x is read and each of y written once, 2·(R + T)·Cols bytes, the residual as well.

// UnpermuteDesc is what is asked.
type UnpermuteDesc struct {
	Cols, TopK                  int
	Weighted, Residual, Counted bool // Counted: the number of tokens is in memory
}

// UnpermuteConfig fixes one kernel.
type UnpermuteConfig struct {
	Width int // elements of an access
	Batch int // choices whose rows a thread loads at once
}

// Name is the kernel's entry.
func (c UnpermuteConfig) Name(d UnpermuteDesc) string {
	return fmt.Sprintf("unpermute_d%d_t%d%s%s%s_v%d_b%d", d.Cols, d.TopK, mark(d.Weighted, "_w"), mark(d.Residual, "_r"), mark(d.Counted, "_n"), c.Width, c.Batch)
}

// UnpermuteConfigs returns the candidates, the preferred first: as many loads at once as registers allow.
func UnpermuteConfigs(d UnpermuteDesc) (out []UnpermuteConfig, rejected []string) {
	width := pieceOf(ptx.BF16, d.Cols).n
	for _, batch := range []int{8, 4} {
		out = append(out, UnpermuteConfig{width, min(batch, d.TopK)})
	}
	return out, nil
}

// UnpermuteFloor is what so many tokens with so many rows move.
func UnpermuteFloor(d UnpermuteDesc, tokens, rows int) Floor {
	bytes := 2*(tokens+rows)*d.Cols + 4*tokens*d.TopK
	if d.Weighted {
		bytes += 4 * tokens * d.TopK
	}
	if d.Residual {
		bytes += 2 * tokens * d.Cols
	}
	return Floor{Bytes: int64(bytes)}
}

// EmitUnpermute writes the kernel: parameters x, slots, w if weighted, the residual if there is one, y, and how many
// tokens. y may be the residual.
func EmitUnpermute(m *ptx.Module, d UnpermuteDesc, c UnpermuteConfig) {
	k := m.Kernel(c.Name(d), streamThreads)
	k.NoSpills()
	p := piece{ptx.BF16, c.Width}
	x, slots := k.ParamPtr("x"), k.ParamPtr("slots")
	var w, residual ptx.Reg
	if d.Weighted {
		w = k.ParamPtr("w")
	}
	if d.Residual {
		residual = k.ParamPtr("residual")
	}
	y := k.ParamPtr("y")
	count := countedRows(k, d.Counted)
	k.WaitPrerequisites()
	eachSpan(k, count(), d.Cols/c.Width, func(token ptx.Reg, cols func(func(ptx.Reg))) {
		choices, row := k.MulWide(token, 4*d.TopK), k.MulWide(token, 2*d.Cols)
		var has, from, weights []ptx.Reg
		for j := range d.TopK {
			slot := k.Ld(fixed, ptx.S32, k.Add(slots, choices).At(4*j))
			has = append(has, k.Ge(slot, 0))
			from = append(from, k.Add(x, k.MulWide(slot, 2*d.Cols).As(ptx.U64)))
			if d.Weighted {
				weights = append(weights, k.Ld(fixed, ptx.F32, k.Add(w, choices).At(4*j)))
			}
		}
		cols(func(col ptx.Reg) {
			at := k.MulWide(col, p.bytes())
			place := k.Add(row, at)
			var own []ptx.Reg
			if d.Residual {
				own = p.load(k, once, k.Add(residual, place).At(0))
			}
			sum := make([]ptx.Reg, c.Width)
			for i := range sum {
				sum[i] = k.Const(ptx.F32, 0)
			}
			for first := 0; first < d.TopK; first += c.Batch {
				var rows [][]ptx.Reg
				for j := first; j < min(first+c.Batch, d.TopK); j++ {
					rows = append(rows, p.loadIf(k, has[j], once, k.Add(from[j], at).At(0)))
				}
				for j, row := range rows {
					for i, v := range p.floats(k, row) {
						if d.Weighted {
							sum[i] = k.Fma(weights[first+j], v, sum[i])
						} else {
							sum[i] = k.Add(sum[i], v)
						}
					}
				}
			}
			if d.Residual {
				sum = p.floats(k, p.pack(k, sum))
				for i, v := range p.floats(k, own) {
					sum[i] = k.Add(sum[i], v)
				}
			}
			p.store(k, k.Add(y, place).At(0), sum)
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// step is the launch for at most so many tokens.
func (d UnpermuteDesc) step(tokens int, args ...Arg) Step {
	configs, _ := UnpermuteConfigs(d)
	c := configs[0]
	return Step{
		Launch: Launch{Entry: c.Name(d), Grid: spanGrid(tokens, d.Cols/c.Width), Persistent: true, Dependent: true, Args: args},
		Emit:   func(m *ptx.Module) { EmitUnpermute(m, d, c) },
	}
}

var unpermute = &Kernel{
	Name: "unpermute", Op: "unpermute", InPlace: true,
	Covers: func(n *ir.Node) bool { return bfloat(n.In[0]) && addressable(n.In[0], n.Out[0]) },
	Steps: func(l *ir.Launch) []Step {
		y := l.Out[0].Type
		d := UnpermuteDesc{Cols: y.Dim(1), TopK: l.Attrs.Int("top_k"), Weighted: l.In[4] != nil, Residual: l.In[5] != nil, Counted: l.In[6] != nil}
		args := []Arg{Place(In(0)), Place(In(3))}
		if d.Weighted {
			args = append(args, Place(In(4)))
		}
		if d.Residual {
			args = append(args, Place(In(5)))
		}
		return []Step{d.step(y.Dim(0), append(append(args, Place(Out(0))), rowArgs(l, 6, y.Dim(0))...)...)}
	},
}

var unpermuteFamily = Family{Name: "unpermute", Cases: func() []Case {
	return []Case{
		unpermuteCase(UnpermuteDesc{Cols: 72, TopK: 2, Weighted: true, Residual: true}, 19, 19),
		unpermuteCase(UnpermuteDesc{Cols: 64, TopK: 8, Weighted: true}, 6, 6),
		unpermuteCase(UnpermuteDesc{Cols: 16, TopK: 11, Weighted: true, Counted: true}, 8, 5),
		unpermuteCase(UnpermuteDesc{Cols: 7, TopK: 3, Residual: true, Counted: true}, 9, 0),
		large(unpermuteCase(UnpermuteDesc{Cols: 2048, TopK: 8, Weighted: true, Residual: true}, 4096, 4096)),
		large(unpermuteCase(UnpermuteDesc{Cols: 2048, TopK: 8}, 4096, 4096)),
	}
}}

// unpermuteCase has room for tokens tokens, of which count are; of their choices every fifth has no row, if any may lack one.
func unpermuteCase(d UnpermuteDesc, tokens, count int) Case {
	x, w, residual := normal(51, 1), normal(52, 0.5), normal(53, 1)
	rows := 0
	list := make([]int, tokens*d.TopK)
	for i := range list {
		list[i] = -1
		if (i%5 != 3 || !d.Counted) && i < count*d.TopK {
			list[i] = rows
			rows++
		}
	}
	for i := range list { // some order
		if other := int(mix(uint64(i)) % uint64(max(count*d.TopK, 1))); i < count*d.TopK {
			list[i], list[other] = list[other], list[i]
		}
	}
	buffers := []Buffer{{"x", ptx.BF16, max(rows, 1) * d.Cols, x}, {"slots", ptx.S32, len(list), numbers(list)}}
	args := []Arg{Place("x"), Place("slots")}
	if d.Weighted {
		buffers, args = append(buffers, Buffer{"w", ptx.F32, len(list), w}), append(args, Place("w"))
	}
	if d.Residual {
		buffers, args = append(buffers, Buffer{"residual", ptx.BF16, tokens * d.Cols, residual}), append(args, Place("residual"))
	}
	buffers, args = append(buffers, Buffer{"y", ptx.BF16, tokens * d.Cols, nil}), append(args, Place("y"))
	if d.Counted {
		buffers, args = append(buffers, Buffer{"count", ptx.S32, 1, numbers([]int{count})}), append(args, Place("count"), U32(0))
	} else {
		args = append(args, U32(tokens))
	}
	configs, _ := UnpermuteConfigs(d)
	acc := float64(d.TopK+1) * 0x1p-24
	return Case{
		Name:    fmt.Sprintf("%dof%d_%s", count, tokens, configs[0].Name(d)),
		Emit:    func(m *ptx.Module) { EmitUnpermute(m, d, configs[0]) },
		Buffers: buffers, Launches: []Launch{d.step(tokens, args...).Launch},
		Outputs: []Output{{Buffer: "y", Rel: bf16Rel, Acc: acc, Why: "one rounding to bf16, two with a residual; a chain of float32 sums of as many terms as choices",
			Want: func(i int) (value, magnitude float64, ok bool) {
				t, col := i/d.Cols, i%d.Cols
				for j := range d.TopK {
					if slot := list[t*d.TopK+j]; slot >= 0 {
						v := x(slot*d.Cols + col)
						if d.Weighted {
							v *= w(t*d.TopK + j)
						}
						value, magnitude = value+v, magnitude+max(v, -v)
					}
				}
				if d.Residual {
					v := residual(i)
					magnitude += max(v, -v) + max(value, -value)*bf16Rel/acc // the rounding before
					value += v
				}
				return value, magnitude, t < count
			}}},
		Floor: UnpermuteFloor(d, count, rows),
	}
}
