package ir

import "math"

// adamw is one step of AdamW (Loshchilov and Hutter 2019, as torch.optim.AdamW computes it), with g the clipped
// gradient, everything else from the record:
//
//	g = scale_1 · grad
//	m' = β1·m + (1−β1)·g     v' = β2·v + (1−β2)·g²
//	value' = value·(1 − lr·decay) − lr/bias1 · m' / (sqrt(v')/sqrt(bias2) + eps)
//
// A rank updates its own part of value and has grad, m and v for that part only, see Replicas: elsewhere value' is unspecified. Where
// value has one part these have its shape, where it has several, they are vectors of a share; what is left of m' and v' behind a
// short part is unspecified.
var adamw = &Op{
	Name:     "adamw",
	Operands: []string{"value", "grad", "m", "v", "scale", "record"},
	Results:  []string{"value", "m", "v"},
	Attrs:    Attrs{{"parts", 0}, {"stride", 0}},
	Infer: func(n *Node) ([]Type, error) {
		if err := n.checkReplicas(0); err != nil {
			return nil, err
		}
		t := floating(n.In[0].Type)
		share := n.replicas().shareOf(t.DType, t)
		return []Type{t, share, share}, n.wantAll(t, share, share, share, Fixed(F32, 1), recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		record := in[5].Data
		lr, beta1, beta2 := record[RecordLR], record[RecordBeta1], record[RecordBeta2]
		eachOwn(n, in[5], in[0], out, func(i, e int) {
			g := in[4].Data[0] * in[1].Data[i]
			m := beta1*in[2].Data[i] + (1-beta1)*g
			v := beta2*in[3].Data[i] + (1-beta2)*g*g
			update := m / (math.Sqrt(v)/math.Sqrt(record[RecordBias2]) + record[RecordEps])
			out[0].Data[e] = in[0].Data[e]*(1-lr*record[RecordDecay]) - lr/record[RecordBias1]*update
			out[1].Data[i], out[2].Data[i] = m, v
		})
	},
	Cost:    updateCost,
	InPlace: [][2]int{{0, 0}, {1, 2}, {2, 3}},
}

// eachOwn calls f for the elements of the rank's own part of value: number i of the part is element e of value. Before that all
// results are unspecified.
func eachOwn(n *Node, record, value *Tensor, out []*Tensor, f func(i, e int)) {
	for _, t := range out {
		unspecified(t)
	}
	first, end := ownPart(n, record, len(value.Data))
	for e := first; e < end; e++ {
		f(e-first, e)
	}
}

// updateCost is the cost of an optimizer: the rank's own part of every operand and result is moved.
func updateCost(n *Node) Cost {
	share := int64(n.replicas().shareOf(n.elem(0), n.In[0].Type).Elements())
	c := Cost{FLOPs: 14 * share}
	for _, v := range n.In[:len(n.In)-2] { // all but the clip factor and the record
		c.Bytes += share * v.Type.DType.Size()
	}
	for _, v := range n.Out {
		c.Bytes += share * v.Type.DType.Size()
	}
	return c
}

// ownPart returns which of n elements are the part of the rank whose record it is; it may be left out where there is but one part.
func ownPart(node *Node, record *Tensor, n int) (first, end int) {
	s := node.replicas()
	if s.Parts == 1 {
		return 0, n
	}
	return s.Own(s.Number(record.Int(RecordRank)), n)
}
