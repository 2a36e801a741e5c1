package kernels

import "moegen/ir"

var embedding = &Kernel{
	Name: "host.Embedding", Op: "embedding",
	Call: func(l *ir.Launch) []Arg {
		y := dims(l.Out[0])
		return args(pool, y[0], y[1], in(0), in(1), out(0))
	},
}

var embeddingGrad = &Kernel{
	Name: "host.EmbeddingGrad", Op: "embedding_grad",
	Shares: [][2]int{{0, 2}},
	Call: func(l *ir.Launch) []Arg {
		dy := dims(l.In[1])
		return args(pool, dy[0], dy[1], l.Attrs.Int("vocab"), l.Attrs.Int("padding"), in(0), in(1), accumulate(l, 2), out(0))
	},
}

var add = &Kernel{
	Name: "host.Add", Op: "add",
	Call: func(l *ir.Launch) []Arg { return args(pool, in(0), in(1), out(0)) },
}

var accumulateGrad = &Kernel{
	Name: "host.Accumulate", Op: "accumulate",
	Shares: [][2]int{{0, 1}},
	Call:   func(l *ir.Launch) []Arg { return args(pool, in(0), accumulate(l, 1), out(0)) },
}

var pack = &Kernel{
	Name: "host.ClearGaps", Op: "pack",
	Call: func(l *ir.Launch) []Arg {
		var lengths []int
		for _, b := range l.In {
			lengths = append(lengths, b.Type.Elements())
		}
		return args(l.Attrs.Int("unit"), lengths, out(0))
	},
}

var sliceRows = &Kernel{
	Name: "host.SliceRows", Op: "slice_rows",
	Call: func(l *ir.Launch) []Arg { return args(dims(l.Out[0])[1], in(1), in(0), out(0)) },
}

// The taps hand a value to whoever probes the program.

var tapF32 = &Kernel{
	Name: "host.Rank.TapF32", Op: "tap",
	Covers: func(n *ir.Node) bool { return n.In[0].Type.DType == ir.F32 },
	Call:   tapCall,
}

var tapI32 = &Kernel{
	Name: "host.Rank.TapI32", Op: "tap",
	Covers: func(n *ir.Node) bool { return n.In[0].Type.DType == ir.I32 },
	Call:   tapCall,
}

func tapCall(l *ir.Launch) []Arg {
	return args(rank, l.Attrs.Str("name"), differing("layer", l.Attrs.Int("layer")), in(0))
}
