package ir

import (
	"fmt"
	"math"
	"sort"
)

// router chooses experts (Hugging Face's Qwen3MoeTopKRouter): the top_k largest of p = softmax_E(logits_TE),
// in descending order, ties to the lowest index; their weights are p itself or, with renorm, p over its sum:
//
//	w_TK[t,j] = p[idx_TK[t,j]] (/ Σ_j p[idx[t,j]])
//
// With choice_TK the experts of a token are those of its row there, in that order, unless the row begins with −1.
var router = &Op{
	Name:     "router",
	Operands: []string{"logits", "choice?"},
	Results:  []string{"idx", "w"},
	Attrs:    Attrs{{"top_k", 0}, {"renorm", false}},
	Infer: func(n *Node) ([]Type, error) {
		t, e, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		k := n.Attrs.Int("top_k")
		if k < 1 || k > e {
			return nil, fmt.Errorf("top_k is %d of %d experts", k, e)
		}
		return []Type{Fixed(I32, t, k), Fixed(F32, t, k)}, n.want(1, Fixed(I32, t, k))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		idx, w := out[0], out[1]
		for t := range idx.Type.Dim(0) {
			p := softmax(in[0].Row(t))
			order := make([]int, len(p))
			for e := range order {
				order[e] = e
			}
			sort.SliceStable(order, func(i, j int) bool { return p[order[i]] > p[order[j]] })
			if choice := in[1]; choice != nil && choice.Row(t)[0] >= 0 {
				for j, e := range choice.Row(t) {
					order[j] = int(e)
				}
			}
			sum := 0.0
			for j := range idx.Row(t) {
				idx.Row(t)[j] = float64(order[j])
				w.Row(t)[j] = p[order[j]]
				sum += p[order[j]]
			}
			if n.Attrs.Bool("renorm") {
				for j := range w.Row(t) {
					w.Row(t)[j] /= sum
				}
			}
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		return append(b.Op(routerGrad, "d."+n.In[0].Name, n.Attrs, sole(n, dy, 1), n.In[0], n.Out[0]), nil)
	},
	Cost: streamed,
}

// routerGrad is the gradient of router's weights; the choice has none. With p = softmax(logits), Σ over the
// chosen experts:
//
//	dp[idx_j] = dw_j                                    without renorm
//	dp[idx_j] = (dw_j − Σ_i dw_i·w_i) / Σ_i p[idx_i]    with renorm
//	dlogits   = p · (dp − Σ_E dp·p)
var routerGrad = &Op{
	Name:     "router_grad",
	Operands: []string{"dw", "logits", "idx"},
	Results:  []string{"dlogits"},
	Attrs:    Attrs{{"top_k", 0}, {"renorm", false}},
	Infer: func(n *Node) ([]Type, error) {
		t, _, err := matrix(n, 1)
		if err != nil {
			return nil, err
		}
		k := n.Attrs.Int("top_k")
		return []Type{n.In[1].Type}, n.wantAll(Fixed(F32, t, k), n.In[1].Type, Fixed(I32, t, k))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		dw, logits, idx := in[0], in[1], in[2]
		for t := range logits.Type.Dim(0) {
			p := softmax(logits.Row(t))
			dp := make([]float64, len(p))
			sum, mean := 0.0, 0.0
			for j, e := range idx.Row(t) {
				sum += p[int(e)]
				mean += dw.Row(t)[j] * p[int(e)]
			}
			for j, e := range idx.Row(t) {
				dp[int(e)] = dw.Row(t)[j]
				if n.Attrs.Bool("renorm") {
					dp[int(e)] = (dw.Row(t)[j] - mean/sum) / sum
				}
			}
			softmaxGrad(p, dp, out[0].Row(t))
		}
	},
	Cost: streamed,
}

// Router appends the choice of topK experts a token: their indices and weights.
func (b *Builder) Router(name string, logits *Value, topK int, renorm bool) (idx, w *Value) {
	out := b.Op(router, name, Attrs{{"top_k", topK}, {"renorm", renorm}}, logits, nil)
	return out[0], out[1]
}

func softmax(x []float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = max(top, v)
	}
	p := make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(v - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// softmaxGrad adds to dx the gradient of p = softmax(x) under dp.
func softmaxGrad(p, dp, dx []float64) {
	mean := dot(p, dp)
	for i := range p {
		dx[i] += p[i] * (dp[i] - mean)
	}
}
