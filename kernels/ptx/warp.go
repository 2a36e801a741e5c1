package ptx

import "fmt"

// The instructions of a warp are executed by all its lanes: their member mask is full.

// ShflXor returns a of the lane whose number differs in the bits of mask; all lanes of the warp take part.
func (k *Kernel) ShflXor(a Reg, mask Operand) Reg { return k.shfl("bfly", a, mask, 0x1F) }

// ShflIdx returns a of lane i; all lanes of the warp take part.
func (k *Kernel) ShflIdx(a Reg, i Operand) Reg { return k.shfl("idx", a, i, 0x1F) }

// ShflUp returns a of the lane n lower, its own in the first n lanes.
func (k *Kernel) ShflUp(a Reg, n Operand) Reg { return k.shfl("up", a, n, 0) }

// ShflDown returns a of the lane n higher, its own in the last n lanes.
func (k *Kernel) ShflDown(a Reg, n Operand) Reg { return k.shfl("down", a, n, 0x1F) }

func (k *Kernel) shfl(mode string, a Reg, b Operand, clamp int) Reg {
	t := k.typeOf(a)
	if t.Bits() != 32 {
		k.fail("a shuffle of %s; 32 bits", t)
	}
	d := k.define(B32, 0, "shfl.sync."+mode+".b32", a.name, k.src(U32, b), fmt.Sprint(clamp), "-1")
	return d.untyped(t)
}

// SumLanes adds a over groups of width lanes, a power of two, by exchanging with partners at growing distance: every
// lane of a group gets the same bits.
func (k *Kernel) SumLanes(a Reg, width int) Reg {
	return k.reduceLanes(a, width, func(x, y Reg) Reg { return k.Add(x, y) })
}

// MaxLanes is the largest a of groups of width lanes, a power of two.
func (k *Kernel) MaxLanes(a Reg, width int) Reg {
	return k.reduceLanes(a, width, func(x, y Reg) Reg { return k.Max(x, y) })
}

func (k *Kernel) reduceLanes(a Reg, width int, combine func(x, y Reg) Reg) Reg {
	k.composite("a reduction over lanes")
	if width < 1 || width > 32 || width&(width-1) != 0 {
		k.fail("groups of %d lanes; a power of two up to 32", width)
	}
	for mask := 1; mask < width; mask *= 2 {
		a = combine(a, k.ShflXor(a, mask))
	}
	return a
}

// Ballot returns a word with the bit of each lane for which p holds.
func (k *Kernel) Ballot(p Reg) Reg {
	return k.define(B32, 0, "vote.sync.ballot.b32", k.src(Pred, p), "-1").untyped(U32)
}

// Any reports whether p holds for a lane of the warp.
func (k *Kernel) Any(p Reg) Reg { return k.define(Pred, 0, "vote.sync.any.pred", k.src(Pred, p), "-1") }

// All reports whether p holds for all lanes of the warp.
func (k *Kernel) All(p Reg) Reg { return k.define(Pred, 0, "vote.sync.all.pred", k.src(Pred, p), "-1") }

// MatchAny returns a word with the bits of the lanes that hold the same a.
func (k *Kernel) MatchAny(a Reg) Reg {
	t := k.typeOf(a).untyped()
	return k.define(B32, 0, "match.any.sync."+t.String(), k.src(t, a), "-1").untyped(U32)
}

// Redux reduces a 32-bit integer over the warp by add, min or max, or bits by and, or, xor.
func (k *Kernel) Redux(op AtomOp, a Reg) Reg {
	t := k.typeOf(a)
	switch op {
	case AtomAdd, AtomMin, AtomMax:
		if t != U32 && t != S32 {
			k.fail("redux.%s of %s", op, t)
		}
	case AtomAnd, AtomOr, AtomXor:
		d := k.define(B32, 0, "redux.sync."+string(op)+".b32", k.src(B32, a), "-1")
		return d.untyped(t)
	default:
		k.fail("redux knows no %s", op)
	}
	return k.define(t, 0, "redux.sync."+string(op)+"."+t.String(), k.src(t, a), "-1")
}

// Elect returns a predicate that holds for one lane of the warp; which one is the hardware's choice.
func (k *Kernel) Elect() Reg {
	k.composite("Elect")
	p := k.fresh(Pred, 0)
	k.emit("elect.sync", "_|"+p.name, "-1")
	return p
}

// SyncWarp waits for all lanes of the warp and orders their memory accesses.
func (k *Kernel) SyncWarp() { k.emit("bar.warp.sync", "-1") }

// Sync waits for all threads of the block.
func (k *Kernel) Sync() { k.emit("bar.sync", "0") }

// SyncNamed waits at barrier id, 1 to 15, for that many threads of the block, in whole warps. Barrier 0 is Sync's.
func (k *Kernel) SyncNamed(id Operand, threads int) {
	k.emit("bar.sync", k.barrier(id, threads), fmt.Sprint(threads))
}

// ArriveNamed counts the thread's warp at a barrier without waiting.
func (k *Kernel) ArriveNamed(id Operand, threads int) {
	k.emit("bar.arrive", k.barrier(id, threads), fmt.Sprint(threads))
}

func (k *Kernel) barrier(id Operand, threads int) string {
	if n, ok := id.(int); ok && (n < 1 || n > 15) {
		k.fail("named barriers are 1 to 15, not %d", n)
	}
	if threads <= 0 || threads%32 != 0 || threads > k.threads {
		k.fail("a barrier of %d threads in a block of %d; whole warps", threads, k.threads)
	}
	return k.src(U32, id)
}
