package ir

import "math"

// adamw is one step of AdamW (Loshchilov and Hutter 2019, as torch.optim.AdamW computes it), with g the clipped
// gradient, everything else from the record:
//
//	g = scale_1 · grad
//	m' = β1·m + (1−β1)·g     v' = β2·v + (1−β2)·g²
//	value' = value·(1 − lr·decay) − lr/bias1 · m' / (sqrt(v')/sqrt(bias2) + eps)
var adamw = &Op{
	Name:     "adamw",
	Operands: []string{"value", "grad", "m", "v", "scale", "record"},
	Results:  []string{"value", "m", "v"},
	Infer: func(n *Node) ([]Type, error) {
		t := floating(n.In[0].Type)
		return []Type{t, t, t}, n.wantAll(t, t, t, t, Fixed(F32, 1), recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		record := in[5].Data
		lr, beta1, beta2 := record[RecordLR], record[RecordBeta1], record[RecordBeta2]
		for i, x := range in[0].Data {
			g := in[4].Data[0] * in[1].Data[i]
			m := beta1*in[2].Data[i] + (1-beta1)*g
			v := beta2*in[3].Data[i] + (1-beta2)*g*g
			update := m / (math.Sqrt(v)/math.Sqrt(record[RecordBias2]) + record[RecordEps])
			out[0].Data[i] = x*(1-lr*record[RecordDecay]) - lr/record[RecordBias1]*update
			out[1].Data[i], out[2].Data[i] = m, v
		}
	},
	Cost:    streamedFLOPs(14),
	InPlace: [][2]int{{0, 0}, {1, 2}, {2, 3}},
}
