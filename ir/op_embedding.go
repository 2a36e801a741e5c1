package ir

// embedding looks rows of a table up:
//
//	y_TD[t] = table_VD[tokens_T[t]]
var embedding = &Op{
	Name:     "embedding",
	Operands: []string{"tokens", "table"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		t, err := indexVector(n, 0)
		if err != nil {
			return nil, err
		}
		_, d, err := matrix(n, 1)
		return []Type{Bounded(F32, t, d)}, err
	},
	Eval: func(n *Node, in, out []*Tensor) {
		for t := range in[0].Data {
			copy(out[0].Row(t), in[1].Row(in[0].Int(t)))
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		attrs := Attrs{{"vocab", n.In[1].Type.Dim(0)}}
		return []*Value{nil, b.Op(embeddingGrad, "d."+n.In[1].Name, attrs, n.In[0], dy[0], nil, nil)[0]}
	},
	Cost: func(n *Node) Cost {
		rows := n.Out[0].Type.Expected() * n.Out[0].Type.DType.Size() // the table is read where it is used
		return Cost{Bytes: 2*rows + n.In[0].Type.Expected()*n.In[0].Type.DType.Size()}
	},
	Cheap: true,
}

// embeddingGrad is the gradient of embedding's table, zero in the rows of tokens that do not occur:
//
//	dtable_VD[v] = Σ_{t: tokens[t] = v} dy_TD[t]
//
// With grad and record it adds into the accumulated gradient, as accumulate does.
var embeddingGrad = &Op{
	Name:     "embedding_grad",
	Operands: []string{"tokens", "dy", "grad?", "record?"},
	Results:  []string{"dtable"},
	Attrs:    Attrs{{"vocab", 0}},
	Infer: func(n *Node) ([]Type, error) {
		t, d, err := matrix(n, 1)
		if err != nil {
			return nil, err
		}
		table := Fixed(F32, n.Attrs.Int("vocab"), d)
		return []Type{table}, n.wantAll(Fixed(I32, t), n.In[1].Type, table, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		for t := range in[0].Data {
			axpy(1, in[1].Row(t), out[0].Row(in[0].Int(t)))
		}
		accumulateInto(out[0], in[2], in[3])
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = n.In[1].Type.Expected()
		return c
	},
	InPlace: [][2]int{{0, 2}},
}

// Embedding appends y = table[tokens].
func (b *Builder) Embedding(name string, tokens, table *Value) *Value {
	return b.Op(embedding, name, nil, tokens, table)[0]
}
