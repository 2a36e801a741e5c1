package conformance

import (
	"runtime"
	"testing"

	"moegen/runtime/driver"
)

// free opens a GPU, and returns what is free of its memory.
func free(t *testing.T, d driver.Driver, gpu int) int64 {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := d.Open(gpu)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	n, _, err := g.Memory()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Bandwidths checks that driver.Bandwidths measures every pair of GPUs, and leaves nothing on them, also where one of them
// cannot be opened.
func Bandwidths(t *testing.T, open driver.Opener) {
	d, err := open(Stub(t))
	if err != nil {
		t.Fatal(err)
	}
	before := free(t, d, 0)
	rates, err := driver.Bandwidths(d)
	if err != nil || len(rates) != d.Devices() {
		t.Fatalf("%v, %v", rates, err)
	}
	for i, row := range rates {
		if len(row) != d.Devices() {
			t.Fatalf("%v", rates)
		}
		for j, rate := range row {
			// The stub copies within the host's memory and takes the host's time: between a MB/s and ten TB/s on any host.
			if rate < 1e6 || rate > 1e13 {
				t.Errorf("from %d to %d: %d bytes a second", i, j, rate)
			}
		}
	}
	if after := free(t, d, 0); after != before {
		t.Errorf("%d bytes free, and %d before", after, before)
	}
	if rates, err := driver.Bandwidths(failed{d}); err == nil || err.Error() != "GPU 1 has failed" || rates != nil {
		t.Errorf("%v, %v", rates, err)
	}
	if after := free(t, d, 0); after != before {
		t.Errorf("after an error %d bytes free, and %d before", after, before)
	}
}

// failed is a driver whose second GPU has failed.
type failed struct{ driver.Driver }

func (f failed) Open(gpu int) (driver.Device, error) {
	if gpu == 1 {
		return nil, &driver.Error{Kind: driver.Lost, Message: "GPU 1 has failed"}
	}
	return f.Driver.Open(gpu)
}
