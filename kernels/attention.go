package kernels

import "moegen/ir"

var attention = &Kernel{
	Name: "host.Attention", Op: "attention", Family: Attention,
	Call: func(l *ir.Launch) []Arg {
		return args(append(attentionDims(l, l.In[0]), in(0), in(1), out(0), out(1), workspace)...)
	},
}

var attentionGrad = &Kernel{
	Name: "host.AttentionGrad", Op: "attention_grad", Family: Attention,
	Call: func(l *ir.Launch) []Arg {
		return args(append(attentionDims(l, l.In[1]), in(1), in(2), in(3), in(0), in(4), out(0), workspace)...)
	},
}

// attentionDims are the leading arguments: pool, rows, tokens of a row, heads, kv heads, head dim, scale.
func attentionDims(l *ir.Launch, qkv *ir.Buffer) []any {
	rows, heads, kv := l.Attrs.Int("rows"), l.Attrs.Int("heads"), l.Attrs.Int("kv_heads")
	d := dims(qkv)
	return []any{pool, rows, d[0] / rows, heads, kv, d[1] / (heads + 2*kv), l.Attrs.Float("scale")}
}
