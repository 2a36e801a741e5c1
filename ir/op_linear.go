package ir

import "fmt"

// linear is a dense layer, weights stored as on disk, [out, in]:
//
//	y_TN = x_TK · w_NKᵀ (+ bias_N) (+ residual_TN)
//
// Models leave residual out; the fuse pass fills it.
var linear = &Op{
	Name:     "linear",
	Operands: []string{"x", "w", "bias?", "residual?"},
	Results:  []string{"y"},
	Infer: func(n *Node) ([]Type, error) {
		t, k, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		out, _, err := matrix(n, 1)
		if err != nil {
			return nil, err
		}
		e := n.elem(0)
		y := Fixed(e, t, out)
		return []Type{y}, n.wantAll(n.In[0].Type, Fixed(e, out, k), Fixed(e, out), y)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		x, w, y := in[0], in[1], out[0]
		for t := range y.Type.Dim(0) {
			for j := range y.Row(t) {
				y.Row(t)[j] = dot(x.Row(t), w.Row(j)) + at(in[2], j) + at(in[3], t*y.Type.Dim(1)+j)
			}
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		dx := b.Op(linearDGrad, "d."+n.In[0].Name, nil, dy[0], n.In[1], nil)[0]
		dw := b.Op(linearWGrad, "d."+n.In[1].Name, nil, dy[0], n.In[0], nil, nil)[0]
		grads := []*Value{dx, dw, nil, nil}
		if n.In[2] != nil {
			grads[2] = b.Op(biasGrad, "d."+n.In[2].Name, nil, dy[0], nil, nil)[0]
		}
		if n.In[3] != nil {
			grads[3] = dy[0]
		}
		return grads
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = 2 * n.Out[0].Type.Expected() * int64(n.In[0].Type.Dim(1))
		return c
	},
	InPlace: [][2]int{{0, 3}},
}

// linearDGrad is the gradient of linear's input: dx_TK = dy_TN · w_NK (+ residual_TK).
var linearDGrad = &Op{
	Name:     "linear_dgrad",
	Operands: []string{"dy", "w", "residual?"},
	Results:  []string{"dx"},
	Infer: func(n *Node) ([]Type, error) {
		t, out, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		_, k, err := matrix(n, 1)
		if err != nil {
			return nil, err
		}
		e := n.elem(0)
		dx := Fixed(e, t, k)
		return []Type{dx}, n.wantAll(n.In[0].Type, Fixed(e, out, k), dx)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		dy, w, dx := in[0], in[1], out[0]
		for t := range dx.Type.Dim(0) {
			for j, g := range dy.Row(t) {
				axpy(g, w.Row(j), dx.Row(t))
			}
		}
		if in[2] != nil {
			axpy(1, in[2].Data, dx.Data)
		}
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = 2 * n.In[0].Type.Expected() * int64(n.Out[0].Type.Dim(1))
		return c
	},
	InPlace: [][2]int{{0, 2}},
}

// linearWGrad is the gradient of linear's weights: dw_NK = dy_TNᵀ · x_TK. With grad and record it adds into
// the accumulated gradient, as accumulate does.
var linearWGrad = &Op{
	Name:     "linear_wgrad",
	Operands: []string{"dy", "x", "grad?", "record?"},
	Results:  []string{"dw"},
	Infer: func(n *Node) ([]Type, error) {
		t, out, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		_, k, err := matrix(n, 1)
		if err != nil {
			return nil, err
		}
		e := n.elem(0)
		dw := Fixed(e, out, k)
		return []Type{dw}, n.wantAll(n.In[0].Type, Fixed(e, t, k), dw, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		dy, x, dw := in[0], in[1], out[0]
		for t := range dy.Type.Dim(0) {
			for j, g := range dy.Row(t) {
				axpy(g, x.Row(t), dw.Row(j))
			}
		}
		accumulateInto(dw, in[2], in[3])
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = 2 * n.In[0].Type.Expected() * int64(n.In[1].Type.Dim(1))
		return c
	},
	InPlace: [][2]int{{0, 2}},
	Sums:    []Sum{{0, 2, 3}},
}

// biasGrad is the gradient of linear's bias: db_N = Σ_t dy_TN, accumulated like linearWGrad.
var biasGrad = &Op{
	Name:     "bias_grad",
	Operands: []string{"dy", "grad?", "record?"},
	Results:  []string{"db"},
	Infer: func(n *Node) ([]Type, error) {
		_, out, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		db := Fixed(n.elem(0), out)
		return []Type{db}, n.wantAll(n.In[0].Type, db, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		for t := range in[0].Type.Dim(0) {
			axpy(1, in[0].Row(t), out[0].Data)
		}
		accumulateInto(out[0], in[1], in[2])
	},
	Cost:    streamed,
	InPlace: [][2]int{{0, 1}},
	Sums:    []Sum{{0, 1, 2}},
}

// Linear appends y = x · wᵀ (+ bias; nil: none).
func (b *Builder) Linear(name string, x, w, bias *Value) *Value {
	return b.Op(linear, name, nil, x, w, bias, nil)[0]
}

var recordType = Fixed(F32, RecordLen)

// matrix returns the two extents of operand i, an error if it is not a matrix of floats of fixed extents.
func matrix(n *Node, i int) (rows, cols int, err error) {
	r, cols, err := rowMatrix(n, i)
	if err == nil && r.Bounded {
		err = fmt.Errorf("operand %s has type %s, want fixed dims", n.Op.Operands[i], n.In[i].Type)
	}
	return r.N, cols, err
}

// rowMatrix returns the two extents of operand i, an error if it is not a matrix of floats; its rows may be
// bounded.
func rowMatrix(n *Node, i int) (rows Dim, cols int, err error) {
	t := n.In[i].Type
	if !t.DType.Float() || len(t.Shape) != 2 || t.Shape[1].Bounded {
		return Dim{}, 0, fmt.Errorf("operand %s has type %s, want a matrix of f32 or bf16", n.Op.Operands[i], t)
	}
	return t.Shape[0], t.Dim(1), nil
}

// accumulateInto adds the accumulated gradient to a fresh one, unless this is a step's first micro-batch.
func accumulateInto(fresh, grad, record *Tensor) {
	if grad != nil && record.Data[RecordAccumulate] != 0 {
		axpy(1, grad.Data, fresh.Data)
	}
}

func dot(a, b []float64) (sum float64) {
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// axpy adds s·x to y.
func axpy(s float64, x, y []float64) {
	for i, v := range x {
		y[i] += s * v
	}
}

// at returns element i of an optional operand, 0 when it is left out.
func at(t *Tensor, i int) float64 {
	if t == nil {
		return 0
	}
	return t.Data[i]
}
