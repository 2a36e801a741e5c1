package host

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// barrier makes ranks wait for each other. A rank that waits spins for a moment, for ranks that do the same work arrive
// close together, and then parks, so that with fewer cores than ranks the ones that have work get to run.
type barrier struct {
	ranks   int32
	arrived atomic.Int32
	phase   atomic.Uint32 // barriers passed
	failed  atomic.Bool

	mu    sync.Mutex // guards cause, and changes of phase and failed that parked ranks must see
	moved *sync.Cond
	cause *RankPanic
}

// released is what ranks panic with whose wait has become pointless because another one failed.
type released struct{}

func newBarrier(ranks int) *barrier {
	b := &barrier{ranks: int32(ranks)}
	b.moved = sync.NewCond(&b.mu)
	return b
}

// wait returns once all ranks have called it; it panics when one of them has failed.
func (b *barrier) wait() {
	phase := b.phase.Load()
	if b.arrived.Add(1) == b.ranks {
		b.arrived.Store(0)
		b.mu.Lock()
		b.phase.Add(1)
		b.mu.Unlock()
		b.moved.Broadcast()
	} else if !b.spin(phase) {
		b.mu.Lock()
		for b.phase.Load() == phase && !b.failed.Load() {
			b.moved.Wait()
		}
		b.mu.Unlock()
	}
	if b.phase.Load() == phase {
		panic(released{})
	}
}

// spin waits briefly for the end of the phase and says whether it came. Where ranks share cores it does not try.
func (b *barrier) spin(phase uint32) bool {
	if int(b.ranks) > runtime.GOMAXPROCS(0) {
		return false
	}
	for start := time.Now(); time.Since(start) < spinTime; {
		for range spinPauses {
			if b.phase.Load() != phase {
				return true
			}
			spinPause()
		}
	}
	return false
}

// fail records the first cause and releases all who wait, now or later.
func (b *barrier) fail(cause *RankPanic) {
	b.mu.Lock()
	if _, follows := cause.Value.(released); !follows && b.cause == nil {
		b.cause = cause
	}
	b.failed.Store(true)
	b.mu.Unlock()
	b.moved.Broadcast()
}
