package kernels

import "moegen/ir"

var ropeTable = &Kernel{
	Name: "host.RopeTable", Op: "rope_table",
	Call: func(l *ir.Launch) []Arg {
		frequencies := l.Attrs.Floats("inv_freq")
		return args(l.Attrs.Int("seq"), 2*len(frequencies), frequencies, l.Attrs.Float("scale"), out(0), out(1))
	},
}

var qkNormRope = &Kernel{
	Name: "host.QKNormRope", Op: "qk_norm_rope",
	Call: func(l *ir.Launch) []Arg {
		return args(append(headDims(l, 0), in(0), in(1), in(2), in(3), in(4), in(5), out(0))...)
	},
}

var qkNormRopeGrad = &Kernel{
	Name: "host.QKNormRopeGrad", Op: "qk_norm_rope_grad",
	Shares: [][2]int{{1, 7}, {2, 8}},
	// For every 16 tokens the partial gradients of both weights, and as much for the token at hand.
	Workspace: func(n *ir.Node) int {
		return 4 * blocks(n.In[1].Type.Dim(0), 16) * n.In[2].Type.Dim(0)
	},
	Call: func(l *ir.Launch) []Arg {
		return args(append(headDims(l, 1), in(0), in(1), in(2), in(3), in(4), in(5), in(6),
			accumulate(l, 7), out(0), out(1), out(2), workspace)...)
	},
}

// headDims are the leading arguments, with the packed heads, their two weights and the cosine table as
// operands from qkv on: pool, tokens, heads, kv heads, head dim, rotated dims, eps.
func headDims(l *ir.Launch, qkv int) []any {
	tokens := l.In[qkv].Type.Dim(0)
	head, rotated := l.In[qkv+1].Type.Dim(0), 2*l.In[qkv+3].Type.Dim(1)
	return []any{pool, tokens, l.Attrs.Int("heads"), l.Attrs.Int("kv_heads"), head, rotated, l.Attrs.Float("eps")}
}
