package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Consecutive rows, of which the first is known on the device only:
//
//	y[i] = x[first + i]     zero past the end of x
//
// A thread moves 16 bytes at a time. Floor: y is written and as much of x read once.

// SliceDesc is what is asked.
type SliceDesc struct {
	From, Rows, Cols int // rows of x and of y
}

// SliceConfig fixes one kernel.
type SliceConfig struct {
	Width int // elements of an access
}

// Name is the kernel's entry.
func (c SliceConfig) Name(d SliceDesc) string {
	return fmt.Sprintf("slice_%dof%d_d%d_v%d", d.Rows, d.From, d.Cols, c.Width)
}

// SliceConfigs returns the only candidate: the widest access.
func SliceConfigs(d SliceDesc) (out []SliceConfig, rejected []string) {
	return []SliceConfig{{pieceOf(ptx.BF16, d.Cols).n}}, nil
}

// EmitSlice writes the kernel: parameters x, first (int32) and y.
func EmitSlice(m *ptx.Module, d SliceDesc, c SliceConfig) {
	k := m.Kernel(c.Name(d), streamThreads)
	p := piece{ptx.BF16, c.Width}
	x, first, y := k.ParamPtr("x"), k.ParamPtr("first"), k.ParamPtr("y")
	k.WaitPrerequisites()
	begin := k.Ld(fixed, ptx.U32, first.At(0))
	eachPiece(k, k.Const(ptx.U32, d.Rows), d.Cols/c.Width, func(row, col ptx.Reg) {
		at := k.MulWide(col, p.bytes())
		from := k.Add(begin, row)
		v := p.loadIf(k, k.Lt(from, d.From), once, k.Add(x, k.MadWide(from, 2*d.Cols, at)).At(0))
		k.St(ptx.Global, k.Add(y, k.MadWide(row, 2*d.Cols, at)).At(0), v...)
	})
	k.LaunchDependents()
	k.Exit()
}

// step is the launch.
func (d SliceDesc) step(x, first, y Arg) Step {
	configs, _ := SliceConfigs(d)
	c := configs[0]
	return Step{
		Launch: Launch{Entry: c.Name(d), Grid: streamGrid(d.Rows * d.Cols / c.Width), Persistent: true, Dependent: true, Args: []Arg{x, first, y}},
		Emit:   func(m *ptx.Module) { EmitSlice(m, d, c) },
	}
}

var sliceRows = &Kernel{
	Name: "slice", Op: "slice_rows",
	Covers: func(n *ir.Node) bool { return bfloat(n.In[0]) && addressable(n.In[0], n.Out[0]) },
	Steps: func(l *ir.Launch) []Step {
		x, y := l.In[0].Type, l.Out[0].Type
		return []Step{SliceDesc{x.Dim(0), y.Dim(0), y.Dim(1)}.step(Place(In(0)), Place(In(1)), Place(Out(0)))}
	},
}

var sliceFamily = Family{Name: "slice", Cases: func() []Case {
	return []Case{
		sliceCase(SliceDesc{From: 9, Rows: 4, Cols: 40}, 3),
		sliceCase(SliceDesc{From: 5, Rows: 4, Cols: 7}, 3),
		large(sliceCase(SliceDesc{From: 4096, Rows: 256, Cols: 2048}, 1000)),
	}
}}

func sliceCase(d SliceDesc, first int) Case {
	x := normal(95, 1)
	configs, _ := SliceConfigs(d)
	return Case{
		Name: fmt.Sprintf("%d_%s", first, configs[0].Name(d)),
		Emit: func(m *ptx.Module) { EmitSlice(m, d, configs[0]) },
		Buffers: []Buffer{{"x", ptx.BF16, d.From * d.Cols, x}, {"first", ptx.S32, 1, numbers([]int{first})},
			{"y", ptx.BF16, d.Rows * d.Cols, nil}},
		Launches: []Launch{d.step(Place("x"), Place("first"), Place("y")).Launch},
		Outputs: []Output{{Buffer: "y", Rel: 0x1p-24, Why: "copied",
			Want: func(i int) (float64, float64, bool) {
				if first+i/d.Cols >= d.From {
					return 0, 0, true
				}
				return x(first*d.Cols + i), 0, true
			}}},
		Floor: Floor{Bytes: int64(2 * d.Cols * (d.Rows + min(d.Rows, d.From-first)))},
	}
}
