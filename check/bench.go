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
	Share   float64  `json:"share"`  // of the ceiling that bounds the case; 0 without one
	Failure *Failure `json:"failure,omitempty"`
}

const bursts = 9

// Bench times a case on a GPU by events: bursts of runs, each of about so many microseconds, that go round copies of the
// buffers, together three times as large as the second-level cache, so that every run finds it cold. A failure says that the
// GPU refused the kernel; an error that it has failed.
func Bench(device driver.Device, item Item, burst float64) (*Timing, error) {
	t := &Timing{Kernel: item.Kernel, Case: item.Case.Name}
	p, failure := build(item, "")
	if failure != nil {
		t.Failure = failure
		return t, nil
	}
	size := int64(0)
	for _, b := range p.Buffers {
		size += int64(b.Len * b.Elem.Bytes())
	}
	t.Copies = int(max(1, (3*device.Info().L2+size-1)/size))
	l, failure, err := p.load(device, t.Copies)
	defer l.free()
	if failure == nil && err == nil {
		err = t.measure(l, burst)
		if err != nil {
			failure, err = refusal(err)
		}
	}
	t.Failure = failure
	if failure == nil && err == nil {
		t.rate(p, device.Info())
	}
	return t, err
}

// measure times the bursts.
func (t *Timing) measure(l *loaded, burst float64) error {
	from, err := l.device.NewEvent(true)
	if err != nil {
		return err
	}
	defer l.device.FreeEvent(from)
	to, err := l.device.NewEvent(true)
	if err != nil {
		return err
	}
	defer l.device.FreeEvent(to)
	next := 0
	run := func(n int) (float64, error) {
		if err := l.stream.Record(from); err != nil {
			return 0, err
		}
		for range n {
			for i := range l.launches[next] {
				if err := l.stream.Launch(&l.launches[next][i]); err != nil {
					return 0, err
				}
			}
			next = (next + 1) % t.Copies
		}
		if err := l.stream.Record(to); err != nil {
			return 0, err
		}
		if err := l.device.Await(to); err != nil {
			return 0, err
		}
		ms, err := l.device.Elapsed(from, to)
		return ms * 1e3 / float64(n), err
	}
	if _, err := run(2 * t.Copies); err != nil { // clocks rise, caches fill
		return err
	}
	once, err := run(t.Copies)
	if err != nil {
		return err
	}
	t.Runs = int(min(max(burst/max(once, 0.1), 1), 5000))
	var times []float64
	for range bursts {
		us, err := run(t.Runs)
		if err != nil {
			return err
		}
		times = append(times, us)
	}
	slices.Sort(times)
	t.Median, t.Least, t.Most = times[bursts/2], times[0], times[bursts-1]
	return nil
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
