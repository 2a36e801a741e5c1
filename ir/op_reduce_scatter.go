package ir

import "fmt"

// reduceScatter adds arrays of gradients up over their replicas, in the order of their numbers, and leaves every one the sum of its own
// part, a share, onto what the step has accumulated there so far; in the step's first micro-batch it overwrites that:
//
//	y[i] = Σ_j x[first + i] of replica j + (record.accumulate ≠ 0 ? grad[i] : 0)     for i in the own part
//
// and 0 behind a short part. See Replicas for what parts, stride, shares and the own part are.
var reduceScatter = &Op{
	Name:     "reduce_scatter",
	Operands: []string{"x", "grad", "record"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"parts", 0}, {"stride", 0}},
	Infer: func(n *Node) ([]Type, error) {
		if err := n.checkArray(); err != nil {
			return nil, err
		}
		share := n.replicas().shareOf(n.elem(0), n.In[0].Type)
		return []Type{share}, n.wantAll(n.In[0].Type, share, recordType)
	},
	EvalRanks: func(n *Node, in, out [][]*Tensor) {
		s := n.replicas()
		for r := range out {
			y := out[r][0].Data
			first, end := s.Own(s.Number(r), len(in[r][0].Data))
			for j := range s.Parts {
				axpy(1, in[s.Rank(r, j)][0].Data[first:end], y[:end-first])
			}
			accumulateInto(&Tensor{Data: y[:end-first]}, &Tensor{Data: in[r][1].Data[:end-first]}, in[r][2])
		}
	},
	Cost: func(n *Node) Cost {
		others, size := sharedByOthers(n), n.elem(0).Size()
		read, share := int64(n.In[0].Type.Elements()), int64(n.Out[0].Type.Elements())
		return Cost{FLOPs: others + share, Bytes: (read + 2*share) * size, Sent: others * size}
	},
	InPlace: [][2]int{{0, 1}},
	Sums:    []Sum{{0, 1, 2}},
}

// sharedByOthers returns how many elements of operand 0 are not the rank's own, where parts are equal.
func sharedByOthers(n *Node) int64 {
	parts := int64(n.Attrs.Int("parts"))
	return int64(n.In[0].Type.Elements()) * (parts - 1) / parts
}

// checkArray returns an error unless operand 0 is an array of floats that replicas can hold.
func (n *Node) checkArray() error {
	if t := n.In[0].Type; t.DType == I32 || t.DType == I16 {
		return fmt.Errorf("operand x has type %s, want floats", t)
	}
	return n.checkReplicas(0)
}
