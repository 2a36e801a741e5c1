package host

// Route sorts the T·K pairs (token, slot) by the local expert they name, stably: idx_TK holds local experts 0 ≤ e < l,
// or negative for pairs that belong elsewhere, which are skipped. Expert e gets rows offsets[e] ≤ i < offsets[e+1];
// pairs[i] = token·k + slot of row i; slots_TK = row of each pair, or −1. pairs has room for all T·K rows.
func Route(p *Pool, t, k, l int, idx []int32, offsets, pairs, slots []int32) {
	mustLen("Route", "idx", idx, t*k)
	mustLen("Route", "offsets", offsets, l+1)
	mustLen("Route", "slots", slots, t*k)
	clear(offsets)
	for _, e := range idx {
		if e >= 0 {
			offsets[e+1]++
		}
	}
	for e := range l {
		offsets[e+1] += offsets[e]
	}
	mustHold("Route", "pairs", pairs, routedRows(offsets))
	// offsets[e] runs through expert e's rows, and ends up where e+1 begins: shifted by one it is itself again.
	for pair, e := range idx {
		if e < 0 {
			slots[pair] = -1
			continue
		}
		row := offsets[e]
		offsets[e]++
		pairs[row], slots[pair] = int32(pair), row
	}
	copy(offsets[1:], offsets[:l])
	offsets[0] = 0
}

// Permute gathers the rows of the local experts: y_RD[i] = x_TD[pairs[i]/k]. Its gradient is Unpermute with w nil.
func Permute(p *Pool, k, d int, offsets, pairs []int32, x, y []float32) {
	rows := routedRows(offsets)
	mustHold("Permute", "pairs", pairs, rows)
	mustHold("Permute", "y", y, rows*d)
	forRows(p, rows, d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			token := int(pairs[i]) / k
			copy(y[i*d:(i+1)*d], x[token*d:(token+1)*d])
		}
	})
}
