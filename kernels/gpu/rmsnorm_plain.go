package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// RMSNorm forward and backward for rows of any length, which the kernels that hold a row in registers do not take: a warp goes
// over a row twice, and the weight's gradient is summed by a thread for every column, row after row. The formulas, roundings
// and floors are those kernels'; x (and dy) are read twice, from a cache where rows fit it.

// RMSNormPlainConfig fixes the plain kernels.
type RMSNormPlainConfig struct {
	Width int // elements of an access
}

// RMSNormPlainConfigs returns the only candidate: the widest access.
func RMSNormPlainConfigs(dim int) (out []RMSNormPlainConfig, rejected []string) {
	return []RMSNormPlainConfig{{pieceOf(ptx.BF16, dim).n}}, nil
}

// Name is the entry of the forward kernel.
func (c RMSNormPlainConfig) Name(d RMSNormDesc) string {
	return fmt.Sprintf("rmsnorm_plain_d%d_v%d", d.Dim, c.Width)
}

// GradName is the entry of the kernel of dx.
func (c RMSNormPlainConfig) GradName(d RMSNormGradDesc) string {
	return fmt.Sprintf("rmsnorm_plain_grad_d%d%s_v%d", d.Dim, mark(d.Residual, "_add"), c.Width)
}

// WeightName is the entry of the kernel of dw.
func (c RMSNormPlainConfig) WeightName(d RMSNormGradDesc) string {
	return fmt.Sprintf("rmsnorm_plain_wgrad_d%d%s", d.Dim, mark(d.Accumulate, "_a"))
}

// EmitRMSNormPlain writes the forward kernel, whose parameters are EmitRMSNorm's.
func EmitRMSNormPlain(m *ptx.Module, d RMSNormDesc, c RMSNormPlainConfig) {
	k := m.Kernel(c.Name(d), streamThreads)
	p := piece{ptx.BF16, c.Width}
	x, w, y, rstd := k.ParamPtr("x"), k.ParamPtr("w"), k.ParamPtr("y"), k.ParamPtr("rstd")
	rows, eps := k.ParamU32("rows"), k.ParamF32("eps")
	k.WaitPrerequisites()
	lane := k.Read(ptx.LaneID)
	eachWarp(k, rows, func(row ptx.Reg) {
		start := k.MulWide(row, 2*d.Dim)
		sum := k.Var(ptx.F32, "sum", 0)
		k.For("col", lane, d.Dim/c.Width, 32, func(col ptx.Reg) {
			for _, v := range p.floats(k, p.load(k, fixed, k.Add(k.Add(x, start), k.MulWide(col, p.bytes())).At(0))) {
				k.To(sum).Fma(v, v, sum)
			}
		})
		r := k.RsqrtApprox(k.Fma(k.SumLanes(sum, 32), 1/float64(d.Dim), eps))
		k.When(k.Eq(lane, 0)).St(ptx.Global, k.Add(rstd, k.MulWide(row, 4)).At(0), r)
		k.For("col", lane, d.Dim/c.Width, 32, func(col ptx.Reg) {
			at := k.MulWide(col, p.bytes())
			xs := p.floats(k, p.load(k, fixed, k.Add(k.Add(x, start), at).At(0)))
			ws := p.floats(k, p.load(k, fixed, k.Add(w, at).At(0)))
			for i := range xs {
				xs[i] = k.Mul(xs[i], r)
			}
			ys := p.floats(k, p.pack(k, xs))
			for i := range ys {
				ys[i] = k.Mul(ws[i], ys[i])
			}
			p.store(k, k.Add(k.Add(y, start), at).At(0), ys)
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// EmitRMSNormPlainGrad writes the kernel of dx: parameters dy, x, w, rstd, the residual if there is one, dx and the number of
// rows. dx may be dy or the residual.
func EmitRMSNormPlainGrad(m *ptx.Module, d RMSNormGradDesc, c RMSNormPlainConfig) {
	k := m.Kernel(c.GradName(d), streamThreads)
	p := piece{ptx.BF16, c.Width}
	dy, x, w, rstd := k.ParamPtr("dy"), k.ParamPtr("x"), k.ParamPtr("w"), k.ParamPtr("rstd")
	var residual ptx.Reg
	if d.Residual {
		residual = k.ParamPtr("residual")
	}
	dx, rows := k.ParamPtr("dx"), k.ParamU32("rows")
	k.WaitPrerequisites()
	lane := k.Read(ptx.LaneID)
	eachWarp(k, rows, func(row ptx.Reg) {
		start := k.MulWide(row, 2*d.Dim)
		r := k.Ld(fixed, ptx.F32, k.Add(rstd, k.MulWide(row, 4)).At(0))
		// load returns n = x rstd and w dy.
		load := func(at ptx.Reg) (ns, gs []ptx.Reg) {
			ns = p.floats(k, p.load(k, fixed, k.Add(k.Add(x, start), at).At(0)))
			gs = p.floats(k, p.load(k, ptx.Global, k.Add(k.Add(dy, start), at).At(0)))
			for i, w := range p.floats(k, p.load(k, fixed, k.Add(w, at).At(0))) {
				ns[i], gs[i] = k.Mul(ns[i], r), k.Mul(w, gs[i])
			}
			return ns, gs
		}
		sum := k.Var(ptx.F32, "sum", 0)
		k.For("col", lane, d.Dim/c.Width, 32, func(col ptx.Reg) {
			ns, gs := load(k.MulWide(col, p.bytes()))
			for i := range ns {
				k.To(sum).Fma(ns[i], gs[i], sum)
			}
		})
		mean := k.Neg(k.Mul(k.SumLanes(sum, 32), 1/float64(d.Dim)))
		k.For("col", lane, d.Dim/c.Width, 32, func(col ptx.Reg) {
			at := k.MulWide(col, p.bytes())
			ns, gs := load(at)
			var adds []ptx.Reg
			if d.Residual {
				adds = p.floats(k, p.load(k, once, k.Add(k.Add(residual, start), at).At(0)))
			}
			for i := range ns {
				v := k.Fma(ns[i], mean, gs[i])
				if d.Residual {
					ns[i] = k.Fma(r, v, adds[i])
				} else {
					ns[i] = k.Mul(r, v)
				}
			}
			p.store(k, k.Add(k.Add(dx, start), at).At(0), ns)
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// EmitRMSNormPlainWeight writes the kernel of dw, which runs before that of dx: parameters dy, x, rstd, dw, the number of
// rows, and the step record if dw may add up.
func EmitRMSNormPlainWeight(m *ptx.Module, d RMSNormGradDesc, c RMSNormPlainConfig) {
	k := m.Kernel(c.WeightName(d), streamThreads)
	one := piece{ptx.BF16, 1}
	dy, x, rstd, dw, rows := k.ParamPtr("dy"), k.ParamPtr("x"), k.ParamPtr("rstd"), k.ParamPtr("dw"), k.ParamU32("rows")
	var record ptx.Reg
	if d.Accumulate {
		record = k.ParamPtr("record")
	}
	k.WaitPrerequisites()
	eachThread(k, k.Const(ptx.U32, d.Dim), func(col ptx.Reg) {
		at := k.MulWide(col, 2)
		sum := k.Var(ptx.F32, "sum", 0)
		k.For("row", k.Const(ptx.U32, 0), rows, 1, func(row ptx.Reg) {
			place := k.MadWide(row, 2*d.Dim, at)
			v := one.floats(k, one.load(k, ptx.Global, k.Add(x, place).At(0)))[0]
			n := k.Mul(v, k.Ld(fixed, ptx.F32, k.Add(rstd, k.MulWide(row, 4)).At(0)))
			k.To(sum).Fma(one.floats(k, one.load(k, ptx.Global, k.Add(dy, place).At(0)))[0], n, sum)
		})
		to := k.Add(dw, at).At(0)
		if d.Accumulate {
			k.To(sum).Add(sum, one.floats(k, one.loadIf(k, accumulates(k, record), ptx.Global, to))[0])
		}
		one.store(k, to, []ptx.Reg{sum})
	})
	k.LaunchDependents()
	k.Exit()
}

// forward is the launch over so many rows.
func (c RMSNormPlainConfig) forward(d RMSNormDesc, rows int, x, w, y, rstd, eps Arg) Step {
	return Step{
		Launch: Launch{Entry: c.Name(d), Grid: streamGrid(32 * rows), Persistent: true, Dependent: true, Args: []Arg{x, w, y, rstd, U32(rows), eps}},
		Emit:   func(m *ptx.Module) { EmitRMSNormPlain(m, d, c) },
	}
}

// backward are the launches over so many rows; residual and record are empty where they do not belong.
func (c RMSNormPlainConfig) backward(d RMSNormGradDesc, rows int, dy, x, w, rstd, dx, dw Arg, residual, record []Arg) []Step {
	return []Step{
		{Launch: Launch{Entry: c.WeightName(d), Grid: streamGrid(d.Dim), Persistent: true, Dependent: true,
			Args: append([]Arg{dy, x, rstd, dw, U32(rows)}, record...)},
			Emit: func(m *ptx.Module) { EmitRMSNormPlainWeight(m, d, c) }},
		{Launch: Launch{Entry: c.GradName(d), Grid: streamGrid(32 * rows), Persistent: true, Dependent: true,
			Args: append(append([]Arg{dy, x, w, rstd}, residual...), dx, U32(rows))},
			Emit: func(m *ptx.Module) { EmitRMSNormPlainGrad(m, d, c) }},
	}
}

var rmsNormPlain = &Kernel{
	Name: "rmsnorm_plain", Op: "rms_norm",
	Covers: func(n *ir.Node) bool { return bfloat(n.In...) && addressable(n.In[0]) },
	Steps: func(l *ir.Launch) []Step {
		x := l.In[0].Type
		configs, _ := RMSNormPlainConfigs(x.Dim(1))
		return []Step{configs[0].forward(RMSNormDesc{x.Dim(1)}, x.Dim(0), Place(In(0)), Place(In(1)), Place(Out(0)), Place(Out(1)), F32(l.Attrs.Float("eps")))}
	},
}

var rmsNormPlainGrad = &Kernel{
	Name: "rmsnorm_plain", Op: "rms_norm_grad", InPlace: true, Shares: [][2]int{{1, 5}},
	Covers: func(n *ir.Node) bool { return bfloat(n.In[:3]...) && addressable(n.In[0]) },
	Steps: func(l *ir.Launch) []Step {
		d, residual, record := rmsNormGradOf(l)
		configs, _ := RMSNormPlainConfigs(d.Dim)
		return configs[0].backward(d, l.In[0].Type.Dim(0), Place(In(0)), Place(In(1)), Place(In(2)), Place(In(3)), Place(Out(0)), Place(Out(1)), residual, record)
	},
}

// rmsNormGradOf is what a launch of rms_norm_grad asks, and its optional arguments.
func rmsNormGradOf(l *ir.Launch) (d RMSNormGradDesc, residual, record []Arg) {
	d = RMSNormGradDesc{Dim: l.In[0].Type.Dim(1), Residual: l.In[4] != nil, Accumulate: l.In[5] != nil}
	if d.Residual {
		residual = []Arg{Place(In(4))}
	}
	if d.Accumulate {
		record = []Arg{Place(In(6))}
	}
	return d, residual, record
}

var rmsNormPlainFamily = Family{Name: "rmsnorm_plain", Cases: func() []Case {
	return []Case{
		rmsNormPlainCase(5, 77),
		rmsNormPlainGradCase(11, RMSNormGradDesc{68, true, true}),
		rmsNormPlainGradCase(3, RMSNormGradDesc{Dim: 7}),
		large(rmsNormPlainCase(4096, 24576)),
		large(rmsNormPlainGradCase(4096, RMSNormGradDesc{24576, true, true})),
	}
}}

// rmsNormPlainCase is a case of the other kernels', computed by the plain one.
func rmsNormPlainCase(rows, dim int) Case {
	configs, _ := RMSNormPlainConfigs(dim)
	d, c := RMSNormDesc{dim}, configs[0]
	out := rmsNormCase(rows, dim, RMSNormConfig{4, 1})
	step := c.forward(d, rows, Place("x"), Place("w"), Place("y"), Place("rstd"), F32(rmsNormEps))
	out.Name, out.Emit, out.Launches = fmt.Sprintf("%dx%d", rows, dim), step.Emit, []Launch{step.Launch}
	return out
}

// rmsNormPlainGradCase is a case of the other kernels', computed by the plain ones.
func rmsNormPlainGradCase(rows int, d RMSNormGradDesc) Case {
	configs, _ := RMSNormPlainConfigs(d.Dim)
	out := rmsNormGradCase(rows, d, RMSNormGradConfig{PerRow: 1, Groups: 1, Partials: 1}, 1)
	var residual, record []Arg
	if d.Residual {
		residual = []Arg{Place("residual")}
	}
	if d.Accumulate {
		record = []Arg{Place("record")}
	}
	steps := configs[0].backward(d, rows, Place("dy"), Place("x"), Place("w"), Place("rstd"), Place("dx"), Place("dw"), residual, record)
	out.Name = fmt.Sprintf("grad_%dx%d%s", rows, d.Dim, mark(d.Residual, "_add"))
	out.Emit = func(m *ptx.Module) {
		for _, s := range steps {
			s.Emit(m)
		}
	}
	out.Launches = []Launch{steps[0].Launch, steps[1].Launch}
	return out
}
