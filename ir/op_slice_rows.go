package ir

// sliceRows takes `rows` consecutive rows; rows past the end of x are zero:
//
//	y[i] = x_TD[first_1 + i]
var sliceRows = &Op{
	Name:     "slice_rows",
	Operands: []string{"x", "first"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"rows", 0}},
	Infer: func(n *Node) ([]Type, error) {
		_, d, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		return []Type{Fixed(n.elem(0), n.Attrs.Int("rows"), d)}, n.want(1, Fixed(I32, 1))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		for i := range out[0].Type.Dim(0) {
			if from := in[1].Int(0) + i; from < in[0].Type.Dim(0) {
				copy(out[0].Row(i), in[0].Row(from))
			}
		}
	},
	Cost: func(n *Node) Cost {
		return Cost{Bytes: 2*n.Out[0].Type.Bytes() + n.In[1].Type.Bytes()}
	},
}

// SliceRows appends y = the given number of rows of x from row first_1 on.
func (b *Builder) SliceRows(name string, x, first *Value, rows int) *Value {
	return b.Op(sliceRows, name, Attrs{{"rows", rows}}, x, first)[0]
}
