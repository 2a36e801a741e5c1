package ir

// auxLoss is the load-balancing loss (Fedus et al. 2021 in the form of Hugging Face's
// load_balancing_loss_func) before its coefficient. N = rows is the number of routed tokens behind the sums:
// tokens of all ranks times layers. Uniform routing gives top_k.
//
//	aux = E · Σ_e (stats[e]/N) · (stats[E+e]/N)
//
// As an objective it counts record.aux_norm times.
var auxLoss = &Op{
	Name:     "aux_loss",
	Operands: []string{"stats", "record"},
	Results:  []string{"aux"},
	Attrs:    Attrs{{"rows", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		return []Type{Fixed(F32, 1)}, n.wantAll(Fixed(F32, n.In[0].Type.Elements()/2*2), recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		e, rows := len(in[0].Data)/2, n.Attrs.Float("rows")
		for i := range e {
			out[0].Data[0] += float64(e) * (in[0].Data[i] / rows) * (in[0].Data[e+i] / rows)
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		return []*Value{b.Op(auxLossGrad, "d."+n.In[0].Name, n.Attrs, n.In[0], n.In[1])[0], nil}
	},
	Loss: true,
	Cost: streamed,
}

// auxLossGrad is the gradient of record.aux_norm · aux_loss:
//
//	dstats[E+e] = aux_norm · E · stats[e] / N²     dstats[e] = 0
var auxLossGrad = &Op{
	Name:     "aux_loss_grad",
	Operands: []string{"stats", "record"},
	Results:  []string{"dstats"},
	Attrs:    Attrs{{"rows", 0.0}},
	Infer: func(n *Node) ([]Type, error) {
		stats := Fixed(F32, n.In[0].Type.Elements()/2*2)
		return []Type{stats}, n.wantAll(stats, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		e, rows := len(in[0].Data)/2, n.Attrs.Float("rows")
		for i := range e {
			out[0].Data[e+i] = in[1].Data[RecordAuxNorm] * float64(e) * (in[0].Data[i] / rows) / rows
		}
	},
	Cost: streamed,
}

// AuxLoss appends the load-balancing loss of sums over rows routed tokens.
func (b *Builder) AuxLoss(name string, stats *Value, rows float64) *Value {
	return b.Op(auxLoss, name, Attrs{{"rows", rows}}, stats, b.Record())[0]
}
