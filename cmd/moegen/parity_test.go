package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"moegen/internal/golden"
)

// build makes the training binary of a checkpoint folder for a target.
func build(t *testing.T, target, model string, args ...string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "trainer")
	var out, errs bytes.Buffer
	line := append([]string{"build", model, "--target", target, "-o", binary}, args...)
	if code := run(line, &out, &errs); code != 0 {
		t.Fatalf("moegen %v: exit status %d\n%s%s", line, code, out.String(), errs.String())
	}
	return binary
}

// probe runs a binary on the batches of a case and returns what it computed.
func probe(t *testing.T, binary string, c *golden.Case, flags ...string) map[string]golden.Tensor {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.safetensors")
	args := []string{"probe", "--checkpoint", c.Dir, "--batch", filepath.Join(c.Dir, "batch.safetensors"),
		"--case", filepath.Join(c.Dir, "case.json"), "--out", out}
	cmd := exec.Command(binary, append(args, flags...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("probe: %v\n%s", err, text)
	}
	return golden.Tensors(t, out)
}

// A generated binary computes what Hugging Face Transformers computes, in float32, as closely to the float64
// reference as Transformers itself: logits, losses, every gradient, hidden states, routing, and the weights
// after 20 optimizer steps. The same with the batch and the experts spread over two ranks, and with every way
// to recompute.
func TestParityWithTransformers(t *testing.T) {
	for _, name := range golden.Cases {
		c := golden.Load(t, name)
		b := c.Batch(0)
		for _, how := range []struct {
			ranks     int
			recompute string
		}{{1, "none"}, {2, "none"}, {1, "block"}, {2, "up"}} {
			t.Run(fmt.Sprintf("%s/ranks=%d/recompute=%s", name, how.ranks, how.recompute), func(t *testing.T) {
				binary := build(t, "cpu", c.Dir, "--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows/how.ranks),
					"--gpus", fmt.Sprint(how.ranks), "--recompute", how.recompute)
				report := golden.Compare(c, probe(t, binary, c), "f32")
				if !report.OK() {
					t.Errorf("not as close to the reference as Transformers is\n%s", report)
				}
				t.Logf("largest share of a limit: %.2f (%s)", report.Rows[0].Share, report.Rows[0].Name)
			})
		}
	}
}
