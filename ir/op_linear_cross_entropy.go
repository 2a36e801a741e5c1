package ir

import "fmt"

// linearCrossEntropy is the head of a model, linear and cross_entropy, with its gradients, and never has all
// logits at once:
//
//	logits_TV = x_TD · w_VDᵀ     loss = cross_entropy(logits)
//	dx_TD = dlogits_TV · w_VD    dw_VD = dlogits_TVᵀ · x_TD
//
// With grad dw adds into the accumulated gradient, as accumulate does.
var linearCrossEntropy = &Op{
	Name:     "linear_cross_entropy",
	Operands: []string{"x", "w", "targets", "record", "grad?"},
	Results:  []string{"loss", "dx", "dw"},
	Infer: func(n *Node) ([]Type, error) {
		if err := wantHead(n); err != nil {
			return nil, err
		}
		x, w := n.In[0].Type, n.In[1].Type
		return []Type{Fixed(F32, 1), x, w}, n.want(4, w)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		x, w, targets, record, dx, dw := in[0], in[1], in[2], in[3], out[1], out[2]
		logits := NewTensor(Fixed(F32, x.Type.Dim(0), w.Type.Dim(0)))
		dlogits := NewTensor(logits.Type)
		linear.Eval(n, []*Tensor{x, w, nil, nil}, []*Tensor{logits})
		crossEntropy.Eval(n, []*Tensor{logits, targets, record}, out[:1])
		crossEntropyGrad.Eval(n, []*Tensor{logits, targets, record}, []*Tensor{dlogits})
		linearDGrad.Eval(n, []*Tensor{dlogits, w, nil}, []*Tensor{dx})
		linearWGrad.Eval(n, []*Tensor{dlogits, x, in[4], record}, []*Tensor{dw})
	},
	Cost:    func(n *Node) Cost { return headCost(n, 3) },
	InPlace: [][2]int{{1, 0}, {2, 4}},
	Sums:    []Sum{{2, 4, 3}},
}

// linearCrossEntropyEval is the loss of linear_cross_entropy alone.
var linearCrossEntropyEval = &Op{
	Name:     "linear_cross_entropy_eval",
	Operands: []string{"x", "w", "targets", "record"},
	Results:  []string{"loss"},
	Infer:    func(n *Node) ([]Type, error) { return []Type{Fixed(F32, 1)}, wantHead(n) },
	Eval: func(n *Node, in, out []*Tensor) {
		logits := NewTensor(Fixed(F32, in[0].Type.Dim(0), in[1].Type.Dim(0)))
		linear.Eval(n, []*Tensor{in[0], in[1], nil, nil}, []*Tensor{logits})
		crossEntropy.Eval(n, []*Tensor{logits, in[2], in[3]}, out)
	},
	Cost: func(n *Node) Cost { return headCost(n, 1) },
}

// wantHead checks the operands x, w, targets and record.
func wantHead(n *Node) error {
	t, d, err := matrix(n, 0)
	if err != nil {
		return err
	}
	v, k, err := matrix(n, 1)
	if err != nil {
		return err
	}
	if k != d {
		return fmt.Errorf("operand w has type %s, want %d columns", n.In[1].Type, d)
	}
	return n.wantAll(n.In[0].Type, Fixed(n.elem(0), v, d), Fixed(I32, t), recordType)
}

// headCost is the cost of `products` products of the size of the logits'.
func headCost(n *Node, products int64) Cost {
	c := streamed(n)
	c.FLOPs = 2 * products * n.In[0].Type.Expected() * int64(n.In[1].Type.Dim(0))
	return c
}
