package host

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPoolRunsEveryTaskOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8, 64} {
		p := NewPool(workers)
		for _, n := range []int{0, 1, 2, 7, 64, 1000} {
			for range 20 {
				runs := make([]atomic.Int32, n)
				busy := make([]atomic.Int32, workers)
				p.ForWorker(n, func(worker, i int) {
					if busy[worker].Add(1) != 1 {
						t.Error("two tasks at a time have the same worker")
					}
					runs[i].Add(1)
					busy[worker].Add(-1)
				})
				for i := range runs {
					if got := runs[i].Load(); got != 1 {
						t.Fatalf("%d workers, %d tasks: task %d ran %d times", workers, n, i, got)
					}
				}
			}
		}
		p.Close()
	}
}

// TestPoolWakes lets the workers park between two kernels, and checks that all of them help again: the tasks wait for
// each other.
func TestPoolWakes(t *testing.T) {
	const workers = 5
	p := NewPool(workers)
	defer p.Close()
	for range 3 {
		for i := 1; i < workers; i++ {
			for !p.workers[i].parked.Load() {
				time.Sleep(spinTime)
			}
		}
		var arrived atomic.Int32
		p.For(workers, func(int) {
			arrived.Add(1)
			for arrived.Load() < workers {
				runtime.Gosched()
			}
		})
	}
}

// TestPoolWaits has the caller park until a task of another worker ends.
func TestPoolWaits(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var arrived atomic.Int32
	var ended atomic.Bool
	p.ForWorker(2, func(worker, _ int) {
		arrived.Add(1)
		for arrived.Load() < 2 {
			runtime.Gosched()
		}
		if worker != 0 {
			for !p.workers[0].parked.Load() {
				time.Sleep(spinTime)
			}
			ended.Store(true)
		}
	})
	if !ended.Load() {
		t.Error("For returned before its last task")
	}
}

func TestPoolPanics(t *testing.T) {
	failure := errors.New("a task failed")
	for _, workers := range []int{1, 4} {
		p := NewPool(workers)
		for _, bad := range []int{0, 3, 99} {
			func() {
				defer func() {
					v, ok := recover().(*TaskPanic)
					if !ok || !errors.Is(v, failure) || !strings.Contains(v.Error(), "TestPoolPanics") {
						t.Errorf("%d workers, task %d: recovered %v", workers, bad, v)
					}
				}()
				p.For(100, func(i int) {
					if i == bad {
						panic(failure)
					}
				})
			}()
			var sum atomic.Int64
			p.For(10, func(i int) { sum.Add(int64(i)) })
			if sum.Load() != 45 {
				t.Errorf("the pool does not work after a panic: %d", sum.Load())
			}
		}
		p.Close()
	}
}

func TestPoolNested(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	defer func() {
		if v, ok := recover().(*TaskPanic); !ok || !strings.HasPrefix(v.Error(), "BUG: ") {
			t.Errorf("recovered %v", v)
		}
	}()
	p.For(3, func(int) { p.For(1, func(int) {}) })
	t.Error("a task used the pool")
}

// TestPoolCloseEndsWorkers counts goroutines.
func TestPoolCloseEndsWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	p := NewPool(16)
	p.For(16, func(int) {})
	p.Close()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(spinTime) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before the pool", runtime.NumGoroutine(), before)
		}
	}
}

func TestPoolScratchIsAligned(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	for i := range p.Workers() {
		s := p.workerScratch(i)
		if len(s) != scratchFloats || cap(s) != scratchFloats {
			t.Errorf("scratch of worker %d has %d elements", i, len(s))
		}
		s[0], s[len(s)-1] = float32(i), float32(i)
	}
	for i := range p.Workers() {
		if s := p.workerScratch(i); s[0] != float32(i) || s[len(s)-1] != float32(i) {
			t.Errorf("scratch of worker %d belongs to another, too", i)
		}
	}
}

// TestCoresKeepBits runs every product of this file's neighbours with several numbers of workers.
func TestCoresKeepBits(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const T, N, K, L, topk = 270, 140, 264, 3, 2
		rng := rand.New(rand.NewPCG(5, 6))
		x, w, b, dy := normals(rng, T*K), normals(rng, N*K), normals(rng, N), normals(rng, T*N)
		experts, offsets := normals(rng, L*N*K), offsetsOf(260, 0, 10)
		pairs := make([]int32, T)
		for i := range pairs {
			pairs[i] = int32(rng.IntN(T * topk))
		}
		before := normals(rng, L*N*K)
		run := func(workers int) [][]float32 {
			p := NewPool(workers)
			defer p.Close()
			y, dx, dw, db := slices.Clone(dy), slices.Clone(x), slices.Clone(w), slices.Clone(b)
			Linear(p, T, N, K, x, w, b, y, y)
			LinearDGrad(p, T, N, K, dy, w, nil, dx)
			LinearWGrad(p, T, N, K, dy, x, true, dw)
			BiasGrad(p, T, N, dy, false, db)
			gy, gx, gw := slices.Clone(dy), slices.Clone(x), slices.Clone(before)
			GroupedLinear(p, L, N, K, offsets, pairs, topk, x, experts, gy)
			GroupedLinearDGrad(p, L, N, K, offsets, pairs, topk, dy, experts, gx)
			GroupedLinearWGrad(p, L, N, K, offsets, pairs, nil, topk, dy, x, true, gw)
			return [][]float32{y, dx, dw, db, gy, gx, gw}
		}
		want := run(1)
		for _, workers := range []int{2, 3, 8} {
			for i, got := range run(workers) {
				if !slices.Equal(got, want[i]) {
					t.Errorf("product %d differs between 1 and %d workers", i, workers)
				}
			}
		}
	})
}

// BenchmarkPool is a kernel without work: what handing out tasks costs.
func BenchmarkPool(b *testing.B) {
	p := NewPool(2)
	defer p.Close()
	for b.Loop() {
		p.For(2, func(int) {})
	}
}
