package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Sums of squares, for the norm of all gradients: y = (sum +) Σ x², x in bf16.
//
// A first launch reads x once, 2 bytes an element. Block b of Parts adds the elements of its part: a thread adds
// up to squaresRun squares in float32 and these sums in float64, the threads of a block are added in float64. A second launch adds the
// parts. Parts, and with it every order, depends on the number of elements alone.

// SumSquaresConfig fixes both kernels.
type SumSquaresConfig struct {
	Parts int // blocks of the first launch, at most 1024
}

const (
	squaresThreads = 256
	squaresRun     = 128  // squares that are added in float32: off by at most 2^-17 of their sum
	squaresPart    = 1024 // most parts, so that a thread of the second launch adds four
)

// SumSquaresConfigFor gives each part 64 elements a thread, and at most squaresPart parts.
func SumSquaresConfigFor(n int) SumSquaresConfig {
	return SumSquaresConfig{Parts: min(max(ceil(n, 64*squaresThreads), 1), squaresPart)}
}

// Name is the entry of the first kernel, for n elements.
func (c SumSquaresConfig) Name(n int) string { return fmt.Sprintf("sum_squares_b%d_n%d", c.Parts, n%8) }

// SumName is the entry of the second; after says whether it adds to a sum.
func (c SumSquaresConfig) SumName(after bool) string {
	return fmt.Sprintf("sum_squares_parts_p%d_after%d", c.Parts, map[bool]int{true: 1}[after])
}

// EmitSumSquares writes the first kernel: parameters are x, the parts (float64) and the number of elements, of which n is one example.
func EmitSumSquares(m *ptx.Module, c SumSquaresConfig, n int) {
	k := m.Kernel(c.Name(n), squaresThreads)
	x, parts, count := k.ParamPtr("x"), k.ParamPtr("parts"), k.ParamU64("count")
	scratch := k.SharedBytes(8*squaresThreads/32, 16)
	k.WaitPrerequisites()
	block, tid := k.Read(ptx.CtaIDX), k.Read(ptx.TidX)
	sum := k.Var(ptx.F64, "sum", 0.0)
	k.Comment("pieces of eight elements, %d blocks apart", c.Parts)
	piece := k.Var(ptx.U64, "piece", k.MadWide(block, squaresThreads, k.Convert(ptx.U64, tid)))
	k.Loop(func(l ptx.Loop) {
		l.BreakUnless(k.Lt(k.Shl(piece, 3), count))
		run := k.Var(ptx.F32, "run", 0.0)
		for range squaresRun / 8 {
			first := k.Shl(piece, 3)
			at := k.Add(x, k.Shl(first, 1))
			k.If(k.Le(k.Add(first, 8), count), func() {
				for _, pair := range k.LdVec(ptx.Stream, ptx.BF16x2, 4, at.At(0)) {
					low, high := k.UnpackBF16(pair)
					k.To(run).Fma(low, low, run)
					k.To(run).Fma(high, high, run)
				}
			})
			if n%8 != 0 {
				k.If(k.And(k.Lt(first, count), k.Gt(k.Add(first, 8), count)), func() {
					for i := range n % 8 {
						v := k.Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, at.At(2*i)))
						k.To(run).Fma(v, v, run)
					}
				})
			}
			k.To(piece).Add(piece, c.Parts*squaresThreads)
		}
		k.To(sum).Add(sum, k.Convert(ptx.F64, run))
	})
	addBlock(k, sum, tid, scratch, func(total ptx.Reg) {
		k.St(ptx.Global, k.Add(parts, k.MulWide(block, 8)).At(0), total)
	})
	k.LaunchDependents()
	k.Exit()
}

// addBlock adds a float64 over the squaresThreads threads of a block, lanes before warps, and gives thread 0 the sum.
func addBlock(k *ptx.Kernel, sum, tid ptx.Reg, scratch ptx.Addr, use func(total ptx.Reg)) {
	k.Comment("the sum over the block: lanes, then warps")
	for mask := 16; mask > 0; mask /= 2 {
		var parts []ptx.Reg
		for _, half := range k.Split(ptx.B32, sum) {
			parts = append(parts, k.ShflXor(half, mask))
		}
		sum = k.Add(sum, k.Join(ptx.F64, parts...))
	}
	k.If(k.Eq(k.And(tid, 31), 0), func() {
		k.St(ptx.Shared, k.Add(k.Lea(scratch), k.Shl(k.Shr(tid, 5), 3)).At(0), sum)
	})
	k.Sync()
	k.If(k.Eq(tid, 0), func() {
		total := k.Const(ptx.F64, 0)
		for w := range squaresThreads / 32 {
			total = k.Add(total, k.Ld(ptx.Shared, ptx.F64, scratch.At(8*w)))
		}
		use(total)
	})
}

// emitSumSquaresParts writes the second kernel: parameters are the parts, the sum to add to, if any, and the result.
func emitSumSquaresParts(m *ptx.Module, c SumSquaresConfig, after bool) {
	k := m.Kernel(c.SumName(after), squaresThreads)
	parts := k.ParamPtr("parts")
	var before ptx.Reg
	if after {
		before = k.ParamPtr("before")
	}
	y := k.ParamPtr("y")
	scratch := k.SharedBytes(8*squaresThreads/32, 16)
	k.WaitPrerequisites()
	tid := k.Read(ptx.TidX)
	sum := k.Var(ptx.F64, "sum", 0.0)
	for p := 0; p < c.Parts; p += squaresThreads {
		part := k.Add(tid, p)
		k.If(k.Lt(part, c.Parts), func() {
			k.To(sum).Add(sum, k.Ld(ptx.Global, ptx.F64, k.Add(parts, k.MulWide(part, 8)).At(0)))
		})
	}
	addBlock(k, sum, tid, scratch, func(total ptx.Reg) {
		if after {
			total = k.Add(k.Ld(ptx.Global, ptx.F64, before.At(0)), total)
		}
		k.St(ptx.Global, y.At(0), total)
	})
	k.LaunchDependents()
	k.Exit()
}

// sumSquaresSteps adds up the squares of n elements of x; before may be "".
func sumSquaresSteps(n int, x, before, parts, y string) []Step {
	c := SumSquaresConfigFor(n)
	first := Launch{Entry: c.Name(n), Grid: c.Parts, Dependent: true, Args: []Arg{Place(x), Place(parts), U64(n)}, Floor: Floor{Bytes: 2 * int64(n)}}
	args := []Arg{Place(parts), Place(y)}
	if before != "" {
		args = []Arg{Place(parts), Place(before), Place(y)}
	}
	return []Step{
		{first, func(m *ptx.Module) { EmitSumSquares(m, c, n) }},
		{Launch{Entry: c.SumName(before != ""), Grid: 1, Dependent: true, Args: args},
			func(m *ptx.Module) { emitSumSquaresParts(m, c, before != "") }},
	}
}

var sumSquares = &Kernel{
	Name: "sum_squares", Op: "sum_squares",
	Covers:    func(n *ir.Node) bool { return bfloat(n.In[0]) },
	InPlace:   true,
	Workspace: func(n *ir.Node) int { return 8 * SumSquaresConfigFor(n.In[0].Type.Elements()).Parts },
	Steps: func(l *ir.Launch) []Step {
		before := ""
		if l.In[1] != nil {
			before = In(1)
		}
		return sumSquaresSteps(l.In[0].Type.Elements(), In(0), before, Work, Out(0))
	},
}

var sumSquaresFamily = Family{Name: "sum_squares", Cases: func() []Case {
	return []Case{sumSquaresCase(2501), sumSquaresCase(3), sumSquaresCase(16384 * 3), large(sumSquaresCase(1 << 28))}
}}

func sumSquaresCase(n int) Case {
	x := normal(41, 1)
	steps := sumSquaresSteps(n, "x", "before", "parts", "y")
	return Case{
		Name: fmt.Sprintf("%d", n),
		Emit: func(m *ptx.Module) {
			for _, s := range steps {
				s.Emit(m)
			}
		},
		Buffers: []Buffer{{"x", ptx.BF16, n, x}, {"before", ptx.F64, 1, func(int) float64 { return 1000 }},
			{"parts", ptx.F64, SumSquaresConfigFor(n).Parts, nil}, {"y", ptx.F64, 1, nil}},
		Launches: []Launch{steps[0].Launch, steps[1].Launch},
		Outputs: []Output{{Buffer: "y", Rel: squaresRun * 0x1p-24, Why: "at most 128 additions in a row in float32, at 2^-24 each",
			Want: func(int) (float64, float64, bool) {
				sum := 1000.0
				for i := range n {
					sum += x(i) * x(i)
				}
				return sum, sum, true
			}}},
		Floor: Floor{Bytes: 2 * int64(n)},
	}
}

// clipScale is the norm behind sums of squares and the factor that clips gradients to it, by one thread.
var clipScale = &Kernel{
	Name: "clip_scale", Op: "clip_scale",
	Steps: func(l *ir.Launch) []Step {
		args := []Arg{Place(In(0)), Place(Out(0)), Place(Out(1))}
		for i := range l.In[1:] {
			args = append(args, Place(In(1+i)))
		}
		return []Step{{Launch{Entry: clipScaleName(len(l.In) - 1), Grid: 1, Dependent: true, Args: args},
			func(m *ptx.Module) { emitClipScale(m, len(l.In)-1) }}}
	},
}

func clipScaleName(sums int) string { return fmt.Sprintf("clip_scale_s%d", sums) }

// emitClipScale writes the kernel: parameters are the step record, the norm, the factor and the sums (float64).
func emitClipScale(m *ptx.Module, sums int) {
	k := m.Kernel(clipScaleName(sums), 32)
	record, norm, scale := k.ParamPtr("record"), k.ParamPtr("norm"), k.ParamPtr("scale")
	var places []ptx.Reg
	for i := range sums {
		places = append(places, k.ParamPtr(fmt.Sprintf("sum%d", i)))
	}
	k.WaitPrerequisites()
	k.If(k.Eq(k.Read(ptx.TidX), 0), func() {
		total := k.Const(ptx.F64, 0)
		for _, at := range places {
			total = k.Add(total, k.Ld(ptx.Global, ptx.F64, at.At(0)))
		}
		length := k.Sqrt(k.Convert(ptx.F32, total))
		limit := k.Ld(ptx.Global, ptx.F32, record.At(4*ir.RecordMaxNorm))
		k.Comment("min(1, max_norm / (norm + 1e-6)); 1 where nothing is to be clipped")
		factor := k.Min(k.Div(limit, k.Add(length, 1e-6)), 1.0)
		k.St(ptx.Global, norm.At(0), length)
		k.St(ptx.Global, scale.At(0), k.Select(k.Gt(limit, 0.0), factor, k.Const(ptx.F32, 1)))
	})
	k.LaunchDependents()
	k.Exit()
}
