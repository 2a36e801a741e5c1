package host

// The expert-parallel exchange, within groups of so many consecutive ranks that share the experts; a rank of another group is
// never meant below, and ranks are counted from the group's first. Expert e lives on rank e/L. A token travels once to each rank that has one of its experts, and is
// fanned out there; what comes back from a rank is already summed over that rank's experts. The number of received tokens, S ≤
// ranks·T, is known at run time only. All ranks call these functions together, with slices at equal arena offsets. No rank returns
// while a peer still reads what it may then overwrite.

// DispatchPlan works out who sends what from the experts that the router chose, idx_TK (global experts). On return
//
//	received[0]      S
//	source[i]        rank·T + token of received token i < S, ordered by rank, then token
//	position_TN[t,d] row of this rank's token t in rank d's received tokens, or −1 (N = ranks)
//	idxLocal_SK[i]   local experts of received token i, −1 for those that live elsewhere; rows from S on are all −1
//
// source has room for ranks·T tokens, idxLocal for as many rows of k.
func DispatchPlan(r *Rank, ranks, t, k, l int, idx, received, source, position, idxLocal []int32) {
	mustLen("DispatchPlan", "idx", idx, t*k)
	mustLen("DispatchPlan", "source", source, ranks*t)
	mustLen("DispatchPlan", "position", position, t*ranks)
	mustLen("DispatchPlan", "idxLocal", idxLocal, ranks*t*k)
	own := r.ID % ranks
	counts := r.machine.counts[r.ID-own:][:ranks]
	countTokens(ranks, k, l, idx, position, counts[own][:ranks])
	r.Barrier() // all counts are there, and nobody uses the last plan any more
	clear(r.cursor)
	for source := range own {
		for d, n := range counts[source][:ranks] {
			r.cursor[d] += n
		}
	}
	r.announceTokens(ranks, t, k, l, idx, source, position, idxLocal)
	sum := 0
	for source := range counts {
		sum += int(counts[source][own])
	}
	received[0] = int32(sum)
	for i := sum * k; i < len(idxLocal); i++ {
		idxLocal[i] = -1
	}
	r.Barrier()
}

// countTokens counts a rank's tokens by destination, and numbers them among those of this rank.
func countTokens(ranks, k, l int, idx, position, counts []int32) {
	clear(counts)
	for i := range position {
		position[i] = -1
	}
	for pair, e := range idx {
		d := int(e) / l
		if at := &position[pair/k*ranks+d]; *at < 0 {
			*at = counts[d]
			counts[d]++
		}
	}
}

// announceTokens moves this rank's tokens behind those of the ranks before it (r.cursor tokens at each destination) and tells
// each destination what it will receive.
func (r *Rank) announceTokens(ranks, t, k, l int, idx, source, position, idxLocal []int32) {
	own := r.ID % ranks
	for d := range ranks {
		theirSource, theirExperts := Peer(r, r.ID-own+d, source), Peer(r, r.ID-own+d, idxLocal)
		first, end := int32(d*l), int32((d+1)*l)
		for token := range t {
			at := &position[token*ranks+d]
			if *at < 0 {
				continue
			}
			*at += r.cursor[d]
			theirSource[*at] = int32(own*t + token)
			row := theirExperts[int(*at)*k:][:k]
			for slot, e := range idx[token*k : (token+1)*k] {
				if e >= first && e < end {
					row[slot] = e - first
				} else {
					row[slot] = -1
				}
			}
		}
	}
}

// DispatchRows fetches the rows of the received tokens: y_SD[i] = row source[i] mod T of rank source[i]/T's x_TD. Rows of any
// width travel this way: hidden states, router weights.
func DispatchRows(r *Rank, ranks, t, d int, source, received []int32, x, y []float32) {
	mustLen("DispatchRows", "x", x, t*d)
	mustLen("DispatchRows", "y", y, len(source)*d)
	r.Barrier() // x is there on every rank
	fetchRows(r, ranks, t, d, source, received, x, y)
	r.Barrier() // x has been read by every rank
}

// fetchRows is DispatchRows without its barriers.
func fetchRows(r *Rank, ranks, t, d int, source, received []int32, x, y []float32) {
	group := r.ID - r.ID%ranks
	forRows(r.Pool, int(received[0]), d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			rank, token := int(source[i])/t, int(source[i])%t
			copy(y[i*d:(i+1)*d], Peer(r, group+rank, x[token*d:(token+1)*d]))
		}
	})
}

// CombineRows is the transpose of DispatchRows: it fetches what has become of each token and adds it up,
//
//	y_TD[t] = residual[t] + Σ_rank (that rank's x_SD)[position_TN[t, rank]]
//
// in rank order, over the ranks that have the token. residual may be nil, or y.
func CombineRows(r *Rank, ranks, t, d int, position []int32, x, residual, y []float32) {
	mustLen("CombineRows", "position", position, t*ranks)
	mustLen("CombineRows", "y", y, t*d)
	mustLen("CombineRows", "x", x, ranks*t*d)
	if residual != nil {
		mustLen("CombineRows", "residual", residual, t*d)
	}
	group := r.ID - r.ID%ranks
	r.Barrier() // x is there on every rank
	forRows(r.Pool, t, d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out := y[i*d : (i+1)*d]
			empty := residual == nil
			if !empty {
				copy(out, residual[i*d:(i+1)*d])
			}
			for rank, at := range position[i*ranks : (i+1)*ranks] {
				if at < 0 {
					continue
				}
				row := Peer(r, group+rank, x[int(at)*d:][:d])
				if empty {
					copy(out, row)
				} else {
					add(out, row, out)
				}
				empty = false
			}
			if empty {
				clear(out)
			}
		}
	})
	r.Barrier() // x has been read by every rank
}
