package ir

// qkNormRope is rope after qk_norm.
var qkNormRope = &Op{
	Name:     "qk_norm_rope",
	Operands: []string{"qkv", "wq", "wk", "cos", "sin", "positions"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"heads", 0}, {"kv_heads", 0}, {"eps", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		types, err := qkNorm.Infer(n)
		if err != nil {
			return nil, err
		}
		q, _ := packedQKV(n, 0)
		return types, wantRotation(n, q, 3)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		q, _ := packedQKV(n, 0)
		normed := NewTensor(out[0].Type)
		qkNorm.Eval(n, in[:3], []*Tensor{normed})
		q.rotate(normed, out[0], in[3], in[4], in[5], 1)
	},
	Cost:  streamedFLOPs(7),
	Cheap: true,
}

// qkNormRopeGrad is the gradient of qk_norm_rope: rope_grad, then qk_norm_grad. With grad_q, grad_k and record
// the weight gradients add into the accumulated ones, as accumulate does.
var qkNormRopeGrad = &Op{
	Name:     "qk_norm_rope_grad",
	Operands: []string{"dy", "qkv", "wq", "wk", "cos", "sin", "positions", "grad_q?", "grad_k?", "record?"},
	Results:  []string{"dqkv", "dwq", "dwk"},
	Attrs:    Attrs{{"heads", 0}, {"kv_heads", 0}, {"eps", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		types, err := qkNormGrad.Infer(n)
		if err != nil {
			return nil, err
		}
		q, _ := packedQKV(n, 0)
		if err := wantRotation(n, q, 4); err != nil {
			return nil, err
		}
		for i, t := range []Type{types[1], types[2], recordType} {
			if err := n.want(7+i, t); err != nil {
				return nil, err
			}
		}
		return types, nil
	},
	Eval: func(n *Node, in, out []*Tensor) {
		q, _ := packedQKV(n, 0)
		normed := NewTensor(in[0].Type)
		q.rotate(in[0], normed, in[4], in[5], in[6], -1)
		qkNormGrad.Eval(n, []*Tensor{normed, in[1], in[2], in[3]}, out)
		accumulateInto(out[1], in[7], in[9])
		accumulateInto(out[2], in[8], in[9])
	},
	Cost:    streamedFLOPs(13),
	InPlace: [][2]int{{0, 0}, {1, 7}, {2, 8}},
	Sums:    []Sum{{1, 7, 9}, {2, 8, 9}},
}
