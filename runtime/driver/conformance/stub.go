package conformance

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"moegen/runtime/driver"
)

// Main is TestMain of an implementation on NVIDIA's libraries.
func Main(m *testing.M, open driver.Opener, inspect Inspector) {
	switch {
	case os.Getenv(programLibrary) != "":
		os.Exit(program(open))
	case os.Getenv(programInspect) != "":
		os.Exit(inspection(open, inspect))
	}
	var err error
	if stubFolder, err = os.MkdirTemp("", "stub"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(stubFolder)
	os.Exit(code)
}

// stubFolder exists while the tests run.
var stubFolder string

// Stub builds the library that poses as the driver, once, and returns where it lies. Without a C compiler it skips
// the test.
func Stub(t testing.TB) driver.Libraries {
	t.Helper()
	NeedC(t)
	path, err := stubLibrary()
	if err != nil {
		t.Fatal(err)
	}
	return driver.Libraries{CUDA: path, NVML: path}
}

// NeedC skips the test, aloud, where there is no C compiler.
func NeedC(t testing.TB) {
	t.Helper()
	if _, missing := exec.LookPath("gcc"); missing != nil {
		t.Skip("SKIPPED: the stub driver is built with gcc, which is not installed: what the driver is given is not checked")
	}
}

// OnStub opens the stub.
func OnStub(t testing.TB, open driver.Opener) func() (driver.Driver, error) {
	from := Stub(t)
	return func() (driver.Driver, error) { return open(from) }
}

// GPU opens the machine's driver, and skips the test, aloud, where there is no GPU for it.
func GPU(t testing.TB, open driver.Opener) func() (driver.Driver, error) {
	t.Helper()
	d, err := open(driver.System)
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

// stubSources are the sources of the stub, and of another management library, in C.
//
//go:embed stub management
var stubSources embed.FS

var stubLibrary = sync.OnceValues(func() (string, error) { return BuildStub(stubFolder) })

// BuildStub builds the library that poses as the driver, and as its management library, in a folder, and returns its path.
func BuildStub(folder string) (string, error) {
	if err := os.CopyFS(folder, stubSources); err != nil {
		return "", err
	}
	sources, err := filepath.Glob(filepath.Join(folder, "stub", "*.c"))
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "libstub.so")
	cmd := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-O1", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-o", path}, sources...)...)
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
}
