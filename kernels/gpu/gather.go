package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Rows by index:
//
//	y[i] = x[index[i] / Share]                    embedding (Share 1), permute (Share top_k)
//	y[i] = bf16(w[index[i]] · x[index[i]/Share])  the gradient of unpermute
//
// for i < rows, a number or one that is in memory. A warp takes a part of a row, 16 bytes a lane and access. Floor: y is written once, 2·rows·Cols
// bytes; x is read at most as often as there are rows, and once a row of it where it stays in the second-level cache, which
// is what Floor counts.

// GatherDesc is what is asked.
type GatherDesc struct {
	Cols     int
	Share    int  // how many numbers of the index name one row of x
	Weighted bool // by w, float32
	Counted  bool // the number of rows is in memory
}

// GatherConfig fixes one kernel.
type GatherConfig struct {
	Width int // elements of an access
}

// Name is the kernel's entry.
func (c GatherConfig) Name(d GatherDesc) string {
	return fmt.Sprintf("gather_d%d_s%d%s%s_v%d", d.Cols, d.Share, mark(d.Weighted, "_w"), mark(d.Counted, "_n"), c.Width)
}

// mark is the part of a name that says what holds.
func mark(holds bool, part string) string {
	if holds {
		return part
	}
	return ""
}

// GatherConfigs returns the only candidate: the widest access.
func GatherConfigs(d GatherDesc) (out []GatherConfig, rejected []string) {
	return []GatherConfig{{pieceOf(ptx.BF16, d.Cols).n}}, nil
}

// GatherFloor is what so many rows move that come from so many different rows of x.
func GatherFloor(d GatherDesc, rows, from int) Floor {
	bytes := 2*(rows+from)*d.Cols + 4*rows
	if d.Weighted {
		bytes += 4 * rows
	}
	return Floor{Bytes: int64(bytes)}
}

// EmitGather writes the kernel: parameters x, index, w if weighted, y, and how many rows.
func EmitGather(m *ptx.Module, d GatherDesc, c GatherConfig) {
	k := m.Kernel(c.Name(d), streamThreads)
	p := piece{ptx.BF16, c.Width}
	x, index := k.ParamPtr("x"), k.ParamPtr("index")
	var w ptx.Reg
	if d.Weighted {
		w = k.ParamPtr("w")
	}
	y := k.ParamPtr("y")
	count := countedRows(k, d.Counted)
	k.WaitPrerequisites()
	eachSpan(k, count(), d.Cols/c.Width, func(row ptx.Reg, cols func(func(ptx.Reg))) {
		number := k.Ld(fixed, ptx.U32, k.Add(index, k.MulWide(row, 4)).At(0))
		from, weight := number, ptx.Reg{}
		if d.Share > 1 {
			from = k.Div(number, d.Share)
		}
		if d.Weighted {
			weight = k.Ld(fixed, ptx.F32, k.Add(w, k.MulWide(number, 4)).At(0))
		}
		x, y := k.Add(x, k.MulWide(from, 2*d.Cols)), k.Add(y, k.MulWide(row, 2*d.Cols))
		cols(func(col ptx.Reg) {
			at := k.MulWide(col, p.bytes())
			v, to := p.load(k, fixed, k.Add(x, at).At(0)), k.Add(y, at).At(0)
			if !d.Weighted {
				k.St(ptx.Global, to, v...)
				return
			}
			var out []ptx.Reg
			for _, e := range p.floats(k, v) {
				out = append(out, k.Mul(weight, e))
			}
			p.store(k, to, out)
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// gather is the launch of a gather of at most so many rows.
func gather(d GatherDesc, rows int, args ...Arg) Step {
	configs, _ := GatherConfigs(d)
	c := configs[0]
	return Step{
		Launch: Launch{Entry: c.Name(d), Grid: spanGrid(rows, d.Cols/c.Width), Persistent: true, Dependent: true, Args: args},
		Emit:   func(m *ptx.Module) { EmitGather(m, d, c) },
	}
}

var embedding = &Kernel{
	Name: "gather", Op: "embedding",
	Covers: func(n *ir.Node) bool {
		return bfloat(n.In[1]) && addressable(n.Out[0]) && !n.In[0].Type.Shape[0].Bounded
	},
	Steps: func(l *ir.Launch) []Step {
		y := l.Out[0].Type
		d, rows := GatherDesc{Cols: y.Dim(1), Share: 1}, y.Dim(0)
		step := gather(d, rows, Place(In(1)), Place(In(0)), Place(Out(0)), U32(rows))
		step.Floor = GatherFloor(d, rows, rows)
		return []Step{step}
	},
}

var permute = &Kernel{
	Name: "gather", Op: "permute",
	Covers: func(n *ir.Node) bool { return bfloat(n.In[0]) && addressable(n.Out[0]) },
	Steps: func(l *ir.Launch) []Step {
		y := l.Out[0].Type
		d := GatherDesc{Cols: y.Dim(1), Share: l.Attrs.Int("top_k"), Counted: true}
		return []Step{gather(d, y.Dim(0), append([]Arg{Place(In(0)), Place(In(2)), Place(Out(0))}, rowArgs(l, 1, 0)...)...)}
	},
}

var unpermuteGrad = &Kernel{
	Name: "gather", Op: "unpermute_grad",
	Covers: func(n *ir.Node) bool { return bfloat(n.In[0]) && addressable(n.Out[0]) },
	Steps: func(l *ir.Launch) []Step {
		y := l.Out[0].Type
		d := GatherDesc{Cols: y.Dim(1), Share: l.Attrs.Int("top_k"), Weighted: l.In[1] != nil, Counted: true}
		args := []Arg{Place(In(0)), Place(In(3))}
		if d.Weighted {
			args = append(args, Place(In(1)))
		}
		return []Step{gather(d, y.Dim(0), append(append(args, Place(Out(0))), rowArgs(l, 2, 0)...)...)}
	},
}

var gatherFamily = Family{Name: "gather", Cases: func() []Case {
	return []Case{
		gatherCase("embedding", GatherDesc{Cols: 136, Share: 1}, 37, 37, 50),
		gatherCase("permute", GatherDesc{Cols: 64, Share: 2, Counted: true}, 21, 13, 16),
		gatherCase("grad", GatherDesc{Cols: 72, Share: 3, Weighted: true, Counted: true}, 30, 30, 10),
		gatherCase("odd", GatherDesc{Cols: 7, Share: 2, Weighted: true, Counted: true}, 9, 9, 5),
		gatherCase("none", GatherDesc{Cols: 20, Share: 1, Counted: true}, 4, 0, 4),
		large(gatherCase("embedding", GatherDesc{Cols: 2048, Share: 1}, 4096, 4096, 151936)),
		large(gatherCase("permute", GatherDesc{Cols: 2048, Share: 8, Counted: true}, 32768, 32768, 4096)),
		large(gatherCase("grad", GatherDesc{Cols: 2048, Share: 8, Weighted: true, Counted: true}, 32768, 32768, 4096)),
	}
}}

// gatherCase has room for rows rows, of which count are, from a matrix of so many.
func gatherCase(name string, d GatherDesc, rows, count, from int) Case {
	configs, _ := GatherConfigs(d)
	c := configs[0]
	x, w := normal(31, 1), normal(32, 1)
	index := func(i int) float64 { return float64(mix(uint64(i)+99) % uint64(from*d.Share)) }
	used := map[int]bool{}
	for i := range count {
		used[int(index(i))/d.Share] = true
	}
	buffers := []Buffer{{"x", ptx.BF16, from * d.Cols, x}, {"index", ptx.S32, rows, index}}
	args := []Arg{Place("x"), Place("index")}
	if d.Weighted {
		buffers, args = append(buffers, Buffer{"w", ptx.F32, from * d.Share, w}), append(args, Place("w"))
	}
	buffers, args = append(buffers, Buffer{"y", ptx.BF16, rows * d.Cols, nil}), append(args, Place("y"))
	if d.Counted {
		buffers = append(buffers, Buffer{"offsets", ptx.S32, 3, numbers([]int{0, count / 2, count})})
		args = append(args, Place("offsets"), U32(2))
	} else {
		args = append(args, U32(rows))
	}
	launch := gather(d, rows, args...).Launch
	return Case{
		Name:    fmt.Sprintf("%s_%d_%s", name, rows, c.Name(d)),
		Emit:    func(m *ptx.Module) { EmitGather(m, d, c) },
		Buffers: buffers, Launches: []Launch{launch},
		Outputs: []Output{{Buffer: "y", Rel: 1.01 * 0x1p-8, Why: "one rounding to bf16 of a product in float32, none without weights",
			Want: func(i int) (float64, float64, bool) {
				row := i / d.Cols
				if row >= count {
					return 0, 0, false
				}
				number := int(index(row))
				v := x(number/d.Share*d.Cols + i%d.Cols)
				if d.Weighted {
					v *= w(number)
				}
				return v, 0, true
			}}},
		Floor: GatherFloor(d, count, len(used)),
	}
}
