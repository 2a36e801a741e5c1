package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Arrays one behind the other in a flat one: they are there already, and what is left is to clear the gaps between them, each by a
// block. Where there is no gap nothing is launched.

const gapThreads = 64

// Gap is elements of an array: [First, End).
type Gap struct{ First, End int }

// PackDesc is what is asked.
type PackDesc struct {
	Elem ptx.Type // BF16 or F32
	Gaps []Gap    // at least one
}

// Name is the kernel's entry; there is one for so many gaps wherever they are.
func (d PackDesc) Name() string { return fmt.Sprintf("pack_gaps_%s_g%d", d.Elem, len(d.Gaps)) }

// EmitPack writes the kernel: parameters are y, and where each gap begins and ends.
func EmitPack(m *ptx.Module, d PackDesc) {
	k := m.Kernel(d.Name(), gapThreads)
	y := k.ParamPtr("y")
	var firsts, ends []ptx.Reg
	for i := range d.Gaps {
		firsts, ends = append(firsts, k.ParamU32(fmt.Sprintf("first%d", i))), append(ends, k.ParamU32(fmt.Sprintf("end%d", i)))
	}
	k.WaitPrerequisites()
	block := k.Read(ptx.CtaIDX)
	first, end := firsts[0], ends[0]
	for i := range d.Gaps[1:] {
		here := k.Eq(block, i+1)
		first, end = k.Select(here, firsts[i+1], first), k.Select(here, ends[i+1], end)
	}
	zero := k.Const(map[int]ptx.Type{2: ptx.B16, 4: ptx.B32}[d.Elem.Bytes()], 0)
	k.For("i", k.Add(first, k.Read(ptx.TidX)), end, gapThreads, func(i ptx.Reg) {
		k.St(ptx.Global, k.Add(y, k.MulWide(i, d.Elem.Bytes())).At(0), zero)
	})
	k.LaunchDependents()
	k.Exit()
}

// step is the launch.
func (d PackDesc) step(y string) Step {
	l := Launch{Entry: d.Name(), Grid: len(d.Gaps), Dependent: true, Args: []Arg{Place(y)}}
	for _, g := range d.Gaps {
		l.Args = append(l.Args, U32(g.First), U32(g.End))
		l.Floor.Bytes += int64((g.End - g.First) * d.Elem.Bytes())
	}
	return Step{l, func(m *ptx.Module) { EmitPack(m, d) }}
}

// gapsOf returns the gaps between and behind arrays of these lengths, each of which begins at a multiple of unit.
func gapsOf(lengths []int, unit int) (gaps []Gap) {
	at := 0
	for _, n := range lengths {
		next := at + ceil(n, unit)*unit
		if at+n < next {
			gaps = append(gaps, Gap{at + n, next})
		}
		at = next
	}
	return gaps
}

var pack = &Kernel{
	Name: "pack", Op: "pack",
	Covers: func(n *ir.Node) bool { return n.Out[0].Type.Elements() < 1<<31 },
	Steps: func(l *ir.Launch) []Step {
		var lengths []int
		for _, b := range l.In {
			lengths = append(lengths, b.Type.Elements())
		}
		d := PackDesc{Elem: reduced[l.Out[0].Type.DType], Gaps: gapsOf(lengths, l.Attrs.Int("unit"))}
		if len(d.Gaps) == 0 {
			return nil
		}
		return []Step{d.step(Out(0))}
	},
}

var packFamily = Family{Name: "pack", Cases: func() (cases []Case) {
	for _, lengths := range [][]int{{5}, {128, 3, 256, 200}, {64, 64, 1, 127}} {
		d := PackDesc{Elem: ptx.BF16, Gaps: gapsOf(lengths, 128)}
		s := d.step("y")
		last := d.Gaps[len(d.Gaps)-1].End
		y := normal(51, 1)
		cases = append(cases, Case{Name: fmt.Sprintf("%s_%d", d.Name(), last), Emit: s.Emit, Launches: []Launch{s.Launch}, Floor: s.Floor,
			Buffers: []Buffer{{"y", d.Elem, last, y}},
			Outputs: []Output{{Buffer: "y", Why: "nothing is rounded", Want: func(i int) (float64, float64, bool) {
				for _, g := range d.Gaps {
					if i >= g.First && i < g.End {
						return 0, 0, true
					}
				}
				return y(i), 0, true
			}}}})
	}
	return cases
}}
