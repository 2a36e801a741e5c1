package kernels

import "moegen/ir"

var swiGLU = &Kernel{
	Name: "host.SwiGLU", Op: "swiglu",
	Call: func(l *ir.Launch) []Arg {
		return args(pool, dims(l.Out[0])[1], in(1), in(0), out(0))
	},
}

var swiGLUGrad = &Kernel{
	Name: "host.SwiGLUGrad", Op: "swiglu_grad",
	Call: func(l *ir.Launch) []Arg {
		return args(pool, dims(l.In[0])[1], in(2), in(1), in(0), out(0))
	},
}

var swiGLUUnpermuteGrad = &Kernel{
	Name: "host.SwiGLUUnpermuteGrad", Op: "swiglu_unpermute_grad",
	Call: func(l *ir.Launch) []Arg {
		w := dims(l.In[2])
		return args(pool, w[0], w[1], dims(l.In[1])[1], in(3), in(4), in(2), in(0), in(1), out(0), out(1), out(2))
	},
}
