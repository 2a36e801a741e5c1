package ptxas

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What ptxas 12.4 and 13.0 print, shortened.
const log = `ptxas info    : 0 bytes gmem
ptxas info    : (C7515) Potential Performance Loss: wgmma.mma_async instructions are serialized due to ill formed pipeline stage in the function 'a'
ptxas info    : Compiling entry function 'a' for 'sm_90a'
ptxas info    : Function properties for a
    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 168 registers, used 3 barriers, 400 bytes cmem[0]
ptxas info    : Compiling entry function 'b' for 'sm_90a'
ptxas info    : Function properties for b
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers, 360 bytes cmem[0]
`

func TestParse(t *testing.T) {
	r := parse(log)
	want := []Kernel{{"a", 168, 16, 12}, {"b", 12, 0, 0}}
	if !slices.Equal(r.Kernels, want) {
		t.Errorf("%v; want %v", r.Kernels, want)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "C7515") {
		t.Errorf("notes %q", r.Notes)
	}
	if got := r.Fault(); got != "kernel a spills 12 bytes of registers" {
		t.Errorf("fault %q", got)
	}
	if got := (Report{Kernels: r.Kernels[1:], Notes: r.Notes}).Fault(); got != r.Notes[0] {
		t.Errorf("fault %q", got)
	}
	if got := (Report{Kernels: r.Kernels[1:]}).Fault(); got != "" {
		t.Errorf("fault %q of a kernel without", got)
	}
}

// fake writes a program that prints a version.
func fake(t *testing.T, path, version string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+version+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is named must be usable; of what is found, what is too old is passed over.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	old := fake(t, filepath.Join(dir, "old/bin/ptxas"), "ptxas: release 11.8, V11.8.89")
	new := fake(t, filepath.Join(dir, "new/bin/ptxas"), "ptxas: release 13.0, V13.0.88")
	t.Setenv("TRITON_PTXAS_PATH", "")
	t.Setenv("CUDA_PATH", filepath.Join(dir, "nothing"))

	t.Setenv("MOEGEN_PTXAS", new+string(filepath.ListSeparator)+old)
	if _, err := Find(); err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), old+" is of release 11.8") {
		t.Errorf("named, one of them old: %v", err)
	}
	t.Setenv("MOEGEN_PTXAS", "")
	t.Setenv("CUDA_HOME", filepath.Dir(filepath.Dir(old)))
	t.Setenv("PATH", filepath.Dir(new))
	tools, err := Find()
	if err != nil || !slices.Equal(tools, []Tool{{new, "13.0"}}) {
		t.Errorf("%v, %v; want the new one behind the old one", tools, err)
	}
	if installed, _ := filepath.Glob("/usr/local/cuda*/bin/ptxas"); installed != nil {
		return
	}
	t.Setenv("PATH", dir)
	if _, err := Find(); !errors.Is(err, ErrNone) || !strings.HasSuffix(err.Error(), "; not usable: "+old+" is of release 11.8; kernels for sm_90a in PTX 8.1 need 12.1") {
		t.Errorf("only an old one: %v", err)
	}
}

func TestAssemble(t *testing.T) {
	tools, err := Find()
	if errors.Is(err, ErrNone) {
		t.Skip("not assembled: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	const head = ".version 8.1\n.target sm_90a\n.address_size 64\n"
	for _, tool := range tools {
		r, err := tool.Assemble(head + ".visible .entry k() { exit; }\n")
		if err != nil || len(r.Kernels) != 1 || r.Kernels[0].Name != "k" || len(r.Notes) != 0 || len(r.Cubin) == 0 {
			t.Errorf("ptxas %s: %+v, %v", tool.Release, r, err)
		}
		if _, err := tool.Assemble(head + ".visible .entry k() { wxit; }\n"); err == nil || !strings.Contains(err.Error(), "module.ptx, line 4") {
			t.Errorf("ptxas %s: error %v", tool.Release, err)
		}
	}
}
