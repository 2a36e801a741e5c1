package ptx

import "fmt"

// An mbarrier is 8 bytes of shared memory. A phase ends when as many arrivals as it was made for and all bytes that were
// announced have come; then the next begins. Phases are waited for by their parity, 0 first: a wait for parity 1 on a
// new barrier returns at once.

// MbarrierInit makes a barrier for that many arrivals a phase. FenceBarrierInit and a barrier of the block or cluster
// stand between this and its use by others.
func (k *Kernel) MbarrierInit(b Addr, arrivals int) {
	if arrivals < 1 || arrivals >= 1<<20 {
		k.fail("a barrier for %d arrivals; 1 to 2^20-1", arrivals)
	}
	k.emit("mbarrier.init.shared::cta.b64", k.barrierAt(b), fmt.Sprint(arrivals))
}

// MbarrierArrive counts one arrival, behind everything that the thread did before.
func (k *Kernel) MbarrierArrive(b Addr) {
	k.emit("mbarrier.arrive.shared::cta.b64", "_", k.barrierAt(b))
}

// MbarrierArriveRemote counts one arrival at a barrier of any block of the cluster; the address comes from Map. It has
// the default order only: a release to the cluster costs a fence of the whole GPU, and who hands over a slot that was
// read needs none.
func (k *Kernel) MbarrierArriveRemote(b Addr) {
	k.emit("mbarrier.arrive.shared::cluster.b64", "_", k.barrierAt(b))
}

// MbarrierExpect counts one arrival and announces bytes that copies will bring.
func (k *Kernel) MbarrierExpect(b Addr, bytes Operand) {
	if n, ok := bytes.(int); ok && (n < 0 || n >= 1<<20) {
		k.fail("%d bytes in a phase; less than 2^20", n)
	}
	k.emit("mbarrier.arrive.expect_tx.shared::cta.b64", "_", k.barrierAt(b), k.src(U32, bytes))
}

// MbarrierTry reports whether the phase of that parity has ended; it may wait a little, and may say no although it has.
func (k *Kernel) MbarrierTry(b Addr, parity Operand) Reg {
	return k.define(Pred, 0, "mbarrier.try_wait.parity.shared::cta.b64", k.barrierAt(b), k.src(U32, parity))
}

// MbarrierWait waits until the phase of that parity has ended.
func (k *Kernel) MbarrierWait(b Addr, parity Operand) {
	k.composite("MbarrierWait")
	again := k.label("wait")
	k.place(again)
	k.Unless(k.MbarrierTry(b, parity)).branch(again)
}

func (k *Kernel) barrierAt(b Addr) string {
	k.sharedAt(b, 8, "an mbarrier")
	return k.mem(b, 32)
}
