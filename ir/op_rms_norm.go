package ir

import "math"

// rmsNorm normalises every row by its root mean square (Zhang and Sennrich 2019; Hugging Face's
// Qwen3MoeRMSNorm):
//
//	rstd_T = 1 / sqrt(mean_D(x²) + eps)
//	y_TD   = w_D · (x_TD · rstd_T)
var rmsNorm = &Op{
	Name:     "rms_norm",
	Operands: []string{"x", "w"},
	Results:  []string{"y", "rstd"},
	Attrs:    Attrs{{"eps", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		t, d, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		return []Type{Fixed(n.elem(0), t, d), Fixed(F32, t)}, n.want(1, Fixed(n.elem(0), d))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		x, w, y, rstd := in[0], in[1], out[0], out[1]
		for t := range x.Type.Dim(0) {
			row := x.Row(t)
			rstd.Data[t] = 1 / math.Sqrt(dot(row, row)/float64(len(row))+n.Attrs.Float("eps"))
			for j, v := range row {
				y.Row(t)[j] = w.Data[j] * (v * rstd.Data[t])
			}
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		return b.Op(rmsNormGrad, "d."+n.In[0].Name, nil, sole(n, dy, 0), n.In[0], n.In[1], n.Out[1], nil, nil, nil)
	},
	Cost:  streamedFLOPs(4),
	Cheap: true,
}

// rmsNormGrad is the gradient of rms_norm. With x̂ = x·rstd and g = dy·w:
//
//	dx_TD = rstd · (g − x̂ · mean_D(g·x̂)) (+ residual_TD)
//	dw_D  = Σ_t dy · x̂
//
// With grad and record dw adds into the accumulated gradient, as accumulate does.
var rmsNormGrad = &Op{
	Name:     "rms_norm_grad",
	Operands: []string{"dy", "x", "w", "rstd", "residual?", "grad?", "record?"},
	Results:  []string{"dx", "dw"},
	Infer: func(n *Node) ([]Type, error) {
		t, d, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		x, w := Fixed(n.elem(0), t, d), Fixed(n.elem(0), d)
		return []Type{x, w}, n.wantAll(x, x, w, Fixed(F32, t), x, w, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		dy, x, w, rstd, dx, dw := in[0], in[1], in[2], in[3], out[0], out[1]
		d := x.Type.Dim(1)
		for t := range x.Type.Dim(0) {
			mean := 0.0
			for j := range d {
				hat := x.Row(t)[j] * rstd.Data[t]
				mean += dy.Row(t)[j] * w.Data[j] * hat / float64(d)
				dw.Data[j] += dy.Row(t)[j] * hat
			}
			for j := range d {
				hat := x.Row(t)[j] * rstd.Data[t]
				dx.Row(t)[j] = rstd.Data[t]*(dy.Row(t)[j]*w.Data[j]-hat*mean) + at(in[4], t*d+j)
			}
		}
		accumulateInto(dw, in[5], in[6])
	},
	Cost:    streamedFLOPs(10),
	InPlace: [][2]int{{0, 4}, {0, 0}, {1, 5}},
	Sums:    []Sum{{1, 5, 6}},
}

// RMSNorm appends y = w · x / rms(x).
func (b *Builder) RMSNorm(name string, x, w *Value, eps float64) *Value {
	return b.Op(rmsNorm, name, Attrs{{"eps", eps}}, x, w)[0]
}
