package ir

import "fmt"

// The rows that a rank receives in forward are wanted again in backward. A pool keeps them: one array for all layers, filled
// from the front, whose use says how much of it is taken. Rows of a dispatch are kept all or not at all; what finds no room is
// dispatched again. So a pool for as many rows as are expected serves whatever the router does:
//
//	use_2[0]    rows of the pool that are taken
//	use_2[1]    dispatches that found no room
//	slot_1      first row in the pool of what a dispatch received, −1 where it found no room
//
// Every rank decides for itself.

// poolOpen is an empty pool.
var poolOpen = &Op{
	Name:    "pool_open",
	Results: []string{"pool", "use"},
	Attrs:   Attrs{{"rows", 0}, {"cols", 0}, {"dtype", ""}},
	Infer: func(n *Node) ([]Type, error) {
		d, err := ParseDType(n.Attrs.Str("dtype"))
		return []Type{Fixed(d, n.Attrs.Int("rows"), n.Attrs.Int("cols")), useType}, err
	},
	Eval: func(n *Node, in, out []*Tensor) { poison(out[0], 0) },
	Cost: func(n *Node) Cost { return Cost{Bytes: useType.Bytes()} },
}

// dispatchKeep is dispatch, and keeps what is received in a pool if there is room:
//
//	slot = use[0] where use[0] + received ≤ rows of the pool, else −1
//	pool_PD[slot + i] = y_SD[i]     for i < received, where slot ≥ 0
var dispatchKeep = &Op{
	Name:     "dispatch_keep",
	Operands: []string{"x", "source", "received", "position", "pool", "use"},
	Results:  []string{"y", "pool", "use", "slot"},
	Infer: func(n *Node) ([]Type, error) {
		types, err := dispatch.Infer(n)
		if err == nil {
			err = wantPool(n, 4, types[0], useType)
		}
		return append(types, n.In[4].Type, useType, Fixed(I32, 1)), err
	},
	EvalRanks: func(n *Node, in, out [][]*Tensor) {
		evalDispatch(n, in, out)
		for r := range out {
			received, taken, refused := in[r][2].Int(0), in[r][5].Int(0), in[r][5].Int(1)
			y, pool, slot := out[r][0], out[r][1], taken
			copy(pool.Data, in[r][4].Data)
			if taken+received <= pool.Type.Dim(0) {
				for i := range received {
					copy(pool.Row(taken+i), y.Row(i))
				}
				taken += received
			} else {
				slot, refused = -1, refused+1
			}
			out[r][2].Data = []float64{float64(taken), float64(refused)}
			out[r][3].Data[0] = float64(slot)
		}
	},
	Cost: func(n *Node) Cost {
		c := exchangeCost(n, n.Out[0], n.In[3])
		return Cost{Bytes: 3 * rowBytes(n.Out[0]), Sent: c.Sent}
	},
	InPlace: [][2]int{{1, 4}},
}

// dispatchRestore is the rows of a dispatch_keep once more, from the pool or, where the rank has no slot in it, from the ranks
// that have them. Costs assume the pool.
var dispatchRestore = &Op{
	Name:     "dispatch_restore",
	Operands: []string{"x", "source", "received", "position", "pool", "slot"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		types, err := dispatch.Infer(n)
		if err == nil {
			err = wantPool(n, 4, types[0], Fixed(I32, 1))
		}
		return types, err
	},
	EvalRanks: func(n *Node, in, out [][]*Tensor) {
		evalDispatch(n, in, out)
		for r := range out {
			if slot := in[r][5].Int(0); slot >= 0 {
				for i := range in[r][2].Int(0) {
					copy(out[r][0].Row(i), in[r][4].Row(slot+i))
				}
			}
		}
	},
	Cost: func(n *Node) Cost { return Cost{Bytes: 2 * rowBytes(n.Out[0])} },
}

// useType is how much of a pool is taken.
var useType = Fixed(I32, 2)

// wantPool checks a pool for rows, and the operand behind it, its use or a slot.
func wantPool(n *Node, i int, rows, behind Type) error {
	pool := n.In[i].Type
	if len(pool.Shape) != 2 || pool.Shape[0].Bounded || pool.DType != rows.DType || pool.Dim(1) != rows.Dim(1) {
		return fmt.Errorf("operand pool has type %s for rows of type %s", pool, rows)
	}
	return n.want(i+1, behind)
}

// rowBytes is how many bytes the rows have that are expected.
func rowBytes(rows *Value) int64 { return rows.Type.Expected() * rows.Type.DType.Size() }
