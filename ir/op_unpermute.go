package ir

import "fmt"

// unpermute adds the rows of a route up, token by token, in the order of the token's choices:
//
//	y_TD[t] = (residual_TD[t] +) Σ_j w_TK[t,j] · x_RD[slots_TK[t,j]]
//
// Choices without a row (slots −1) are left out; without w every weight is 1. With tokens received from other
// ranks, count_1 says how many there are, and rows past it are unspecified; without count those rows hold what
// the formula says. offsets and pairs are there for the gradient.
var unpermute = &Op{
	Name:     "unpermute",
	Operands: []string{"x", "offsets", "pairs", "slots", "w?", "residual?", "count?"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, d, err := rowMatrix(n, 0)
		if err != nil {
			return nil, err
		}
		t, k, err := indexMatrix(n, 3)
		if err != nil {
			return nil, err
		}
		if k != n.Attrs.Int("top_k") {
			return nil, fmt.Errorf("operand slots has type %s, top_k is %d", n.In[3].Type, n.Attrs.Int("top_k"))
		}
		if _, err := localExperts(n, 1); err != nil {
			return nil, err
		}
		y := Bounded(n.elem(0), t, d)
		return []Type{y}, n.wantAll(n.In[0].Type, n.In[1].Type, Bounded(I32, r), n.In[3].Type,
			Bounded(F32, t, k), y, Fixed(I32, 1))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		x, slots, w, residual, y := in[0], in[3], in[4], in[5], out[0]
		rows := y.Type.Dim(0)
		if in[6] != nil {
			rows = in[6].Int(0)
		}
		for t := range rows {
			if residual != nil {
				copy(y.Row(t), residual.Row(t))
			}
			for j, slot := range slots.Row(t) {
				if slot >= 0 {
					axpy(weight(w, t, j), x.Row(int(slot)), y.Row(t))
				}
			}
		}
		poison(y, rows)
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		x, offsets, pairs, slots, w := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4]
		grads := make([]*Value, len(n.In))
		grads[0] = b.Op(unpermuteGrad, "d."+x.Name, n.Attrs, dy[0], w, offsets, pairs)[0]
		if w != nil {
			grads[4] = b.Op(unpermuteWGrad, "d."+w.Name, n.Attrs, dy[0], x, offsets, pairs, slots)[0]
		}
		if n.In[5] != nil {
			grads[5] = dy[0]
		}
		return grads
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = 2 * n.In[0].Type.Expected()
		return c
	},
	InPlace: [][2]int{{0, 5}},
}

// unpermuteGrad is the gradient of unpermute's rows:
//
//	dx_RD[i] = w_TK[pairs_R[i]] · dy_TD[pairs_R[i] / top_k]     for i < offsets[L]; without w weights are 1
var unpermuteGrad = &Op{
	Name:     "unpermute_grad",
	Operands: []string{"dy", "w?", "offsets", "pairs"},
	Results:  []string{"dx"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, d, err := gathered(n, 0, 3)
		if err != nil {
			return nil, err
		}
		if _, err := localExperts(n, 2); err != nil {
			return nil, err
		}
		t := n.In[0].Type.Shape[0]
		return []Type{Bounded(n.elem(0), r, d)}, n.want(1, Bounded(F32, t, n.Attrs.Int("top_k")))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		dy, w, rows, k := in[0], in[1], routed(in[2]), n.Attrs.Int("top_k")
		for i := range rows {
			c := in[3].Int(i)
			axpy(weight(w, c/k, c%k), dy.Row(c/k), out[0].Row(i))
		}
		poison(out[0], rows)
	},
	Cost: streamedFLOPs(1),
}

// unpermuteWGrad is the gradient of unpermute's weights, zero for choices without a row:
//
//	dw_TK[pairs_R[i]] = dy_TD[pairs_R[i] / top_k] · x_RD[i]     for i < offsets[L]
var unpermuteWGrad = &Op{
	Name:     "unpermute_wgrad",
	Operands: []string{"dy", "x", "offsets", "pairs", "slots"},
	Results:  []string{"dw"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, d, err := gathered(n, 0, 3)
		if err != nil {
			return nil, err
		}
		if _, err := localExperts(n, 2); err != nil {
			return nil, err
		}
		t, k := n.In[0].Type.Shape[0], n.Attrs.Int("top_k")
		return []Type{Bounded(F32, t, k)},
			n.wantAll(n.In[0].Type, Bounded(n.elem(0), r, d), n.In[2].Type, n.In[3].Type, Bounded(I32, t, k))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		for i := range routed(in[2]) {
			c := in[3].Int(i)
			out[0].Data[c] = dot(in[0].Row(c/n.Attrs.Int("top_k")), in[1].Row(i))
		}
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = 2 * n.In[1].Type.Expected()
		return c
	},
}

// Unpermute appends the weighted sum of a token's rows; w nil: weights 1.
func (b *Builder) Unpermute(name string, x, offsets, pairs, slots, w *Value) *Value {
	attrs := Attrs{{"top_k", slots.Type.Dim(1)}}
	return b.Op(unpermute, name, attrs, x, offsets, pairs, slots, w, nil, nil)[0]
}

// weight returns the weight of choice j of token t, 1 without weights.
func weight(w *Tensor, t, j int) float64 {
	if w == nil {
		return 1
	}
	return w.Row(t)[j]
}
