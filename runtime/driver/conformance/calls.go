package conformance

import (
	"runtime"
	"testing"

	"moegen/runtime/driver"
)

// burst is how many calls are made before the queue is emptied: a full queue makes calls wait for the GPU.
const burst = 500

// call is one of the calls that a step is made of.
type call struct {
	name string
	do   func() error
}

// calls returns the calls of a stream, on an open GPU.
func calls(t testing.TB, g *gpu) (driver.Stream, []call) {
	s, other := g.stream(t), g.stream(t)
	a, err := g.Alloc(1 << 20)
	must(t, err)
	t.Cleanup(func() { check(t, g.Free(a)) })
	order, clock := g.event(t, false), g.event(t, true)
	must(t, s.Record(order))

	empty, ten := one(g.kernel(t, "empty", 0), nil), one(g.kernel(t, "ten", 0), nil)
	for range 10 {
		ten.Params.Addr(a)
	}
	both := *ten
	both.Cluster, both.Overlap = driver.Dim{1, 1, 1}, true

	must(t, s.Begin())
	for range 1000 {
		must(t, s.Launch(ten))
	}
	thousand, err := s.End()
	must(t, err)
	t.Cleanup(func() { check(t, g.FreeGraph(thousand)) })

	return s, []call{
		{"launch", func() error { return s.Launch(empty) }},
		{"launch of ten parameters", func() error { return s.Launch(ten) }},
		{"launch of a cluster, overlapping", func() error { return s.Launch(&both) }},
		{"copy of 4 KiB", func() error { return s.Copy(a, a+8192, 4096) }},
		{"fill of 4 KiB", func() error { return s.Fill(a, 0, 1024) }},
		{"record", func() error { return s.Record(order) }},
		{"record with the time", func() error { return s.Record(clock) }},
		{"wait", func() error { return other.Wait(order) }},
		{"done", func() error { _, err := s.Done(); return err }},
		{"run of a graph of 1000 launches", func() error { return s.Run(thousand) }},
	}
}

// setUp opens the first GPU with the suite's kernels, until the test or benchmark ends.
func setUp(t testing.TB, open func() (driver.Driver, error)) *gpu {
	runtime.LockOSThread()
	d, err := open()
	must(t, err)
	devices, err := driver.Acquire(d, driver.Need{GPUs: 1, Capability: 90, Memory: memory})
	must(t, err)
	g := &gpu{Driver: d, Device: devices[0]}
	t.Cleanup(func() { check(t, g.Close()) })
	g.module, _, err = g.Load([]byte(Kernels))
	must(t, err)
	t.Cleanup(func() { check(t, g.Unload(g.module)) })
	return g
}

// Allocations tests that the calls of a stream allocate no memory of Go.
func Allocations(t *testing.T, open func() (driver.Driver, error)) {
	s, calls := calls(t, setUp(t, open))
	for _, c := range calls {
		var failed error
		n := testing.AllocsPerRun(100, func() {
			if err := c.do(); err != nil {
				failed = err
			}
		})
		must(t, failed)
		must(t, s.Sync())
		if n != 0 {
			t.Errorf("%s allocates %g times", c.name, n)
		}
	}
}

// Benchmark measures what each call of a stream costs the host, with the queue never full, and what a launch
// costs the GPU in a stream and in a graph, as µs/launch.
func Benchmark(b *testing.B, open func() (driver.Driver, error)) {
	g := setUp(b, open)
	s, calls := calls(b, g)
	for _, c := range calls {
		size := burst
		if c.name == calls[len(calls)-1].name {
			size = 1
		}
		b.Run(c.name, func(b *testing.B) {
			runtime.LockOSThread()
			must(b, g.Bind())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%size == size-1 {
					b.StopTimer()
					must(b, g.Sync())
					b.StartTimer()
				}
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
			must(b, g.Sync())
		})
	}
	b.Run("launch and sync", func(b *testing.B) {
		runtime.LockOSThread()
		must(b, g.Bind())
		for b.Loop() {
			must(b, calls[0].do())
			must(b, s.Sync())
		}
	})
	for _, on := range []struct {
		name     string
		do       func() error
		launches float64
	}{
		{"GPU, 500 launches in a stream", func() error {
			for range burst {
				if err := calls[1].do(); err != nil {
					return err
				}
			}
			return nil
		}, burst},
		{"GPU, 1000 launches in a graph", calls[len(calls)-1].do, 1000},
	} {
		b.Run(on.name, func(b *testing.B) {
			runtime.LockOSThread()
			must(b, g.Bind())
			start, end := g.event(b, true), g.event(b, true)
			sum, n := 0.0, 0.0
			for b.Loop() {
				must(b, s.Record(start))
				must(b, on.do())
				must(b, s.Record(end))
				must(b, s.Sync())
				ms, err := g.Elapsed(start, end)
				must(b, err)
				sum, n = sum+ms, n+1
			}
			b.ReportMetric(sum/n*1e3/on.launches, "µs/launch")
		})
	}
}
