package kernels

import "moegen/ir"

var linearCrossEntropy = &Kernel{
	Name: "host.LinearCrossEntropy", Op: "linear_cross_entropy",
	Shares: [][2]int{{2, 4}},
	Call: func(l *ir.Launch) []Arg {
		x, w := dims(l.In[0]), dims(l.In[1])
		return args(pool, x[0], x[1], w[0], in(0), in(1), in(2), record(3, "RecordLossNorm"),
			accumulate(l, 4), out(0), out(1), out(2), workspace)
	},
}

var linearCrossEntropyEval = &Kernel{
	Name: "host.LinearCrossEntropyEval", Op: "linear_cross_entropy_eval",
	Call: func(l *ir.Launch) []Arg {
		x, w := dims(l.In[0]), dims(l.In[1])
		return args(pool, x[0], x[1], w[0], in(0), in(1), in(2), record(3, "RecordLossNorm"), out(0), workspace)
	},
}
