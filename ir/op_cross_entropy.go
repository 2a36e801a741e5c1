package ir

import "math"

// crossEntropy is a rank's part of the loss: the sum over its targets times the step's norm, so that the sum
// over ranks and micro-batches is the mean over all target tokens. A negative target (−100) counts for
// nothing.
//
//	loss = record.loss_norm · Σ_{t: targets_T[t] ≥ 0} (ln Σ_V exp(logits_TV[t]) − logits_TV[t, targets_T[t]])
var crossEntropy = &Op{
	Name:     "cross_entropy",
	Operands: []string{"logits", "targets", "record"},
	Results:  []string{"loss"},
	Infer: func(n *Node) ([]Type, error) {
		t, _, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		return []Type{Fixed(F32, 1)}, n.wantAll(n.In[0].Type, Fixed(I32, t), recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		for t := range in[1].Data {
			if target := in[1].Int(t); target >= 0 {
				out[0].Data[0] -= in[2].Data[RecordLossNorm] * math.Log(softmax(in[0].Row(t))[target])
			}
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		return []*Value{b.Op(crossEntropyGrad, "d."+n.In[0].Name, nil, n.In[0], n.In[1], n.In[2])[0], nil, nil}
	},
	Loss: true,
	Cost: streamed,
}

// crossEntropyGrad is the gradient of cross_entropy, zero in rows without a target:
//
//	dlogits_TV[t] = record.loss_norm · (softmax_V(logits_TV[t]) − onehot(targets_T[t]))
var crossEntropyGrad = &Op{
	Name:     "cross_entropy_grad",
	Operands: []string{"logits", "targets", "record"},
	Results:  []string{"dlogits"},
	Infer: func(n *Node) ([]Type, error) {
		t, _, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		return []Type{n.In[0].Type}, n.wantAll(n.In[0].Type, Fixed(I32, t), recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		norm := in[2].Data[RecordLossNorm]
		for t := range in[1].Data {
			if target := in[1].Int(t); target >= 0 {
				axpy(norm, softmax(in[0].Row(t)), out[0].Row(t))
				out[0].Row(t)[target] -= norm
			}
		}
	},
	Cost:    streamed,
	InPlace: [][2]int{{0, 0}},
}

// CrossEntropy appends the loss of logits against targets.
func (b *Builder) CrossEntropy(name string, logits, targets *Value) *Value {
	return b.Op(crossEntropy, name, nil, logits, targets, b.Record())[0]
}
