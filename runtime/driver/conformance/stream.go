package conformance

import (
	"runtime"
	"slices"
	"testing"

	"moegen/runtime/driver"
)

func streamOrder(t *testing.T, g *gpu) {
	for _, urgent := range []bool{false, true} {
		s, err := g.NewStream(urgent)
		must(t, err)
		cells, step := g.words(t, 7, 0, 0), g.kernel(t, "step", 0)
		for i := range 200 {
			must(t, s.Launch(word(step, cells, uint32(i))))
			if i == 99 {
				must(t, s.Copy(cells+4, cells, 4))
				must(t, s.Fill(cells+8, 5, 1))
			}
		}
		must(t, s.Launch(word(step, cells+8, 1)))
		must(t, s.Sync())
		if done, err := s.Done(); err != nil || !done {
			t.Errorf("after Sync the stream is not done (%v)", err)
		}
		if got, want := g.read(t, cells, 3), []uint32{steps(7, 200), steps(7, 100), 16}; !slices.Equal(got, want) {
			t.Errorf("cells hold %d, want %d", got, want)
		}
		must(t, s.Close())
	}
}

func overlap(t *testing.T, g *gpu) {
	s := g.stream(t)
	for _, cluster := range []driver.Dim{{}, {1, 1, 1}} {
		cell, chain := g.words(t, 7), g.kernel(t, "chain", 0)
		for i := range 200 {
			l := word(chain, cell, uint32(i))
			l.Overlap, l.Cluster = true, cluster
			must(t, s.Launch(l))
		}
		if got := g.read(t, cell, 1)[0]; got != steps(7, 200) {
			t.Errorf("cluster %v: the cell holds %d, want %d", cluster, got, steps(7, 200))
		}
	}
}

func eventOrder(t *testing.T, g *gpu) {
	a, b := g.stream(t), g.stream(t)
	there, back := g.event(t, false), g.event(t, false)
	cell, step := g.words(t, 7), g.kernel(t, "step", 0)
	for i := 0; i < 100; i += 2 { // the streams take turns
		must(t, a.Launch(word(step, cell, uint32(i))))
		must(t, a.Record(there))
		must(t, b.Wait(there))
		must(t, b.Launch(word(step, cell, uint32(i+1))))
		must(t, b.Record(back))
		must(t, a.Wait(back))
	}
	must(t, a.Record(there))
	must(t, g.Await(there))
	b4 := make([]byte, 4)
	must(t, g.Read(b4, cell))
	if got := decode(b4)[0]; got != steps(7, 100) {
		t.Errorf("the cell holds %d, want %d", got, steps(7, 100))
	}
	fresh := g.event(t, false) // never recorded: nothing to wait for
	must(t, a.Wait(fresh))
	must(t, g.Await(fresh))
	must(t, a.Sync())
	must(t, b.Sync())
}

func timing(t *testing.T, g *gpu) {
	s, step, cell := g.stream(t), g.kernel(t, "step", 0), g.words(t, 0)
	start, middle, end := g.event(t, true), g.event(t, true), g.event(t, true)
	must(t, s.Record(start))
	must(t, s.Launch(word(step, cell, 0)))
	must(t, s.Record(middle))
	for i := range 100 {
		must(t, s.Launch(word(step, cell, uint32(i))))
	}
	must(t, s.Record(end))
	must(t, g.Await(end))
	first, err := g.Elapsed(start, middle)
	must(t, err)
	all, err := g.Elapsed(start, end)
	must(t, err)
	if first < 0 || all < first || all == 0 || all > 60e3 {
		t.Errorf("1 launch took %g ms and 101 took %g", first, all)
	}
	untimed := g.event(t, false)
	must(t, s.Record(untimed))
	must(t, g.Await(untimed))
	_, err = g.Elapsed(start, untimed)
	refused(t, "the time of an event that takes none", driver.Refused, err)
	_, err = g.Elapsed(start, g.event(t, true))
	refused(t, "the time of an event that has not happened", driver.Refused, err)
}

func graph(t *testing.T, g *gpu) {
	s, other := g.stream(t), g.stream(t)
	cells, step := g.words(t, 7, 0, 9), g.kernel(t, "step", 0)
	start, end := g.event(t, true), g.event(t, true)
	must(t, s.Begin())
	must(t, s.Record(start))
	l := word(step, cells, 0)
	for i := range 20 {
		l.Params[8] = byte(i) // captured as it is now
		must(t, s.Launch(l))
	}
	must(t, s.Copy(cells+4, cells, 4))
	must(t, s.Fill(cells+8, 4, 1))
	must(t, s.Launch(word(step, cells+8, 2)))
	must(t, s.Record(end))
	gr, err := s.End()
	must(t, err)
	if got := g.read(t, cells, 3); !slices.Equal(got, []uint32{7, 0, 9}) {
		t.Errorf("capturing changed memory: %d", got)
	}
	want := uint32(7)
	for range 3 {
		want = steps(want, 20)
		must(t, s.Run(gr))
		if got := g.read(t, cells, 3); !slices.Equal(got, []uint32{want, want, 14}) {
			t.Errorf("after a run of the graph cells hold %d, want %d", got, []uint32{want, want, 14})
		}
		if ms, err := g.Elapsed(start, end); err != nil || ms <= 0 || ms > 60e3 {
			t.Errorf("a run took %g ms (%v)", ms, err)
		}
	}
	for range 5 { // back to back, and on another stream
		must(t, s.Run(gr))
		want = steps(want, 20)
	}
	must(t, s.Sync())
	must(t, other.Run(gr))
	want = steps(want, 20)
	if got := g.read(t, cells, 1)[0]; got != want {
		t.Errorf("after six more runs the cell holds %d, want %d", got, want)
	}
	must(t, g.FreeGraph(gr))
}

func forkedGraph(t *testing.T, g *gpu) {
	a, b := g.stream(t), g.stream(t)
	fork, join := g.event(t, false), g.event(t, false)
	x, y, step := g.words(t, 7), g.words(t, 8), g.kernel(t, "chain", 0)
	next := func(s driver.Stream, cell driver.Addr, v uint32) {
		l := word(step, cell, v)
		l.Overlap = true
		must(t, s.Launch(l))
	}
	must(t, a.Begin())
	next(a, x, 0)
	must(t, a.Record(fork))
	must(t, b.Wait(fork))
	for i := range uint32(5) { // side by side
		next(a, x, 1+i)
		next(b, y, i)
	}
	must(t, b.Record(join))
	must(t, a.Wait(join))
	must(t, a.Copy(x, y, 4)) // after both
	next(a, x, 5)
	gr, err := a.End()
	must(t, err)
	for range 2 {
		must(t, a.Run(gr))
	}
	must(t, g.Sync())
	must(t, b.Launch(word(step, x, 0))) // b captures no longer; the word is overwritten by the next run
	must(t, g.Sync())
	must(t, a.Run(gr))
	want := steps(steps(steps(8, 5), 5), 5)
	if got := []uint32{g.read(t, x, 1)[0], g.read(t, y, 1)[0]}; !slices.Equal(got, []uint32{3*want + 5, want}) {
		t.Errorf("cells hold %d, want %d", got, []uint32{3*want + 5, want})
	}
	must(t, g.FreeGraph(gr))

	// A stream that took part and was not joined spoils the capture.
	must(t, a.Begin())
	must(t, a.Record(fork))
	must(t, b.Wait(fork))
	next(b, y, 0)
	_, err = a.End()
	refused(t, "a capture with a stream that was not joined", driver.Refused, err)
	next(b, y, 0)
	next(a, x, 0)
	must(t, g.Sync())
}

func spoiltCapture(t *testing.T, g *gpu) {
	s, cell, step := g.stream(t), g.words(t, 7), g.kernel(t, "step", 0)
	_, err := s.End()
	refused(t, "the end of no capture", driver.Refused, err)
	must(t, s.Begin())
	must(t, s.Launch(word(step, cell, 0)))
	refused(t, "waiting for a stream that is captured", driver.Refused, s.Sync())
	_, err = s.End()
	refused(t, "a capture in which Sync was called", driver.Refused, err)
	must(t, s.Launch(word(step, cell, 0)))
	if got := g.read(t, cell, 1)[0]; got != 21 {
		t.Errorf("after a spoilt capture the cell holds %d, want 21", got)
	}
}

// threads has four goroutines, each with a stream of its own, on threads that Bind has made the GPU's.
func threads(t *testing.T, g *gpu) {
	const workers, launches = 4, 500
	cells, step := g.words(t, make([]uint32, 64*workers)...), g.kernel(t, "step", 0)
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			errs <- func() error {
				if err := g.Bind(); err != nil {
					return err
				}
				s, err := g.NewStream(false)
				if err != nil {
					return err
				}
				for i := range launches {
					if err := s.Launch(word(step, cells+driver.Addr(256*w), uint32(i))); err != nil {
						return err
					}
				}
				if err := s.Sync(); err != nil {
					return err
				}
				return s.Close()
			}()
		}()
	}
	for range workers {
		must(t, <-errs)
	}
	for w := range workers {
		if got := g.read(t, cells+driver.Addr(256*w), 1)[0]; got != steps(0, launches) {
			t.Errorf("thread %d: the cell holds %d, want %d", w, got, steps(0, launches))
		}
	}
}
