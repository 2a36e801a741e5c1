package ir

import "errors"

// sumSquares adds up squares in float64: y_1 = (sum_1 or 0) + Σ x², over the rank's own part of x, see Replicas. The rank's
// number is in the record, which is needed only where x has several parts.
var sumSquares = &Op{
	Name:     "sum_squares",
	Operands: []string{"x", "sum?", "record?"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"parts", 0}, {"stride", 0}},
	Infer: func(n *Node) ([]Type, error) {
		if err := n.checkReplicas(0); err != nil {
			return nil, err
		}
		if n.In[2] == nil && n.replicas().Parts > 1 {
			return nil, errors.New("operand record? is missing, which says whose part of x counts")
		}
		y := Fixed(F64, 1)
		return []Type{y}, n.wantAll(floating(n.In[0].Type), y, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		first, end := ownPart(n, in[2], len(in[0].Data))
		x := in[0].Data[first:end]
		out[0].Data[0] = at(in[1], 0) + dot(x, x)
	},
	Cost: func(n *Node) Cost {
		elements := int64(n.replicas().shareOf(n.elem(0), n.In[0].Type).Elements())
		return Cost{FLOPs: 2 * elements, Bytes: elements * n.elem(0).Size()}
	},
	InPlace: [][2]int{{0, 1}},
}

// ownPart returns which of n elements are the part of the rank whose record it is; it may be left out where there is but one part.
func ownPart(node *Node, record *Tensor, n int) (first, end int) {
	s := node.replicas()
	if s.Parts == 1 {
		return 0, n
	}
	return s.Own(s.Number(record.Int(RecordRank)), n)
}
