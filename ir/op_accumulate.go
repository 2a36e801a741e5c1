package ir

// accumulate adds the gradient of a micro-batch to what the step has accumulated so far, and overwrites it in
// the step's first micro-batch:
//
//	y = x + (record.accumulate ≠ 0 ? grad : 0)
var accumulate = &Op{
	Name:     "accumulate",
	Operands: []string{"x", "grad", "record"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		y := floating(n.In[0].Type)
		return []Type{y}, n.wantAll(y, y, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		axpy(1, in[0].Data, out[0].Data)
		accumulateInto(out[0], in[1], in[2])
	},
	Cost:    streamedFLOPs(1),
	InPlace: [][2]int{{0, 1}, {0, 0}},
	Sums:    []Sum{{0, 1, 2}},
}
