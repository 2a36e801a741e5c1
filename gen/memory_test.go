package gen

import (
	"testing"

	"moegen/ir"
	"moegen/models"
)

// What a rank of eight keeps for good of a model of thirty billion parameters follows from their number alone: the values of all of the
// dense ones and of an eighth of the experts; of gradients and of what the optimizer keeps an eighth of everything. What else a step
// takes lies under gradients that are yet to come, when tokens are sent again, and when whole layers are computed again, but for 2 GiB.
func TestMemoryOfEightRanks(t *testing.T) {
	m, ok := models.Lookup("qwen3-30b-a3b")
	if !ok {
		t.Fatal("the model is gone")
	}
	for _, c := range []struct {
		recompute Recompute
		limit     int64
	}{{RecomputeDispatch, 34 << 30}, {RecomputeBlock, 34 << 30}} {
		p, err := Plan(Request{Model: m, Target: "h100", DType: "bf16", Optimizer: "bf16", Seq: 4096, MicroBatch: 1, GPUs: 8, Recompute: c.recompute}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p.Plan.Bytes > c.limit {
			t.Errorf("recompute %s takes %d bytes, more than %d", c.recompute, p.Plan.Bytes, c.limit)
		}
		// 128 experts of 48 layers, three matrices of 768 by 2048 each.
		const experts = 48 * 128 * 3 * 768 * 2048
		all := m.Facts.Parameters
		dense := all - experts
		bytes := map[ir.Role]int64{}
		for _, b := range p.Plan.Buffers {
			if !b.IsGroup() {
				bytes[b.Role] += b.Bytes()
			}
		}
		const slack = 128 * 2 * 2 * 50 // two arrays of shares that are rounded up, of 48 layers, embeddings and head
		for role, want := range map[ir.Role]int64{
			ir.Weight: 2 * (dense + experts/8), ir.Gradient: 2 * all / 8, ir.State: 2 * 2 * all / 8,
		} {
			if got := bytes[role]; got < want || got > want+slack {
				t.Errorf("recompute %s: %s takes %d bytes, want %d", c.recompute, role, got, want)
			}
		}
	}
}
