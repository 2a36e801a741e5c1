package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Sums, element by element, of bf16 or float32, in float32 and rounded once:
//
//	y = a + b                 add
//	y = a + b if gradients add up, else a     accumulate; b is not read then
//
// A thread moves 16 bytes at a time. Floor: every byte once.

// AddDesc is what is asked.
type AddDesc struct {
	Elem       ptx.Type // BF16 or F32
	Accumulate bool     // b counts if the step record says so
}

// AddConfig fixes one kernel.
type AddConfig struct {
	Width int // elements of an access
}

// Name is the kernel's entry.
func (c AddConfig) Name(d AddDesc) string {
	return fmt.Sprintf("add_%s%s_v%d", d.Elem, mark(d.Accumulate, "_a"), c.Width)
}

// AddConfigs returns the only candidate for so many elements: the widest access.
func AddConfigs(d AddDesc, n int) (out []AddConfig, rejected []string) {
	return []AddConfig{{pieceOf(d.Elem, n).n}}, nil
}

// AddFloor is what so many elements move.
func AddFloor(d AddDesc, n int) Floor { return Floor{Bytes: int64(3 * n * d.Elem.Bytes())} }

// EmitAdd writes the kernel: parameters a, b, y, the number of pieces, and the step record if b may not count. y may be a
// or b.
func EmitAdd(m *ptx.Module, d AddDesc, c AddConfig) {
	k := m.Kernel(c.Name(d), streamThreads)
	p := piece{d.Elem, c.Width}
	a, b, y, pieces := k.ParamPtr("a"), k.ParamPtr("b"), k.ParamPtr("y"), k.ParamU32("pieces")
	var record, adds ptx.Reg
	if d.Accumulate {
		record = k.ParamPtr("record")
	}
	k.WaitPrerequisites()
	if d.Accumulate {
		adds = accumulates(k, record)
	}
	eachThread(k, pieces, func(i ptx.Reg) {
		at := k.MulWide(i, p.bytes())
		left := p.load(k, once, k.Add(a, at).At(0))
		var right []ptx.Reg
		if from := k.Add(b, at).At(0); d.Accumulate {
			right = p.loadIf(k, adds, once, from)
		} else {
			right = p.load(k, once, from)
		}
		sum, more := p.floats(k, left), p.floats(k, right)
		for i := range sum {
			sum[i] = k.Add(sum[i], more[i])
		}
		p.store(k, k.Add(y, at).At(0), sum)
	})
	k.LaunchDependents()
	k.Exit()
}

// step is the launch for n elements; record is the step record where b may not count.
func (d AddDesc) step(n int, a, b, y Arg, record ...Arg) Step {
	configs, _ := AddConfigs(d, n)
	c := configs[0]
	return Step{
		Launch: Launch{Entry: c.Name(d), Grid: streamGrid(n / c.Width), Persistent: true, Dependent: true,
			Args: append([]Arg{a, b, y, U32(n / c.Width)}, record...)},
		Emit: func(m *ptx.Module) { EmitAdd(m, d, c) },
	}
}

// elemOf are the element types of a kernel's floats.
var elemOf = map[ir.DType]ptx.Type{ir.BF16: ptx.BF16, ir.F32: ptx.F32}

var add = &Kernel{
	Name: "add", Op: "add", InPlace: true,
	Covers: func(n *ir.Node) bool { return addressable(n.Out[0]) && wholeRows(n.Out[0]) },
	Steps: func(l *ir.Launch) []Step {
		y := l.Out[0].Type
		return []Step{AddDesc{Elem: elemOf[y.DType]}.step(y.Elements(), Place(In(0)), Place(In(1)), Place(Out(0)))}
	},
}

var accumulate = &Kernel{
	Name: "add", Op: "accumulate", InPlace: true,
	Covers: func(n *ir.Node) bool { return addressable(n.Out[0]) && wholeRows(n.Out[0]) },
	Steps: func(l *ir.Launch) []Step {
		y := l.Out[0].Type
		return []Step{AddDesc{elemOf[y.DType], true}.step(y.Elements(), Place(In(0)), Place(In(1)), Place(Out(0)), Place(In(2)))}
	},
}

var addFamily = Family{Name: "add", Cases: func() []Case {
	return []Case{
		addCase(AddDesc{ptx.BF16, false}, 520, 0),
		addCase(AddDesc{ptx.F32, false}, 16, 0),
		addCase(AddDesc{ptx.BF16, true}, 33, 1),
		addCase(AddDesc{ptx.BF16, true}, 64, 0),
		large(addCase(AddDesc{ptx.BF16, false}, 4096*2048, 0)),
	}
}}

func addCase(d AddDesc, n int, accumulate float64) Case {
	a, b := normal(91, 1), normal(92, 1)
	given := b
	buffers := []Buffer{{"a", d.Elem, n, a}, {"b", d.Elem, n, b}, {"y", d.Elem, n, nil}}
	var record []Arg
	if d.Accumulate {
		buffers = append(buffers, recordBuffer(accumulate))
		record = []Arg{Place("record")}
		if accumulate == 0 {
			buffers[1].At, given = nil, zeros
		}
	}
	configs, _ := AddConfigs(d, n)
	return Case{
		Name:    fmt.Sprintf("%d_%g_%s", n, accumulate, configs[0].Name(d)),
		Emit:    func(m *ptx.Module) { EmitAdd(m, d, configs[0]) },
		Buffers: buffers, Launches: []Launch{d.step(n, Place("a"), Place("b"), Place("y"), record...).Launch},
		Outputs: []Output{{Buffer: "y", Rel: 1.01 * 0x1p-8, Why: "one rounding",
			Want: func(i int) (float64, float64, bool) { return a(i) + given(i), 0, true }}},
		Floor: AddFloor(d, n),
	}
}

// recordBuffer is a step record that says whether gradients add up.
func recordBuffer(accumulate float64) Buffer {
	return Buffer{"record", ptx.F32, ir.RecordLen, func(i int) float64 {
		if i == ir.RecordAccumulate {
			return accumulate
		}
		return 3
	}}
}
