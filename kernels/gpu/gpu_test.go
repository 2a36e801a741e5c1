package gpu_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"moegen/internal/golden"
	"moegen/internal/ptxas"
	"moegen/kernels/gpu"
)

// The text of each family's first case is pinned.
func TestText(t *testing.T) {
	for _, f := range gpu.Families() {
		t.Run(f.Name, func(t *testing.T) {
			c := f.Cases()[0]
			text := build(t, c)
			if again := build(t, c); again != text {
				t.Error("printed differently the second time")
			}
			golden.File(t, "testdata/"+f.Name+".ptx", []byte(text))
		})
	}
}

func TestRegistry(t *testing.T) {
	families := gpu.Families()
	if !slices.IsSortedFunc(families, func(a, b gpu.Family) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("families are not sorted by name")
	}
	for _, f := range families {
		seen := map[string]bool{}
		for _, c := range f.Cases() {
			if seen[c.Name] {
				t.Errorf("%s has two cases %s", f.Name, c.Name)
			}
			seen[c.Name] = true
			build(t, c)
			if len(c.Outputs) == 0 {
				t.Errorf("%s %s has no output", f.Name, c.Name)
			}
			for _, o := range c.Outputs {
				if b, ok := c.Buffer(o.Buffer); !ok || o.Want == nil || o.Why == "" {
					t.Errorf("%s %s: output %s of buffer %v lacks a buffer, a truth or its reason", f.Name, c.Name, o.Buffer, b.Name)
				}
			}
		}
	}
}

// Every kernel is accepted without spills, local memory or complaints: nothing serialised, nothing ignored.
func TestAssembles(t *testing.T) {
	tools, err := ptxas.Find()
	if errors.Is(err, ptxas.ErrNone) {
		t.Skip("not assembled: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	for _, f := range gpu.Families() {
		t.Run(f.Name, func(t *testing.T) {
			done := map[string]bool{}
			for _, c := range f.Cases() {
				text := build(t, c)
				if done[text] {
					continue
				}
				done[text] = true
				for _, tool := range tools {
					r, err := tool.Assemble(text)
					if err != nil {
						t.Errorf("%s: %v", c.Name, err)
						continue
					}
					for _, k := range r.Kernels {
						t.Logf("ptxas %s: %s: %d registers", tool.Release, k.Name, k.Registers)
						if k.Spills != 0 || k.Stack != 0 {
							t.Errorf("ptxas %s: %s: %d bytes of spills, %d of stack", tool.Release, k.Name, k.Spills, k.Stack)
						}
					}
					for _, note := range r.Notes {
						t.Errorf("ptxas %s: %s: %s", tool.Release, c.Name, note)
					}
				}
			}
		})
	}
}

func build(t *testing.T, c gpu.Case) string {
	t.Helper()
	text, _, err := c.Build()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
