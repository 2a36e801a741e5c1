package kernels_test

import (
	"strings"
	"testing"

	"moegen/gen"
	"moegen/ir"
	"moegen/kernels"
	"moegen/models"
)

func plannedFor(t *testing.T, target string) *ir.Plan {
	t.Helper()
	m, err := models.Parse("small", "small.json", []byte(deviceConfig))
	if err != nil {
		t.Fatal(err)
	}
	p, err := gen.Plan(gen.Request{Model: m, Target: target, DType: gen.DTypes[target], Seq: 128, MicroBatch: 2, GPUs: 1, Recompute: gen.RecomputeNone}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p.Plan
}

// What launches are said to do is what operations cost. Products multiply as much as the operation's formula says; where the
// kernel does more, it is said here. What streams moves every operand and result once: gradients are not read, since the first
// micro-batch overwrites them, and next to that a step record, a count and partial sums are little.
func TestTimelineAgreesWithCosts(t *testing.T) {
	plan := plannedFor(t, "h100")
	list, err := kernels.Timeline(plan)
	if err != nil {
		t.Fatal(err)
	}
	type work struct{ flops, bytes int64 }
	said, cost := map[string]work{}, map[string]work{}
	for _, l := range list {
		w := said[l.Op]
		said[l.Op] = work{w.flops + l.FLOPs, w.bytes + l.Bytes}
		if l.Micros < 1 || l.Ceiling < 0 || l.Kernel == "" || l.Grid < 1 || !strings.HasPrefix(l.Kernel, l.Family) {
			t.Errorf("%+v", l)
		}
	}
	for _, p := range plan.Programs {
		if p.Name == "micro_batch" || p.Name == "update" {
			for _, l := range p.Launches {
				w := cost[l.Op.Name]
				cost[l.Op.Name] = work{w.flops + l.Cost.FLOPs, w.bytes + l.Cost.Bytes}
				if _, ok := said[l.Op.Name]; !ok && l.Op.Name != "tap" { // the runtime's
					t.Errorf("%s has no launch", l.Op.Name)
				}
			}
		}
	}
	for op, factor := range map[string][2]float64{
		"linear": {1, 1}, "linear_dgrad": {1, 1}, "linear_wgrad": {1, 1}, "linear_cross_entropy": {1, 1},
		"attention":      {1, 1},
		"attention_grad": {1.25, 1.25}, // the scores again: five products where the formula has four
		// 64 rows an expert are expected, half a tile of 128 rows or of 64 along k more: at least a tile
		"grouped_linear": {2, 2}, "grouped_linear_dgrad": {2, 2}, "grouped_linear_wgrad": {1.5, 1.5},
		"adamw_split": {0, 0}, "swiglu": {0, 0}, "unpermute": {0, 0},
	} {
		if got := float64(said[op].flops) / float64(cost[op].flops); got < factor[0] || got > factor[1] {
			t.Errorf("%s multiplies %v times what its formula does, want %v", op, got, factor)
		}
	}
	for _, op := range []string{"adamw_split", "swiglu", "unpermute", "rms_norm", "sum_squares", "embedding", "qk_norm_rope", "swiglu_unpermute_grad"} {
		if got := float64(said[op].bytes) / float64(cost[op].bytes); got < 0.95 || got > 1.05 {
			t.Errorf("%s moves %v times its operands and results", op, got)
		}
	}
}

func TestTimelineWantsATargetThatWasMeasured(t *testing.T) {
	if _, err := kernels.Timeline(plannedFor(t, "cpu")); err == nil || !strings.Contains(err.Error(), "--target h100") {
		t.Errorf("error %v", err)
	}
}
