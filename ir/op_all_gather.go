package ir

// allGather gives every replica all parts of an array of which it has its own:
//
//	y[i] = x[i] of replica k     for i in part k
var allGather = &Op{
	Name:     "all_gather",
	Operands: []string{"x"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"parts", 0}, {"stride", 0}},
	Infer:    func(n *Node) ([]Type, error) { return []Type{n.In[0].Type}, n.checkArray() },
	EvalRanks: func(n *Node, in, out [][]*Tensor) {
		s := n.replicas()
		for r := range out {
			y := out[r][0].Data
			for k := range s.Parts {
				first, end := s.Own(k, len(y))
				copy(y[first:end], in[s.Rank(r, k)][0].Data[first:end])
			}
		}
	},
	Cost: func(n *Node) Cost {
		moved := sharedByOthers(n) * n.elem(0).Size()
		return Cost{Bytes: 2 * moved, Sent: moved}
	},
	InPlace: [][2]int{{0, 0}},
}
