package ir

import "fmt"

// groupedLinearSwiGLU is swiglu ∘ grouped_linear: the up projection of a token's experts and its activation, without the product
// standing anywhere:
//
//	a_RF[i] = silu(gate_RF[i]) · up_RF[i]     [gate | up][i] = x[i] · w_LWK[e]ᵀ, W = 2·F
//
// Operands are those of grouped_linear.
var groupedLinearSwiGLU = &Op{
	Name:     "grouped_linear_swiglu",
	Operands: []string{"x", "w", "offsets", "pairs?"},
	Results:  []string{"a"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		_, a, err := gatedProduct(n)
		return []Type{a}, err
	},
	Eval: func(n *Node, in, out []*Tensor) {
		gu, _, _ := gatedProduct(n)
		evalGated(n, in, NewTensor(gu), out[0])
	},
	Cost: groupedSwiGLUCost,
}

// groupedLinearSwiGLUKeep is groupedLinearSwiGLU with the product, which backward wants.
var groupedLinearSwiGLUKeep = &Op{
	Name:     "grouped_linear_swiglu_keep",
	Operands: []string{"x", "w", "offsets", "pairs?"},
	Results:  []string{"gu", "a"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		gu, a, err := gatedProduct(n)
		return []Type{gu, a}, err
	},
	Eval: func(n *Node, in, out []*Tensor) { evalGated(n, in, out[0], out[1]) },
	Cost: groupedSwiGLUCost,
}

// gatedProduct returns the types of the product and of its activation.
func gatedProduct(n *Node) (gu, a Type, err error) {
	types, err := groupedLinear.Infer(n)
	if err != nil {
		return Type{}, Type{}, err
	}
	gu = types[0]
	if gu.Dim(1)%2 != 0 {
		return Type{}, Type{}, fmt.Errorf("operand w has type %s, whose rows have no halves", n.In[1].Type)
	}
	return gu, Bounded(gu.DType, gu.Shape[0], gu.Dim(1)/2), nil
}

func evalGated(n *Node, in []*Tensor, gu, a *Tensor) {
	groupedLinear.Eval(n, in, []*Tensor{gu})
	swiglu.Eval(n, []*Tensor{gu, in[2]}, []*Tensor{a})
}

// groupedSwiGLUCost counts the product, and three operations for each element of a.
func groupedSwiGLUCost(n *Node) Cost {
	c := streamed(n)
	a := n.Out[len(n.Out)-1].Type.Expected()
	c.FLOPs = 4*a*int64(n.In[1].Type.Dim(2)) + 3*a
	return c
}

// groupedLinearDGradSwiGLU is swiglu_unpermute_grad ∘ grouped_linear_dgrad, the backward of unpermute ∘ grouped_linear ∘ swiglu
// for all but the weights of the down projection, without the gradient of the activation standing anywhere. With c = pairs_R[i],
// da = dy_TN[c/top_k] · down_LNF[e] and a = swiglu(gu_RW), W = 2·F:
//
//	dgu_RW[i] = swiglu_grad(w_TK[c] · da[i], gu[i])     aw_RF[i] = w_TK[c] · a[i]     dw_TK[c] = da[i] · a[i]
//
// dw is zero for choices without a row, which is what slots_TK says.
var groupedLinearDGradSwiGLU = &Op{
	Name:     "grouped_linear_dgrad_swiglu",
	Operands: []string{"dy", "down", "gu", "w", "offsets", "pairs", "slots"},
	Results:  []string{"dgu", "aw", "dw"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, f, err := halves(n, 2)
		if err != nil {
			return nil, err
		}
		t, d, err := rowMatrix(n, 0)
		if err != nil {
			return nil, err
		}
		l, out, in, err := experts(n, 1)
		if err == nil && (out != d || in != f) {
			err = fmt.Errorf("operand down has type %s; dy has %d columns, half of gu %d", n.In[1].Type, d, f)
		}
		if err != nil {
			return nil, err
		}
		k := n.Attrs.Int("top_k")
		if k < 1 {
			return nil, fmt.Errorf("top_k is %d", k)
		}
		a, w := Bounded(n.elem(0), r, f), Bounded(F32, t, k)
		gu := Bounded(n.elem(0), r, 2*f)
		return []Type{gu, a, w}, n.wantAll(n.In[0].Type, n.In[1].Type, gu, w, Fixed(I32, l+1), Bounded(I32, r), Bounded(I32, t, k))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		down, a := in[1], NewTensor(out[1].Type)
		swiglu.Eval(n, []*Tensor{in[2], in[4]}, []*Tensor{a})
		da := make([]float64, a.Type.Dim(1))
		eachRoutedRow(in[4], func(e, i int) {
			clear(da)
			for j, g := range gather(n, in[0], in[5], i) {
				axpy(g, down.Row(e*down.Type.Dim(1)+j), da)
			}
			c := in[5].Int(i)
			out[2].Data[c] = dot(da, a.Row(i))
			axpy(in[3].Data[c], a.Row(i), out[1].Row(i))
			swigluGradRow(in[2].Row(i), da, in[3].Data[c], out[0].Row(i))
		})
		poison(out[0], routed(in[4]))
		poison(out[1], routed(in[4]))
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		a := n.Out[1].Type.Expected()
		c.FLOPs = 2*a*int64(n.In[1].Type.Dim(1)) + 10*a
		return c
	},
	InPlace: [][2]int{{0, 2}},
}
