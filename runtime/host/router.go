package host

// routerTile is how many experts' exponentials are held at a time, so that no row of any length needs scratch.
const routerTile = 512

// Router chooses experts: with probabilities softmax(logits_TE) over the experts, idx_TK are the k most probable
// in descending order, ties to the lowest index, and w_TK their probabilities, divided by their sum when renorm.
func Router(p *Pool, t, e, k int, renorm bool, logits []float32, idx []int32, w []float32) {
	mustLen("Router", "logits", logits, t*e)
	mustLen("Router", "idx", idx, t*k)
	mustLen("Router", "w", w, t*k)
	forRows(p, t, e, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, chosen, weights := logits[i*e:(i+1)*e], idx[i*k:(i+1)*k], w[i*k:(i+1)*k]
			topK(row, chosen, weights)
			top := weights[0]
			sum := expShifted(weights, weights, top)
			if !renorm {
				all, _ := sumExp(row, nil, top)
				sum = float32(all)
			}
			scale(1/sum, weights, weights)
		}
	})
}

// topK writes the indices and values of the largest elements of x, descending, ties to the lowest index.
func topK(x []float32, idx []int32, values []float32) {
	n, k := 0, len(idx)
	for i, v := range x {
		if n == k && !(v > values[k-1]) {
			continue
		}
		if n < k {
			n++
		}
		at := n - 1
		for ; at > 0 && v > values[at-1]; at-- {
			idx[at], values[at] = idx[at-1], values[at-1]
		}
		idx[at], values[at] = int32(i), v
	}
}

// sumExp returns Σ exp(x−shift) and, unless counts is nil, Σ counts·exp(x−shift).
func sumExp(x, counts []float32, shift float32) (sum, weighted float64) {
	var tile [routerTile]float32
	for lo := 0; lo < len(x); lo += routerTile {
		n := min(routerTile, len(x)-lo)
		sum += float64(expShifted(tile[:n], x[lo:lo+n], shift))
		if counts != nil {
			for i, v := range tile[:n] {
				weighted += float64(counts[lo+i]) * float64(v)
			}
		}
	}
	return sum, weighted
}

// RouterGrad is the backward pass of Router: dlogits_TE from dw_TK; the choice itself has no gradient.
//
//	renorm: w is the softmax over the chosen experts alone, so dlogits_j = w_j·(dw_j − Σ_i w_i·dw_i), 0 elsewhere;
//	else:   dlogits_j = p_j·([j chosen]·dw_j − Σ_i p_i·dw_i), i over the chosen.
func RouterGrad(p *Pool, t, e, k int, renorm bool, logits []float32, idx []int32, dw, dlogits []float32) {
	mustLen("RouterGrad", "logits", logits, t*e)
	mustLen("RouterGrad", "idx", idx, t*k)
	mustLen("RouterGrad", "dw", dw, t*k)
	mustLen("RouterGrad", "dlogits", dlogits, t*e)
	forRows(p, t, e, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, chosen := logits[i*e:(i+1)*e], idx[i*k:(i+1)*k]
			if renorm {
				routerGradRenorm(row, chosen, dw[i*k:(i+1)*k], dlogits[i*e:(i+1)*e])
			} else {
				routerGradPlain(row, chosen, dw[i*k:(i+1)*k], dlogits[i*e:(i+1)*e])
			}
		}
	})
}

func routerGradRenorm(logits []float32, chosen []int32, dw, dlogits []float32) {
	clear(dlogits)
	top := logits[chosen[0]]
	var sum, mean float64
	for j, c := range chosen {
		w := exp(logits[c] - top)
		dlogits[c] = w
		sum += float64(w)
		mean += float64(w) * float64(dw[j])
	}
	mean /= sum
	for j, c := range chosen {
		dlogits[c] = float32(float64(dlogits[c]) / sum * (float64(dw[j]) - mean))
	}
}

func routerGradPlain(logits []float32, chosen []int32, dw, dlogits []float32) {
	top := logits[chosen[0]]
	sum := float64(expShifted(dlogits, logits, top))
	var mean float64
	for j, c := range chosen {
		mean += float64(dlogits[c]) * float64(dw[j])
	}
	mean /= sum
	scale(float32(-mean/sum), dlogits, dlogits)
	for j, c := range chosen {
		p := float64(exp(logits[c]-top)) / sum
		dlogits[c] = float32(p * (float64(dw[j]) - mean))
	}
}

// RouterStats sums what the load-balancing loss needs over the tokens: stats[0:e] how often each expert was chosen,
// stats[e:2e] the sum of its probability softmax(logits_TE).
func RouterStats(p *Pool, t, e, k int, logits []float32, idx []int32, stats []float32) {
	mustLen("RouterStats", "logits", logits, t*e)
	mustLen("RouterStats", "idx", idx, t*k)
	mustLen("RouterStats", "stats", stats, 2*e)
	clear(stats[:e])
	for _, c := range idx {
		stats[c]++
	}
	forBlocks(p, e, routerTile, func(_, lo, hi int) {
		var probabilities [routerTile]float32
		var sums [routerTile]float64
		tile, sum := probabilities[:hi-lo], sums[:hi-lo]
		for i := range t {
			row := logits[i*e : (i+1)*e]
			top := maximum(row)
			total := expShifted(tile, row[lo:hi], top)
			if len(tile) < e {
				all, _ := sumExp(row, nil, top)
				total = float32(all)
			}
			scale(1/total, tile, tile)
			addDouble(tile, sum)
		}
		for i, v := range sum {
			stats[e+lo+i] = float32(v)
		}
	})
}

// AuxLoss is the load-balancing loss (Fedus et al., 2021; Transformers' load_balancing_loss_func) before its
// coefficient: with the counts and probability sums of RouterStats added up over all layers and ranks, and rows = layers
// · tokens of all ranks, aux[0] = E·Σ_e (count_e/rows)·(psum_e/rows).
func AuxLoss(e int, rows float32, stats, aux []float32) {
	mustLen("AuxLoss", "stats", stats, 2*e)
	var sum float64
	for i := range e {
		sum += float64(stats[i]) * float64(stats[e+i])
	}
	aux[0] = float32(float64(e) * sum / (float64(rows) * float64(rows)))
}

// AuxLossGrad is the gradient of norm·AuxLoss: dstats[e+i] = norm·E·count_i/rows² for the probability sums, 0 for the
// counts, which have no gradient.
func AuxLossGrad(e int, rows, norm float32, stats, dstats []float32) {
	mustLen("AuxLossGrad", "stats", stats, 2*e)
	mustLen("AuxLossGrad", "dstats", dstats, 2*e)
	clear(dstats[:e])
	factor := float64(norm) * float64(e) / (float64(rows) * float64(rows))
	for i, count := range stats[:e] {
		dstats[e+i] = float32(factor * float64(count))
	}
}

// RouterStatsGrad is the backward pass of RouterStats: with g = dstats[e:2e] (the counts have no gradient) and
// p = softmax(logits_TE), dlogits_j = p_j·(g_j − Σ_i p_i·g_i).
func RouterStatsGrad(p *Pool, t, e int, dstats, logits, dlogits []float32) {
	mustLen("RouterStatsGrad", "dstats", dstats, 2*e)
	mustLen("RouterStatsGrad", "logits", logits, t*e)
	mustLen("RouterStatsGrad", "dlogits", dlogits, t*e)
	g := dstats[e:]
	forRows(p, t, e, func(lo, hi int) {
		var tile [routerTile]float32
		for i := lo; i < hi; i++ {
			row, grad := logits[i*e:(i+1)*e], dlogits[i*e:(i+1)*e]
			top := maximum(row)
			total, weighted := sumExp(row, g, top)
			mean := weighted / total
			share := 1 / total
			for at := 0; at < e; at += routerTile {
				n := min(routerTile, e-at)
				expShifted(tile[:n], row[at:at+n], top)
				for j, v := range tile[:n] {
					grad[at+j] = float32(share * float64(v) * (float64(g[at+j]) - mean))
				}
			}
		}
	})
}
