package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moegen/internal/golden"
	"moegen/runtime/safetensors"
)

// A router whose logits are all equal sends every token to the experts of lowest index: with two ranks the
// first receives all tokens, the second none. The binary for two ranks then still computes what the binary for
// one computes.
func TestAllTokensToOneRank(t *testing.T) {
	c := golden.Load(t, "qwen3-moe-tiny")
	b := c.Batch(0)
	skewed := *c
	skewed.Dir = withoutRouters(t, c)
	var out [2]map[string]golden.Tensor
	for i, ranks := range []int{1, 2} {
		binary := build(t, "cpu", skewed.Dir, "--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows/ranks), "--gpus", fmt.Sprint(ranks))
		out[i] = probe(t, binary, &skewed)
	}
	for _, expert := range out[1]["topk.0"].Data {
		if expert > 1 {
			t.Fatalf("a token chose expert %v: the case is not skewed", expert)
		}
	}
	for name, want := range out[0] {
		if strings.HasPrefix(name, "param") || name == "losses" || name == "grad_norms" {
			continue // after the first step the routers are no longer zero
		}
		// Two ranks add a token's and a weight's partial sums in another order: a few float32 roundings apart.
		if e := apart(out[1][name].Data, want.Data); e > 4e-6 {
			t.Errorf("%s of two ranks differs by %.2g from that of one", name, e)
		}
	}
}

// apart is the relative difference of two tensors in the Euclidean norm, against an absolute size of 1e-6 an
// element where the reference is smaller.
func apart(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff, size := 0.0, 1e-12*float64(len(want))
	for i := range want {
		diff += (got[i] - want[i]) * (got[i] - want[i])
		size += want[i] * want[i]
	}
	return math.Sqrt(diff / size)
}

// withoutRouters copies a case's checkpoint with all router weights set to zero.
func withoutRouters(t *testing.T, c *golden.Case) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"config.json", "case.json", "batch.safetensors"} {
		data, err := os.ReadFile(filepath.Join(c.Dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var infos []safetensors.Info
	for name, w := range c.Weights {
		infos = append(infos, safetensors.Info{Name: name, DType: safetensors.F32, Shape: w.Shape})
	}
	w, err := safetensors.Create(dir, safetensors.Arrange(infos, "model", safetensors.ShardBytes))
	if err != nil {
		t.Fatal(err)
	}
	for name, tensor := range c.Weights {
		values := make([]float32, len(tensor.Data))
		for i, x := range tensor.Data {
			if !strings.HasSuffix(name, "mlp.gate.weight") {
				values[i] = float32(x)
			}
		}
		if err := w.WriteFloat32(name, 0, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return dir
}
