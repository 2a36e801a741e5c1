package ir

import "fmt"

// combine adds up what the ranks of the own group that received a token made of it, in rank order; the transpose of dispatch:
//
//	y_TD[t] = (residual_TD[t] +) Σ_{d: position_TN[t,d] ≥ 0} x_SD[position_TN[t,d]] of rank d
//
// source and received are there for the gradient.
var combine = &Op{
	Name:     "combine",
	Operands: []string{"x", "position", "source", "received", "residual?"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		rows, d, err := rowMatrix(n, 0)
		if err != nil {
			return nil, err
		}
		s, err := planned(n, 2, 3, 1)
		if err == nil && rows != s {
			err = fmt.Errorf("operand x has type %s, source %s", n.In[0].Type, n.In[2].Type)
		}
		if err != nil {
			return nil, err
		}
		y := Fixed(n.elem(0), n.In[1].Type.Dim(0), d)
		return []Type{y}, n.want(4, y)
	},
	EvalRanks: func(n *Node, in, out [][]*Tensor) {
		for r := range out {
			y, group := out[r][0], groupOf(n.In[1], r)
			if in[r][4] != nil {
				copy(y.Data, in[r][4].Data)
			}
			for t := range y.Type.Dim(0) {
				for d, at := range in[r][1].Row(t) {
					if at >= 0 {
						axpy(1, in[group+d][0].Row(int(at)), y.Row(t))
					}
				}
			}
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		position, source, received := n.In[1], n.In[2], n.In[3]
		grads := make([]*Value, len(n.In))
		grads[0] = b.named("dispatch", "d."+n.In[0].Name, dy[0], source, received, position)
		if n.In[4] != nil {
			grads[4] = dy[0]
		}
		return grads
	},
	Cost: func(n *Node) Cost {
		c := exchangeCost(n, n.In[0], n.In[1])
		c.FLOPs = n.In[0].Type.Expected()
		return c
	},
	InPlace: [][2]int{{0, 4}},
}
