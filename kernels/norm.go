package kernels

import "moegen/ir"

var rmsNorm = &Kernel{
	Name: "host.RMSNorm", Op: "rms_norm",
	Call: func(l *ir.Launch) []Arg {
		x := dims(l.In[0])
		return args(pool, x[0], x[1], l.Attrs.Float("eps"), in(0), in(1), out(0), out(1))
	},
}

var rmsNormGrad = &Kernel{
	Name: "host.RMSNormGrad", Op: "rms_norm_grad",
	Shares: [][2]int{{1, 5}},
	// A partial weight gradient for every 32 rows.
	Workspace: func(n *ir.Node) int {
		x := n.In[1].Type
		return blocks(x.Dim(0), 32) * x.Dim(1)
	},
	Call: func(l *ir.Launch) []Arg {
		x := dims(l.In[1])
		return args(pool, x[0], x[1], in(0), in(1), in(2), in(3), in(4), accumulate(l, 5), out(0), out(1), workspace)
	},
}

// blocks is how many blocks of size items make up n.
func blocks(n, size int) int { return (n + size - 1) / size }
