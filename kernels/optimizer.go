package kernels

import "moegen/ir"

var sumSquares = &Kernel{
	Name: "host.SumSquares", Op: "sum_squares",
	Shares: [][2]int{{0, 1}},
	Call: func(l *ir.Launch) []Arg {
		return args(pool, in(0), differing("first", l.In[1] == nil), out(0))
	},
}

var clipScale = &Kernel{
	Name: "host.ClipScale", Op: "clip_scale",
	Call: func(l *ir.Launch) []Arg { return args(in(0), scalars(1), out(0), out(1)) },
}

var adamW = &Kernel{
	Name: "host.AdamW", Op: "adamw",
	Shares: [][2]int{{0, 0}, {1, 2}, {2, 3}},
	Call: func(l *ir.Launch) []Arg {
		return args(pool, l.Attrs.Int("parts"), l.Attrs.Int("stride"), in(4), in(5), in(1), out(0), out(1), out(2))
	},
}
