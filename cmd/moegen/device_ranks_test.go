package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/internal/golden"
)

// fewerSteps copies a case's setting with so many steps: simulated GPUs take their time.
func fewerSteps(t *testing.T, c *golden.Case, steps int) string {
	t.Helper()
	var setting map[string]any
	text, err := os.ReadFile(filepath.Join(c.Dir, "case.json"))
	if err == nil {
		err = json.Unmarshal(text, &setting)
	}
	if err != nil {
		t.Fatal(err)
	}
	setting["steps"] = steps
	if text, err = json.Marshal(setting); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "case.json")
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// onRanks builds a case for so many ranks of simulated GPUs.
func onRanks(t *testing.T, c *golden.Case, ranks, ep int, flags ...string) (binary string) {
	t.Helper()
	b := c.Batch(0)
	return build(t, "h100", c.Dir, append([]string{"--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows / ranks),
		"--gpus", fmt.Sprint(ranks), "--ep", fmt.Sprint(ep), "--no-cubin"}, flags...)...)
}

// Four ranks, experts over all of them or over two pairs that hold the same ones, each with a GPU of its own or several on one, compute
// what Transformers computes in bfloat16, as closely as Transformers itself; where the ranks are makes no difference to the bit.
func TestParityOfFourRanksOnSimulatedGPUs(t *testing.T) {
	c := golden.Load(t, "qwen3-moe-ranks")
	setting := fewerSteps(t, c, 1)
	for _, ep := range []int{4, 2} {
		t.Run(fmt.Sprintf("ep=%d", ep), func(t *testing.T) {
			t.Parallel()
			binary := onRanks(t, c, 4, ep)
			out := probe(t, binary, c, "--case", setting, "--device", "sim:1")
			report := golden.Compare(c, out, "bf16", "logits", "loss", "aux_loss", "grad", "hidden", "router", "topk")
			if !report.OK() {
				t.Errorf("not as close to the reference as Transformers is\n%s", report)
			}
			t.Logf("largest share of a limit: %.2f (%s)", report.Rows[0].Share, report.Rows[0].Name)
			if ep == 2 {
				sameTensors(t, out, probe(t, binary, c, "--case", setting, "--device", "sim", "--devices", "0,0,1,0"))
			}
		})
	}
}

// sameTensors checks that two runs have the same bits.
func sameTensors(t *testing.T, a, b map[string]golden.Tensor) {
	t.Helper()
	if len(a) != len(b) {
		t.Errorf("%d tensors and %d", len(a), len(b))
	}
	for name := range a {
		if !slices.Equal(a[name].Data, b[name].Data) {
			t.Errorf("%s differs", name)
		}
	}
}

// Routers whose logits are all equal send all tokens to one expert, on the first of two or four ranks, and none to the others. What the ranks
// compute then is as far from the float32 program on one rank as what one rank computes in bfloat16.
func TestAllTokensToOneSimulatedGPU(t *testing.T) {
	c := golden.Load(t, "qwen3-moe-ranks")
	skewed := *c
	skewed.Dir = withoutRouters(t, c, 1)
	setting := fewerSteps(t, c, 1)
	b := c.Batch(0)
	exact := probe(t, build(t, "cpu", skewed.Dir, "--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows)), &skewed, "--case", setting)
	one := probe(t, onRanks(t, &skewed, 1, 1), &skewed, "--case", setting, "--device", "sim")
	for _, c := range []struct {
		ranks   int
		devices string
	}{{2, "0,1"}, {4, "0,1,0,1"}} {
		got := probe(t, onRanks(t, &skewed, c.ranks, c.ranks), &skewed, "--case", setting, "--device", "sim", "--devices", c.devices)
		for _, expert := range got["topk.0"].Data {
			if expert != 0 {
				t.Fatalf("a token chose expert %v: the case is not skewed", expert)
			}
		}
		for name, want := range exact {
			if strings.HasPrefix(name, "param") || strings.HasPrefix(name, "topk") {
				continue // a step of AdamW is as long whatever the gradient; rounding may send a token elsewhere
			}
			// Partial sums of a token's experts are rounded once more: 2^-9 of them at most, where one rank rounds several times as often.
			if e, yardstick := apart(got[name].Data, want.Data), apart(one[name].Data, want.Data); e > 2*yardstick+0x1p-9 {
				t.Errorf("%s of %d ranks differs by %.2g from float32, that of one by %.2g", name, c.ranks, e, yardstick)
			}
		}
	}
}
