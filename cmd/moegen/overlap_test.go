package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"moegen/internal/golden"
)

// shortCase writes the case file of a few steps of a case.
func shortCase(t *testing.T, c *golden.Case, steps int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "case.json")
	text := fmt.Sprintf(`{"steps": %d, "optimizer": {"lr": 1e-3, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1}, "max_grad_norm": 1.0,
		"router_aux_loss_coef": 0}`, steps)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// probeShort runs a binary on simulated GPUs for a few steps of a case; only the first is tapped, and so on one stream.
func probeShort(t *testing.T, binary string, c *golden.Case, steps int, device string) (map[string]golden.Tensor, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.safetensors")
	cmd := exec.Command(binary, "probe", "--checkpoint", c.Dir, "--batch", filepath.Join(c.Dir, "batch.safetensors"),
		"--case", shortCase(t, c, steps), "--out", out, "--device", device)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("probe: %w\n%s", err, text)
	}
	return golden.Tensors(t, out), nil
}

// overlapCase is a model with experts on two GPUs, whose backward sends tokens again.
func overlapCase(t *testing.T) (c *golden.Case, flags []string) {
	t.Helper()
	c = golden.Load(t, "qwen3-moe-aux")
	b := c.Batch(0)
	return c, []string{"--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows / 2), "--gpus", "2", "--ep", "2", "--recompute", "dispatch"}
}

// What ranks exchange gives the same bits under computation as without it, under several orders of events.
func TestOverlapKeepsBits(t *testing.T) {
	c, flags := overlapCase(t)
	want, err := probeShort(t, build(t, "h100", c.Dir, append(flags, "--no-overlap")...), c, 2, "sim")
	if err != nil {
		t.Fatal(err)
	}
	binary := build(t, "h100", c.Dir, flags...)
	for _, device := range []string{"sim", "sim:3"} {
		got, err := probeShort(t, binary, c, 2, device)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("%d tensors, want %d", len(got), len(want))
		}
		for name, w := range want {
			for i, x := range w.Data {
				if g := got[name].Data; len(g) != len(w.Data) || math.Float64bits(g[i]) != math.Float64bits(x) {
					t.Errorf("%s: %s differs at %d", device, name, i)
					break
				}
			}
		}
	}
}

// A generated program that does not wait for the gradients of its routers' choices is stopped by the simulator: its second step, the
// first on two streams, is a race.
func TestProgramWithoutAWaitIsARace(t *testing.T) {
	c, flags := overlapCase(t)
	folder := filepath.Join(t.TempDir(), "module")
	var out, errs bytes.Buffer
	if code := run(append([]string{"emit", c.Dir, "--target", "h100", "--no-cubin", "-o", folder}, flags...), &out, &errs); code != 0 {
		t.Fatalf("exit status %d\n%s", code, errs.String())
	}
	file := filepath.Join(folder, "micro_batch.go")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, withoutWait(t, string(text), "router_grad:"), 0o644); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "trainer")
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, ".")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=vendor", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if _, err := probeShort(t, binary, c, 2, "sim"); err == nil || !strings.Contains(err.Error(), "race") {
		t.Errorf("%v is no race", err)
	}
}

// withoutWait removes the first wait that stands under a comment that begins so.
func withoutWait(t *testing.T, text, comment string) []byte {
	t.Helper()
	rest := text
	for {
		_, after, ok := strings.Cut(rest, "// "+comment)
		if !ok {
			t.Fatalf("no wait under %s", comment)
		}
		launch := strings.Index(after, "\tr.Launch(")
		if wait := strings.Index(after, "\tr.Wait("); wait >= 0 && wait < launch {
			at := len(text) - len(after) + wait
			end := at + strings.Index(text[at:], "\n") + 1
			return []byte(text[:at] + text[end:])
		}
		rest = after
	}
}
