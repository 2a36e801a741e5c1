package host

// Unpermute brings expert outputs back to their tokens: y_TD[t] = residual[t] + Σ_j w_TK[t,j]·x_RD[slots_TK[t,j]], in slot
// order; slots of −1 are skipped, so a token without slots gets its residual, or zeros. residual nil: none, or y itself;
// w nil: weights of 1. rows nil: all t tokens, else only the first rows[0] are computed.
func Unpermute(p *Pool, t, k, d int, rows, slots []int32, w, x, residual, y []float32) {
	mustBeUnpermuted("Unpermute", t, k, d, slots, w, residual, y)
	if rows != nil {
		t = int(rows[0])
	}
	sumSlots(p, t, k, d, slots, 0, len(x)/d, w, x, residual, y)
}

// mustBeUnpermuted checks what tokens have of a sum over slots.
func mustBeUnpermuted(kernel string, t, k, d int, slots []int32, w, residual, y []float32) {
	mustLen(kernel, "slots", slots, t*k)
	mustLen(kernel, "y", y, t*d)
	if w != nil {
		mustLen(kernel, "w", w, t*k)
	}
	if residual != nil {
		mustLen(kernel, "residual", residual, t*d)
	}
}

// sumSlots is Unpermute for the slots first..end alone, the rows of which stand in x.
func sumSlots(p *Pool, t, k, d int, slots []int32, first, end int, w, x, residual, y []float32) {
	forRows(p, t, k*d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out := y[i*d : (i+1)*d]
			empty := residual == nil
			if !empty && &residual[0] != &y[0] {
				copy(out, residual[i*d:(i+1)*d])
			}
			for c := i * k; c < (i+1)*k; c++ {
				slot := int(slots[c])
				if slot < first || slot >= end {
					continue
				}
				weight := float32(1)
				if w != nil {
					weight = w[c]
				}
				row := x[(slot-first)*d:][:d]
				if empty {
					scale(weight, row, out)
				} else {
					axpy(weight, row, out)
				}
				empty = false
			}
			if empty {
				clear(out)
			}
		}
	})
}

// UnpermuteGrad is Unpermute's gradient of x: dx_RD[i] = w_TK[c]·dy_TD[c/k] with c = pairs[i]; w nil: weights of 1.
func UnpermuteGrad(p *Pool, t, k, d int, offsets, pairs []int32, w, dy, dx []float32) {
	if w == nil {
		Permute(p, k, d, offsets, pairs, dy, dx)
		return
	}
	rows := routedRows(offsets)
	mustLen("UnpermuteGrad", "w", w, t*k)
	mustLen("UnpermuteGrad", "dy", dy, t*d)
	mustHold("UnpermuteGrad", "pairs", pairs, rows)
	mustHold("UnpermuteGrad", "dx", dx, rows*d)
	forRows(p, rows, d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			c := int(pairs[i])
			scale(w[c], dy[c/k*d:(c/k+1)*d], dx[i*d:(i+1)*d])
		}
	})
}

// UnpermuteWGrad is Unpermute's gradient of w: dw_TK[c] = Σ_D dy_TD[c/k]·x_RD[i] with c = pairs[i], 0 for pairs without a row.
func UnpermuteWGrad(p *Pool, t, k, d int, offsets, pairs []int32, dy, x, dw []float32) {
	rows := routedRows(offsets)
	mustLen("UnpermuteWGrad", "dy", dy, t*d)
	mustLen("UnpermuteWGrad", "dw", dw, t*k)
	mustHold("UnpermuteWGrad", "pairs", pairs, rows)
	mustHold("UnpermuteWGrad", "x", x, rows*d)
	clear(dw)
	forRows(p, rows, d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			c := int(pairs[i])
			dw[c] = dot(dy[c/k*d:(c/k+1)*d], x[i*d:(i+1)*d])
		}
	})
}
