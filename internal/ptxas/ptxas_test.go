package ptxas

import (
	"errors"
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
