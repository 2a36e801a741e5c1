package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"moegen/kernels/gpu"
	"moegen/runtime/driver"
)

// RunGPU checks cases on a GPU, one after the other, and hands each result over as soon as it is there: outputs against the
// truth, memory around the buffers untouched and, unless a case is for a GPU only, the bits of the simulator under all
// checkers. The simulator works ahead on the cores. texts replace what the cases emit where they are not empty. The calling
// thread is bound to the device. An error means that the context has ended, or that the GPU has failed: nothing more can run
// in this process.
func RunGPU(ctx context.Context, device driver.Device, items []Item, texts []string, o Options, done func(*Result)) error {
	ctx, cancel := context.WithCancel(ctx)
	runs := make([]*gpuRun, len(items))
	for i, item := range items {
		r := &Result{Kernel: item.Kernel, Case: item.Case.Name, Device: "gpu", Floor: item.Case.Floor.Bytes}
		runs[i] = &gpuRun{Result: r, ready: make(chan struct{})}
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				runs[i].prepare(items[i], texts[i], o)
			}
		})
	}
	workers.Go(func() {
		defer close(next)
		for i := range items {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	for i, r := range runs {
		select {
		case <-r.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		if r.Failure == nil {
			var err error
			if r.Failure, err = r.execute(device); err != nil {
				return fmt.Errorf("%s %s: %w", r.Kernel, r.Case, err)
			}
		}
		done(r.Result)
		runs[i] = nil // and its memory
	}
	return nil
}

// gpuRun is a case on its way: what needs no GPU is done when ready is closed.
type gpuRun struct {
	*Result
	ranks     []*program
	simulated []memory // what the outputs of each rank must be, bit by bit; nil of a large case
	ready     chan struct{}
}

func (r *gpuRun) prepare(item Item, text string, o Options) {
	defer close(r.ready)
	if r.ranks, r.Failure = build(item, text); r.Failure != nil {
		return
	}
	if !item.Case.Large {
		if r.simulated, r.Failure = r.simulate(r.ranks, o.Seeds, o.config); r.Failure != nil {
			return
		}
	}
	r.Failure = r.assemble(r.ranks[0].text, o.Assembler)
}

// execute runs the case once on the GPU, all its ranks at the same time.
func (r *gpuRun) execute(device driver.Device) (*Failure, error) {
	f, failure, err := loadFleet([]driver.Device{device}, r.ranks)
	defer f.free()
	if failure != nil || err != nil {
		return failure, err
	}
	if err := f.run(); err != nil {
		return refusal(err)
	}
	r.Sum, r.Worst = "", nil // of the simulator
	for rank, p := range r.ranks {
		after, failure, err := f[rank].read(0)
		if failure != nil || err != nil {
			return failure, err
		}
		if failure := r.judge(p, f[rank].before, after); failure != nil {
			return failure, nil
		}
		if r.simulated != nil {
			if where := p.differ(r.simulated[rank], after); where != "" {
				return &Failure{Check: Simulator, Message: where + " in the simulator and on the GPU"}, nil
			}
		}
	}
	return nil, nil
}

// refusal tells what is wrong with a kernel from a GPU that has failed.
func refusal(err error) (*Failure, error) {
	var e *driver.Error
	if errors.As(err, &e) && e.Kind == driver.Refused {
		return &Failure{Check: Device, Message: err.Error()}, nil
	}
	return nil, err
}

const (
	guard   = 256  // bytes before and after every buffer that nobody may write
	unknown = 0xC7 // what fills them, and buffers without contents
)

// loaded is a case in the memory of a GPU, several times over: copies whose launches touch different memory.
type loaded struct {
	*program
	device   driver.Device
	module   driver.Module
	stream   driver.Stream
	filled   []byte        // what the buffers hold before a launch, guards included
	before   memory        // the same without them, by buffer
	arenas   []driver.Addr // of each copy
	launches [][]driver.Launch
}

// load puts the case on the device. What it returns is to be freed even with a failure.
func (p *program) load(device driver.Device, copies int) (*loaded, *Failure, error) {
	l := &loaded{program: p, device: device}
	var err error
	if l.module, _, err = device.Load([]byte(p.text)); err == nil {
		l.stream, err = device.NewStream(false)
	}
	for i := 0; i < copies && err == nil; i++ {
		if err = l.fill(); err == nil {
			err = l.prepare(i)
		}
	}
	if err != nil {
		failure, err := refusal(err)
		return l, failure, err
	}
	return l, nil, nil
}

func (l *loaded) free() {
	for _, arena := range l.arenas {
		l.device.Free(arena)
	}
	if l.stream != nil {
		l.stream.Close()
	}
	if l.module != 0 {
		l.device.Unload(l.module)
	}
}

// fill allocates one copy of the buffers and writes their contents.
func (l *loaded) fill() error {
	if l.filled == nil {
		l.contents()
	}
	arena, err := l.device.Alloc(int64(len(l.filled)))
	if err != nil {
		return err
	}
	l.arenas = append(l.arenas, arena)
	return l.device.Write(arena, l.filled)
}

// contents makes what the buffers hold before a launch: each is behind a guard, at a multiple of as many bytes.
func (l *loaded) contents() {
	size := int64(guard)
	for _, b := range l.Buffers {
		size += spaceOf(b)
	}
	l.filled = bytes.Repeat([]byte{unknown}, int(size))
	at := int64(guard)
	for _, b := range l.Buffers {
		data := l.filled[at:][:b.Len*b.Elem.Bytes()]
		copy(data, b.Bytes())
		l.before = append(l.before, data)
		at += spaceOf(b)
	}
}

// spaceOf is what a buffer takes with the guard behind it.
func spaceOf(b gpu.Buffer) int64 { return int64(b.Len*b.Elem.Bytes()+2*guard-1) / guard * guard }

// at is where a copy's buffer is.
func (l *loaded) at(copy int, buffer string) driver.Addr {
	at := l.arenas[copy] + guard
	for _, b := range l.Buffers {
		if b.Name == buffer {
			return at
		}
		at += driver.Addr(spaceOf(b))
	}
	panic("BUG: no buffer " + buffer)
}

// prepare makes the launches of a copy.
func (l *loaded) prepare(n int) error {
	base := func(buffer string) uint64 { return uint64(l.at(n, buffer)) }
	encode := func(t *driver.Tensor) (driver.TensorMap, error) { return l.device.TensorMap(t) }
	on := l.device.Info()
	if l.sms > 0 {
		on.SMs = min(on.SMs, l.sms)
	}
	var list []driver.Launch
	for _, g := range l.grids {
		f, err := l.device.Function(l.module, g.Entry, g.Shared)
		if err != nil {
			return err
		}
		params, err := l.params(g, base, encode)
		if err != nil {
			return err
		}
		launch := driver.Launch{Function: f, Grid: driver.Dim{uint32(blocks(g, f.Resident(on, g.Threads))), 1, 1},
			Block: driver.Dim{uint32(g.Threads), 1, 1}, Overlap: g.Dependent, Params: params}
		if g.Cluster > 1 {
			launch.Cluster = driver.Dim{uint32(g.Cluster), 1, 1}
		}
		list = append(list, launch)
	}
	l.launches = append(l.launches, list)
	return nil
}

// read returns what a copy's buffers hold, or a failure if the memory around one was written.
func (l *loaded) read(n int) (memory, *Failure, error) {
	data := make([]byte, len(l.filled))
	if err := l.device.Read(data, l.arenas[n]); err != nil {
		return nil, nil, err
	}
	var out memory
	guarded, at := data[:guard], int64(guard)
	for _, b := range l.Buffers {
		size := int64(b.Len * b.Elem.Bytes())
		around := append(guarded[:len(guarded):len(guarded)], data[at+size:at+spaceOf(b)]...)
		if !bytes.Equal(around, bytes.Repeat([]byte{unknown}, len(around))) {
			return nil, &Failure{Check: Untouched, Message: "memory beside " + b.Name + " was written"}, nil
		}
		out = append(out, data[at:at+size])
		guarded, at = data[at+size:at+spaceOf(b)], at+spaceOf(b)
	}
	return out, nil, nil
}
