package ir

import "fmt"

// route sorts the T·K choices of experts by expert, stably: which row of the routed activations belongs to
// which choice, and back. Choice c = t·K + j is entry j of token t; idx < 0 chooses no expert of this rank.
//
//	offsets_(L+1)[e]   first row of expert e; offsets[L] is the number of rows
//	pairs_R[i]         the choice behind row i
//	slots_TK[t,j]      the row of a choice, −1 if it has none
//
// With tokens received from other ranks (a bounded first dim of idx; idx is −1 past the count) R is bounded
// by min(K, L) rows a token, and `expected` says how many rows costs assume; else R = T·K and expected is 0.
var route = &Op{
	Name:     "route",
	Operands: []string{"idx"},
	Results:  []string{"offsets", "pairs", "slots"},
	Attrs:    Attrs{{"experts", 0}, {"expected", 0}},
	Infer: func(n *Node) ([]Type, error) {
		t, k, err := indexMatrix(n, 0)
		if err != nil {
			return nil, err
		}
		experts, expected := n.Attrs.Int("experts"), n.Attrs.Int("expected")
		if experts < 1 {
			return nil, fmt.Errorf("experts is %d", experts)
		}
		r := Dim{N: t.N * k}
		if t.Bounded {
			r = Dim{N: t.N * min(k, experts), Bounded: true, Expected: expected}
		}
		if expected < 0 || expected > r.N || !t.Bounded && expected != 0 {
			return nil, fmt.Errorf("expected is %d for idx of type %s", expected, n.In[0].Type)
		}
		return []Type{Fixed(I32, experts+1), Bounded(I32, r), n.In[0].Type}, nil
	},
	Eval: func(n *Node, in, out []*Tensor) {
		idx, offsets, pairs, slots := in[0], out[0], out[1], out[2]
		row := 0
		for c := range slots.Data {
			slots.Data[c] = -1
		}
		for e := range n.Attrs.Int("experts") {
			offsets.Data[e] = float64(row)
			for c := range idx.Data {
				if idx.Int(c) == e {
					pairs.Data[row], slots.Data[c] = float64(c), float64(row)
					row++
				}
			}
		}
		offsets.Data[len(offsets.Data)-1] = float64(row)
		poison(pairs, row)
	},
	Cost: streamed,
}

// Route appends the sort of choices by expert, for experts on this rank.
func (b *Builder) Route(name string, idx *Value, experts int) (offsets, pairs, slots *Value) {
	out := b.Op(route, name, Attrs{{"experts", experts}, {"expected", 0}}, idx)
	return out[0], out[1], out[2]
}

// indexMatrix returns the two extents of operand i, an error if it is not an int32 matrix; its rows may be
// bounded.
func indexMatrix(n *Node, i int) (rows Dim, cols int, err error) {
	t := n.In[i].Type
	if t.DType != I32 || len(t.Shape) != 2 || t.Shape[1].Bounded {
		return Dim{}, 0, fmt.Errorf("operand %s has type %s, want an int32 matrix", n.Op.Operands[i], t)
	}
	return t.Shape[0], t.Dim(1), nil
}

// indexVector returns the extent of operand i, an error if it is not an int32 vector; it may be bounded.
func indexVector(n *Node, i int) (Dim, error) {
	t := n.In[i].Type
	if t.DType != I32 || len(t.Shape) != 1 {
		return Dim{}, fmt.Errorf("operand %s has type %s, want an int32 vector", n.Op.Operands[i], t)
	}
	return t.Shape[0], nil
}

// localExperts returns L of operand i, the offsets_(L+1) that a route made.
func localExperts(n *Node, i int) (int, error) {
	d, err := indexVector(n, i)
	if err == nil && (d.Bounded || d.N < 2) {
		err = fmt.Errorf("operand %s has type %s, want one entry an expert and one more", n.Op.Operands[i], n.In[i].Type)
	}
	return d.N - 1, err
}

// routed returns how many rows a route found.
func routed(offsets *Tensor) int { return offsets.Int(len(offsets.Data) - 1) }
