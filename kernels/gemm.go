package kernels

import "moegen/ir"

var linear = &Kernel{
	Name: "host.Linear", Op: "linear",
	Call: func(l *ir.Launch) []Arg {
		x, y := dims(l.In[0]), dims(l.Out[0])
		return args(pool, x[0], y[1], x[1], in(0), in(1), in(2), in(3), out(0))
	},
}

var linearDGrad = &Kernel{
	Name: "host.LinearDGrad", Op: "linear_dgrad",
	Call: func(l *ir.Launch) []Arg {
		dy, dx := dims(l.In[0]), dims(l.Out[0])
		return args(pool, dy[0], dy[1], dx[1], in(0), in(1), in(2), out(0))
	},
}

var linearWGrad = &Kernel{
	Name: "host.LinearWGrad", Op: "linear_wgrad",
	Shares: [][2]int{{0, 2}},
	Call: func(l *ir.Launch) []Arg {
		dy, x := dims(l.In[0]), dims(l.In[1])
		return args(pool, dy[0], dy[1], x[1], in(0), in(1), accumulate(l, 2), out(0))
	},
}

var biasGrad = &Kernel{
	Name: "host.BiasGrad", Op: "bias_grad",
	Shares: [][2]int{{0, 1}},
	Call: func(l *ir.Launch) []Arg {
		dy := dims(l.In[0])
		return args(pool, dy[0], dy[1], in(0), accumulate(l, 1), out(0))
	},
}

// The grouped kernels take the expert count and the two widths from the weights, [experts, out, in].

var groupedLinear = &Kernel{
	Name: "host.GroupedLinear", Op: "grouped_linear",
	Call: func(l *ir.Launch) []Arg {
		w := dims(l.In[1])
		return args(pool, w[0], w[1], w[2], in(2), in(3), l.Attrs.Int("top_k"), in(0), in(1), out(0))
	},
}

var groupedLinearDGrad = &Kernel{
	Name: "host.GroupedLinearDGrad", Op: "grouped_linear_dgrad",
	Call: func(l *ir.Launch) []Arg {
		w := dims(l.In[1])
		return args(pool, w[0], w[1], w[2], in(2), in(3), l.Attrs.Int("top_k"), in(0), in(1), out(0))
	},
}

var groupedLinearWGrad = &Kernel{
	Name: "host.GroupedLinearWGrad", Op: "grouped_linear_wgrad",
	Shares: [][2]int{{0, 5}},
	Call: func(l *ir.Launch) []Arg {
		dw := dims(l.Out[0])
		return args(pool, dw[0], dw[1], dw[2], in(2), in(3), in(4), l.Attrs.Int("top_k"),
			in(0), in(1), accumulate(l, 5), out(0))
	},
}

var groupedLinearUnpermute = &Kernel{
	Name: "host.GroupedLinearUnpermute", Op: "grouped_linear_unpermute",
	Call: func(l *ir.Launch) []Arg {
		w, slots := dims(l.In[1]), dims(l.In[3])
		return args(pool, slots[0], slots[1], w[0], w[1], w[2], in(6), in(2), in(3), in(0), in(1), in(4), in(5), out(0))
	},
}

var groupedLinearDGradUnpermute = &Kernel{
	Name: "host.GroupedLinearDGradUnpermute", Op: "grouped_linear_dgrad_unpermute",
	Call: func(l *ir.Launch) []Arg {
		w, slots := dims(l.In[1]), dims(l.In[3])
		return args(pool, slots[0], slots[1], w[0], w[1], w[2], in(5), in(2), in(3), in(0), in(1), in(4), out(0))
	},
}
