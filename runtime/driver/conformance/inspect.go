package conformance

import (
	"bytes"
	"encoding/gob"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"moegen/runtime/driver"
	"moegen/runtime/health"
)

// Inspector reads what a machine shows: Inspect of an implementation on NVIDIA's libraries.
type Inspector func(driver.Opener, driver.Libraries) health.GPUs

// programInspect makes the small program one that inspects a machine of these libraries, "CUDA NVML NCCL", and writes
// what it finds.
const programInspect = "PROGRAM_INSPECT"

// inspection is what the small program does then; it returns its exit status.
func inspection(open driver.Opener, inspect Inspector) int {
	names := strings.Fields(os.Getenv(programInspect))
	if err := gob.NewEncoder(os.Stdout).Encode(inspect(open, driver.Libraries{CUDA: names[0], NVML: names[1], NCCL: names[2]})); err != nil {
		return 99
	}
	return 0
}

// inspect inspects the machine that a stub is, in a process of its own.
func inspect(t *testing.T, machine string, from driver.Libraries) (found health.GPUs) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programInspect+"="+from.CUDA+" "+from.NVML+" "+from.NCCL, stubMachine+"="+machine)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || said.Len() > 0 {
		t.Fatalf("%v: %s", err, said.String())
	}
	if err := gob.NewDecoder(bytes.NewReader(out)).Decode(&found); err != nil {
		t.Fatal(err)
	}
	return found
}

// management builds the library that poses as the management library, with what is wrong with the second GPU.
func management(t *testing.T, wrong ...string) driver.Libraries {
	t.Helper()
	from := Stub(t)
	path := filepath.Join(t.TempDir(), "libmanagement.so")
	source := filepath.Join(stubFolder, "management", "management.c")
	cmd := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-o", path, source}, wrong...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	from.NVML, from.NCCL = path, path
	return from
}

// examine judges what Inspect reads of a machine on which nothing else is wrong.
func examine(g health.GPUs) health.Report {
	const plenty = 1 << 40
	fit := health.System{Cores: 32, MemoryBytes: plenty, AvailableBytes: plenty, MemlockBytes: -1, ShmBytes: plenty, KernelLog: true,
		Disk: health.Disk{FreeBytes: plenty, WriteBytesPerSecond: 1e9, ReadBytesPerSecond: 1e9}}
	return health.Examine(health.Machine{System: fit, GPUs: &g}, health.Need{Capability: 90})
}

// Inspect tests what is read of a machine: everything that a healthy GPU shows arrives in its place, what is wrong is found
// by the check that it belongs to, and what there is of a driver is read without the rest.
func Inspect(t *testing.T) {
	t.Run("healthy", healthy)
	t.Run("unfit", unfit)
	t.Run("lost", lostGPU)
	t.Run("without", without)
}

func healthy(t *testing.T) {
	found := inspect(t, "", management(t))
	driver := health.Driver{Found: true, CUDA: 13000, Release: "580.00.stub", OldestCUDA: driver.MinCUDA, OldestRelease: driver.MinRelease, Management: true}
	want := health.GPUs{Driver: driver, NCCL: "2.27.3", GPUs: []health.GPU{{Number: 0, Ordinal: 0, Name: "Stub GPU 0", Bus: "0000:1B:00.0", Peers: []int{1}}, {Number: 1, Ordinal: 1, Name: "Stub GPU 1", Bus: "0000:1C:00.0", Peers: []int{0}}}}
	for i := range want.GPUs {
		g := &want.GPUs[i]
		g.Capability, g.SMs, g.MemoryBytes, g.FreeBytes = 90, 132, 1024<<20, 960<<20
		g.SMClock, g.MemoryClock = health.Clock{Now: 345, Set: 1980, Default: 1980, Max: 1980}, health.Clock{Now: 2619, Set: 2619, Default: 2619, Max: 2619}
		g.Power = health.Power{Now: 71.5, Limit: 700, Default: 700, Max: 700}
		g.Temperature, g.Hottest, g.Throttle = 41, 90, health.Idle
		g.ECC = health.ECC{On: true, Pending: true}
		g.PCIe = health.Lanes{Generation: 1, MaxGeneration: 5, Width: 16, MaxWidth: 16}
		g.NVLinks, g.NVLinkBytesPerSecond = slices.Repeat([]health.NVPort{{Active: true, Switch: true, Remote: "0000:05:00.0"}}, 18), 25_000_000_000
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("want -, found +:\n%s", diff)
	}
	if r := examine(found); r.Status != health.OK {
		t.Errorf("a healthy machine is %s: %+v", r.Status, r.Checks)
	}
	links := found.Links()
	if want := []health.Link{{GPUs: []int{0, 1}, Kind: health.NVLink, BytesPerSecond: 18 * 25_000_000_000}}; !cmp.Equal(links, want) {
		t.Errorf("links %+v, want %+v", links, want)
	}
}

func unfit(t *testing.T) {
	for _, test := range []struct {
		name    string
		wrong   []string
		machine string
		check   string
		status  health.Status
		gpus    []int
		found   string
		advice  string
	}{
		{"throttled by the hardware", []string{"-DTHROTTLE=0x48"}, "", "throttling", health.Fail, []int{1}, "GPU 1: slowed down by the hardware (hw_slowdown, hw_thermal_slowdown; 41 °C, slowed down from 90)", "cooling"},
		{"throttled by the driver", []string{"-DTHROTTLE=0x24"}, "", "throttling", health.Warning, []int{1}, "because of heat (sw_thermal_slowdown;", "cooling"},
		{"a low power limit", []string{"-DPOWER_LIMIT=400000"}, "", "power", health.Warning, []int{1}, "GPU 1: limited to 400 W, by default 700", "nvidia-smi --power-limit=700"},
		{"a low clock", []string{"-DCLOCK=1200"}, "", "clocks", health.Warning, []int{1}, "set to 1200 MHz, by default 1980", "--reset-applications-clocks"},
		{"ECC errors", []string{"-DECC_ERRORS=1"}, "", "ECC", health.Fail, []int{1}, "2 uncorrected memory errors since the driver was loaded; GPU 1: 4 uncorrected memory errors in its life; GPU 1: 1 corrected", "reset it"},
		{"leftover processes", []string{"-DPROCESSES=2"}, "", "GPU memory", health.Warning, []int{1}, "700 MiB in use by process 4711 trainer, process 4712", "end it"},
		{"a slot with too few lanes", []string{"-DWIDTH=8"}, "", "PCIe", health.Warning, []int{1}, "8 of 16 PCIe lanes", "seat the card"},
		{"NVLinks that are down", []string{"-DLINKS_DOWN=4"}, "", "links", health.Warning, []int{1}, "14 of 18 NVLinks are up", "Xid 74"},
		{"an old driver", nil, "version=12020", "driver", health.Fail, nil, "serves CUDA 12.2", "install driver release 550 or later"},
		{"a driver that does not start", nil, "init=802", "driver", health.Fail, nil, "not ready (cuInit: CUDA_ERROR_SYSTEM_NOT_READY)", "start nvidia-fabricmanager, or see its log"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := examine(inspect(t, test.machine, management(t, test.wrong...)))
			if r.Status != test.status {
				t.Errorf("the machine is %s, want %s", r.Status, test.status)
			}
			for _, c := range r.Checks {
				rows := c.Name == "memory rows" && test.check == "ECC" // go with the errors
				switch {
				case c.Name == test.check:
					if c.Status != test.status || !slices.Equal(c.GPUs, test.gpus) || !strings.Contains(c.Found, test.found) || !strings.Contains(c.Advice, test.advice) {
						t.Errorf("%+v\nwant %+v", c, test)
					}
				case rows && c.Status == health.Warning && strings.Contains(c.Found, "wait for a reset"):
				case c.Status != health.OK || rows:
					t.Errorf("beside %s: %+v", test.check, c)
				}
			}
		})
	}
}

// A GPU that does not answer is one that programs do not see; the others are read.
func lostGPU(t *testing.T) {
	r := examine(inspect(t, "gpus=1", management(t, "-DLOST=1")))
	if c := r.Checks[1]; c.Name != "GPUs" || c.Status != health.Fail || !slices.Equal(c.GPUs, []int{1}) || !strings.HasPrefix(c.Found, "1 × Stub GPU 0, compute capability 9.0, 1.00 GiB; GPU 1: does not answer") {
		t.Errorf("%+v", c)
	}
}

// Without management the driver's own view is left; without a driver nothing is.
func without(t *testing.T) {
	from := Stub(t)
	from.NVML, from.NCCL = "libnothing.so.1", "libnothing.so.1"
	found := inspect(t, "", from)
	if len(found.GPUs) != 2 || found.GPUs[1].Number != 1 || found.GPUs[1].SMs != 132 || found.Driver.Management {
		t.Errorf("without management: %+v", found)
	}
	r := examine(found)
	if c := r.Checks[0]; r.Status != health.Warning || c.Name != "driver" || !strings.Contains(c.Found, "management library does not work") {
		t.Errorf("without management: %+v", r.Checks)
	}
	if c := r.Checks[2]; c.Name != "NCCL" || c.Status != health.Warning || !strings.Contains(c.Advice, "several nodes") {
		t.Errorf("without NCCL: %+v", c)
	}
	none := inspect(t, "", driver.Libraries{CUDA: "libnothing.so.1", NVML: "libnothing.so.1", NCCL: "libnothing.so.1"})
	if r := examine(none); r.Status != health.OK || r.Checks[0].Found != "none, and no NVIDIA driver" {
		t.Errorf("without a driver: %+v", r.Checks)
	}
}
