package ir

import "fmt"

// groupedLinearUnpermute is unpermute ∘ grouped_linear: the down projections of a token's experts, added up without
// standing anywhere row by row:
//
//	y_TN[t] = (residual_TN[t] +) Σ_j weights_TK[t,j] · (x_RF[i] · w_LNF[e]ᵀ)     with i = slots_TK[t,j], a row of expert e
//
// Choices without a row, missing weights and count are as in unpermute.
var groupedLinearUnpermute = &Op{
	Name:     "grouped_linear_unpermute",
	Operands: []string{"x", "w", "offsets", "slots", "weights?", "residual?", "count?"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		_, out, in, err := experts(n, 1)
		if err != nil {
			return nil, err
		}
		y, want, err := summed(n, in, out)
		if err != nil {
			return nil, err
		}
		t, k, _ := indexMatrix(n, 3)
		return []Type{y}, n.wantAll(append(want, Bounded(F32, t, k), y, Fixed(I32, 1))...)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		w, outs := in[1], in[1].Type.Dim(1)
		sumRows(in, out[0], in[4], in[5], in[6], func(e, i, j int) float64 {
			return dot(in[0].Row(i), w.Row(e*outs+j))
		})
	},
	Cost:    groupedUnpermuteCost,
	InPlace: [][2]int{{0, 5}},
}

// groupedLinearDGradUnpermute is unpermute ∘ grouped_linear_dgrad, the gradient of tokens that were gathered for
// their experts:
//
//	dx_TF[t] = (residual_TF[t] +) Σ_j dy_RN[i] · w_LNF[e]     with i = slots_TK[t,j], a row of expert e
var groupedLinearDGradUnpermute = &Op{
	Name:     "grouped_linear_dgrad_unpermute",
	Operands: []string{"dy", "w", "offsets", "slots", "residual?", "count?"},
	Results:  []string{"dx"},
	Infer: func(n *Node) ([]Type, error) {
		_, out, in, err := experts(n, 1)
		if err != nil {
			return nil, err
		}
		dx, want, err := summed(n, out, in)
		if err != nil {
			return nil, err
		}
		return []Type{dx}, n.wantAll(append(want, dx, Fixed(I32, 1))...)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		w, outs := in[1], in[1].Type.Dim(1)
		sumRows(in, out[0], nil, in[4], in[5], func(e, i, j int) float64 {
			sum := 0.0
			for o, g := range in[0].Row(i) {
				sum += g * w.Row(e*outs + o)[j]
			}
			return sum
		})
	},
	Cost:    groupedUnpermuteCost,
	InPlace: [][2]int{{0, 4}},
}

// summed returns the type of rows that a grouped product from `in` to `out` columns adds up for the tokens behind
// slots, operand 3, and the types that operands 0 to 3 must have.
func summed(n *Node, in, out int) (Type, []Type, error) {
	_, cols, err := rowMatrix(n, 0)
	if err == nil && cols != in {
		err = fmt.Errorf("operand %s has %d columns, w wants %d", n.Op.Operands[0], cols, in)
	}
	if err != nil {
		return Type{}, nil, err
	}
	t, _, err := indexMatrix(n, 3)
	if err != nil {
		return Type{}, nil, err
	}
	l := n.In[1].Type.Dim(0)
	return Bounded(n.elem(0), t, out), []Type{n.In[0].Type, n.In[1].Type, Fixed(I32, l+1), n.In[3].Type}, nil
}

// sumRows adds up, for every token, the rows behind its slots; element is column j of row i, of expert e.
func sumRows(in []*Tensor, y, weights, residual, count *Tensor, element func(e, i, j int) float64) {
	tokens, expert := y.Type.Dim(0), map[int]int{}
	if count != nil {
		tokens = count.Int(0)
	}
	eachRoutedRow(in[2], func(e, i int) { expert[i] = e })
	for t := range tokens {
		if residual != nil {
			copy(y.Row(t), residual.Row(t))
		}
		for c, slot := range in[3].Row(t) {
			if slot < 0 {
				continue
			}
			for j := range y.Row(t) {
				y.Row(t)[j] += weight(weights, t, c) * element(expert[int(slot)], int(slot), j)
			}
		}
	}
	poison(y, tokens)
}

// groupedUnpermuteCost counts the product, and two operations for each element added to its token.
func groupedUnpermuteCost(n *Node) Cost {
	c := streamed(n)
	r := n.In[0].Type.Shape[0]
	in, out := n.In[0].Type.Dim(1), n.Out[0].Type.Dim(1)
	c.FLOPs = 2*Bounded(F32, r, out).Expected()*int64(in) + 2*Bounded(F32, r, out).Expected()
	return c
}
