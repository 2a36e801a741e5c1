package ir

import "fmt"

// dispatch sends rows of tokens to the ranks that a dispatch_plan names, ranks of the own group:
//
//	y_SD[i] = x_TD[source_S[i] mod T] of rank source_S[i] / T     for i < received
//
// position is there for the gradient.
var dispatch = &Op{
	Name:     "dispatch",
	Operands: []string{"x", "source", "received", "position"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		t, d, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		s, err := planned(n, 1, 2, 3)
		if err == nil && n.In[3].Type.Dim(0) != t {
			err = fmt.Errorf("operand x has %d rows, position %d", t, n.In[3].Type.Dim(0))
		}
		return []Type{Bounded(n.elem(0), s, d)}, err
	},
	EvalRanks: evalDispatch,
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		source, received, position := n.In[1], n.In[2], n.In[3]
		return []*Value{b.named("combine", "d."+n.In[0].Name, dy[0], position, source, received, nil), nil, nil, nil}
	},
	Cost: func(n *Node) Cost { return exchangeCost(n, n.Out[0], n.In[3]) },
}

func evalDispatch(n *Node, in, out [][]*Tensor) {
	tokens := n.In[0].Type.Dim(0)
	for r := range out {
		received, group := in[r][2].Int(0), groupOf(n.In[3], r)
		for i := range received {
			from := in[r][1].Int(i)
			copy(out[r][0].Row(i), in[group+from/tokens][0].Row(from%tokens))
		}
		poison(out[r][0], received)
	}
}

// planned checks the results of a dispatch_plan among the operands and returns S.
func planned(n *Node, source, received, position int) (Dim, error) {
	s, err := indexVector(n, source)
	if err != nil {
		return s, err
	}
	t, ranks, err := indexMatrix(n, position)
	if err == nil && (!s.Bounded || t.Bounded || s.N != t.N*ranks) {
		err = fmt.Errorf("operand source has type %s, position %s", n.In[source].Type, n.In[position].Type)
	}
	if err != nil {
		return s, err
	}
	return s, n.want(received, Fixed(I32, 1))
}

// groupOf returns the first rank of the group of a rank, whose size position shows.
func groupOf(position *Value, rank int) int { return rank - rank%position.Type.Dim(1) }

// exchangeCost is the cost of moving the received rows; all but those from the rank itself cross over.
func exchangeCost(n *Node, rows, position *Value) Cost {
	c := streamed(n)
	ranks := int64(position.Type.Dim(1))
	c.Sent = rows.Type.Expected() * rows.Type.DType.Size() * (ranks - 1) / ranks
	return c
}
