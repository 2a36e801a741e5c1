package kernels

import "moegen/ir"

var router = &Kernel{
	Name: "host.Router", Op: "router",
	Covers: func(n *ir.Node) bool { return n.In[1] == nil },
	Call: func(l *ir.Launch) []Arg {
		logits := dims(l.In[0])
		return args(pool, logits[0], logits[1], dims(l.Out[0])[1], l.Attrs.Bool("renorm"), in(0), out(0), out(1))
	},
}

var routerGrad = &Kernel{
	Name: "host.RouterGrad", Op: "router_grad",
	Call: func(l *ir.Launch) []Arg {
		logits := dims(l.In[1])
		return args(pool, logits[0], logits[1], dims(l.In[2])[1], l.Attrs.Bool("renorm"), in(1), in(2), in(0), out(0))
	},
}

var routerStats = &Kernel{
	Name: "host.RouterStats", Op: "router_stats",
	Call: func(l *ir.Launch) []Arg {
		logits := dims(l.In[0])
		return args(pool, logits[0], logits[1], dims(l.In[1])[1], in(0), in(1), out(0))
	},
}

var routerStatsGrad = &Kernel{
	Name: "host.RouterStatsGrad", Op: "router_stats_grad",
	Call: func(l *ir.Launch) []Arg {
		logits := dims(l.In[1])
		return args(pool, logits[0], logits[1], in(0), in(1), out(0))
	},
}

var auxLoss = &Kernel{
	Name: "host.AuxLoss", Op: "aux_loss",
	Call: func(l *ir.Launch) []Arg {
		return args(dims(l.In[0])[0]/2, l.Attrs.Float("rows"), in(0), out(0))
	},
}

var auxLossGrad = &Kernel{
	Name: "host.AuxLossGrad", Op: "aux_loss_grad",
	Call: func(l *ir.Launch) []Arg {
		return args(dims(l.In[0])[0]/2, l.Attrs.Float("rows"), record(1, "RecordAuxNorm"), in(0), out(0))
	},
}
