package ir

import "fmt"

// groupedLinear is one linear layer an expert, over the rows that a route gave it:
//
//	y_RN[i] = x[i] · w_LNK[e]ᵀ     for offsets[e] ≤ i < offsets[e+1]
//
// x[i] is row i of x_RK or, with pairs, token pairs_R[i]/top_k of x_TK. Without pairs top_k says nothing.
var groupedLinear = &Op{
	Name:     "grouped_linear",
	Operands: []string{"x", "w", "offsets", "pairs?"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, k, err := gathered(n, 0, 3)
		if err != nil {
			return nil, err
		}
		l, out, in, err := experts(n, 1)
		if err == nil && in != k {
			err = fmt.Errorf("operand x has %d columns, w %d", k, in)
		}
		if err != nil {
			return nil, err
		}
		return []Type{Bounded(n.elem(0), r, out)}, n.want(2, Fixed(I32, l+1))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		w, y := in[1], out[0]
		eachRoutedRow(in[2], func(e, i int) {
			for j := range y.Row(i) {
				y.Row(i)[j] = dot(gather(n, in[0], in[3], i), w.Row(e*w.Type.Dim(1)+j))
			}
		})
		poison(y, routed(in[2]))
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		x, w, offsets, pairs := n.In[0], n.In[1], n.In[2], n.In[3]
		plain := Attrs{{"top_k", 0}}
		dx := b.Op(groupedLinearDGrad, "d."+x.Name, plain, dy[0], w, offsets, nil)[0]
		if pairs != nil {
			dx = unpermuted(b, "d."+x.Name, n.Attrs, dx, offsets, pairs)
		}
		dw := b.Op(groupedLinearWGrad, "d."+w.Name, n.Attrs, dy[0], x, offsets, nil, pairs, nil, nil)[0]
		return []*Value{dx, dw, nil, nil}
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = 2 * n.Out[0].Type.Expected() * int64(n.In[1].Type.Dim(2))
		return c
	},
}

// groupedLinearDGrad is the gradient of grouped_linear's rows:
//
//	dx_RK[i] = dy[i] · w_LNK[e]     for offsets[e] ≤ i < offsets[e+1]
//
// dy[i] is row i of dy_RN or, with pairs, token pairs_R[i]/top_k of dy_TN.
var groupedLinearDGrad = &Op{
	Name:     "grouped_linear_dgrad",
	Operands: []string{"dy", "w", "offsets", "pairs?"},
	Results:  []string{"dx"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, width, err := gathered(n, 0, 3)
		if err != nil {
			return nil, err
		}
		l, out, in, err := experts(n, 1)
		if err == nil && out != width {
			err = fmt.Errorf("operand dy has %d columns, w %d rows", width, out)
		}
		if err != nil {
			return nil, err
		}
		return []Type{Bounded(n.elem(0), r, in)}, n.want(2, Fixed(I32, l+1))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		w, dx := in[1], out[0]
		eachRoutedRow(in[2], func(e, i int) {
			for j, g := range gather(n, in[0], in[3], i) {
				axpy(g, w.Row(e*w.Type.Dim(1)+j), dx.Row(i))
			}
		})
		poison(dx, routed(in[2]))
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = 2 * n.Out[0].Type.Expected() * int64(n.In[1].Type.Dim(1))
		return c
	},
}

// groupedLinearWGrad is the gradient of grouped_linear's weights, zero for an expert without rows:
//
//	dw_LNK[e] = Σ_{offsets[e] ≤ i < offsets[e+1]} dy[i]ᵀ · x[i]
//
// dy[i] and x[i] are rows or, with dy_pairs or x_pairs, gathered as in grouped_linear. With grad and record it
// adds into the accumulated gradient, as accumulate does.
var groupedLinearWGrad = &Op{
	Name:     "grouped_linear_wgrad",
	Operands: []string{"dy", "x", "offsets", "dy_pairs?", "x_pairs?", "grad?", "record?"},
	Results:  []string{"dw"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, out, err := gathered(n, 0, 3)
		if err != nil {
			return nil, err
		}
		rx, in, err := gathered(n, 1, 4)
		if err == nil && rx != r {
			err = fmt.Errorf("operands dy and x have different rows")
		}
		if err != nil {
			return nil, err
		}
		l, err := localExperts(n, 2)
		if err != nil {
			return nil, err
		}
		dw := Fixed(n.elem(0), l, out, in)
		if err := n.want(5, dw); err != nil {
			return nil, err
		}
		return []Type{dw}, n.want(6, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		dw := out[0]
		eachRoutedRow(in[2], func(e, i int) {
			for j, g := range gather(n, in[0], in[3], i) {
				axpy(g, gather(n, in[1], in[4], i), dw.Row(e*dw.Type.Dim(1)+j))
			}
		})
		accumulateInto(dw, in[5], in[6])
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		r, _, _ := gathered(n, 0, 3)
		c.FLOPs = 2 * Bounded(F32, r, n.Out[0].Type.Dim(1), n.Out[0].Type.Dim(2)).Expected()
		return c
	},
	InPlace: [][2]int{{0, 5}},
	Sums:    []Sum{{0, 5, 6}},
}

// GroupedLinear appends one linear layer an expert over routed rows.
func (b *Builder) GroupedLinear(name string, x, w, offsets *Value) *Value {
	return b.Op(groupedLinear, name, Attrs{{"top_k", 0}}, x, w, offsets, nil)[0]
}

// experts returns the extents of operand i, weights stacked by expert, [L, out, in].
func experts(n *Node, i int) (l, out, in int, err error) {
	t := n.In[i].Type
	if len(t.Shape) != 3 || t.DType != n.elem(0) || !t.Equal(Fixed(t.DType, t.Dim(0), t.Dim(1), t.Dim(2))) {
		return 0, 0, 0, fmt.Errorf("operand %s has type %s, want matrices of %s stacked by expert", n.Op.Operands[i], t, n.elem(0))
	}
	return t.Dim(0), t.Dim(1), t.Dim(2), nil
}

// gathered returns the extents of operand i as a matrix over routed rows: its own, or, where operand pairs is
// given, as many rows as there are pairs.
func gathered(n *Node, i, pairs int) (rows Dim, cols int, err error) {
	rows, cols, err = rowMatrix(n, i)
	if err != nil || n.In[pairs] == nil {
		return rows, cols, err
	}
	if k := n.Attrs.Int("top_k"); k < 1 {
		return rows, cols, fmt.Errorf("top_k is %d", k)
	}
	rows, err = indexVector(n, pairs)
	return rows, cols, err
}

// gather returns row i of x, through pairs where there are any.
func gather(n *Node, x, pairs *Tensor, i int) []float64 {
	if pairs != nil {
		i = pairs.Int(i) / n.Attrs.Int("top_k")
	}
	return x.Row(i)
}

// eachRoutedRow calls f for every expert and each of its rows.
func eachRoutedRow(offsets *Tensor, f func(e, i int)) {
	for e := range len(offsets.Data) - 1 {
		for i := offsets.Int(e); i < offsets.Int(e+1); i++ {
			f(e, i)
		}
	}
}
