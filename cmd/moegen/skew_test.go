package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moegen/internal/golden"
	"moegen/runtime/safetensors"
)

// A router whose logits are all equal sends every token to the experts of lowest index. So one rank receives all tokens of
// its group, or two do, and the others none. The binary then still computes what the binary for one rank computes.
func TestAllTokensToOneRank(t *testing.T) {
	for _, skew := range []struct {
		name string
		topK int
		spread
	}{
		{"qwen3-moe-tiny", 2, spread{2, 2, "none"}},
		{"qwen3-moe-ranks", 1, spread{8, 8, "none"}},     // one expert, the only one of its rank
		{"qwen3-moe-ranks", 2, spread{8, 8, "dispatch"}}, // the experts of two ranks
		{"qwen3-moe-ranks", 2, spread{8, 4, "none"}},     // both experts of a rank of each group
	} {
		t.Run(fmt.Sprintf("%s/top_k=%d/%s", skew.name, skew.topK, skew.spread), func(t *testing.T) {
			c := golden.Load(t, skew.name)
			skewed := *c
			skewed.Dir = withoutRouters(t, c, skew.topK)
			want := probe(t, spread{1, 1, "none"}.build(t, skewed.Dir, c.Batch(0)), &skewed)
			got := probe(t, skew.build(t, skewed.Dir, c.Batch(0)), &skewed)
			for _, expert := range got["topk.0"].Data {
				if int(expert) >= skew.topK {
					t.Fatalf("a token chose expert %v: the case is not skewed", expert)
				}
			}
			for name, x := range want {
				if strings.HasPrefix(name, "param") || name == "losses" || name == "grad_norms" {
					continue // after the first step the routers are no longer zero
				}
				// Ranks add a token's and a weight's partial sums in another order: a few float32 roundings apart.
				if e := apart(got[name].Data, x.Data); e > 4e-6 {
					t.Errorf("%s differs by %.2g from that of one rank", name, e)
				}
			}
			// The first step's norm is that of the gradients above.
			if a, b := got["grad_norms"].Data[0], want["grad_norms"].Data[0]; math.Abs(a-b) > 4e-6*b {
				t.Errorf("the norm of all gradients is %v, on one rank %v", a, b)
			}
		})
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

// withoutRouters copies a case's checkpoint with all router weights set to zero, and so many experts a token.
func withoutRouters(t *testing.T, c *golden.Case, topK int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"config.json", "case.json", "batch.safetensors"} {
		data, err := os.ReadFile(filepath.Join(c.Dir, name))
		data = bytes.Replace(data, []byte(`"num_experts_per_tok": 2`), fmt.Appendf(nil, `"num_experts_per_tok": %d`, topK), 1)
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
