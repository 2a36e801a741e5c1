package ir

// swigluUnpermuteGrad is the backward of unpermute ∘ grouped_linear ∘ swiglu at the activation in between.
// da_RF = dy[token]·w_down does not have the router's weights in it. With a = swiglu(gu) and c = pairs_R[i]:
//
//	dw_TK[c]  = da_RF[i] · a[i]               zero for choices without a row
//	aw_RF[i]  = w_TK[c] · a[i]                what the gradient of w_down multiplies with dy[token]
//	dgu_RW[i] = swiglu_grad(w_TK[c] · da[i], gu[i])
var swigluUnpermuteGrad = &Op{
	Name:     "swiglu_unpermute_grad",
	Operands: []string{"gu", "da", "w", "offsets", "pairs"},
	Results:  []string{"dgu", "aw", "dw"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, f, err := halves(n, 0)
		if err != nil {
			return nil, err
		}
		t, _, err := rowMatrix(n, 2)
		if err != nil {
			return nil, err
		}
		if _, err := localExperts(n, 3); err != nil {
			return nil, err
		}
		a, w := Bounded(n.elem(0), r, f), Bounded(F32, t, n.Attrs.Int("top_k"))
		return []Type{n.In[0].Type, a, w}, n.wantAll(n.In[0].Type, a, w, n.In[3].Type, Bounded(I32, r))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		gu, da, w, dgu, aw, dw := in[0], in[1], in[2], out[0], out[1], out[2]
		rows, a := routed(in[3]), NewTensor(da.Type)
		swiglu.Eval(n, []*Tensor{gu, in[3]}, []*Tensor{a})
		for i := range rows {
			c := in[4].Int(i)
			dw.Data[c] = dot(da.Row(i), a.Row(i))
			axpy(w.Data[c], a.Row(i), aw.Row(i))
			swigluGradRow(gu.Row(i), da.Row(i), w.Data[c], dgu.Row(i))
		}
		poison(dgu, rows)
		poison(aw, rows)
	},
	Cost:    streamedFLOPs(5),
	InPlace: [][2]int{{0, 0}, {1, 1}},
}
