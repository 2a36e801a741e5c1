package device

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"moegen/runtime/driver"
	"moegen/runtime/host"
	"moegen/runtime/train"
)

// worker is a rank and the goroutine, locked to its thread, that makes all calls for its GPU.
type worker struct {
	Rank
	on      *gpu
	program *train.Program
	target  *target
	calls   chan func()
	last    *call // that all workers were asked for

	inputs  []*port
	results []*port
	steps   map[train.Part][]step
	graphs  map[train.Part]driver.Graph
	timings map[train.Part]*timing
	busy    time.Duration      // of the host, in all runs, beside waiting for the GPU
	took    map[string]float64 // milliseconds of timed kernels by family
	clocks  float64            // milliseconds that taking the time took
}

// port is a place of the arena that the host writes before runs, or reads after those of some parts, with pinned memory.
type port struct {
	at     driver.Addr
	off    int64
	pinned driver.Host
	fresh  bool         // of an input: written since the last run
	after  []train.Part // of a result
}

func newWorker(id int, on *gpu, t *target, p *train.Program) *worker {
	bytes, folded := p.Arena()
	w := &worker{
		Rank: Rank{ID: id, Ranks: p.Manifest.Ranks, plays: p.Manifest.Ranks / running(p),
			device: on.device, bytes: bytes, folded: folded, functions: map[*Kernel]*driver.Function{}},
		on: on, program: p, target: t, calls: make(chan func()),
		steps: map[train.Part][]step{}, graphs: map[train.Part]driver.Graph{}, timings: map[train.Part]*timing{}, took: map[string]float64{},
	}
	go func() {
		runtime.LockOSThread()
		for call := range w.calls {
			call()
		}
	}()
	return w
}

// call is something that a worker was asked to do.
type call struct {
	done  chan struct{}
	err   error
	fault string // of ours, with a stack
}

// begin asks the worker to do something.
func (w *worker) begin(f func() error) *call {
	c := &call{done: make(chan struct{})}
	w.calls <- func() {
		returned := false
		defer func() {
			if !returned {
				c.fault = fmt.Sprintf("rank %d: %v\n\nrank stack:\n%s", w.ID, recover(), debug.Stack())
			}
			close(c.done)
		}()
		c.err = f()
		returned = true
	}
	return c
}

// wait returns what came of it.
func (c *call) wait() error {
	<-c.done
	if c.fault != "" {
		panic(c.fault)
	}
	return c.err
}

// ended tells whether wait returns at once.
func (c *call) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (w *worker) do(f func() error) error { return w.begin(f).wait() }

// open takes the memory.
func (w *worker) open() (err error) {
	if err = w.device.Bind(); err != nil {
		return err
	}
	w.module = w.on.module
	if w.arena, err = w.device.Alloc(w.program.PeakBytes()); err != nil {
		return err
	}
	if w.stream, err = w.device.NewStream(false); err != nil {
		return err
	}
	// What crosses between ranks goes first: others wait for it.
	if w.beside, err = w.device.NewStream(true); err != nil {
		return err
	}
	if w.Ranks > 1 {
		// Rows behind the last that a rank received are nobody's, and products read them in whole tiles: what they hold shows in
		// whatever uses it.
		if err = w.stream.Fill(w.arena, ^uint32(0), w.bytes/4); err != nil {
			return err
		}
	}
	if err = w.openPorts(); err != nil {
		return err
	}
	for _, s := range w.program.Zeros {
		at := s.At &^ 3 // whatever else lies in the words that a span begins and ends in is yet to be written
		n := s.At + s.Bytes - at
		if err := w.stream.Fill(w.at(at, n), 0, (n+3)/4); err != nil {
			return err
		}
	}
	return w.stream.Sync()
}

// openPorts pins the memory for what passes in and out around every run.
func (w *worker) openPorts() error {
	l, m := &w.program.Layout, &w.program.Manifest
	tokens := 4 * int64(m.MicroBatch*m.Seq)
	open := func(off, bytes int64, after ...train.Part) (*port, error) {
		pinned, err := w.device.AllocHost(bytes)
		if err == nil {
			clear(pinned.Bytes)
		}
		return &port{at: w.at(off, bytes), off: off, pinned: pinned, after: after}, err
	}
	inputs := [][2]int64{{l.Tokens, tokens}, {l.Targets, tokens}, {l.Positions, tokens}, {l.Starts, tokens}, {l.Record, 4 * host.RecordLen}, {l.HeadRow, 4}}
	if l.Choice >= 0 {
		inputs = append(inputs, [2]int64{l.Choice, tokens * int64(m.TopK)})
	}
	for _, in := range inputs {
		p, err := open(in[0], in[1])
		if err != nil {
			return err
		}
		w.inputs = append(w.inputs, p)
	}
	for _, out := range []struct {
		off, bytes int64
		after      []train.Part
	}{{l.Loss, 4, []train.Part{train.MicroBatch, train.Eval}}, {l.AuxLoss, 4, []train.Part{train.MicroBatch}},
		{l.PoolUse, 8, []train.Part{train.MicroBatch}}, {l.GradNorm, 4, []train.Part{train.Update}}} {
		if out.off < 0 {
			continue
		}
		p, err := open(out.off, out.bytes, out.after...)
		if err != nil {
			return err
		}
		w.results = append(w.results, p)
	}
	return nil
}

// input keeps what is written to an input until the next run; false if it is none.
func (w *worker) input(off int64, from []byte) bool {
	for _, p := range w.inputs {
		if p.off == off && len(from) <= len(p.pinned.Bytes) {
			copy(p.pinned.Bytes, from)
			p.fresh = true
			return true
		}
	}
	return false
}

// result reads a result of the last run; false if it is none.
func (w *worker) result(to []byte, off int64) bool {
	for _, p := range w.results {
		if p.off == off && len(to) <= len(p.pinned.Bytes) {
			copy(to, p.pinned.Bytes)
			return true
		}
	}
	return false
}

// copy copies between the arena and pinned memory and waits for it.
func (w *worker) copy(to, from driver.Addr, bytes int) error {
	if err := w.stream.Copy(to, from, int64(bytes)); err != nil {
		return err
	}
	return w.stream.Sync()
}

// prepare makes what start runs of a part. Its function is called once, its graph made at the first use. Nothing that a rank might
// be waiting for has been launched yet: to make a graph takes memory, for which a driver may wait until the GPU is idle.
func (w *worker) prepare(part train.Part, t host.Tap, timed bool) (err error) {
	begin := time.Now()
	defer func() { w.busy += time.Since(begin) }()
	w.on.preparing.Lock()
	defer w.on.preparing.Unlock()
	steps, known := w.steps[part]
	if !known {
		if steps, err = w.note(w.target.parts.Of(part)); err != nil {
			return err
		}
		w.steps[part] = steps
	}
	if part == train.Setup || t != nil || len(steps) == 0 {
		return nil
	}
	if slices.ContainsFunc(steps, func(s step) bool { return s.load != nil }) {
		panic("BUG: device: tables are filled by the setup alone")
	}
	if timed {
		if w.timings[part] == nil {
			w.timings[part], err = w.newTiming(steps)
		}
		return err
	}
	if _, known := w.graphs[part]; !known {
		w.graphs[part], err = w.graph(steps)
	}
	return err
}

// finish waits for what start gave.
func (w *worker) finish(part train.Part, timed bool) error {
	if err := w.stream.Sync(); err != nil {
		return err
	}
	if t := w.timings[part]; timed && t != nil {
		return w.collect(t)
	}
	return nil
}

// start gives everything of a run to the stream: the part's graph, or, for a tap, one step after another.
func (w *worker) start(part train.Part, t host.Tap, timed bool) error {
	begin := time.Now()
	defer func() { w.busy += time.Since(begin) }()
	for _, p := range w.inputs {
		if !p.fresh {
			continue
		}
		p.fresh = false
		if err := w.stream.Copy(p.at, p.pinned.Addr, int64(len(p.pinned.Bytes))); err != nil {
			return err
		}
	}
	if err := w.launch(part, t, timed); err != nil {
		return err
	}
	for _, p := range w.results {
		for _, after := range p.after {
			if after != part {
				continue
			}
			if err := w.stream.Copy(p.pinned.Addr, p.at, int64(len(p.pinned.Bytes))); err != nil {
				return err
			}
		}
	}
	return nil
}

// launch gives the launches of a part to the stream.
func (w *worker) launch(part train.Part, t host.Tap, timed bool) error {
	steps := w.steps[part]
	switch {
	case part == train.Setup || t != nil:
		return w.direct(steps, t)
	case len(steps) == 0:
		return nil
	case timed:
		return w.stream.Run(w.timings[part].graph)
	}
	return w.stream.Run(w.graphs[part])
}
