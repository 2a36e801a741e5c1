package ir

import "fmt"

// sumSquares adds up squares in float64: y_1 = (sum_1 or 0) + Σ x². All elements of x count.
var sumSquares = &Op{
	Name:     "sum_squares",
	Operands: []string{"x", "sum?"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		t := n.In[0].Type
		for _, d := range t.Shape {
			if d.Bounded {
				return nil, fmt.Errorf("operand x has type %s, want fixed dims", t)
			}
		}
		y := Fixed(F64, 1)
		return []Type{y}, n.wantAll(floating(t), y)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		out[0].Data[0] = at(in[1], 0) + dot(in[0].Data, in[0].Data)
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = 2 * n.In[0].Type.Expected()
		return c
	},
	InPlace: [][2]int{{0, 1}},
}
