package ir

// permute brings tokens into the order of a route, one row a choice:
//
//	y_RD[i] = x_TD[pairs_R[i] / top_k]     for i < offsets[L]
var permute = &Op{
	Name:     "permute",
	Operands: []string{"x", "offsets", "pairs"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"top_k", 0}},
	Infer: func(n *Node) ([]Type, error) {
		r, d, err := gathered(n, 0, 2)
		if err != nil {
			return nil, err
		}
		_, err = localExperts(n, 1)
		return []Type{Bounded(n.elem(0), r, d)}, err
	},
	Eval: func(n *Node, in, out []*Tensor) {
		x, y, rows := in[0], out[0], routed(in[1])
		for i := range rows {
			copy(y.Row(i), x.Row(in[2].Int(i)/n.Attrs.Int("top_k")))
		}
		poison(y, rows)
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		dx := unpermuted(b, "d."+n.In[0].Name, n.Attrs, dy[0], n.In[1], n.In[2])
		return []*Value{dx, nil, nil}
	},
	Cost:  streamed,
	Cheap: true,
}

// Permute appends y[i] = x[pairs[i]/topK].
func (b *Builder) Permute(name string, x, offsets, pairs *Value, topK int) *Value {
	return b.Op(permute, name, Attrs{{"top_k", topK}}, x, offsets, pairs)[0]
}

// unpermuted appends the transpose of permute: unpermute without weights.
func unpermuted(b *Builder, name string, attrs Attrs, x, offsets, pairs *Value) *Value {
	if pairs.Def == nil || pairs.Def.Op != route {
		panic("BUG: " + pairs.Name + " is permuted by but no route made it")
	}
	slots := pairs.Def.Out[2]
	return b.Op(unpermute, name, attrs, x, offsets, pairs, slots, nil, nil, nil)[0]
}
