package check

import (
	"fmt"
	"slices"

	"moegen/runtime/driver"
)

// Ceiling is what a kind of GPU was measured to do at most.
type Ceiling struct {
	GPU    string  `json:"gpu"`    // as the driver names it
	TFLOPs float64 `json:"tflops"` // of bf16 matrix products that last
	TBs    float64 `json:"tbs"`    // read and written, in 10^12 bytes a second
}

// ceilings are measured: an H100 at its 700 W settles at 1.40 GHz in products of normal data, 132 multiprocessors times
// 4096 operations a cycle; a copy of 2 GiB takes 1.423 ms.
var ceilings = []Ceiling{{"NVIDIA H100 80GB HBM3", 750, 3.02}}

// CeilingOf returns the ceiling of a GPU; ok is false for one that was never measured.
func CeilingOf(name string) (c Ceiling, ok bool) {
	for _, c := range ceilings {
		if c.GPU == name {
			return c, true
		}
	}
	return Ceiling{}, false
}

// Timing is how long a case takes.
type Timing struct {
	Kernel  string   `json:"kernel"`
	Case    string   `json:"case"`
	Median  float64  `json:"us"`     // of the bursts, microseconds a run
	Least   float64  `json:"us_min"` //
	Most    float64  `json:"us_max"` //
	Runs    int      `json:"runs"`   // in a burst
	Copies  int      `json:"copies"` // of the buffers, used in turn
	TFLOPs  float64  `json:"tflops"` // 0 where memory decides
	TBs     float64  `json:"tbs"`    // the least bytes over the time
	Copy    float64  `json:"copy"`   // TB/s of a copy that moves as many bytes; 0 where the tensor cores decide
	Share   float64  `json:"share"`  // of the ceiling that bounds the case; 0 without one
	Failure *Failure `json:"failure,omitempty"`
}

// bursts is how many are taken of a case; a graph is as long as the launch of one costs nothing beside it.
const bursts, graphTime = 9, 1e3

// Bench times a case on a GPU: bursts of runs, each of about so many microseconds, from graphs, so that the host's calls take
// no part. The runs go round copies of the buffers, together three times as large as the second-level cache, so that every
// run finds it cold. A failure says that the GPU refused the kernel; an error that it has failed.
func Bench(device driver.Device, item Item, burst float64) (*Timing, error) {
	t := &Timing{Kernel: item.Kernel, Case: item.Case.Name}
	ranks, failure := build(item, "")
	if failure != nil {
		t.Failure = failure
		return t, nil
	}
	p := ranks[0]
	size := int64(0)
	for _, b := range p.Buffers {
		size += int64(b.Len * b.Elem.Bytes())
	}
	t.Copies = copies(device, size)
	l, failure, err := p.load(device, t.Copies)
	defer l.free()
	if failure == nil && err == nil {
		failure, err = t.bench(l, burst)
	}
	t.Failure = failure
	return t, err
}

// copies is how many copies of so many bytes are three times as large as the cache.
func copies(device driver.Device, size int64) int {
	return int(max(1, (3*device.Info().L2+size-1)/size))
}

func (t *Timing) bench(l *loaded, burst float64) (*Failure, error) {
	m := &measurement{device: l.device, stream: l.stream, copies: t.Copies, run: func(copy int) error {
		for i := range l.launches[copy] {
			if err := l.stream.Launch(&l.launches[copy][i]); err != nil {
				return err
			}
		}
		return nil
	}}
	times, err := m.bursts(burst)
	if err != nil {
		return refusal(err)
	}
	t.Median, t.Least, t.Most, t.Runs = times[bursts/2], times[0], times[bursts-1], m.runs
	if l.Floor.FLOPs == 0 {
		if t.Copy, err = copyRate(l.device, l.stream, l.Floor.Bytes/2, burst); err != nil {
			return nil, err
		}
	}
	t.rate(l.program, l.device.Info())
	return nil, nil
}

// copyRate times a copy within the device in the same way and returns 10^12 bytes a second, read and written.
func copyRate(device driver.Device, stream driver.Stream, bytes int64, burst float64) (float64, error) {
	var places []driver.Addr
	defer func() {
		for _, a := range places {
			device.Free(a)
		}
	}()
	m := &measurement{device: device, stream: stream, copies: copies(device, 2*bytes)}
	for range 2 * m.copies {
		a, err := device.Alloc(bytes)
		if err != nil {
			return 0, err
		}
		places = append(places, a)
	}
	m.run = func(copy int) error { return stream.Copy(places[2*copy+1], places[2*copy], bytes) }
	times, err := m.bursts(burst)
	if err != nil || times[bursts/2] <= 0 {
		return 0, err
	}
	return 2 * float64(bytes) / times[bursts/2] / 1e6, nil
}

// A measurement times runs of something that go round copies of what they touch.
type measurement struct {
	device driver.Device
	stream driver.Stream
	copies int
	run    func(copy int) error // enqueues one
	runs   int                  // in a burst
}

// bursts returns the microseconds of a run in each of the bursts, sorted.
func (m *measurement) bursts(burst float64) (times []float64, err error) {
	from, err := m.device.NewEvent(true)
	if err != nil {
		return nil, err
	}
	defer m.device.FreeEvent(from)
	to, err := m.device.NewEvent(true)
	if err != nil {
		return nil, err
	}
	defer m.device.FreeEvent(to)
	graph, err := m.capture(1)
	if err != nil {
		return nil, err
	}
	defer func() { m.device.FreeGraph(graph) }()
	timed := func(replays int) (float64, error) {
		if err := m.stream.Record(from); err != nil {
			return 0, err
		}
		for range replays {
			if err := m.stream.Run(graph); err != nil {
				return 0, err
			}
		}
		if err := m.stream.Record(to); err != nil {
			return 0, err
		}
		if err := m.device.Await(to); err != nil {
			return 0, err
		}
		ms, err := m.device.Elapsed(from, to)
		return ms * 1e3 / float64(replays), err
	}
	if _, err := timed(2); err != nil { // clocks rise, caches fill
		return nil, err
	}
	once, err := timed(1)
	if err != nil {
		return nil, err
	}
	rounds := int(min(max(min(burst, graphTime)/max(once, 0.1), 1), 1000))
	if rounds > 1 {
		m.device.FreeGraph(graph)
		if graph, err = m.capture(rounds); err != nil {
			return nil, err
		}
		if once, err = timed(1); err != nil {
			return nil, err
		}
	}
	replays := int(min(max(burst/max(once, 0.1), 1), 1000))
	m.runs = replays * rounds * m.copies
	for range bursts {
		us, err := timed(replays)
		if err != nil {
			return nil, err
		}
		times = append(times, us/float64(rounds*m.copies))
	}
	slices.Sort(times)
	return times, nil
}

// capture makes a graph of so many rounds over the copies.
func (m *measurement) capture(rounds int) (driver.Graph, error) {
	if err := m.stream.Begin(); err != nil {
		return 0, err
	}
	var failed error
	for i := 0; i < rounds*m.copies && failed == nil; i++ {
		failed = m.run(i % m.copies)
	}
	graph, err := m.stream.End()
	if failed != nil {
		err = failed
	}
	return graph, err
}

// rate turns the median into rates.
func (t *Timing) rate(p *program, info driver.Info) {
	seconds := t.Median * 1e-6
	if seconds <= 0 {
		return
	}
	t.TFLOPs = float64(p.Floor.FLOPs) / seconds / 1e12
	t.TBs = float64(p.Floor.Bytes) / seconds / 1e12
	if c, ok := CeilingOf(info.Name); ok {
		t.Share = max(t.TFLOPs/c.TFLOPs, t.TBs/c.TBs)
	}
}

// GPUName names a GPU and its driver for reports.
func GPUName(d driver.Driver, device driver.Device) string {
	_, release := d.Version()
	return fmt.Sprintf("%s, driver %s", device.Info().Name, release)
}
