package ir

import "fmt"

// reduceScatter adds an array up over its replicas, in the order of their numbers, and leaves every one its own part:
//
//	y[i] = Σ_j x[i] of replica j     for i in the own part
//
// Elsewhere y is unspecified. See Replicas for what parts and stride mean. Every replica pulls its part from the others, so that
// it can be done in place: part k of x is read by replica k alone.
var reduceScatter = &Op{
	Name:     "reduce_scatter",
	Operands: []string{"x"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"parts", 0}, {"stride", 0}},
	Infer:    inferReplicated,
	EvalRanks: func(n *Node, in, out [][]*Tensor) {
		s := n.replicas()
		for r := range out {
			x, y := in[r][0].Data, out[r][0].Data
			first, end := s.Own(s.Number(r), len(x))
			unspecified(out[r][0])
			clear(y[first:end])
			for j := range s.Parts {
				axpy(1, in[s.Rank(r, j)][0].Data[first:end], y[first:end])
			}
		}
	},
	Cost: func(n *Node) Cost {
		others, size := sharedByOthers(n), n.elem(0).Size()
		read := int64(n.In[0].Type.Elements())
		return Cost{FLOPs: others, Bytes: (2*read - others) * size, Sent: others * size}
	},
	InPlace: [][2]int{{0, 0}},
}

// sharedByOthers returns how many elements of operand 0 are not the rank's own, where parts are equal.
func sharedByOthers(n *Node) int64 {
	parts := int64(n.Attrs.Int("parts"))
	return int64(n.In[0].Type.Elements()) * (parts - 1) / parts
}

func inferReplicated(n *Node) ([]Type, error) {
	if t := n.In[0].Type; t.DType == I32 || t.DType == I16 {
		return nil, fmt.Errorf("operand x has type %s, want floats", t)
	}
	return []Type{n.In[0].Type}, n.checkReplicas(0)
}
