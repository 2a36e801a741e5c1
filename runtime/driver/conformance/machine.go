package conformance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"moegen/runtime/driver"
)

// A test that needs another machine, or that spoils its process, runs its own test binary as a small program: it
// acquires what PROGRAM_NEED says, loads the kernels, launches one, and ends as programs do.
const (
	programLibrary = "PROGRAM_LIBRARY" // the driver; System's if it is "system"
	programNeed    = "PROGRAM_NEED"    // "GPUs MiB"
	programAddress = "PROGRAM_ADDRESS" // where the kernel stores; its own memory if empty
	stubMachine    = "STUB_MACHINE"    // "name=value ...": what machine the stub is
)

// program is what the small program does; it returns its exit status.
func program(open driver.Opener) int {
	runtime.LockOSThread()
	err := func() error {
		from := driver.System
		if library := os.Getenv(programLibrary); library != "system" {
			from = driver.Libraries{CUDA: library, NVML: library}
		}
		d, err := open(from)
		if err != nil {
			return err
		}
		need := driver.Need{Capability: 90, Peers: true}
		var mib int64
		if _, err := fmt.Sscan(os.Getenv(programNeed), &need.GPUs, &mib); err != nil {
			return err
		}
		need.Memory = mib << 20
		devices, err := driver.Acquire(d, need)
		if err != nil {
			return err
		}
		return store(devices[len(devices)-1])
	}()
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	var e *driver.Error
	if errors.As(err, &e) {
		return e.ExitStatus()
	}
	return 99
}

// store launches a kernel that stores a word.
func store(d driver.Device) error {
	m, _, err := d.Load([]byte(Kernels))
	if err != nil {
		return err
	}
	f, err := d.Function(m, "store", 0)
	if err != nil {
		return err
	}
	at, err := d.Alloc(4)
	if err != nil {
		return err
	}
	if wild := os.Getenv(programAddress); wild != "" {
		n, err := strconv.ParseUint(wild, 0, 64)
		if err != nil {
			return err
		}
		at = driver.Addr(n)
	}
	s, err := d.NewStream(false)
	if err != nil {
		return err
	}
	l := &driver.Launch{Function: f, Grid: driver.Dim{1, 1, 1}, Block: driver.Dim{1, 1, 1}}
	l.Params.Addr(at)
	l.Params.U32(1)
	if err := s.Launch(l); err != nil {
		return err
	}
	first := s.Sync()
	if _, err := d.Alloc(4); (first == nil) != (err == nil) {
		return fmt.Errorf("Sync says %v, and the next call %v", first, err)
	}
	return first
}

// runProgram runs the small program and returns its exit status and what it says.
func runProgram(t *testing.T, library, set, need, address string) (int, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programLibrary+"="+library, stubMachine+"="+set, programNeed+"="+need, programAddress+"="+address)
	said, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(string(said))
}

// Machines tests that whatever is wrong with a machine is one sentence and exit status 3.
func Machines(t *testing.T) {
	library := Stub(t).CUDA
	old := oldDriver(t)
	for _, test := range []struct {
		name, library, set, need string
		want                     string // part of what is said; empty: the program runs
	}{
		{"a good one", library, "", "2 512", ""},
		{"no driver", "libnothing.so.1", "", "1 1", "no NVIDIA driver on this machine (libnothing.so.1"},
		{"another library", "libm.so.6", "", "1 1", "libm.so.6 is not NVIDIA's driver"},
		{"a driver without a function", old, "", "1 1", "the NVIDIA driver, which serves CUDA 11.4, has no cuInit: install driver release 550 or later"},
		{"an old driver", library, "version=12020", "1 1", "the NVIDIA driver 580.00.stub serves CUDA 12.2 and 12.4 is the oldest"},
		{"a driver updated under the machine", library, "init=803", "1 1", "different releases (cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH): restart the machine"},
		{"no fabric manager", library, "init=802", "1 1", "start nvidia-fabricmanager"},
		{"a driver that does not start", library, "init=999", "1 1", "does not start (cuInit: CUDA_ERROR_UNKNOWN)"},
		{"a lost GPU that stops the driver", library, "init=999 lost=1", "1 1", "GPU 2 (nvidia-smi's number) does not answer"},
		{"no GPU", library, "gpus=0", "1 1", "0 GPUs can be used here and the program was built for 1"},
		{"too few GPUs", library, "gpus=1", "2 1", "1 GPU can be used here and the program was built for 2"},
		{"a lost GPU", library, "gpus=1 lost=1", "2 1", "GPU 1 (nvidia-smi's number) does not answer any more, and 1 GPU can be used where 2 are needed"},
		{"another GPU", library, "capability=80", "1 1", "GPU 0 (Stub GPU 0) has compute capability 8.0 and the kernels are for 9.0 alone"},
		{"a small GPU", library, "", "1 2048", "GPU 0 has 1.0 GiB of memory and the program needs 2.0 GiB"},
		{"a GPU that is full", library, "", "1 1000", "GPU 0 has 0.9 GiB of 0.9 GiB free and the program needs 1.0 GiB"},
		{"a GPU in use", library, "fault=46", "1 1", "GPU 0 is in use by another process"},
		{"a GPU that has failed", library, "fault=214", "1 1", "GPU 0 has failed"},
		{"a fault found late", library, "fault=716", "1 1", "GPU 0 stopped at the fault of a kernel"},
		{"broken memory", library, "rows_failed=1", "1 1", "GPU 0 (0000:1B:00.0) has broken memory rows"},
		{"no management", library, "nvml=0", "2 512", ""},
		{"a compiler of one thread", library, "old_jit=1", "1 1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, said := runProgram(t, test.library, test.set, test.need, "")
			switch {
			case test.want == "" && (status != 0 || said != ""):
				t.Errorf("exit status %d: %s", status, said)
			case test.want != "" && (status != driver.ExitUnusable || !strings.Contains(said, test.want)):
				t.Errorf("exit status %d: %s\nwant 3 and ... %s ...", status, said, test.want)
			case strings.Contains(said, "\n"):
				t.Errorf("more than a sentence: %s", said)
			}
		})
	}
}

// oldDriver builds a library that has a version and nothing else.
func oldDriver(t *testing.T) string {
	source, path := filepath.Join(t.TempDir(), "old.c"), filepath.Join(t.TempDir(), "libold.so")
	if err := os.WriteFile(source, []byte("int cuDriverGetVersion(int *v) { *v = 11040; return 0; }\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", path, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// FaultOnStub and FaultOnGPU test that a kernel's fault is reported by the next Sync, and that the process has lost
// the GPU.
func FaultOnStub(t *testing.T) { fault(t, Stub(t).CUDA) }

// FaultOnGPU is FaultOnStub on a GPU, where there is one.
func FaultOnGPU(t *testing.T, open driver.Opener) {
	GPU(t, open)
	fault(t, "system")
}

func fault(t *testing.T, library string) {
	status, said := runProgram(t, library, "", "1 1", "0x10")
	if want := "GPU 0 stopped at the fault of a kernel (cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS)"; status != driver.ExitUnusable || !strings.Contains(said, want) {
		t.Errorf("exit status %d: %s\nwant 3 and ... %s ...", status, said, want)
	}
}

// Sensors tests what is read of the stub's management library.
func Sensors(t *testing.T, open driver.Opener) {
	d, err := open(Stub(t))
	must(t, err)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := d.Open(1)
	must(t, err)
	defer g.Close()
	got, err := g.Sensors()
	want := driver.Sensors{Power: 123.456, PowerLimit: 700, Energy: 5e9, Temperature: 41, Clock: 1980, MemoryClock: 2619, Throttle: 4}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if cuda, release := d.Version(); cuda != 13000 || release != "580.00.stub" {
		t.Errorf("version %d, %q", cuda, release)
	}
}
