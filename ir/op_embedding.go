package ir

import "fmt"

// embedding looks rows of a table up:
//
//	y_TD[t] = table_VD[tokens_T[t]]
//
// The row of the token padding (−1: none) is looked up like any other but gets no gradient (PyTorch's
// nn.Embedding with padding_idx).
var embedding = &Op{
	Name:     "embedding",
	Operands: []string{"tokens", "table"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"padding", 0}},
	Infer: func(n *Node) ([]Type, error) {
		t, err := indexVector(n, 0)
		if err != nil {
			return nil, err
		}
		v, d, err := matrix(n, 1)
		if err != nil {
			return nil, err
		}
		return []Type{Bounded(n.elem(1), t, d)}, wantPadding(n, v)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		for t := range in[0].Data {
			copy(out[0].Row(t), in[1].Row(in[0].Int(t)))
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		attrs := Attrs{{"vocab", n.In[1].Type.Dim(0)}, {"padding", n.Attrs.Int("padding")}}
		return []*Value{nil, b.Op(embeddingGrad, "d."+n.In[1].Name, attrs, n.In[0], dy[0], nil, nil)[0]}
	},
	Cost: func(n *Node) Cost {
		rows := n.Out[0].Type.Expected() * n.Out[0].Type.DType.Size() // the table is read where it is used
		return Cost{Bytes: 2*rows + n.In[0].Type.Expected()*n.In[0].Type.DType.Size()}
	},
	Cheap: true,
}

// embeddingGrad is the gradient of embedding's table, zero in the rows of tokens that do not occur and in that of
// the token padding (−1: none):
//
//	dtable_VD[v] = Σ_{t: tokens[t] = v} dy_TD[t]     for v ≠ padding
//
// With grad and record it adds into the accumulated gradient, as accumulate does.
var embeddingGrad = &Op{
	Name:     "embedding_grad",
	Operands: []string{"tokens", "dy", "grad?", "record?"},
	Results:  []string{"dtable"},
	Attrs:    Attrs{{"vocab", 0}, {"padding", 0}},
	Infer: func(n *Node) ([]Type, error) {
		t, d, err := matrix(n, 1)
		if err != nil {
			return nil, err
		}
		table := Fixed(n.elem(1), n.Attrs.Int("vocab"), d)
		if err := wantPadding(n, table.Dim(0)); err != nil {
			return nil, err
		}
		return []Type{table}, n.wantAll(Fixed(I32, t), n.In[1].Type, table, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		for t := range in[0].Data {
			if token := in[0].Int(t); token != n.Attrs.Int("padding") {
				axpy(1, in[1].Row(t), out[0].Row(token))
			}
		}
		accumulateInto(out[0], in[2], in[3])
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = n.In[1].Type.Expected()
		return c
	},
	InPlace: [][2]int{{0, 2}},
	Sums:    []Sum{{0, 2, 3}},
}

// Embedding appends y = table[tokens]; the row padding of the table gets no gradient (−1: all do).
func (b *Builder) Embedding(name string, tokens, table *Value, padding int) *Value {
	return b.Op(embedding, name, Attrs{{"padding", padding}}, tokens, table)[0]
}

// wantPadding checks that padding is a token of the vocabulary, or −1.
func wantPadding(n *Node, vocab int) error {
	if p := n.Attrs.Int("padding"); p < -1 || p >= vocab {
		return fmt.Errorf("padding is %d of %d tokens", p, vocab)
	}
	return nil
}
