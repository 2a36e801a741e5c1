package ir

import (
	"fmt"
	"math"
)

// attention is causal grouped-query attention (Vaswani et al. 2017, Ainslie et al. 2023) inside each of `rows`
// rows of S = T/rows tokens. qkv_TQ holds the heads side by side: H query heads, G key heads, G value heads,
// P wide each; query head h uses key and value head h/(H/G). A query at s sees the keys j of its row with
// starts_T[t] ≤ j ≤ s, where starts counts from the beginning of the row (documents packed into one row):
//
//	score_j = scale · q_s·k_j     lse_TH = ln Σ_j exp(score_j)     o_T(HP) = Σ_j exp(score_j − lse) · v_j
var attention = &Op{
	Name:     "attention",
	Operands: []string{"qkv", "starts"},
	Results:  []string{"o", "lse"},
	Attrs:    Attrs{{"rows", 0}, {"heads", 0}, {"kv_heads", 0}, {"scale", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		q, err := attended(n, 0)
		if err != nil {
			return nil, err
		}
		types := []Type{Fixed(n.elem(0), q.tokens, q.heads*q.dim), Fixed(F32, q.tokens, q.heads)}
		return types, n.want(1, Fixed(I32, q.tokens))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		q, _ := packedQKV(n, 0)
		qkv, o, lse := in[0], out[0], out[1]
		q.eachQuery(n, in[1], func(t, h, first int) {
			k, v := q.heads+q.kvOf(h), q.heads+q.kvHeads+q.kvOf(h)
			score := make([]float64, t+1-first)
			top, sum := math.Inf(-1), 0.0
			for j := range score {
				score[j] = n.Attrs.Float("scale") * dot(q.head(qkv, t, h), q.head(qkv, first+j, k))
				top = max(top, score[j])
			}
			for _, s := range score {
				sum += math.Exp(s - top)
			}
			lse.Row(t)[h] = top + math.Log(sum)
			for j, s := range score {
				axpy(math.Exp(s-lse.Row(t)[h]), q.head(qkv, first+j, v), q.head(o, t, h))
			}
		})
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		dx := b.Op(attentionGrad, "d."+n.In[0].Name, n.Attrs, sole(n, dy, 0), n.In[0], n.Out[0], n.Out[1], n.In[1])[0]
		return []*Value{dx, nil}
	},
	Cost: func(n *Node) Cost { return attentionCost(n, n.Out[0], 2) },
}

// attentionGrad is the gradient of attention. With p_j = exp(score_j − lse) and δ = do_s·o_s:
//
//	dv_j += p_j · do_s     dscore_j = p_j · (do_s·v_j − δ)
//	dq_s += scale · Σ_j dscore_j · k_j     dk_j += scale · dscore_j · q_s
//
// Its cost counts these four products; the scores, which it computes again, are the forward's.
var attentionGrad = &Op{
	Name:     "attention_grad",
	Operands: []string{"do", "qkv", "o", "lse", "starts"},
	Results:  []string{"dqkv"},
	Attrs:    Attrs{{"rows", 0}, {"heads", 0}, {"kv_heads", 0}, {"scale", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		q, err := attended(n, 1)
		if err != nil {
			return nil, err
		}
		o, qkv := Fixed(n.elem(1), q.tokens, q.heads*q.dim), n.In[1].Type
		return []Type{qkv}, n.wantAll(o, qkv, o, Fixed(F32, q.tokens, q.heads), Fixed(I32, q.tokens))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		q, _ := packedQKV(n, 1)
		do, qkv, o, lse, d := in[0], in[1], in[2], in[3], out[0]
		scale := n.Attrs.Float("scale")
		q.eachQuery(n, in[4], func(t, h, first int) {
			k, v := q.heads+q.kvOf(h), q.heads+q.kvHeads+q.kvOf(h)
			delta := dot(q.head(do, t, h), q.head(o, t, h))
			for j := first; j <= t; j++ {
				p := math.Exp(scale*dot(q.head(qkv, t, h), q.head(qkv, j, k)) - lse.Row(t)[h])
				axpy(p, q.head(do, t, h), q.head(d, j, v))
				ds := p * (dot(q.head(do, t, h), q.head(qkv, j, v)) - delta)
				axpy(scale*ds, q.head(qkv, j, k), q.head(d, t, h))
				axpy(scale*ds, q.head(qkv, t, h), q.head(d, j, k))
			}
		})
	},
	Cost:    func(n *Node) Cost { return attentionCost(n, n.In[0], 4) },
	InPlace: [][2]int{{0, 1}},
}

// Attention appends causal attention and returns o; lse, which the gradient needs, stands beside it.
func (b *Builder) Attention(name string, qkv, starts *Value, rows, heads, kvHeads int, scale float64) *Value {
	attrs := Attrs{{"rows", rows}, {"heads", heads}, {"kv_heads", kvHeads}, {"scale", scale}}
	return b.Op(attention, name, attrs, qkv, starts)[0]
}

// attentionCost is the cost of `products` products over the (S+1)/2 keys that a query of a full row sees on
// average; o is the value as wide as all query heads.
func attentionCost(n *Node, o *Value, products int64) Cost {
	c := streamed(n)
	seq := int64(o.Type.Dim(0) / n.Attrs.Int("rows"))
	c.FLOPs = products * o.Type.Expected() * (seq + 1)
	return c
}

// packed is the layout of a packed projection: in each of `tokens` rows `heads` query heads, then kvHeads key
// heads, then kvHeads value heads, dim elements each.
type packed struct{ tokens, heads, kvHeads, dim int }

// packedQKV returns the layout of operand i, given by the attributes heads and kv_heads.
func packedQKV(n *Node, i int) (packed, error) {
	t, width, err := matrix(n, i)
	if err != nil {
		return packed{}, err
	}
	q := packed{tokens: t, heads: n.Attrs.Int("heads"), kvHeads: n.Attrs.Int("kv_heads")}
	if q.kvHeads < 1 || q.heads < 1 || q.heads%q.kvHeads != 0 {
		return q, fmt.Errorf("%d query heads are not a multiple of %d key heads", q.heads, q.kvHeads)
	}
	all := q.heads + 2*q.kvHeads
	if q.dim = width / all; q.dim*all != width || width == 0 {
		return q, fmt.Errorf("operand %s has %d columns, which %d heads do not share", n.Op.Operands[i], width, all)
	}
	return q, nil
}

// attended is packedQKV of an attention: the tokens must be whole rows.
func attended(n *Node, i int) (packed, error) {
	q, err := packedQKV(n, i)
	if rows := n.Attrs.Int("rows"); err == nil && (rows < 1 || q.tokens%rows != 0) {
		err = fmt.Errorf("operand %s: %d tokens are not %d rows", n.Op.Operands[i], q.tokens, rows)
	}
	return q, err
}

// head returns head h of token t of a tensor that begins each row with heads of this layout.
func (q packed) head(x *Tensor, t, h int) []float64 { return x.Row(t)[h*q.dim : (h+1)*q.dim] }

// kvOf returns the key and value head that query head h uses.
func (q packed) kvOf(h int) int { return h / (q.heads / q.kvHeads) }

// eachQuery calls f for every token and query head with the first token that the query sees.
func (q packed) eachQuery(n *Node, starts *Tensor, f func(t, h, first int)) {
	seq := q.tokens / n.Attrs.Int("rows")
	for t := range q.tokens {
		for h := range q.heads {
			f(t, h, t/seq*seq+starts.Int(t))
		}
	}
}
