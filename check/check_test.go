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
	items, err := Select(nil, "", false)
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
	items, err := Select([]string{"rmsnorm"}, "7x1000_w4_r2", false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := RunGPU(devices[0], items[0], "", Options{Seeds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Worst == nil {
		t.Errorf("%+v, worst %+v", r.Failure, r.Worst)
	}
	timing, err := Bench(smallCache{devices[0]}, items[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	if timing.Failure != nil || timing.Runs != 1 || timing.Copies < 2 {
		t.Errorf("%+v", timing)
	}
	beyond := items[0]
	beyond.Case.Buffers = slices.Clone(beyond.Case.Buffers)
	for i := range beyond.Case.Buffers {
		if b := &beyond.Case.Buffers[i]; b.Name == "y" {
			b.Len -= 8
		}
	}
	if r, err = RunGPU(devices[0], Item{"rmsnorm", large(beyond.Case)}, "", Options{Seeds: 1}); err != nil {
		t.Fatal(err)
	}
	if r.OK() || r.Failure.Check != Untouched {
		t.Errorf("a buffer that is too short: %+v", r.Failure)
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
