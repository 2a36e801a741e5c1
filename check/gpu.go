package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

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
	program   *program
	simulated memory // what the outputs must be, bit by bit; nil of a large case
	ready     chan struct{}
}

func (r *gpuRun) prepare(item Item, text string, o Options) {
	defer close(r.ready)
	if r.program, r.Failure = build(item, text); r.Failure != nil {
		return
	}
	if !item.Case.Large {
		simulated, failure := r.simulate([]*program{r.program}, o.Seeds, o.config)
		if failure != nil {
			r.Failure = failure
			return
		}
		r.simulated = simulated[0]
	}
	r.Failure = r.assemble(r.program.text, o.Assembler)
}

// execute runs the case once on the GPU.
func (r *gpuRun) execute(device driver.Device) (*Failure, error) {
	p := r.program
	run, failure, err := p.load(device, 1)
	defer run.free()
	if failure != nil || err != nil {
		return failure, err
	}
	for i := range run.launches[0] {
		if err := run.stream.Launch(&run.launches[0][i]); err != nil {
			return refusal(err)
		}
	}
	if err := run.stream.Sync(); err != nil {
		return refusal(err)
	}
	after, failure, err := run.read(0)
	if failure != nil || err != nil {
		return failure, err
	}
	r.Sum = p.sum(after)
	if r.Worst, failure = p.compare(run.before, after); failure != nil {
		return failure, nil
	}
	if r.simulated != nil {
		if where := p.differ(r.simulated, after); where != "" {
			return &Failure{Check: Simulator, Message: where + " in the simulator and on the GPU"}, nil
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
	filled   memory          // what the buffers hold before a launch, guards included
	before   memory          // the same without them
	arenas   [][]driver.Addr // of each copy and buffer, guards included
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
		for _, a := range arena {
			l.device.Free(a)
		}
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
	l.arenas = append(l.arenas, nil)
	arena := &l.arenas[len(l.arenas)-1]
	for _, data := range l.filled {
		at, err := l.device.Alloc(int64(len(data)))
		if err != nil {
			return err
		}
		*arena = append(*arena, at)
		if err := l.device.Write(at, data); err != nil {
			return err
		}
	}
	return nil
}

// contents makes what the buffers hold before a launch.
func (l *loaded) contents() {
	for _, b := range l.Buffers {
		size := b.Len * b.Elem.Bytes()
		data := bytes.Repeat([]byte{unknown}, size+2*guard)
		copy(data[guard:], b.Bytes())
		l.filled, l.before = append(l.filled, data), append(l.before, data[guard:guard+size])
	}
}

// prepare makes the launches of a copy.
func (l *loaded) prepare(n int) error {
	base := func(buffer string) uint64 {
		for i, b := range l.Buffers {
			if b.Name == buffer {
				return uint64(l.arenas[n][i]) + guard
			}
		}
		panic("BUG: no buffer " + buffer)
	}
	encode := func(t *driver.Tensor) (driver.TensorMap, error) { return l.device.TensorMap(t) }
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
		launch := driver.Launch{Function: f, Grid: driver.Dim{uint32(blocks(g, f.Resident(l.device.Info(), g.Threads))), 1, 1},
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
	var out memory
	for i, b := range l.Buffers {
		data := make([]byte, b.Len*b.Elem.Bytes()+2*guard)
		if err := l.device.Read(data, l.arenas[n][i]); err != nil {
			return nil, nil, err
		}
		end := len(data) - guard
		around := append(data[:guard:guard], data[end:]...)
		if !bytes.Equal(around, bytes.Repeat([]byte{unknown}, 2*guard)) {
			return nil, &Failure{Check: Untouched, Message: "memory beside " + b.Name + " was written"}, nil
		}
		out = append(out, data[guard:end])
	}
	return out, nil, nil
}
