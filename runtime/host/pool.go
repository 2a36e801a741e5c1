package host

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"
)

const (
	// spinTime is how long an idle worker, or a caller waiting for the last task, burns its core before it
	// parks: longer than the gap between two kernels of a step, far shorter than a scheduling quantum.
	spinTime = 40 * time.Microsecond
	// spinPauses is how many pauses pass between two looks at the clock (1 to 4 µs).
	spinPauses = 64
	// scratchFloats is the size of a worker's scratch: 352 KiB, what stays in a core's second-level cache.
	scratchFloats = 88 << 10
	// sharedFloats is the size of a pool's shared buffer: 4 MiB, what stays in a third-level cache.
	sharedFloats = 1 << 20
)

// Pool spreads the tasks of a kernel over a fixed number of workers, the cores of one rank. The calling goroutine is
// worker 0; the others are goroutines that spin briefly between kernels and then park. A Pool serves one caller
// at a time. Several pools may live in one process.
type Pool struct {
	workers []worker
	job     atomic.Pointer[job]
	busy    atomic.Bool
	scratch []float32 // see workerScratch
	shared  []float32 // packed operands that all workers read
	profile *Profile  // nil: nobody asks where the time goes
}

// worker is the parking place of one worker. It fills a cache line of its own.
type worker struct {
	parked atomic.Bool
	wake   chan struct{} // one token for each parked true→false
	_      [64 - 16]byte
}

// job is one call of For. A worker that comes late finds no task left in it, so jobs are never reused.
type job struct {
	n     int64
	f     func(worker, i int)
	_     [48]byte
	next  atomic.Int64 // first task nobody has claimed
	_     [56]byte
	done  atomic.Int64 // tasks finished
	fault atomic.Pointer[TaskPanic]
}

// TaskPanic is what a Pool panics with in the calling goroutine when a task panicked: the task's value and stack.
type TaskPanic struct {
	Value any    // what the task panicked with
	Stack []byte // where
}

// Error has the task's message and its stack.
func (p *TaskPanic) Error() string {
	return fmt.Sprintf("%v\n\ntask stack:\n%s", p.Value, p.Stack)
}

// Unwrap returns the task's value when it was an error.
func (p *TaskPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// NewPool starts a pool of the given number of workers, at least one, the caller included. Close it after use.
func NewPool(workers int) *Pool {
	if workers < 1 {
		panic(fmt.Sprintf("BUG: host.NewPool: %d workers", workers))
	}
	p := &Pool{workers: make([]worker, workers), scratch: aligned(workers * scratchFloats), shared: aligned(sharedFloats)}
	none := new(job)
	p.job.Store(none)
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		if i > 0 {
			go p.serve(i, none)
		}
	}
	return p
}

// aligned returns n zeros that start on a cache line.
func aligned(n int) []float32 {
	const line = 64
	x := make([]float32, n+line/4-1)
	skip := (line - int(uintptr(unsafe.Pointer(&x[0]))%line)) % line / 4
	return x[skip : skip+n : skip+n]
}

// Workers is the number of workers, the caller included.
func (p *Pool) Workers() int { return len(p.workers) }

// For runs f(i) for 0 ≤ i < n, in no particular order, and returns when all have returned. When a task panics, tasks
// not yet begun are dropped and For panics with a *TaskPanic. Tasks must not call the pool.
func (p *Pool) For(n int, f func(i int)) {
	p.ForWorker(n, func(_, i int) { f(i) })
}

// ForWorker is For for tasks that use what belongs to a worker, 0 ≤ worker < Workers(): tasks that run at the same
// time have different workers.
func (p *Pool) ForWorker(n int, f func(worker, i int)) {
	if n <= 0 {
		return
	}
	if !p.busy.CompareAndSwap(false, true) {
		panic("BUG: host.Pool: For called while another For runs")
	}
	defer p.busy.Store(false)
	if p.profile != nil {
		defer p.profile.add(time.Now())
	}
	j := &job{n: int64(n), f: f}
	if n > 1 && len(p.workers) > 1 {
		p.job.Store(j)
		p.unpark(1)
	}
	j.work(p, 0)
	p.wait(0, func() bool { return j.done.Load() == j.n })
	if fault := j.fault.Load(); fault != nil {
		panic(fault)
	}
}

// Close ends the workers. The pool must be idle and is not used again.
func (p *Pool) Close() {
	p.job.Store(nil)
	p.unpark(1)
}

// workerScratch is the scratch of one worker: scratchFloats elements on a cache line, contents undefined. It is valid
// inside a task of ForWorker.
func (p *Pool) workerScratch(worker int) []float32 {
	lo, hi := worker*scratchFloats, (worker+1)*scratchFloats
	return p.scratch[lo:hi:hi]
}

// serve is the life of worker i: wait for a job other than the last one seen, work on it. Waking takes microseconds
// a worker, so it goes down a tree: the caller wakes worker 1, worker i wakes 2i and 2i+1.
func (p *Pool) serve(i int, last *job) {
	for {
		p.wait(i, func() bool { return p.job.Load() != last })
		last = p.job.Load()
		if last == nil || last.n > int64(2*i) {
			p.unpark(2 * i)
			p.unpark(2*i + 1)
		}
		if last == nil {
			return
		}
		last.work(p, i)
	}
}

// work claims and runs tasks until none is left. Whoever finishes the last task of all wakes the caller.
func (j *job) work(p *Pool, worker int) {
	for {
		i := j.next.Add(1) - 1
		if i >= j.n {
			return
		}
		j.run(worker, int(i))
		if j.done.Add(1) == j.n && worker != 0 {
			p.unpark(0)
		}
	}
}

func (j *job) run(worker, i int) {
	if j.fault.Load() != nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			j.fault.CompareAndSwap(nil, &TaskPanic{Value: v, Stack: debug.Stack()})
		}
	}()
	j.f(worker, i)
}

// wait returns once ready() holds: it spins for spinTime, then parks until unpark. Whoever makes ready() true must
// unpark the worker afterwards.
func (p *Pool) wait(i int, ready func() bool) {
	if ready() {
		return
	}
	for start := time.Now(); time.Since(start) < spinTime; {
		for range spinPauses {
			if ready() {
				return
			}
			spinPause()
		}
	}
	w := &p.workers[i]
	for !ready() {
		// Announce, then look again: either we see the change or the one who made it sees us parked.
		w.parked.Store(true)
		if ready() && w.parked.CompareAndSwap(true, false) {
			return
		}
		<-w.wake
	}
}

// unpark lets worker i go on when there is one and it is parked.
func (p *Pool) unpark(i int) {
	if i >= len(p.workers) {
		return
	}
	w := &p.workers[i]
	if w.parked.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}
