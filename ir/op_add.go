package ir

// add is the elementwise sum y = a + b of two values of one type.
var add = &Op{
	Name:     "add",
	Operands: []string{"a", "b"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		y := floating(n.In[0].Type)
		return []Type{y}, n.wantAll(y, y)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		axpy(1, in[0].Data, out[0].Data)
		axpy(1, in[1].Data, out[0].Data)
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		return []*Value{dy[0], dy[0]}
	},
	Cost:    streamedFLOPs(1),
	InPlace: [][2]int{{0, 0}, {0, 1}},
}

// Add appends y = a + b.
func (b *Builder) Add(name string, x, y *Value) *Value { return b.Op(add, name, nil, x, y)[0] }

// floating returns t, with float32 elements where its own are no floating-point ones of a model.
func floating(t Type) Type {
	if t.DType.Float() {
		return t
	}
	return Type{F32, t.Shape}
}
