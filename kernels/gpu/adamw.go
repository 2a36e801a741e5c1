package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// AdamW (Loshchilov and Hutter, 2019), as torch's fused one: weights, gradients and both moments in bf16, float32 inside.
//
//	g = scale·grad     m = β1·m + (1−β1)·g     v = β2·v + (1−β2)·g²
//	w = w·(1 − lr·decay) − lr/(1−β1^t) · m / (sqrt(v)/sqrt(1−β2^t) + ε)
//
// The update takes m and v as they are before they are rounded. Every byte moves once: 8 in and 6 out for a weight;
// memory decides. A thread has a few times eight weights, 16 bytes of each array.

const (
	adamWThreads = 256 // of a block
	adamWEights  = 4   // pieces of eight weights a thread
)

func adamWName(n int) string { return fmt.Sprintf("adamw_bf16_n%d", n%8) }

// emitAdamW writes the kernel: parameters are the weights, gradients, moments, the clip factor, the step record and the
// number of weights, of which n is one example.
func emitAdamW(m *ptx.Module, n int) {
	k := m.Kernel(adamWName(n), adamWThreads)
	w, grad := k.ParamPtr("w"), k.ParamPtr("grad")
	m1, m2 := k.ParamPtr("m"), k.ParamPtr("v")
	clip, record, count := k.ParamPtr("scale"), k.ParamPtr("record"), k.ParamU64("count")
	k.WaitPrerequisites()
	a := adamW{k: k}
	a.constants(clip, record)
	eight := k.MadWide(k.Read(ptx.CtaIDX), adamWThreads*adamWEights, k.Convert(ptx.U64, k.Read(ptx.TidX)))
	for i := range adamWEights {
		a.eight(k.Shl(k.Add(eight, adamWThreads*i), 3), count, n%8, w, grad, m1, m2)
	}
	k.LaunchDependents()
	k.Exit()
}

// adamW holds what is the same for all weights.
type adamW struct {
	k                             *ptx.Kernel
	scale                         ptx.Reg
	beta1, beta2, gain1, gain2    ptx.Reg
	keep, step, invSqrtBias2, eps ptx.Reg
}

func (a *adamW) constants(clip, record ptx.Reg) {
	k := a.k
	field := func(i int) ptx.Reg { return k.Ld(ptx.Global, ptx.F32, record.At(4*i)) }
	a.scale = k.Ld(ptx.Global, ptx.F32, clip.At(0))
	a.beta1, a.beta2, a.gain1, a.gain2 = field(ir.RecordBeta1), field(ir.RecordBeta2), field(ir.RecordGain1), field(ir.RecordGain2)
	lr := field(ir.RecordLR)
	k.Comment("1 - lr decay, -lr/(1 - beta1^t), 1/sqrt(1 - beta2^t)")
	a.keep = k.Fma(k.Neg(lr), field(ir.RecordDecay), 1.0)
	a.step = k.Neg(k.Div(lr, field(ir.RecordBias1)))
	a.invSqrtBias2 = k.Rcp(k.Sqrt(field(ir.RecordBias2)))
	a.eps = field(ir.RecordEps)
}

// eight updates the weights from first on, up to eight of count; rest is count modulo eight.
func (a *adamW) eight(first, count ptx.Reg, rest int, bases ...ptx.Reg) {
	k := a.k
	var places []ptx.Reg
	for _, base := range bases {
		places = append(places, k.Add(base, k.Shl(first, 1)))
	}
	written := []ptx.Reg{places[0], places[2], places[3]}
	k.If(k.Le(k.Add(first, 8), count), func() {
		var in [4][]ptx.Reg
		for i, at := range places {
			in[i] = k.LdVec(ptx.Stream, ptx.BF16x2, 4, at.At(0))
		}
		var out [3][]ptx.Reg
		for j := range 4 {
			var low, high [4]ptx.Reg
			for i := range in {
				low[i], high[i] = k.UnpackBF16(in[i][j])
			}
			x, y := a.weight(low), a.weight(high)
			for i := range out {
				out[i] = append(out[i], k.PackBF16(x[i], y[i]))
			}
		}
		for i, at := range written {
			k.St(ptx.Global, at.At(0), out[i]...)
		}
	})
	if rest == 0 {
		return
	}
	k.Comment("the last %d, by one thread", rest)
	k.If(k.And(k.Lt(first, count), k.Gt(k.Add(first, 8), count)), func() {
		for i := range rest {
			var in [4]ptx.Reg
			for j, at := range places {
				in[j] = k.Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, at.At(2*i)))
			}
			out := a.weight(in)
			for j, at := range written {
				k.St(ptx.Global, at.At(2*i), k.Convert(ptx.BF16, out[j]))
			}
		}
	})
}

// weight updates one weight: from w, grad, m, v to w, m, v.
func (a *adamW) weight(in [4]ptx.Reg) [3]ptx.Reg {
	k := a.k
	g := k.Mul(in[1], a.scale)
	m := k.Fma(a.beta1, in[2], k.Mul(a.gain1, g))
	v := k.Fma(a.beta2, in[3], k.Mul(k.Mul(a.gain2, g), g))
	update := k.Div(m, k.Fma(k.Sqrt(v), a.invSqrtBias2, a.eps))
	return [3]ptx.Reg{k.Fma(a.step, update, k.Mul(in[0], a.keep)), m, v}
}

// adamWSteps is the update of n weights whose arrays are these buffers.
func adamWSteps(n int, w, grad, m, v, scale, record string) []Step {
	return []Step{{
		Launch: Launch{Entry: adamWName(n), Grid: ceil(n, 8*adamWThreads*adamWEights),
			Args: []Arg{Place(w), Place(grad), Place(m), Place(v), Place(scale), Place(record), U64(n)}},
		Emit: func(m *ptx.Module) { emitAdamW(m, n) },
	}}
}

var adamWKernel = &Kernel{
	Name: "adamw", Op: "adamw",
	Covers: func(n *ir.Node) bool { return bfloat(n.In[:4]...) },
	Shares: [][2]int{{0, 0}, {1, 2}, {2, 3}},
	Steps: func(l *ir.Launch) []Step {
		return adamWSteps(l.In[0].Type.Elements(), In(0), In(1), In(2), In(3), In(4), In(5))
	},
}

var adamWFamily = Family{Name: "adamw", Cases: func() []Case {
	return []Case{adamWCase(2501), adamWCase(5), adamWCase(8192), large(adamWCase(1 << 28))}
}}

// adamWRecord is a step record like that of the third step of a run.
func adamWRecord(i int) float64 {
	return map[int]float64{
		ir.RecordLR: 0x1p-10, ir.RecordBeta1: 0.875, ir.RecordGain1: 0.125, ir.RecordBeta2: 0.96875, ir.RecordGain2: 0.03125,
		ir.RecordEps: 0x1p-20, ir.RecordDecay: 0.0625, ir.RecordBias1: 0.25, ir.RecordBias2: 0.0625,
	}[i]
}

func adamWCase(n int) Case {
	w, grad, m := normal(31, 1), normal(32, 1), normal(33, 0.1)
	v := func(i int) float64 { return bf16(math.Abs(normal(34, 0.1)(i))) }
	scale := func(int) float64 { return 0.75 }
	const lr, keep = 0x1p-10, 1 - 0x1p-10*0.0625
	moments := func(i int) (m1, m2 float64) {
		g := 0.75 * grad(i)
		return 0.875*m(i) + 0.125*g, 0.96875*v(i) + 0.03125*g*g
	}
	output := func(buffer string, want func(i int) (value, magnitude float64)) Output {
		return Output{Buffer: buffer, Rel: bf16Rel, Acc: 0x1p-20, Why: "a rounding to bf16 (2^-8) of a few operations in float32 (2^-24 each)",
			Want: func(i int) (float64, float64, bool) { value, magnitude := want(i); return value, magnitude, true }}
	}
	steps := adamWSteps(n, "w", "grad", "m", "v", "scale", "record")
	return Case{
		Name: fmt.Sprintf("%d", n),
		Emit: func(m *ptx.Module) { emitAdamW(m, n) },
		Buffers: []Buffer{{"w", ptx.BF16, n, w}, {"grad", ptx.BF16, n, grad}, {"m", ptx.BF16, n, m}, {"v", ptx.BF16, n, v},
			{"scale", ptx.F32, 1, scale}, {"record", ptx.F32, ir.RecordLen, adamWRecord}},
		Launches: []Launch{steps[0].Launch},
		Outputs: []Output{
			output("w", func(i int) (float64, float64) {
				m1, m2 := moments(i)
				step := lr / 0.25 * m1 / (math.Sqrt(m2)/0.25 + 0x1p-20)
				return w(i)*keep - step, math.Abs(w(i)) + math.Abs(step)
			}),
			output("m", func(i int) (float64, float64) {
				m1, _ := moments(i)
				return m1, math.Abs(m(i)) + math.Abs(grad(i))
			}),
			output("v", func(i int) (float64, float64) {
				_, m2 := moments(i)
				return m2, m2
			}),
		},
		Floor: Floor{Bytes: 14 * int64(n)},
	}
}
