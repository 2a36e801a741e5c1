package purego

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	ffi "github.com/ebitengine/purego"

	"moegen/runtime/driver"
	"moegen/runtime/driver/conformance"
)

// stub builds the library that poses as the driver, once, and returns where it lies.
func stub(t testing.TB) Libraries {
	t.Helper()
	path, err := stubLibrary()
	if err != nil {
		if _, missing := exec.LookPath("gcc"); missing != nil {
			t.Skip("SKIPPED: the stub driver is built with gcc, which is not installed: what the driver is given is not checked")
		}
		t.Fatal(err)
	}
	return Libraries{CUDA: path, NVML: path}
}

var stubLibrary = sync.OnceValues(func() (string, error) {
	sources, err := filepath.Glob("testdata/*.c")
	if err != nil {
		return "", err
	}
	path := filepath.Join(stubFolder, "libstub.so")
	cmd := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-O1", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-o", path}, sources...)...)
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

// stubFolder exists while the tests run.
var stubFolder string

func TestMain(m *testing.M) {
	if os.Getenv(programLibrary) != "" {
		os.Exit(program())
	}
	var err error
	if stubFolder, err = os.MkdirTemp("", "stub"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(stubFolder)
	os.Exit(code)
}

// setStub changes what machine the stub is, before Open.
func setStub(library, name string, value int) error {
	handle, err := ffi.Dlopen(library, ffi.RTLD_NOW)
	if err != nil {
		return err
	}
	var set func(string, int32) int32
	ffi.RegisterLibFunc(&set, handle, "stub_set")
	if set(name, int32(value)) != 0 {
		return fmt.Errorf("the stub has no %s", name)
	}
	return nil
}

// gpu skips the test, aloud, where there is no GPU for it.
func gpu(t testing.TB) func() (driver.Driver, error) {
	t.Helper()
	d, err := Open(System)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if d.Devices() == 0 {
		t.Skip("SKIPPED: the driver has no GPU")
	}
	if info, err := d.Describe(0); err != nil || info.Capability != 90 {
		t.Skipf("SKIPPED: GPU 0 is %s, not of compute capability 9.0 (%v)", info.Name, err)
	}
	return func() (driver.Driver, error) { return d, nil }
}

func onStub(from Libraries) func() (driver.Driver, error) {
	return func() (driver.Driver, error) { return Open(from) }
}

func TestConformanceOnStub(t *testing.T) { conformance.Run(t, onStub(stub(t))) }

func TestConformanceOnGPU(t *testing.T) { conformance.Run(t, gpu(t)) }

func TestAllocationsOnStub(t *testing.T) { conformance.Allocations(t, onStub(stub(t))) }

func TestAllocationsOnGPU(t *testing.T) { conformance.Allocations(t, gpu(t)) }

// The part of a call's cost that is ours.
func BenchmarkStub(b *testing.B) { conformance.Benchmark(b, onStub(stub(b))) }

func BenchmarkGPU(b *testing.B) { conformance.Benchmark(b, gpu(b)) }
