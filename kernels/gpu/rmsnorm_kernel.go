package gpu

import (
	"moegen/ir"
	"moegen/kernels/ptx"
)

var rmsNormKernel = &Kernel{
	Name: "rmsnorm", Op: "rms_norm",
	Covers: func(n *ir.Node) bool {
		configs, _ := RMSNormConfigs(RMSNormDesc{n.In[0].Type.Dim(1)})
		written := n.In[1].Def != nil // w, perhaps by the launch in front
		return len(configs) > 0 && bfloat(n.In...) && addressable(n.In[0]) && !written
	},
	Steps: func(l *ir.Launch) []Step {
		rows, d := l.In[0].Type.Dim(0), RMSNormDesc{l.In[0].Type.Dim(1)}
		configs, _ := RMSNormConfigs(d)
		c := configs[0]
		return []Step{{
			Launch: c.launch(d, rows, Place(In(0)), Place(In(1)), Place(Out(0)), Place(Out(1)), F32(l.Attrs.Float("eps"))),
			Emit:   func(m *ptx.Module) { EmitRMSNorm(m, d, c) },
		}}
	},
}

var rmsNormGradKernel = &Kernel{
	Name: "rmsnorm_grad", Op: "rms_norm_grad", InPlace: true, Shares: [][2]int{{1, 5}},
	Covers: func(n *ir.Node) bool {
		configs, _ := RMSNormGradConfigs(RMSNormGradDesc{Dim: n.In[0].Type.Dim(1), Residual: n.In[4] != nil})
		return len(configs) > 0 && bfloat(n.In[:3]...) && addressable(n.In[0])
	},
	Workspace: func(n *ir.Node) int {
		d := RMSNormGradDesc{Dim: n.In[0].Type.Dim(1), Residual: n.In[4] != nil}
		configs, _ := RMSNormGradConfigs(d)
		return 4 * configs[0].Partials * d.Dim
	},
	Steps: func(l *ir.Launch) []Step {
		d, residual, record := rmsNormGradOf(l)
		configs, _ := RMSNormGradConfigs(d)
		c := configs[0]
		args := append([]Arg{Place(In(0)), Place(In(1)), Place(In(2)), Place(In(3))}, residual...)
		return []Step{
			{Launch: Launch{Entry: c.Name(d), Grid: c.Partials, Persistent: true, Dependent: true,
				Args: append(args, Place(Out(0)), Place(Work), U32(l.In[0].Type.Dim(0)))},
				Emit: func(m *ptx.Module) { EmitRMSNormGrad(m, d, c) }},
			{Launch: Launch{Entry: c.SumName(d), Grid: c.SumGrid(d), Dependent: true, Args: append([]Arg{Place(Work), Place(Out(1))}, record...)},
				Emit: func(m *ptx.Module) { EmitRMSNormGradSum(m, d, c) }},
		}
	},
}
