package ir

import "math"

// qkNorm normalises every query and key head of a packed projection by its root mean square over the head dim
// (Hugging Face's Qwen3MoeAttention: q_norm and k_norm); values pass unchanged:
//
//	y_head = w_P · head / sqrt(mean_P(head²) + eps)     w = wq for query heads, wk for key heads
var qkNorm = &Op{
	Name:     "qk_norm",
	Operands: []string{"qkv", "wq", "wk"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"heads", 0}, {"kv_heads", 0}, {"eps", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		q, err := packedQKV(n, 0)
		if err != nil {
			return nil, err
		}
		w := Fixed(n.elem(0), q.dim)
		return []Type{n.In[0].Type}, n.wantAll(n.In[0].Type, w, w)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		q, _ := packedQKV(n, 0)
		copy(out[0].Data, in[0].Data)
		for t := range q.tokens {
			for h := range q.heads + q.kvHeads {
				w := in[q.weightOf(h)]
				head := q.head(in[0], t, h)
				rstd := 1 / math.Sqrt(dot(head, head)/float64(q.dim)+n.Attrs.Float("eps"))
				for j, v := range head {
					q.head(out[0], t, h)[j] = w.Data[j] * (v * rstd)
				}
			}
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		return b.Op(qkNormGrad, "d."+n.In[0].Name, n.Attrs, dy[0], n.In[0], n.In[1], n.In[2])
	},
	Cost:  streamedFLOPs(4),
	Cheap: true,
}

// qkNormGrad is the gradient of qk_norm: rms_norm_grad on every query and key head, weight gradients summed
// over tokens and heads.
var qkNormGrad = &Op{
	Name:     "qk_norm_grad",
	Operands: []string{"dy", "qkv", "wq", "wk"},
	Results:  []string{"dqkv", "dwq", "dwk"},
	Attrs:    Attrs{{"heads", 0}, {"kv_heads", 0}, {"eps", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		q, err := packedQKV(n, 0)
		if err != nil {
			return nil, err
		}
		qkv, w := n.In[0].Type, Fixed(n.elem(0), q.dim)
		return []Type{qkv, w, w}, n.wantAll(qkv, qkv, w, w)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		q, _ := packedQKV(n, 0)
		copy(out[0].Data, in[0].Data)
		for t := range q.tokens {
			for h := range q.heads + q.kvHeads {
				w, dw := in[1+q.weightOf(h)], out[q.weightOf(h)]
				x, dy, dx := q.head(in[1], t, h), q.head(in[0], t, h), q.head(out[0], t, h)
				rstd := 1 / math.Sqrt(dot(x, x)/float64(q.dim)+n.Attrs.Float("eps"))
				mean := 0.0
				for j, v := range x {
					mean += dy[j] * w.Data[j] * v * rstd / float64(q.dim)
					dw.Data[j] += dy[j] * v * rstd
				}
				for j, v := range x {
					dx[j] = rstd * (dy[j]*w.Data[j] - v*rstd*mean)
				}
			}
		}
	},
	Cost:    streamedFLOPs(10),
	InPlace: [][2]int{{0, 0}},
}

// QKNorm appends the normalisation of query and key heads.
func (b *Builder) QKNorm(name string, qkv, wq, wk *Value, heads, kvHeads int, eps float64) *Value {
	attrs := Attrs{{"heads", heads}, {"kv_heads", kvHeads}, {"eps", eps}}
	return b.Op(qkNorm, name, attrs, qkv, wq, wk)[0]
}

// weightOf returns the operand of qk_norm that scales head h: 1 for query heads, 2 for key heads.
func (q packed) weightOf(h int) int {
	if h < q.heads {
		return 1
	}
	return 2
}
