package kernels

import "moegen/ir"

var ropeTable = &Kernel{
	Name: "host.RopeTable", Op: "rope_table",
	Call: func(l *ir.Launch) []Arg {
		frequencies := l.Attrs.Floats("inv_freq")
		return args(l.Attrs.Int("seq"), 2*len(frequencies), frequencies, l.Attrs.Float("scale"), out(0), out(1))
	},
}

// One function normalises and rotates heads, another is its gradient; either half may be left out.

var qkNorm = &Kernel{
	Name: "host.QKNormRope", Op: "qk_norm",
	Call: func(l *ir.Launch) []Arg {
		return args(append(headDims(l, l.In[0], nil, l.Attrs.Float("eps")),
			in(0), in(1), in(2), none, none, none, out(0))...)
	},
}

var qkNormGrad = &Kernel{
	Name: "host.QKNormRopeGrad", Op: "qk_norm_grad",
	Workspace: func(n *ir.Node) int { return headWorkspace(n, n.In[1].Type) },
	Call: func(l *ir.Launch) []Arg {
		return args(append(headDims(l, l.In[1], nil, l.Attrs.Float("eps")),
			in(0), in(1), in(2), in(3), none, none, none, false, out(0), out(1), out(2), workspace)...)
	},
}

var rope = &Kernel{
	Name: "host.QKNormRope", Op: "rope",
	Call: func(l *ir.Launch) []Arg {
		return args(append(headDims(l, l.In[0], l.In[1], 0),
			in(0), none, none, in(1), in(2), in(3), out(0))...)
	},
}

// The rotation back needs no heads of the forward pass; where their place is, it gets those at hand.
var ropeGrad = &Kernel{
	Name: "host.QKNormRopeGrad", Op: "rope_grad",
	Workspace: func(n *ir.Node) int { return headWorkspace(n, n.In[0].Type) },
	Call: func(l *ir.Launch) []Arg {
		return args(append(headDims(l, l.In[0], l.In[1], 0),
			in(0), in(0), none, none, in(1), in(2), in(3), false, out(0), none, none, workspace)...)
	},
}

var qkNormRope = &Kernel{
	Name: "host.QKNormRope", Op: "qk_norm_rope",
	Call: func(l *ir.Launch) []Arg {
		return args(append(headDims(l, l.In[0], l.In[3], l.Attrs.Float("eps")),
			in(0), in(1), in(2), in(3), in(4), in(5), out(0))...)
	},
}

var qkNormRopeGrad = &Kernel{
	Name: "host.QKNormRopeGrad", Op: "qk_norm_rope_grad",
	Shares:    [][2]int{{1, 7}, {2, 8}},
	Workspace: func(n *ir.Node) int { return headWorkspace(n, n.In[1].Type) },
	Call: func(l *ir.Launch) []Arg {
		return args(append(headDims(l, l.In[1], l.In[4], l.Attrs.Float("eps")),
			in(0), in(1), in(2), in(3), in(4), in(5), in(6),
			accumulate(l, 7), out(0), out(1), out(2), workspace)...)
	},
}

// headDims are the leading arguments: pool, tokens, heads, kv heads, head dim, rotated dims, eps. cos is the
// cosine table, nil: nothing is rotated.
func headDims(l *ir.Launch, qkv, cos *ir.Buffer, eps float64) []any {
	rotated := 0
	if cos != nil {
		rotated = 2 * cos.Type.Dim(1)
	}
	heads, kv := l.Attrs.Int("heads"), l.Attrs.Int("kv_heads")
	d := dims(qkv)
	return []any{pool, d[0], heads, kv, d[1] / (heads + 2*kv), rotated, eps}
}

// headWorkspace is, for every 16 tokens, the partial gradients of both weights, and as much for the token at hand.
func headWorkspace(n *ir.Node, qkv ir.Type) int {
	head := qkv.Dim(1) / (n.Attrs.Int("heads") + 2*n.Attrs.Int("kv_heads"))
	return 4 * blocks(qkv.Dim(0), 16) * head
}
