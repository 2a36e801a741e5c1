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
