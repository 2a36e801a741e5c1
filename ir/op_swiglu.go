package ir

import (
	"fmt"
	"math"
)

// swiglu is the gated activation of Shazeer 2020 on [gate | up] halves:
//
//	a_RF = silu(gate_RF) · up_RF     silu(z) = z / (1 + exp(−z))
//
// With the offsets of a route only rows before offsets[L] count; without, all rows.
var swiglu = &Op{
	Name:     "swiglu",
	Operands: []string{"gu", "offsets?"},
	Results:  []string{"a"},
	Infer: func(n *Node) ([]Type, error) {
		r, f, err := halves(n, 0)
		if err == nil {
			err = wantOffsets(n, 1)
		}
		return []Type{Bounded(n.elem(0), r, f)}, err
	},
	Eval: func(n *Node, in, out []*Tensor) {
		gu, a := in[0], out[0]
		f, rows := a.Type.Dim(1), present(a, in[1])
		for i := range rows {
			for j := range f {
				gate, up := gu.Row(i)[j], gu.Row(i)[f+j]
				a.Row(i)[j] = gate * sigmoid(gate) * up
			}
		}
		poison(a, rows)
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		return []*Value{b.Op(swigluGrad, "d."+n.In[0].Name, nil, dy[0], n.In[0], n.In[1])[0], nil}
	},
	Cost:  streamedFLOPs(3),
	Cheap: true,
}

// swigluGrad is the gradient of swiglu. With s = 1 / (1 + exp(−gate)):
//
//	dgate_RF = da · up · s · (1 + gate · (1 − s))     dup_RF = da · gate · s
var swigluGrad = &Op{
	Name:     "swiglu_grad",
	Operands: []string{"da", "gu", "offsets?"},
	Results:  []string{"dgu"},
	Infer: func(n *Node) ([]Type, error) {
		r, f, err := halves(n, 1)
		if err == nil {
			err = wantOffsets(n, 2)
		}
		if err != nil {
			return nil, err
		}
		return []Type{n.In[1].Type}, n.want(0, Bounded(n.elem(1), r, f))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		rows := present(in[0], in[2])
		for i := range rows {
			swigluGradRow(in[1].Row(i), in[0].Row(i), 1, out[0].Row(i))
		}
		poison(out[0], rows)
	},
	Cost:    streamedFLOPs(4),
	InPlace: [][2]int{{0, 1}},
}

// SwiGLU appends a = silu(gate) · up over the rows of a route, or over all rows when offsets is nil.
func (b *Builder) SwiGLU(name string, gu, offsets *Value) *Value {
	return b.Op(swiglu, name, nil, gu, offsets)[0]
}

// swigluGradRow writes to dgu the gradient of one row of swiglu under scale · da.
func swigluGradRow(gu, da []float64, scale float64, dgu []float64) {
	f := len(da)
	for j, g := range da {
		gate, up := gu[j], gu[f+j]
		s := sigmoid(gate)
		dgu[j] = scale * g * up * s * (1 + gate*(1-s))
		dgu[f+j] = scale * g * gate * s
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// halves returns the rows of operand i and the width of half a row.
func halves(n *Node, i int) (rows Dim, half int, err error) {
	rows, width, err := rowMatrix(n, i)
	if err == nil && width%2 != 0 {
		err = fmt.Errorf("operand %s has type %s, which has no halves", n.Op.Operands[i], n.In[i].Type)
	}
	return rows, width / 2, err
}

// wantOffsets checks optional offsets.
func wantOffsets(n *Node, i int) error {
	if n.In[i] == nil {
		return nil
	}
	_, err := localExperts(n, i)
	return err
}

// present returns how many rows of x exist: those of the route, or all without offsets.
func present(x, offsets *Tensor) int {
	if offsets == nil {
		return x.Type.Dim(0)
	}
	return routed(offsets)
}
