// Package conformance is what every implementation of the driver's surface must do, as a test: results of kernels
// whose right answers are known, the order that streams, events and graphs promise, and the errors that are
// promised instead of wrong results. It needs one GPU, real or not; what needs two runs where there are two.
package conformance

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"moegen/runtime/driver"
)

// Kernels is the module that the suite runs.
//
//go:embed kernels.ptx
var Kernels string

// memory is what the suite asks of a GPU.
const memory = 256 << 20

// Run tests an implementation. open is called once.
func Run(t *testing.T, open func() (driver.Driver, error)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d, err := open()
	if err != nil {
		t.Fatal(err)
	}
	gpus := min(d.Devices(), 2)
	devices, err := driver.Acquire(d, driver.Need{GPUs: gpus, Capability: 90, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	g := &gpu{Driver: d, Device: devices[0]}
	g.bound(t)
	m, _, err := g.Load([]byte(Kernels))
	if err != nil {
		t.Fatal(err)
	}
	g.module = m
	for _, test := range []struct {
		name string
		run  func(*testing.T, *gpu)
	}{
		{"describe", describe},
		{"memory", allocation},
		{"too much memory", tooMuch},
		{"pinned memory", pinned},
		{"registered file", registered},
		{"fill and copy", fillAndCopy},
		{"function", function},
		{"refused modules", refusedModules},
		{"parameters", parameters},
		{"grid, block and cluster", place},
		{"shared memory", sharedMemory},
		{"refused launches", refusedLaunches},
		{"tensor map", tensorMap},
		{"refused tensor maps", refusedTensorMaps},
		{"order in a stream", streamOrder},
		{"overlapping launches", overlap},
		{"order between streams", eventOrder},
		{"time", timing},
		{"graph", graph},
		{"graph over streams", forkedGraph},
		{"spoilt capture", spoiltCapture},
		{"threads", threads},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.bound(t)
			test.run(t, g)
		})
	}
	if gpus == 2 {
		t.Run("peers", func(t *testing.T) { peers(t, g, devices[1]) })
	}
	g.bound(t)
	must(t, g.Unload(m))
	for _, device := range devices {
		must(t, device.Bind())
		must(t, device.Close())
	}
}

// gpu is the device under test with the suite's kernels on it.
type gpu struct {
	driver.Driver
	driver.Device
	module driver.Module
}

// bound makes the test's thread one that uses the GPU, until the test ends with its goroutine.
func (g *gpu) bound(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	must(t, g.Bind())
}

// kernel prepares one of the suite's kernels.
func (g *gpu) kernel(t testing.TB, name string, shared int) *driver.Function {
	t.Helper()
	f, err := g.Function(g.module, name, shared)
	must(t, err)
	return f
}

// stream returns a stream that is closed with the test.
func (g *gpu) stream(t testing.TB) driver.Stream {
	t.Helper()
	s, err := g.NewStream(false)
	must(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// event returns an event that is freed with the test.
func (g *gpu) event(t testing.TB, timing bool) driver.Event {
	t.Helper()
	e, err := g.NewEvent(timing)
	must(t, err)
	t.Cleanup(func() { check(t, g.FreeEvent(e)) })
	return e
}

// words returns device memory that holds words and is freed with the test.
func (g *gpu) words(t testing.TB, words ...uint32) driver.Addr {
	t.Helper()
	a, err := g.Alloc(int64(4 * len(words)))
	must(t, err)
	t.Cleanup(func() { check(t, g.Free(a)) })
	must(t, g.Write(a, encode(words)))
	return a
}

// read returns words of device memory once everything is done.
func (g *gpu) read(t testing.TB, from driver.Addr, words int) []uint32 {
	t.Helper()
	must(t, g.Sync())
	b := make([]byte, 4*words)
	must(t, g.Read(b, from))
	return decode(b)
}

// one is a launch of one thread.
func one(f *driver.Function, params driver.Params) *driver.Launch {
	return &driver.Launch{Function: f, Grid: driver.Dim{1, 1, 1}, Block: driver.Dim{1, 1, 1}, Params: params}
}

// word is a launch of a kernel that takes an address and a word: store, step or chain.
func word(f *driver.Function, p driver.Addr, v uint32) *driver.Launch {
	var params driver.Params
	params.Addr(p)
	params.U32(v)
	return one(f, params)
}

// steps returns what launches of step with 0 … n-1 make of x.
func steps(x uint32, n int) uint32 {
	for i := range n {
		x = 3*x + uint32(i)
	}
	return x
}

func encode(words []uint32) (b []byte) {
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func decode(b []byte) (words []uint32) {
	for ; len(b) > 0; b = b[4:] {
		words = append(words, binary.LittleEndian.Uint32(b))
	}
	return words
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check is must for clean-up, which may not stop a test.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// refused fails the test unless err is an Error of a kind.
func refused(t *testing.T, what string, kind driver.Kind, err error) {
	t.Helper()
	var e *driver.Error
	switch {
	case err == nil:
		t.Errorf("%s is not refused", what)
	case !errors.As(err, &e) || e.Kind != kind:
		t.Errorf("%s: %v, an error of another kind", what, err)
	}
}
