package ir

// sumSquares adds up squares in float64: y_1 = (sum_1 or 0) + Σ x².
var sumSquares = &Op{
	Name:     "sum_squares",
	Operands: []string{"x", "sum?"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		if err := n.checkFixed(0); err != nil {
			return nil, err
		}
		y := Fixed(F64, 1)
		return []Type{y}, n.wantAll(floating(n.In[0].Type), y)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		out[0].Data[0] = at(in[1], 0) + dot(in[0].Data, in[0].Data)
	},
	Cost: func(n *Node) Cost {
		elements := int64(n.In[0].Type.Elements())
		return Cost{FLOPs: 2 * elements, Bytes: elements * n.elem(0).Size()}
	},
	InPlace: [][2]int{{0, 1}},
}
