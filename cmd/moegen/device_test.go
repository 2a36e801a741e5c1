package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"moegen/internal/golden"
)

// refused are the cases that target h100 does not compute, with what moegen says of them: rows of a head that are no multiples
// of 16 bytes cannot be copied by the copy engine.
var refused = map[string]string{
	"qwen3-moe-odd":     "head_dim is 20, and must be a multiple of 8, at most 128; use --target cpu",
	"qwen3-moe-options": "head_dim is 12, and must be a multiple of 8, at most 128; use --target cpu",
	"qwen3-moe-sharded": "head_dim is 10, and must be a multiple of 8, at most 128; use --target cpu",
}

// A binary for GPUs computes what Transformers computes in bfloat16, as closely to the float64 reference as
// Transformers itself, in the simulator with every checker on. What cannot be built is refused in one sentence, and
// leaves nothing behind.
func TestParityOnASimulatedGPU(t *testing.T) {
	for _, name := range golden.Cases {
		t.Run(name, func(t *testing.T) {
			c := golden.Load(t, name)
			b := c.Batch(0)
			flags := []string{"--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows)}
			if why := refused[name]; why != "" {
				refuses(t, c.Dir, flags, "target h100 has no kernel for qk_norm_rope (layers.0.attention): "+why)
				return
			}
			binary := build(t, "h100", c.Dir, flags...)
			report := golden.Compare(c, probe(t, binary, c, "--device", "sim"), "bf16")
			if !report.OK() {
				t.Errorf("not as close to the reference as Transformers is\n%s", report)
			}
			t.Logf("largest share of a limit: %.2f (%s)", report.Rows[0].Share, report.Rows[0].Name)
		})
	}
}

// refuses checks that a model cannot be built for GPUs, and what is said of it.
func refuses(t *testing.T, model string, flags []string, why string) {
	t.Helper()
	folder := t.TempDir()
	var out, errs bytes.Buffer
	code := run(append([]string{"build", model, "--target", "h100", "-o", filepath.Join(folder, "trainer")}, flags...), &out, &errs)
	if code != exitInput || !strings.Contains(errs.String(), why) {
		t.Errorf("exit status %d, want %d, and:\n%swant:\n%s", code, exitInput, errs.String(), why)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// The same with the batch and the experts spread over two GPUs, which reach each other's memory, in another order of events.
func TestParityOnTwoSimulatedGPUs(t *testing.T) {
	c := golden.Load(t, "qwen3-moe-aux")
	b := c.Batch(0)
	binary := build(t, "h100", c.Dir, "--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows/2), "--gpus", "2", "--recompute", "block")
	report := golden.Compare(c, probe(t, binary, c, "--device", "sim:1"), "bf16")
	if !report.OK() {
		t.Errorf("not as close to the reference as Transformers is\n%s", report)
	}
	t.Logf("largest share of a limit: %.2f (%s)", report.Rows[0].Share, report.Rows[0].Name)
}
