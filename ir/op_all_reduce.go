package ir

import "fmt"

// allReduce adds a value up over all ranks, in rank order; every rank gets the same bits. Its cost is a ring's
// on many ranks: twice the value sent.
var allReduce = &Op{
	Name:     "all_reduce",
	Operands: []string{"x"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"ranks", 0}},
	Infer: func(n *Node) ([]Type, error) {
		t := n.In[0].Type
		if ranks := n.Attrs.Int("ranks"); ranks < 1 {
			return nil, fmt.Errorf("%d ranks", ranks)
		}
		if t.DType == I32 {
			return nil, fmt.Errorf("operand x has type %s, want floats", t)
		}
		return []Type{t}, nil
	},
	EvalRanks: func(n *Node, in, out [][]*Tensor) {
		for r := range out {
			for source := range in {
				axpy(1, in[source][0].Data, out[r][0].Data)
			}
		}
	},
	Cost: func(n *Node) Cost {
		c := streamedFLOPs(1)(n)
		c.Sent = 2 * n.In[0].Type.Bytes()
		return c
	},
	InPlace: [][2]int{{0, 0}},
}
