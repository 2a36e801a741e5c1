package kernels

import "moegen/ir"

var route = &Kernel{
	Name: "host.Route", Op: "route",
	Call: func(l *ir.Launch) []Arg {
		idx := dims(l.In[0])
		return args(pool, idx[0], idx[1], l.Attrs.Int("experts"), in(0), out(0), out(1), out(2))
	},
}

var permute = &Kernel{
	Name: "host.Permute", Op: "permute",
	Call: func(l *ir.Launch) []Arg {
		return args(pool, l.Attrs.Int("top_k"), dims(l.In[0])[1], in(1), in(2), in(0), out(0))
	},
}

var unpermute = &Kernel{
	Name: "host.Unpermute", Op: "unpermute",
	Call: func(l *ir.Launch) []Arg {
		slots, y := dims(l.In[3]), dims(l.Out[0])
		return args(pool, slots[0], slots[1], y[1], in(6), in(3), in(4), in(0), in(5), out(0))
	},
}

var unpermuteGrad = &Kernel{
	Name: "host.UnpermuteGrad", Op: "unpermute_grad",
	Call: func(l *ir.Launch) []Arg {
		dy := dims(l.In[0])
		return args(pool, dy[0], l.Attrs.Int("top_k"), dy[1], in(2), in(3), in(1), in(0), out(0))
	},
}

var unpermuteWGrad = &Kernel{
	Name: "host.UnpermuteWGrad", Op: "unpermute_wgrad",
	Call: func(l *ir.Launch) []Arg {
		dy := dims(l.In[0])
		return args(pool, dy[0], l.Attrs.Int("top_k"), dy[1], in(2), in(3), in(0), in(1), out(0))
	},
}
