package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// The load-balancing loss of what router_stats sums up over n routed tokens, and its gradient:
//
//	aux = Σ_e stats[e]·stats[E+e]·E/n²     dstats[e] = 0     dstats[E+e] = norm·stats[e]·E/n²
//
// norm is the step record's. Both are a block's work of a microsecond; products are added in float64.

const auxThreads = squaresThreads

// auxFactor is E/n².
func auxFactor(experts int, rows float64) float64 { return float64(experts) / (rows * rows) }

// emitAuxLoss writes the kernel, of one block: parameters stats, aux, the number of experts and the factor.
func emitAuxLoss(m *ptx.Module) {
	k := m.Kernel("aux_loss", auxThreads)
	stats, aux, experts, factor := k.ParamPtr("stats"), k.ParamPtr("aux"), k.ParamU32("experts"), k.ParamF32("factor")
	scratch := k.SharedBytes(8*auxThreads/32, 16)
	k.WaitPrerequisites()
	tid := k.Read(ptx.TidX)
	sum := k.Var(ptx.F64, "sum", 0.0)
	k.For("expert", tid, experts, auxThreads, func(e ptx.Reg) {
		count := k.Ld(ptx.Global, ptx.F32, k.Add(stats, k.MulWide(e, 4)).At(0))
		p := k.Ld(ptx.Global, ptx.F32, k.Add(stats, k.MulWide(k.Add(experts, e), 4)).At(0))
		k.To(sum).Fma(k.Convert(ptx.F64, count), k.Convert(ptx.F64, p), sum)
	})
	addBlock(k, sum, tid, scratch, func(total ptx.Reg) {
		k.St(ptx.Global, aux.At(0), k.Mul(k.Convert(ptx.F32, total), factor))
	})
	k.LaunchDependents()
	k.Exit()
}

// emitAuxLossGrad writes the kernel: parameters stats, the step record, dstats, the number of experts and the factor.
func emitAuxLossGrad(m *ptx.Module) {
	k := m.Kernel("aux_loss_grad", auxThreads)
	stats, record, dstats := k.ParamPtr("stats"), k.ParamPtr("record"), k.ParamPtr("dstats")
	experts, factor := k.ParamU32("experts"), k.ParamF32("factor")
	k.WaitPrerequisites()
	scale := k.Mul(k.Ld(ptx.Global, ptx.F32, record.At(4*ir.RecordAuxNorm)), factor)
	e := k.Mad(k.Read(ptx.CtaIDX), auxThreads, k.Read(ptx.TidX))
	k.If(k.Lt(e, experts), func() {
		at := k.MulWide(e, 4)
		count := k.Ld(ptx.Global, ptx.F32, k.Add(stats, at).At(0))
		k.St(ptx.Global, k.Add(dstats, at).At(0), k.Const(ptx.F32, 0))
		k.St(ptx.Global, k.Add(dstats, k.MulWide(k.Add(experts, e), 4)).At(0), k.Mul(count, scale))
	})
	k.LaunchDependents()
	k.Exit()
}

func auxLossSteps(experts int, rows float64, stats, aux string) []Step {
	return []Step{{Launch{Entry: "aux_loss", Grid: 1, Dependent: true,
		Args: []Arg{Place(stats), Place(aux), U32(experts), F32(auxFactor(experts, rows))}}, emitAuxLoss}}
}

func auxLossGradSteps(experts int, rows float64, stats, record, dstats string) []Step {
	return []Step{{Launch{Entry: "aux_loss_grad", Grid: ceil(experts, auxThreads), Dependent: true,
		Args: []Arg{Place(stats), Place(record), Place(dstats), U32(experts), F32(auxFactor(experts, rows))}}, emitAuxLossGrad}}
}

var auxLoss = &Kernel{
	Name: "aux_loss", Op: "aux_loss",
	Steps: func(l *ir.Launch) []Step {
		return auxLossSteps(l.In[0].Type.Elements()/2, l.Attrs.Float("rows"), In(0), Out(0))
	},
}

var auxLossGrad = &Kernel{
	Name: "aux_loss", Op: "aux_loss_grad",
	Steps: func(l *ir.Launch) []Step {
		return auxLossGradSteps(l.In[0].Type.Elements()/2, l.Attrs.Float("rows"), In(0), In(1), Out(0))
	},
}

var auxLossFamily = Family{Name: "aux_loss", Cases: func() []Case {
	return []Case{auxLossCase(40, 99), auxLossCase(300, 4096)}
}}

func auxLossCase(experts int, rows float64) Case {
	const norm = 0.25
	spread := normal(73, 0.2)
	stats := func(i int) float64 { return float64(float32(rows / float64(experts) * (1 + spread(i)))) }
	steps := append(auxLossSteps(experts, rows, "stats", "aux"), auxLossGradSteps(experts, rows, "stats", "record", "dstats")...)
	return Case{
		Name: fmt.Sprintf("%d_of_%g", experts, rows),
		Emit: func(m *ptx.Module) { emitAuxLoss(m); emitAuxLossGrad(m) },
		Buffers: []Buffer{{"stats", ptx.F32, 2 * experts, stats}, {"aux", ptx.F32, 1, nil}, {"dstats", ptx.F32, 2 * experts, nil},
			{"record", ptx.F32, ir.RecordLen, func(i int) float64 { return map[int]float64{ir.RecordAuxNorm: norm}[i] }}},
		Launches: []Launch{steps[0].Launch, steps[1].Launch},
		Outputs: []Output{
			{Buffer: "aux", Rel: 0x1p-22, Why: "a sum in float64, rounded, times a rounded number", Want: func(int) (float64, float64, bool) {
				sum := 0.0
				for e := range experts {
					sum += stats(e) * stats(experts+e)
				}
				return sum * auxFactor(experts, rows), 0, true
			}},
			{Buffer: "dstats", Rel: 0x1p-22, Why: "two products in float32", Want: func(i int) (float64, float64, bool) {
				if i < experts {
					return 0, 0, true
				}
				return norm * stats(i-experts) * auxFactor(experts, rows), 0, true
			}},
		},
		Floor: Floor{Bytes: 20 * int64(experts)},
	}
}
