package device

import (
	"fmt"

	"moegen/runtime/driver"
	"moegen/runtime/host"
	"moegen/runtime/safetensors"
)

// Rank is one rank of a program, as the program's functions see it: they tell it what to launch, in an order in which one
// stream could run it. The first thing that goes wrong is kept, and comes back from the Run of the part.
type Rank struct {
	ID    int
	Ranks int

	plays     int // ranks that it stands for, from ID on: 1, or all
	device    driver.Device
	module    driver.Module
	stream    driver.Stream
	beside    driver.Stream // that of communication, in graphs
	arena     driver.Addr
	bytes     int64 // of the arena
	folded    int64 // of its last bytes, which have a second offset
	functions map[*Kernel]*driver.Function
	events    []*driver.Event // of marks, by number
	notes     []step          // of the part whose function is running
	now       Stream          // of what is noted
	err       error
}

// step is one thing that a part does: exactly one of launch, fill, load, tap, mark and wait is set.
type step struct {
	on     Stream
	launch *driver.Launch
	kernel *Kernel // of the launch
	grid   int     // blocks that it asks for
	fill   *area
	load   *load
	tap    *tap
	mark   *driver.Event
	wait   *driver.Event
}

// area is a piece of the arena.
type area struct {
	at    driver.Addr
	bytes int64
}

// load is bytes that are copied to the arena.
type load struct {
	at   driver.Addr
	from []byte
}

// tap is a value with a name.
type tap struct {
	name  string
	layer int
	at    driver.Addr
	dtype safetensors.DType
	n     int
}

// note calls the function of a part and returns what it does.
func (r *Rank) note(f func(*Rank)) ([]step, error) {
	r.notes, r.now, r.err = nil, Compute, nil
	f(r)
	return r.notes, r.err
}

// add notes a step.
func (r *Rank) add(s step) {
	s.on = r.now
	r.notes = append(r.notes, s)
}

// Launch launches a kernel on a grid of so many blocks.
func (r *Rank) Launch(k *Kernel, grid int, args ...Arg) {
	if r.err != nil {
		return
	}
	l, err := r.launch(k, grid, args)
	if err != nil {
		r.err = err
		return
	}
	r.add(step{launch: l, kernel: k, grid: grid})
}

func (r *Rank) launch(k *Kernel, grid int, args []Arg) (*driver.Launch, error) {
	f := r.functions[k]
	if f == nil {
		var err error
		if f, err = r.device.Function(r.module, k.Name, k.Shared); err != nil {
			return nil, err
		}
		r.functions[k] = f
	}
	cluster := max(k.Cluster, 1)
	if grid < 1 || grid%cluster != 0 {
		panic(fmt.Sprintf("BUG: device: a grid of %d blocks of %s, which has clusters of %d", grid, k.Name, cluster))
	}
	if k.Persistent {
		grid = driver.Persistent(grid, cluster, f.Resident(r.device.Info(), k.Threads))
	}
	l := &driver.Launch{Function: f, Grid: driver.Dim{uint32(grid), 1, 1}, Block: driver.Dim{uint32(k.Threads), 1, 1}}
	if cluster > 1 {
		l.Cluster = driver.Dim{uint32(cluster), 1, 1}
	}
	for i := range args {
		if err := args[i].add(r, &l.Params); err != nil {
			return nil, err
		}
	}
	return l, l.Check()
}

// Zero stores zeros in a piece of the arena; offset and bytes are multiples of 4.
func (r *Rank) Zero(off, bytes int64) {
	if off%4 != 0 || bytes%4 != 0 {
		panic(fmt.Sprintf("BUG: device: zeros in %d bytes at offset %d", bytes, off))
	}
	r.add(step{fill: &area{r.at(off, bytes), bytes}})
}

// RopeTable fills rotation tables: host.RopeTable's, rounded to a type.
func (r *Rank) RopeTable(seq, rot int, invFreq []float64, scale float64, d safetensors.DType, cos, sin int64) {
	n := seq * rot / 2
	tables := [2][]float32{make([]float32, n), make([]float32, n)}
	host.RopeTable(seq, rot, invFreq, scale, tables[0], tables[1])
	for i, off := range []int64{cos, sin} {
		raw := make([]byte, n*d.Bytes())
		safetensors.Encode(d, tables[i], raw)
		r.add(step{load: &load{r.at(off, int64(len(raw))), raw}})
	}
}

// Tap names n values of a type (F32, BF16 or I32) at an offset of the arena. It costs nothing where nobody wants to know.
func (r *Rank) Tap(name string, layer int, off int64, d safetensors.DType, n int) {
	r.add(step{tap: &tap{name, layer, r.at(off, int64(n*d.Bytes())), d, n}})
}

// run gives steps to the rank's stream, one after another on whatever stream they were noted, and calls between after each of
// them. No kernel starts early.
func (r *Rank) run(steps []step, between func(*step) error) error {
	for i := range steps {
		s := &steps[i]
		if s.mark != nil || s.wait != nil {
			continue
		}
		if err := r.give(r.stream, s, false); err != nil {
			return err
		}
		if err := between(s); err != nil {
			return err
		}
	}
	return nil
}

// give gives a step to a stream. behind says that a kernel is in front of it there, and nothing between them.
func (r *Rank) give(to driver.Stream, s *step, behind bool) error {
	switch {
	case s.launch != nil:
		s.launch.Overlap = s.kernel.Dependent && behind
		return to.Launch(s.launch)
	case s.fill != nil:
		return to.Fill(s.fill.at, 0, s.fill.bytes/4)
	case s.load != nil:
		if err := to.Sync(); err != nil {
			return err
		}
		return r.device.Write(s.load.at, s.load.from)
	case s.mark != nil:
		return to.Record(*s.mark)
	case s.wait != nil:
		return to.Wait(*s.wait)
	}
	return nil
}

// direct goes through steps one by one and hands what they name to t, if that is not nil.
func (r *Rank) direct(steps []step, t host.Tap) error {
	return r.run(steps, func(s *step) error {
		if s.tap == nil || t == nil {
			return nil
		}
		return r.hand(s.tap, t)
	})
}

// hand reads a value and hands it over.
func (r *Rank) hand(v *tap, to host.Tap) error {
	if err := r.stream.Sync(); err != nil {
		return err
	}
	if v.dtype == safetensors.I32 {
		x := make([]int32, v.n)
		if err := r.device.Read(safetensors.Bytes(x), v.at); err != nil {
			return err
		}
		for i := range r.plays {
			to.I32(r.ID+i, v.name, v.layer, x)
		}
		return nil
	}
	raw, x := make([]byte, v.n*v.dtype.Bytes()), make([]float32, v.n)
	if err := r.device.Read(raw, v.at); err != nil {
		return err
	}
	safetensors.Decode(v.dtype, raw, x)
	for i := range r.plays {
		to.F32(r.ID+i, v.name, v.layer, x)
	}
	return nil
}

// capture makes a graph of what f gives to the stream.
func (r *Rank) capture(f func() error) (driver.Graph, error) {
	if err := r.stream.Begin(); err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		r.stream.End() // the first error is the one to know
		return 0, err
	}
	return r.stream.End()
}
