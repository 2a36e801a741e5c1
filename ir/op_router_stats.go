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

// RouterStats appends the sums that the load-balancing loss needs of one layer.
func (b *Builder) RouterStats(name string, logits, idx *Value) *Value {
	return b.Op(routerStats, name, nil, logits, idx)[0]
}
