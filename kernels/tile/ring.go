package tile

import "moegen/kernels/ptx"

// Ring is a ring of slots in shared memory. Producers fill slots in turn and consumers empty them; two barriers a slot say
// how far each has come. Where a thread stands (slot and parity) it keeps itself, so a Ring is used by each role on its
// own, from Start.
type Ring struct {
	k       *ptx.Kernel
	stages  int
	bytes   int // of a slot
	cluster int // blocks whose consumers read what a block's producer loads

	slots, full, empty ptx.Addr
	slot, parity       ptx.Reg

	signals ptx.Reg // whether this thread hands slots back
	target  ptx.Reg // the empty barrier of slot 0 that it tells, in some block of the cluster
}

// NewRing sets aside shared memory for stages slots of so many bytes, a multiple of 1024. With a cluster of 2, every
// slot is filled by both blocks' producers and handed back to both.
func NewRing(k *ptx.Kernel, stages, bytes, cluster int) *Ring {
	if bytes%1024 != 0 {
		k.Fail("slots of %d bytes; swizzled tiles begin at multiples of 1024", bytes)
	}
	r := &Ring{k: k, stages: stages, bytes: bytes, cluster: cluster}
	r.slots = k.SharedBytes(stages*bytes, 1024)
	r.full, r.empty = k.SharedBytes(8*stages, 8), k.SharedBytes(8*stages, 8)
	return r
}

// Init makes the barriers: for the given arrivals of producers a slot, and one of each consumer warpgroup of the cluster.
// One thread does it, before a barrier of the block (or cluster) that all threads pass.
func (r *Ring) Init(producers, consumers int) {
	r.k.Comment("ring of %d slots of %d bytes: filled by %d arrivals, emptied by %d", r.stages, r.bytes, producers, consumers*r.cluster)
	for s := range r.stages {
		r.k.MbarrierInit(r.full.At(8*s), producers)
		r.k.MbarrierInit(r.empty.At(8*s), consumers*r.cluster)
	}
	r.k.FenceBarrierInit()
}

// Start puts the thread at the first slot.
func (r *Ring) Start() {
	r.slot, r.parity = r.k.Var(ptx.U32, "slot", 0), r.k.Var(ptx.U32, "parity", 0)
}

// StartConsumer puts a thread of a consumer warpgroup, thread t of 128, at the first slot. Thread 0 of each warp up to the
// cluster's size hands slots back to one block.
func (r *Ring) StartConsumer(t ptx.Reg) {
	r.Start()
	k := r.k
	if r.cluster == 1 {
		r.signals, r.target = k.Eq(t, 0), k.Lea(r.empty)
		return
	}
	rank := k.Shr(t, 5)
	r.signals = k.And(k.Eq(k.And(t, 31), 0), k.Lt(rank, r.cluster))
	r.target = k.Map(r.empty, k.Min(rank, r.cluster-1))
}

// Slot returns the address of the current slot.
func (r *Ring) Slot() ptx.Reg { return r.k.Mad(r.slot, r.bytes, r.k.Lea(r.slots)) }

// Full returns the barrier that the current slot's producers arrive at.
func (r *Ring) Full() ptx.Addr { return r.k.Add(r.k.Lea(r.full), r.k.Shl(r.slot, 3)).At(0) }

// WaitEmpty waits until the current slot may be filled; the first round need not wait.
func (r *Ring) WaitEmpty() {
	k := r.k
	k.MbarrierWait(k.Add(k.Lea(r.empty), k.Shl(r.slot, 3)).At(0), k.Xor(r.parity, 1))
}

// WaitFull waits until the current slot is full.
func (r *Ring) WaitFull() { r.k.MbarrierWait(r.Full(), r.parity) }

// Here returns the current slot's number, for Release after Advance.
func (r *Ring) Here() ptx.Reg { return r.slot }

// Release hands a slot back to the producers of the cluster, for a consumer warpgroup whose reads of it have ended. It
// publishes nothing, so it needs no order beyond the default.
func (r *Ring) Release(slot ptx.Reg) { r.release(slot, r.signals) }

// ReleaseBehind is Release behind the computation of p, which holds for every thread. ptxas orders arithmetic as it likes
// among the waits for products; it does not exchange this with the next of them.
func (r *Ring) ReleaseBehind(slot, p ptx.Reg) { r.release(slot, r.k.And(r.signals, p)) }

func (r *Ring) release(slot, signals ptx.Reg) {
	k := r.k
	at := k.Add(r.target, k.Shl(slot, 3)).At(0)
	if r.cluster == 1 {
		k.When(signals).MbarrierArrive(at)
	} else {
		k.When(signals).MbarrierArriveRemote(at)
	}
}

// Advance goes to the next slot; the parity turns with every round.
func (r *Ring) Advance() {
	k := r.k
	k.To(r.slot).Add(r.slot, 1)
	around := k.Eq(r.slot, r.stages)
	k.When(around).Assign(r.slot, 0)
	k.When(around).To(r.parity).Xor(r.parity, 1)
}

// Drain waits until the consumers of the cluster have handed back every slot: then no arrival is on its way to this
// block, which may end.
func (r *Ring) Drain() {
	r.k.Comment("every slot is handed back before the block ends")
	for range r.stages {
		r.WaitEmpty()
		r.Advance()
	}
}
