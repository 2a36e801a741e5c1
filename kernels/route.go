package kernels

import "moegen/ir"

var route = &Kernel{
	Name: "host.Route", Op: "route",
	Call: func(l *ir.Launch) []Arg {
		idx := dims(l.In[0])
		return args(pool, idx[0], idx[1], l.Attrs.Int("experts"), in(0), out(0), out(1), out(2))
	},
}

var unpermute = &Kernel{
	Name: "host.Unpermute", Op: "unpermute",
	Call: func(l *ir.Launch) []Arg {
		slots, y := dims(l.In[3]), dims(l.Out[0])
		return args(pool, slots[0], slots[1], y[1], in(6), in(3), in(4), in(0), in(5), out(0))
	},
}
