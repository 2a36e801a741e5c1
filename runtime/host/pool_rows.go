package host

// A pool of saved rows keeps what a rank receives in forward for backward: one array for all layers, of rows of d, filled from the
// front. What does not fit whole is fetched again. use[0] is how many of the pool's rows are taken, use[1] how many times rows
// found no room; slot[0] is the first row in the pool of what one KeepRows kept, −1 if it found no room.

// KeepNone says that a pool keeps nothing yet.
func KeepNone(use []int32) {
	mustLen("KeepNone", "use", use, 2)
	clear(use)
}

// KeepRows is DispatchRows, and keeps the received rows in the pool if there is room. use is what was taken before, and usedNow
// what is then.
func KeepRows(r *Rank, ranks, t, d int, source, received []int32, x, y, pool []float32, use, usedNow, slot []int32) {
	mustLen("KeepRows", "use", use, 2)
	mustLen("KeepRows", "usedNow", usedNow, 2)
	DispatchRows(r, ranks, t, d, source, received, x, y)
	n, taken := int(received[0]), int(use[0])
	if (taken+n)*d > len(pool) {
		slot[0], usedNow[0], usedNow[1] = -1, use[0], use[1]+1
		return
	}
	forRows(r.Pool, n, d, func(lo, hi int) { copy(pool[(taken+lo)*d:(taken+hi)*d], y[lo*d:hi*d]) })
	slot[0], usedNow[0], usedNow[1] = use[0], use[0]+received[0], use[1]
}

// RestoreRows returns the rows that KeepRows received: from the pool, or as DispatchRows, from the ranks that have them. x is
// there on every rank, whether or not the rank itself needs that of others.
func RestoreRows(r *Rank, ranks, t, d int, source, received []int32, x, pool []float32, slot []int32, y []float32) {
	mustLen("RestoreRows", "x", x, t*d)
	mustLen("RestoreRows", "y", y, len(source)*d)
	r.Barrier() // x is there on every rank
	if first := int(slot[0]); first >= 0 {
		forRows(r.Pool, int(received[0]), d, func(lo, hi int) { copy(y[lo*d:hi*d], pool[(first+lo)*d:(first+hi)*d]) })
	} else {
		fetchRows(r, ranks, t, d, source, received, x, y)
	}
	r.Barrier() // x has been read by every rank
}
