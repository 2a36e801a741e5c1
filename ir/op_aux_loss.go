package ir

// routerStats sums up over tokens what the load-balancing loss needs: how often each expert was chosen, then
// the sum of its probability:
//
//	stats_2E[e] = #{(t,j): idx_TK[t,j] = e}     stats_2E[E+e] = Σ_t softmax_E(logits_TE[t])[e]
var routerStats = &Op{
	Name:     "router_stats",
	Operands: []string{"logits", "idx"},
	Results:  []string{"stats"},
	Infer: func(n *Node) ([]Type, error) {
		t, e, err := matrix(n, 0)
		if err != nil {
			return nil, err
		}
		_, k, err := indexMatrix(n, 1)
		if err != nil {
			return nil, err
		}
		return []Type{Fixed(F32, 2*e)}, n.want(1, Fixed(I32, t, k))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		e, stats := in[0].Type.Dim(1), out[0].Data
		for _, i := range in[1].Data {
			stats[int(i)]++
		}
		for t := range in[0].Type.Dim(0) {
			axpy(1, softmax(in[0].Row(t)), stats[e:])
		}
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		return []*Value{b.Op(routerStatsGrad, "d."+n.In[0].Name, nil, dy[0], n.In[0])[0], nil}
	},
	Cost: streamed,
}

// routerStatsGrad is the gradient of router_stats. Counts have none: only the second half of dstats_2E counts.
//
//	dlogits_TE = p · (dstats[E:] − Σ_E dstats[E:]·p)     p = softmax_E(logits_TE)
var routerStatsGrad = &Op{
	Name:     "router_stats_grad",
	Operands: []string{"dstats", "logits"},
	Results:  []string{"dlogits"},
	Infer: func(n *Node) ([]Type, error) {
		_, e, err := matrix(n, 1)
		if err != nil {
			return nil, err
		}
		return []Type{n.In[1].Type}, n.want(0, Fixed(F32, 2*e))
	},
	Eval: func(n *Node, in, out []*Tensor) {
		e := in[1].Type.Dim(1)
		for t := range in[1].Type.Dim(0) {
			softmaxGrad(softmax(in[1].Row(t)), in[0].Data[e:], out[0].Row(t))
		}
	},
	Cost: streamed,
}

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

// RouterStats appends the sums that the load-balancing loss needs of one layer.
func (b *Builder) RouterStats(name string, logits, idx *Value) *Value {
	return b.Op(routerStats, name, nil, logits, idx)[0]
}

// AuxLoss appends the load-balancing loss of sums over rows routed tokens.
func (b *Builder) AuxLoss(name string, stats *Value, rows float64) *Value {
	return b.Op(auxLoss, name, Attrs{{"rows", rows}}, stats, b.Record())[0]
}
