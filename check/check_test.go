package check

import (
	"runtime"
	"slices"
	"testing"

	"moegen/kernels/gpu"
	"moegen/runtime/driver"
	driversim "moegen/runtime/driver/sim"
)

// Every case that the simulator can run is right, under a few schedules.
func TestCases(t *testing.T) {
	items, err := Select(nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		t.Run(item.Kernel+"/"+item.Case.Name, func(t *testing.T) {
			t.Parallel()
			r := Run(item, "", Options{Seeds: 2})
			if !r.OK() {
				t.Errorf("%+v", *r.Failure)
			}
			if r.Moved == 0 {
				t.Error("nothing was moved")
			}
		})
	}
}

// The way over the driver's surface, with the simulator behind it: same results, memory around buffers watched, and times
// without a failure.
func TestDevice(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	devices, err := driver.Acquire(driversim.New(driversim.Config{}), driver.Need{GPUs: 1, Capability: 90, Memory: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer devices[0].Close()
	items, err := Select([]string{"rmsnorm"}, []string{"7x1000_w4_r2"}, false)
	if err != nil {
		t.Fatal(err)
	}
	r := runOne(t, devices[0], items[0])
	if !r.OK() || r.Worst == nil {
		t.Errorf("%+v, worst %+v", r.Failure, r.Worst)
	}
	if simulated := Run(items[0], "", Options{Seeds: 1}); r.Sum == "" || r.Sum != simulated.Sum {
		t.Errorf("outputs of sum %q, in the simulator %q", r.Sum, simulated.Sum)
	}
	bench := &Bench{Device: smallCache{devices[0]}}
	timing, err := bench.Time(items[0])
	if err != nil {
		t.Fatal(err)
	}
	if timing.Failure != nil || timing.Runs != timing.Copies || timing.Copies < 2 || timing.Beside == nil || len(bench.copied) != 1 {
		t.Errorf("%+v", timing)
	}
	beyond := items[0]
	beyond.Case.Buffers = slices.Clone(beyond.Case.Buffers)
	for i := range beyond.Case.Buffers {
		if b := &beyond.Case.Buffers[i]; b.Name == "y" {
			b.Len -= 8
		}
	}
	r = runOne(t, devices[0], Item{"rmsnorm", large(beyond.Case)})
	if r.OK() || r.Failure.Check != Untouched {
		t.Errorf("a buffer that is too short: %+v", r.Failure)
	}
}

// runOne checks a case on a device.
func runOne(t *testing.T, device driver.Device, item Item) (r *Result) {
	t.Helper()
	done := func(x *Result) { r = x }
	if err := RunGPU(t.Context(), device, []Item{item}, []string{""}, Options{Seeds: 1}, done); err != nil {
		t.Fatal(err)
	}
	return r
}

// The sample of a large output has its corners, its beginning and its end, each element once and in order, in whole rows
// where rows share work.
func TestSample(t *testing.T) {
	const rows, cols = 1000, 512
	for _, row := range []int{0, cols} {
		o := gpu.Output{Buffer: "c", Row: row, Corners: func() []int { return []int{77777, 5, 99999} }}
		p := &program{Case: gpu.Case{Large: true, Buffers: []gpu.Buffer{{Name: "c", Len: rows * cols}}}}
		list := p.elements(o)
		if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Error("not in order, or twice")
		}
		for _, want := range []int{0, 5, 77777, 99999, rows*cols - 1} {
			if _, ok := slices.BinarySearch(list, want); !ok {
				t.Errorf("rows of %d: element %d is not looked at", row, want)
			}
		}
		if len(list) < 100 || len(list) > rows*cols/4 || row > 0 && len(list)%row != 0 {
			t.Errorf("rows of %d: %d elements", row, len(list))
		}
	}
}

func large(c gpu.Case) gpu.Case {
	c.Large = true
	return c
}

// smallCache is a device with a cache of 64 KB.
type smallCache struct{ driver.Device }

func (d smallCache) Info() driver.Info {
	info := d.Device.Info()
	info.L2 = 64 << 10
	return info
}

// Ranks of a case share the GPU, with a stream each: they leave what they do with a GPU each, and what one of them has
// wrong shows.
func TestRanksOnADevice(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	devices, err := driver.Acquire(driversim.New(driversim.Config{}), driver.Need{GPUs: 1, Capability: 90, Memory: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer devices[0].Close()
	for _, family := range []string{"combine", "reduce_scatter", "all_gather"} {
		items, err := Select([]string{family}, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		four := slices.IndexFunc(items, func(i Item) bool { return len(i.Case.Peers) == 3 })
		if four < 0 {
			t.Fatalf("%s has no case of four ranks", family)
		}
		if r := runOne(t, devices[0], items[four]); !r.OK() || r.Worst == nil {
			t.Errorf("%s: %+v, worst %+v", family, r.Failure, r.Worst)
		}
	}
	items, err := Select([]string{"all_gather"}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	other := items[0]
	other.Case.Peers = slices.Clone(other.Case.Peers)
	other.Case.Peers[0].Outputs = other.Case.Outputs
	other.Case.Peers[0].Buffers = slices.Clone(other.Case.Peers[0].Buffers)
	other.Case.Peers[0].Buffers[1].At = func(int) float64 { return 7 }
	if r := runOne(t, devices[0], Item{"all_gather", large(other.Case)}); r.OK() || r.Failure.Check != Value {
		t.Errorf("a rank that holds something else: %+v", r.Failure)
	}
}
