package ptx

import "fmt"

// CpAsync starts a copy of 4, 8 or 16 bytes from global to shared memory by this thread; 16 bytes pass by the first-level
// cache. filled is how many of them are read, an int or a register; the rest becomes zero. The copy writes in the generic
// proxy: wgmma and tensor stores need FenceProxyAsync behind it.
func (k *Kernel) CpAsync(to, from Addr, size int, filled Operand) {
	kind := "ca"
	if size == 16 {
		kind = "cg"
	} else if size != 4 && size != 8 {
		k.fail("cp.async copies 4, 8 or 16 bytes, not %d", size)
	}
	k.sharedAt(to, size, "cp.async")
	op := "cp.async." + kind + ".shared.global"
	if k.hint.typ != 0 {
		op += ".L2::cache_hint"
	}
	k.instruction(op, k.hinted(k.mem(to, 32), k.mem(from, 64), fmt.Sprint(size), k.src(U32, filled)))
}

// CpAsyncCommit closes the group of this thread's copies.
func (k *Kernel) CpAsyncCommit() { k.emit("cp.async.commit_group") }

// CpAsyncWait waits until at most n of this thread's newest groups are under way.
func (k *Kernel) CpAsyncWait(n int) { k.emit("cp.async.wait_group", fmt.Sprint(n)) }

// CpAsyncWaitAll waits for all of this thread's copies: a thread must not end before them.
func (k *Kernel) CpAsyncWaitAll() { k.emit("cp.async.wait_all") }

// CpAsyncArrive lets the copies of this thread arrive at a barrier when they are done. The barrier's count includes the
// arrival.
func (k *Kernel) CpAsyncArrive(barrier Addr) {
	k.emit("cp.async.mbarrier.arrive.noinc.shared::cta.b64", k.barrierAt(barrier))
}

// BulkLoad copies bytes, a multiple of 16, from global to shared memory; barrier's transactions count them.
func (k *Kernel) BulkLoad(to, from Addr, bytes Operand, barrier Addr) {
	k.bulk(to, from, bytes)
	op := "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
	k.instruction(k.hintedName(op), k.hinted(k.mem(to, 32), k.mem(from, 64), k.src(U32, bytes), k.barrierAt(barrier)))
}

// BulkStore copies bytes, a multiple of 16, from shared to global memory, in the thread's bulk group.
func (k *Kernel) BulkStore(to, from Addr, bytes Operand) {
	k.bulk(from, to, bytes)
	k.instruction(k.hintedName("cp.async.bulk.global.shared::cta.bulk_group"), k.hinted(k.mem(to, 64), k.mem(from, 32), k.src(U32, bytes)))
}

// BulkReduceAdd adds bytes, a multiple of 16, of elements of type t from shared to global memory, in the thread's bulk
// group. The order among blocks is open: float sums differ from run to run.
func (k *Kernel) BulkReduceAdd(t Type, to, from Addr, bytes Operand) {
	k.bulk(from, to, bytes)
	op := "cp.reduce.async.bulk.global.shared::cta.bulk_group"
	switch t {
	case BF16, F16:
		op = k.hintedName(op) + ".add.noftz." + t.String()
	case F32, F64, U32, S32, U64:
		op = k.hintedName(op) + ".add." + t.String()
	default:
		k.fail("no bulk addition of %s", t)
	}
	k.instruction(op, k.hinted(k.mem(to, 64), k.mem(from, 32), k.src(U32, bytes)))
}

// BulkSend copies bytes, a multiple of 16, from shared memory to that of another block of the cluster, whose barrier
// counts them.
func (k *Kernel) BulkSend(to, from Addr, bytes Operand, barrier Addr) {
	k.bulk(from, to, bytes)
	k.emit("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes", k.mem(to, 32), k.mem(from, 32), k.src(U32, bytes), k.mem(barrier, 32))
}

// BulkPrefetch brings bytes, a multiple of 16, of global memory into the second-level cache.
func (k *Kernel) BulkPrefetch(from Addr, bytes Operand) {
	k.instruction(k.hintedName("cp.async.bulk.prefetch.L2.global"), k.hinted(k.mem(from, 64), k.src(U32, bytes)))
}

func (k *Kernel) bulk(shared, other Addr, bytes Operand) {
	k.sharedAt(shared, 16, "a bulk copy")
	if powerIn(bytes) < 4 || other.power() < 4 {
		k.fail("a bulk copy moves multiples of 16 bytes between multiples of 16, which these are not known to be; Assume states it")
	}
}

// sharedAt checks the alignment of an address in shared memory.
func (k *Kernel) sharedAt(at Addr, align int, what string) {
	if at.power() < powerOf(align) {
		k.fail("%s wants a shared address that is a multiple of %d; of %s only %d is known", what, align, at, 1<<at.power())
	}
}

func (k *Kernel) hintedName(op string) string {
	if k.hint.typ != 0 {
		return op + ".L2::cache_hint"
	}
	return op
}

// BulkCommit closes the group of this thread's bulk and tensor stores.
func (k *Kernel) BulkCommit() { k.emit("cp.async.bulk.commit_group") }

// BulkWait waits until at most n of this thread's newest groups are under way; what the others wrote is visible to the
// thread.
func (k *Kernel) BulkWait(n int) { k.emit("cp.async.bulk.wait_group", fmt.Sprint(n)) }

// BulkWaitRead waits until at most n of this thread's newest groups still read their sources.
func (k *Kernel) BulkWaitRead(n int) { k.emit("cp.async.bulk.wait_group.read", fmt.Sprint(n)) }

// StAsync stores 32-bit or 64-bit registers in the shared memory of a block of the cluster, whose barrier counts the bytes.
func (k *Kernel) StAsync(at, barrier Addr, values ...Reg) {
	list, t := k.vector(values)
	k.emit("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes"+vec(len(values))+"."+t.untyped().String(), k.mem(at, 32), list, k.mem(barrier, 32))
}
