package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/internal/golden"
	"moegen/runtime/driver"
	"moegen/runtime/driver/conformance"
)

// A program is the same by whichever way it reaches GPUs, and carries nothing of the other way: on machines without a
// driver, on the stub that poses as one and has none of its kernels, and in the simulator.
func TestDrivers(t *testing.T) {
	conformance.NeedC(t)
	c := golden.Load(t, "qwen3-moe-aux")
	b := c.Batch(0)
	var binaries []string
	for _, name := range []string{"purego", "cgo"} {
		binaries = append(binaries, build(t, "h100", c.Dir, "--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows), "--no-cubin", "--driver", name))
	}
	t.Run("what they carry", func(t *testing.T) {
		if got := modules(t, binaries[0]); got != "purego" {
			t.Errorf("the binary with purego has %s", got)
		}
		if got := modules(t, binaries[1]); got != "go-nvml uuid errors cu" {
			t.Errorf("the binary with cgo has %s", got)
		}
		resolved(t, binaries[1])
	})
	t.Run("without a driver", func(t *testing.T) {
		if _, err := exec.LookPath("nvidia-smi"); err == nil {
			t.Skip("SKIPPED: this machine has a driver")
		}
		same(t, binaries, "no NVIDIA driver on this machine")
	})
	t.Run("on the stub", func(t *testing.T) {
		folder := t.TempDir()
		library, err := conformance.BuildStub(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{driver.System.CUDA, driver.System.NVML} {
			if err := os.Symlink(library, filepath.Join(folder, name)); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("LD_LIBRARY_PATH", folder)
		t.Setenv("STUB_MACHINE", "careless=1") // a program that fails leaves everything to the end of its context
		same(t, binaries, "GPU 0 refuses cuModuleGetFunction")
	})
	t.Run("in the simulator", func(t *testing.T) {
		first, second := probe(t, binaries[0], c, "--device", "sim"), probe(t, binaries[1], c, "--device", "sim")
		if len(first) == 0 || len(first) != len(second) {
			t.Fatalf("%d and %d tensors", len(first), len(second))
		}
		for name, x := range first {
			if !slices.Equal(x.Data, second[name].Data) {
				t.Errorf("%s differs", name)
			}
		}
	})
}

// modules returns the last names of the modules in a binary that are about GPUs, in the order in which they are listed.
func modules(t *testing.T, binary string) string {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range info.Deps {
		if name := filepath.Base(m.Path); !slices.Contains([]string{"cobra", "pflag", "sys"}, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// resolved checks that a binary asks for the system's C library alone, and that nothing but functions of the management
// library, which go-nvml looks for before it calls them, is left to be found at run time: its linker flags would let a
// misspelt function pass.
func resolved(t *testing.T, binary string) {
	t.Helper()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil || !slices.Equal(libraries, []string{"libc.so.6"}) {
		t.Errorf("needs %v (%v)", libraries, err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF && s.Library == "" && elf.ST_BIND(s.Info) != elf.STB_WEAK && !strings.HasPrefix(s.Name, "nvml") {
			t.Errorf("%s is in no library", s.Name)
		}
	}
}

// same checks that binaries end alike, because of the machine or refused by it, and with a message that has want in it.
func same(t *testing.T, binaries []string, want string) {
	t.Helper()
	var said []string
	for _, b := range binaries {
		var out bytes.Buffer
		cmd := exec.Command(b, "bench", "--steps", "1")
		cmd.Stdout, cmd.Stderr = &out, &out
		if exit := (*exec.ExitError)(nil); !errors.As(cmd.Run(), &exit) {
			t.Fatalf("%s ends well", b)
		}
		said = append(said, fmt.Sprint(cmd.ProcessState.ExitCode())+" "+strings.ReplaceAll(out.String(), b, "BIN"))
	}
	if said[0] != said[1] || !strings.Contains(said[0], want) {
		t.Errorf("they say\n%s\nwant them to be the same, with %q", strings.Join(said, "\n"), want)
	}
}
