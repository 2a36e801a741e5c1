package kernels

import "moegen/ir"

var attention = &Kernel{
	Name: "host.Attention", Op: "attention",
	Covers: func(n *ir.Node) bool { return packedAttention(n, n.In[0].Type).fits() },
	// Keys and values, packed.
	Workspace: func(n *ir.Node) int {
		p := packedAttention(n, n.In[0].Type)
		return p.blocks * 2 * p.packed
	},
	Call: func(l *ir.Launch) []Arg {
		return args(append(attentionDims(l, l.In[0]), in(0), in(1), out(0), out(1), workspace)...)
	},
}

var attentionGrad = &Kernel{
	Name: "host.AttentionGrad", Op: "attention_grad",
	Covers: func(n *ir.Node) bool { return packedAttention(n, n.In[1].Type).fits() },
	// Keys and values, packed, and their gradients; queries and gradients of outputs, packed, and the queries' gradients; two numbers a
	// query.
	Workspace: func(n *ir.Node) int {
		p := packedAttention(n, n.In[1].Type)
		return p.blocks*(3*p.packed+2*p.sums) + p.queries*(3*p.dim+2)
	},
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

// packed is how host's attention packs keys and values: heads and sequences in blocks of at most 128 keys, both
// dims of a block padded to lanes of 16.
type packed struct {
	blocks    int // of keys, in all rows and kv heads
	packed    int // elements of a block
	sums      int // elements of its gradient, whose rows of keys are a lane apart
	queries   int // in all rows and heads, padded
	keys, dim int // of a block, padded
}

const lane = 16

// fits reports whether a lane of queries, with scores, outputs and five numbers each, fits into a worker's
// scratch of 88 Ki elements: it does up to head dims of about 2600.
func (p packed) fits() bool { return lane*(2*p.dim+2*(p.keys+lane)+5) <= 88<<10 }

func packedAttention(n *ir.Node, qkv ir.Type) packed {
	rows, heads, kv := n.Attrs.Int("rows"), n.Attrs.Int("heads"), n.Attrs.Int("kv_heads")
	seq, dim := qkv.Dim(0)/rows, lane*blocks(qkv.Dim(1)/(heads+2*kv), lane)
	padded := lane * blocks(seq, lane)
	keys := min(128, padded)
	return packed{
		blocks: rows * kv * blocks(seq, keys), packed: dim * keys, sums: dim * (keys + lane),
		queries: rows * heads * padded, keys: keys, dim: dim,
	}
}
