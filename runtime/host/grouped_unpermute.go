package host

// GroupedLinearUnpermute is Unpermute of the rows that GroupedLinear computes, of which no more than fit into a pool's
// shared buffer stand anywhere at a time: y_TN[t] = residual_TN[t] + Σ_j w_TJ[t,j]·(x_RK[i]·down_LNK[e]ᵀ) with i = slots_TJ[t,j], e
// the expert that has row i. The terms of a token are added in an order that the shapes and the slots fix. Arguments
// that may be nil, and rows, are as in Unpermute.
func GroupedLinearUnpermute(p *Pool, t, topk, l, n, k int, rows, offsets, slots []int32, x, down, w, residual, y []float32) {
	const name = "GroupedLinearUnpermute"
	g := product{a: matrix{x: x, ld: k}, b: matrix{x: down, ld: k}, bAcross: true}
	g.groupedSums(p, name, t, topk, l, n, k, rows, offsets, slots, w, residual, y)
}

// GroupedLinearDGradUnpermute is Unpermute, without weights, of the rows that GroupedLinearDGrad computes, the gradient of
// tokens that experts gathered: dx_TK[t] = residual_TK[t] + Σ_j dy_RN[i]·w_LNK[e] with i = slots_TJ[t,j]. All else is as in
// GroupedLinearUnpermute.
func GroupedLinearDGradUnpermute(p *Pool, t, topk, l, n, k int, rows, offsets, slots []int32, dy, w, residual, dx []float32) {
	const name = "GroupedLinearDGradUnpermute"
	g := product{a: matrix{x: dy, ld: n}, b: matrix{x: w, ld: k}}
	g.groupedSums(p, name, t, topk, l, k, n, rows, offsets, slots, nil, residual, dx)
}

// groupedSums computes rows of n columns, summed over k, and adds them up into y, as many at a time as fit.
func (g product) groupedSums(p *Pool, name string, t, topk, l, n, k int, rows, offsets, slots []int32, w, residual, y []float32) {
	r := mustBeGrouped(name, l, offsets)
	mustHold(name, "x", g.a.x, r*k)
	mustLen(name, "weights of experts", g.b.x, l*n*k)
	mustBeUnpermuted(name, t, topk, n, slots, w, residual, y)
	if rows != nil {
		t = int(rows[0])
	}
	x, some := g.a.x, make([]int32, len(offsets))
	g.c, g.ldc = p.shared, n
	for first, step := 0, sharedFloats/n; first == 0 || first < r; first += step {
		end := min(first+step, r)
		for e, at := range offsets {
			some[e] = int32(min(max(int(at), first), end) - first)
		}
		g.a.x = x[first*k:]
		g.grouped(p, some, n, k)
		sumSlots(p, t, topk, n, slots, first, end, w, g.c, residual, y)
		residual = y
	}
}
