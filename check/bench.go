package check

import (
	"fmt"
	"slices"

	"moegen/kernels/gpu"
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
	Beside  *Copies  `json:"copy,omitempty"`
	Share   float64  `json:"share"` // of the ceiling that bounds the case; 0 without one
	Failure *Failure `json:"failure,omitempty"`
}

// Copies are what a case that memory bounds is held against: copies that move as many bytes, timed in the same way.
type Copies struct {
	Kernel       float64 `json:"kernel_tbs"` // 10^12 bytes a second, read and written, of gpu.CopyCase
	Driver       float64 `json:"driver_tbs"` // of the driver's copy within the device
	ShareKernel  float64 `json:"of_kernel"`  // what the case reaches of these
	ShareDriver  float64 `json:"of_driver"`  //
	CeilingShare float64 `json:"share"`      // what gpu.CopyCase reaches of the ceiling; 0 without one
}

// bursts is how many are taken of a case; a graph is as long as the launch of one costs nothing beside it.
const bursts, graphTime = 9, 1e3

// Bench times cases on a GPU: bursts of runs from graphs, as steps run, so that the host's calls take no part. The runs go round
// copies of the buffers, of which so much is read and written in a round that every run finds the second-level cache cold.
type Bench struct {
	Device driver.Device
	Burst  float64 // microseconds of one, about
	SMs    int     // multiprocessors for which persistent kernels launch blocks; 0: all

	copied map[int64]Copies // rates, by bytes
}

// Time times a case. A failure says that the GPU refused the kernel; an error that it has failed.
func (b *Bench) Time(item Item) (*Timing, error) {
	t := &Timing{Kernel: item.Kernel, Case: item.Case.Name}
	failure, err := b.time(t, item)
	if failure == nil && err == nil && item.Case.Floor.FLOPs == 0 {
		err = b.beside(t, item.Case.Floor.Bytes/2)
	}
	t.Failure = failure
	return t, err
}

func (b *Bench) time(t *Timing, item Item) (*Failure, error) {
	ranks, failure := build(item, "")
	if failure != nil {
		return failure, nil
	}
	p := ranks[0]
	p.sms = b.SMs
	size := int64(0)
	for _, buffer := range p.Buffers {
		size += int64(buffer.Len * buffer.Elem.Bytes())
	}
	t.Copies = b.copies(size, p.Floor.Bytes)
	l, failure, err := p.load(b.Device, t.Copies)
	defer l.free()
	if failure != nil || err != nil {
		return failure, err
	}
	m := &measurement{device: l.device, stream: l.stream, copies: t.Copies, run: func(copy int) error {
		for i := range l.launches[copy] {
			if err := l.stream.Launch(&l.launches[copy][i]); err != nil {
				return err
			}
		}
		return nil
	}}
	times, err := m.bursts(b.Burst)
	if err != nil {
		return refusal(err)
	}
	t.Median, t.Least, t.Most, t.Runs = times[bursts/2], times[0], times[bursts-1], m.runs
	t.rate(p, l.device.Info())
	return nil, nil
}

// mostCopied is how much memory all copies of a case's buffers may take, of which each takes a page at least.
const mostCopied, page = 16 << 30, 2 << 20

// copies is how many copies of buffers of so many bytes, of which a run touches so many, are three times as large as the cache.
func (b *Bench) copies(size, touched int64) int {
	if touched <= 0 {
		touched = size
	}
	touched = min(touched, size)
	return int(max(1, min((3*b.Device.Info().L2+touched-1)/touched, mostCopied/max(size, page))))
}

// beside times copies of so many bytes, or takes what was measured before.
func (b *Bench) beside(t *Timing, bytes int64) error {
	bytes = max((bytes+gpu.CopyBlock/2)/gpu.CopyBlock, 1) * gpu.CopyBlock
	c, known := b.copied[bytes]
	if !known {
		var plain Timing
		all := *b
		all.SMs = 0
		failure, err := all.time(&plain, Item{"copy", gpu.CopyCase(int(bytes))})
		if err != nil {
			return err
		}
		if failure != nil {
			return fmt.Errorf("the GPU refuses a plain copy: %s", failure.Message)
		}
		c.Kernel, c.CeilingShare = plain.TBs, plain.Share
		if c.Driver, err = b.driverCopy(bytes); err != nil {
			return err
		}
		if b.copied == nil {
			b.copied = map[int64]Copies{}
		}
		b.copied[bytes] = c
	}
	if c.Kernel > 0 && c.Driver > 0 {
		c.ShareKernel, c.ShareDriver = t.TBs/c.Kernel, t.TBs/c.Driver
	}
	t.Beside = &c
	return nil
}

// driverCopy times the driver's copy of so many bytes and returns 10^12 bytes a second, read and written.
func (b *Bench) driverCopy(bytes int64) (float64, error) {
	stream, err := b.Device.NewStream(false)
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	var places []driver.Addr
	defer func() {
		for _, a := range places {
			b.Device.Free(a)
		}
	}()
	m := &measurement{device: b.Device, stream: stream, copies: b.copies(2*bytes, 2*bytes)}
	for range 2 * m.copies {
		a, err := b.Device.Alloc(bytes)
		if err != nil {
			return 0, err
		}
		places = append(places, a)
	}
	m.run = func(copy int) error { return stream.Copy(places[2*copy+1], places[2*copy], bytes) }
	times, err := m.bursts(b.Burst)
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
