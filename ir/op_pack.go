package ir

import "fmt"

// pack lays arrays one behind the other in a flat one, each from a multiple of unit elements on, zeros between them and behind the
// last:
//
//	y[at_i + e] = x_i[e]     at_0 = 0, at_{i+1} = at_i + the elements of x_i, rounded up
//
// In a plan the operands are parts of the result: they are computed where they belong, and what is left is to clear the gaps.
var pack = &Op{
	Name:     "pack",
	Operands: []string{"x..."},
	Results:  []string{"y"},
	Attrs:    Attrs{{"unit", 0}},
	Infer: func(n *Node) ([]Type, error) {
		if unit := n.Attrs.Int("unit"); unit < 1 {
			return nil, fmt.Errorf("a unit of %d elements", unit)
		}
		if len(n.In) == 0 {
			return nil, fmt.Errorf("no operand to pack")
		}
		for i, v := range n.In {
			if err := n.checkFixed(i); err != nil {
				return nil, err
			}
			if !n.elem(i).Float() || n.elem(i) != n.elem(0) {
				return nil, fmt.Errorf("operand %d has type %s, want floats as operand 0, %s", i, v.Type, n.In[0].Type)
			}
		}
		_, elements := n.Packed()
		return []Type{Fixed(n.elem(0), elements)}, nil
	},
	Eval: func(n *Node, in, out []*Tensor) {
		at, _ := n.Packed()
		for i, x := range in {
			copy(out[0].Data[at[i]:], x.Data)
		}
	},
	Cost:  func(n *Node) Cost { return Cost{} },
	Cheap: true,
	Inside: func(n *Node) []int {
		at, _ := n.Packed()
		return at
	},
}

// Packed returns where the operands of a pack begin in its result, and how long that is, in elements.
func (n *Node) Packed() (at []int, elements int) {
	unit := n.Attrs.Int("unit")
	for _, v := range n.In {
		at = append(at, elements)
		elements += (v.Type.Elements() + unit - 1) / unit * unit
	}
	return at, elements
}
