package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
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

// spread is how a case's rows and experts are spread over ranks, and what backward does again.
type spread struct {
	ranks, ep int
	recompute string
}

// spreads are those that a case of so many rows is tried in.
func spreads(rows int) []spread {
	if rows == 8 {
		return []spread{{1, 1, "none"}, {2, 2, "none"}, {2, 1, "up"}, {4, 4, "dispatch"}, {8, 8, "none"}, {8, 4, "block"}, {8, 4, "dispatch"}}
	}
	return []spread{{1, 1, "none"}, {2, 2, "none"}, {1, 1, "block"}, {2, 2, "up"}}
}

func (s spread) String() string {
	return fmt.Sprintf("ranks=%d/ep=%d/recompute=%s", s.ranks, s.ep, s.recompute)
}

// build makes the binary of a checkpoint that is to be trained on such batches as this one.
func (s spread) build(t *testing.T, model string, b golden.Batch, flags ...string) (binary string) {
	t.Helper()
	return build(t, "cpu", model, append([]string{"--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows / s.ranks),
		"--gpus", fmt.Sprint(s.ranks), "--ep", fmt.Sprint(s.ep), "--recompute", s.recompute}, flags...)...)
}

// A generated binary computes what Hugging Face Transformers computes, in float32, as closely to the float64
// reference as Transformers itself: logits, losses, every gradient, hidden states, routing, and the weights
// after 20 optimizer steps. The same with the batch and the experts spread over ranks, and with every way
// to recompute.
func TestParityWithTransformers(t *testing.T) {
	for _, name := range golden.Cases {
		c := golden.Load(t, name)
		b := c.Batch(0)
		for _, s := range spreads(b.Rows) {
			t.Run(name+"/"+s.String(), func(t *testing.T) {
				report := golden.Compare(c, probe(t, s.build(t, c.Dir, b), c), "f32")
				if !report.OK() {
					t.Errorf("not as close to the reference as Transformers is\n%s", report)
				}
				t.Logf("largest share of a limit: %.2f (%s)", report.Rows[0].Share, report.Rows[0].Name)
			})
		}
	}
}

// The case of eight rows is one in which every rank of eight has another number of targets: the loss is the mean over all of them.
func TestRanksHaveDifferentNumbersOfTargets(t *testing.T) {
	b := golden.Load(t, "qwen3-moe-ranks").Batch(0)
	counts := map[int]bool{}
	for row := range b.Rows {
		n := 0
		for _, target := range b.Targets[row*b.Seq : (row+1)*b.Seq] {
			if target >= 0 {
				n++
			}
		}
		counts[n] = true
	}
	if len(counts) < 4 {
		t.Errorf("the eight rows have only %d different numbers of targets", len(counts))
	}
}

// Eight ranks give the same bits every time, whoever comes first where they meet.
func TestRanksRepeatTheirBits(t *testing.T) {
	c := golden.Load(t, "qwen3-moe-ranks")
	for _, s := range []spread{{8, 8, "none"}, {8, 4, "dispatch"}} {
		binary := s.build(t, c.Dir, c.Batch(0))
		first := probe(t, binary, c)
		for range 2 {
			for name, x := range probe(t, binary, c) {
				if !slices.Equal(x.Data, first[name].Data) {
					t.Errorf("%s: %s has other bits the second time", s, name)
				}
			}
		}
	}
}
