package kernels

import "moegen/ir"

var crossEntropy = &Kernel{
	Name: "host.CrossEntropy", Op: "cross_entropy",
	Call: func(l *ir.Launch) []Arg {
		logits := dims(l.In[0])
		return args(pool, logits[0], logits[1], in(0), in(1), record(2, "RecordLossNorm"), out(0))
	},
}

var crossEntropyGrad = &Kernel{
	Name: "host.CrossEntropyGrad", Op: "cross_entropy_grad",
	Call: func(l *ir.Launch) []Arg {
		logits := dims(l.In[0])
		return args(pool, logits[0], logits[1], in(0), in(1), record(2, "RecordLossNorm"), out(0))
	},
}

var linearCrossEntropy = &Kernel{
	Name: "host.LinearCrossEntropy", Op: "linear_cross_entropy",
	Shares:    [][2]int{{2, 4}},
	Workspace: lossWorkspace,
	Call: func(l *ir.Launch) []Arg {
		x, w := dims(l.In[0]), dims(l.In[1])
		return args(pool, x[0], x[1], w[0], in(0), in(1), in(2), record(3, "RecordLossNorm"),
			accumulate(l, 4), out(0), out(1), out(2), workspace)
	},
}

var linearCrossEntropyEval = &Kernel{
	Name: "host.LinearCrossEntropyEval", Op: "linear_cross_entropy_eval",
	Workspace: lossWorkspace,
	Call: func(l *ir.Launch) []Arg {
		x, w := dims(l.In[0]), dims(l.In[1])
		return args(pool, x[0], x[1], w[0], in(0), in(1), in(2), record(3, "RecordLossNorm"), out(0), workspace)
	},
}

// lossWorkspace is a chunk of rows: their logits, at most 8 MiB of them unless 64 rows are more, and their rows
// of the hidden states and of the gradient.
func lossWorkspace(n *ir.Node) int {
	x, vocab := n.In[0].Type, n.In[1].Type.Dim(0)
	rows := min(x.Dim(0), max(64, min(1024, (1<<21)/vocab)))
	return rows * (vocab + 2*x.Dim(1))
}
