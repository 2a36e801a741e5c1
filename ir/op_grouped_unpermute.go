package ir

import "fmt"

// groupedLinearUnpermute is unpermute ∘ grouped_linear: the down projections of a token's experts, added up without
// standing anywhere row by row:
//
//	y_TN[t] = (residual_TN[t] +) Σ_i weights_TK[pairs_R[i]] · (x_RF[i] · w_LNF[e]ᵀ)     over the rows i of token t, i of expert e
//
// Row i is of token pairs_R[i]/K; without weights every weight is 1. slots says how many tokens there are, and with
// tokens received from other ranks count_1 how many of them exist, as in unpermute.
var groupedLinearUnpermute = &Op{
	Name:     "grouped_linear_unpermute",
	Operands: []string{"x", "w", "offsets", "pairs", "slots", "weights?", "residual?", "count?"},
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
		t, k, _ := indexMatrix(n, 4)
		return []Type{y}, n.wantAll(append(want, Bounded(F32, t, k), y, Fixed(I32, 1))...)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		w, outs := in[1], in[1].Type.Dim(1)
		sumRows(n, in, out[0], in[5], in[6], in[7], func(e, i, j int) float64 {
			return dot(in[0].Row(i), w.Row(e*outs+j))
		})
	},
	Cost:    groupedUnpermuteCost,
	InPlace: [][2]int{{0, 6}},
}

// groupedLinearDGradUnpermute is unpermute ∘ grouped_linear_dgrad, the gradient of tokens that were gathered for
// their experts:
//
//	dx_TF[t] = (residual_TF[t] +) Σ_i dy_RN[i] · w_LNF[e]     over the rows i of token t, i of expert e
var groupedLinearDGradUnpermute = &Op{
	Name:     "grouped_linear_dgrad_unpermute",
	Operands: []string{"dy", "w", "offsets", "pairs", "slots", "residual?", "count?"},
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
		sumRows(n, in, out[0], nil, in[5], in[6], func(e, i, j int) float64 {
			sum := 0.0
			for o, g := range in[0].Row(i) {
				sum += g * w.Row(e*outs + o)[j]
			}
			return sum
		})
	},
	Cost:    groupedUnpermuteCost,
	InPlace: [][2]int{{0, 5}},
}

// summed returns the type of rows that a grouped product from `in` to `out` columns adds up for the tokens behind
// slots, operand 4, and the types that operands 0 to 4 must have.
func summed(n *Node, in, out int) (Type, []Type, error) {
	r, cols, err := rowMatrix(n, 0)
	if err == nil && cols != in {
		err = fmt.Errorf("operand %s has %d columns, w wants %d", n.Op.Operands[0], cols, in)
	}
	if err != nil {
		return Type{}, nil, err
	}
	t, _, err := indexMatrix(n, 4)
	if err != nil {
		return Type{}, nil, err
	}
	l := n.In[1].Type.Dim(0)
	return Bounded(F32, t, out),
		[]Type{n.In[0].Type, n.In[1].Type, Fixed(I32, l+1), Bounded(I32, r), n.In[4].Type}, nil
}

// sumRows adds element (e, i, j) of every routed row i to its token, behind the residual.
func sumRows(n *Node, in []*Tensor, y, weights, residual, count *Tensor, element func(e, i, j int) float64) {
	tokens, k := y.Type.Dim(0), in[4].Type.Dim(1)
	if count != nil {
		tokens = count.Int(0)
	}
	if residual != nil {
		copy(y.Data, residual.Data)
	}
	eachRoutedRow(in[2], func(e, i int) {
		c := in[3].Int(i)
		for j := range y.Row(c / k) {
			y.Row(c / k)[j] += weight(weights, c/k, c%k) * element(e, i, j)
		}
	})
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
