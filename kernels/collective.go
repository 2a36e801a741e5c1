package kernels

import "moegen/ir"

var allReduce = &Kernel{
	Name: "host.AllReduce", Op: "all_reduce",
	Covers: func(n *ir.Node) bool { return n.In[0].Type.DType == ir.F32 },
	Shares: [][2]int{{0, 0}},
	Call:   func(l *ir.Launch) []Arg { return args(rank, out(0)) },
}

var allReduceF64 = &Kernel{
	Name: "host.AllReduceF64", Op: "all_reduce",
	Covers: func(n *ir.Node) bool { return n.In[0].Type.DType == ir.F64 },
	Shares: [][2]int{{0, 0}},
	Call:   func(l *ir.Launch) []Arg { return args(rank, out(0)) },
}

var reduceScatter = &Kernel{
	Name: "host.ReduceScatter", Op: "reduce_scatter",
	Shares: [][2]int{{0, 1}},
	Call: func(l *ir.Launch) []Arg {
		return args(rank, l.Attrs.Int("parts"), l.Attrs.Int("stride"), in(0), accumulate(l, 1), out(0))
	},
}

var allGather = &Kernel{
	Name: "host.AllGather", Op: "all_gather",
	Shares: [][2]int{{0, 0}},
	Call:   func(l *ir.Launch) []Arg { return args(rank, l.Attrs.Int("parts"), l.Attrs.Int("stride"), out(0)) },
}

var dispatchPlan = &Kernel{
	Name: "host.DispatchPlan", Op: "dispatch_plan",
	Call: func(l *ir.Launch) []Arg {
		idx := dims(l.In[0])
		ranks := l.Attrs.Int("ranks")
		local := l.Attrs.Int("experts") / ranks
		return args(rank, ranks, idx[0], idx[1], local, in(0), out(0), out(1), out(2), out(3))
	},
}

var dispatch = &Kernel{
	Name: "host.DispatchRows", Op: "dispatch",
	Call: func(l *ir.Launch) []Arg {
		x := dims(l.In[0])
		return args(rank, l.In[3].Type.Dim(1), x[0], x[1], in(1), in(2), in(0), out(0))
	},
}

var poolOpen = &Kernel{
	Name: "host.KeepNone", Op: "pool_open",
	Call: func(l *ir.Launch) []Arg { return args(out(1)) },
}

var dispatchKeep = &Kernel{
	Name: "host.KeepRows", Op: "dispatch_keep",
	Shares: [][2]int{{1, 4}},
	Call: func(l *ir.Launch) []Arg {
		x := dims(l.In[0])
		return args(rank, l.In[3].Type.Dim(1), x[0], x[1], in(1), in(2), in(0), out(0), out(1), in(5), out(2), out(3))
	},
}

var dispatchRestore = &Kernel{
	Name: "host.RestoreRows", Op: "dispatch_restore",
	Call: func(l *ir.Launch) []Arg {
		x := dims(l.In[0])
		return args(rank, l.In[3].Type.Dim(1), x[0], x[1], in(1), in(2), in(0), in(4), in(5), out(0))
	},
}

var combine = &Kernel{
	Name: "host.CombineRows", Op: "combine",
	Call: func(l *ir.Launch) []Arg {
		y := dims(l.Out[0])
		return args(rank, l.In[1].Type.Dim(1), y[0], y[1], in(1), in(0), in(4), out(0))
	},
}
