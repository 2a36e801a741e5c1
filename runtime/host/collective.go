package host

// Barrier returns once all ranks have called it.
func (r *Rank) Barrier() { r.machine.gate.wait() }

// collectiveBlock is how many elements a collective moves at a time: they stay in the first-level cache while all ranks'
// parts are added.
const collectiveBlock = 2048

// AllReduce replaces x on every rank by its sum over the ranks, added in rank order: the same bits everywhere. All ranks call it
// with slices at the same offset of their arenas.
func AllReduce(r *Rank, x []float32) {
	allReduce(r, x, func(a, b []float32) { add(a, b, a) })
}

// AllReduceF64 is AllReduce of float64.
func AllReduceF64(r *Rank, x []float64) {
	allReduce(r, x, func(a, b []float64) {
		for i := range a {
			a[i] += b[i]
		}
	})
}

// allReduce gives each rank a share of the blocks. The owner of a block adds up all ranks' parts and writes the sum to all; nobody
// else touches the block between the two barriers.
func allReduce[E number](r *Rank, x []E, addTo func(a, b []E)) {
	if r.Ranks == 1 {
		return
	}
	r.Barrier()
	blocks := blockCount(len(x), collectiveBlock)
	first, end := r.ID*blocks/r.Ranks, (r.ID+1)*blocks/r.Ranks
	r.Pool.For(end-first, func(i int) {
		lo := (first + i) * collectiveBlock
		part := x[lo:min(lo+collectiveBlock, len(x))]
		sum := Peer(r, 0, part)
		for rank := 1; rank < r.Ranks; rank++ {
			addTo(sum, Peer(r, rank, part))
		}
		for rank := 1; rank < r.Ranks; rank++ {
			copy(Peer(r, rank, part), sum)
		}
	})
	r.Barrier()
}

// shareUnit is what a share is a multiple of.
const shareUnit = 128

// share is how many elements of n each of so many replicas has as its own, the last ones fewer.
func share(n, parts int) int {
	if parts == 1 {
		return n
	}
	return blockCount(blockCount(n, parts), shareUnit) * shareUnit
}

// part returns the elements of n that are replica k's.
func part(n, parts, k int) (from, to int) {
	s := share(n, parts)
	return min(k*s, n), min((k+1)*s, n)
}

// ownPart returns the elements of n that are those of the rank whose record it is.
func ownPart(parts, stride int, record []float32, n int) (from, to int) {
	if parts == 1 {
		return 0, n
	}
	return part(n, parts, int(record[RecordRank])/stride%parts)
}

// ReduceScatter adds x up over the ranks that hold the same array, in float32 and in the order of the ranks, and leaves every one the
// sum of its own part, in y: added to what is there, or in its stead; zeros behind a short part. Such ranks are number 0 to parts−1 of a
// set, stride ranks apart: a rank's number is (rank/stride) mod parts. The parts are equal, a multiple of 128 elements, but for the last
// ones, and y is as long as the first. All ranks call it with slices x at the same offset of their arenas.
func ReduceScatter(r *Rank, parts, stride int, x []float32, accumulate bool, y []float32) {
	mustLen("ReduceScatter", "y", y, share(len(x), parts))
	number := r.ID / stride % parts
	from, to := part(len(x), parts, number)
	own := x[from:to]
	r.Barrier() // x is there on every rank
	r.Pool.ForWorker(blockCount(len(own), collectiveBlock), func(worker, i int) {
		lo := i * collectiveBlock
		block := own[lo:min(lo+collectiveBlock, len(own))]
		sum := r.Pool.workerScratch(worker)[:len(block)]
		copy(sum, Peer(r, r.ID-number*stride, block))
		for k := 1; k < parts; k++ {
			add(sum, Peer(r, r.ID+(k-number)*stride, block), sum)
		}
		if to := y[lo:][:len(block)]; accumulate {
			add(sum, to, to)
		} else {
			copy(to, sum)
		}
	})
	clear(y[len(own):])
	r.Barrier() // x has been read by every rank
}

// AllGather completes an array of which every rank that holds it has its own part; see ReduceScatter.
func AllGather(r *Rank, parts, stride int, x []float32) {
	number := r.ID / stride % parts
	r.Barrier() // all parts are there
	for k := range parts {
		if k == number {
			continue
		}
		from, to := part(len(x), parts, k)
		theirs := x[from:to]
		forBlocks(r.Pool, len(theirs), taskElements, func(_, lo, hi int) {
			copy(theirs[lo:hi], Peer(r, r.ID+(k-number)*stride, theirs[lo:hi]))
		})
	}
	r.Barrier() // x has been read by every rank
}
