package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"

	"moegen/internal/golden"
)

// Where routers send all tokens to one rank of a group, that receives more than its pool has room for. What backward has sent again
// is what was in the pool: the same bits as when there is no pool. The binary says how often that was.
func TestLayersWithoutRoomAreReplayed(t *testing.T) {
	c := golden.Load(t, "qwen3-moe-ranks") // two layers with experts
	for _, skew := range []struct {
		topK int
		spread
		pool   string
		layers int // in which one rank of a group receives more than it has room for
	}{
		// With T tokens a rank 2T come; 2T · (1 − 6/28) are expected, 6 of the 28 pairs of experts being all elsewhere.
		{2, spread{2, 2, "up"}, "1.1", 1},
		{2, spread{2, 2, "up"}, "1.3", 0},   // room for all that may come
		{2, spread{4, 4, "none"}, "1.1", 1}, // 4T, 4T · (1 − 15/28)
		{1, spread{8, 8, "up"}, "1.1", 2},   // 8T, T
		{1, spread{8, 4, "none"}, "1", 4},   // 4T, T, in two groups
	} {
		t.Run(fmt.Sprintf("%s/top_k=%d/pool=%s", skew.spread, skew.topK, skew.pool), func(t *testing.T) {
			t.Parallel()
			skewed := *c
			skewed.Dir = withoutRouters(t, c, skew.topK)
			b := c.Batch(0)
			binary := skew.build(t, skewed.Dir, b, "--pool", skew.pool)
			setting := fewerSteps(t, &skewed, 2)
			sameTensors(t, probe(t, binary, &skewed, "--case", setting), probe(t, spread{skew.ranks, skew.ep, "dispatch"}.build(t, skewed.Dir, b), &skewed, "--case", setting))
			if got := bench(t, binary, skewed.Dir); *got.Replayed != skew.layers {
				t.Errorf("%d layers are replayed, want %d", *got.Replayed, skew.layers)
			}
		})
	}
}

// benchmark is what bench says of the first step from a checkpoint.
type benchmark struct {
	Replayed  *int  `json:"replayed_layers"`
	Planned   int64 `json:"planned_bytes"`
	Allocated int64 `json:"allocated_bytes"` // of all GPUs
}

func bench(t *testing.T, binary, checkpoint string, flags ...string) (b benchmark) {
	t.Helper()
	out, err := exec.Command(binary, append([]string{"bench", "--checkpoint", checkpoint, "--steps", "1", "--warmup", "0", "--json"}, flags...)...).Output()
	if err != nil {
		t.Fatalf("bench: %v\n%s", err, out)
	}
	if err := json.Unmarshal(out, &b); err != nil || b.Replayed == nil {
		t.Fatalf("bench does not say how many layers it replayed: %v", err)
	}
	return b
}

// The same on simulated GPUs, whose checkers find nothing, and of whose memory no more is taken than was planned.
func TestLayersWithoutRoomAreReplayedOnSimulatedGPUs(t *testing.T) {
	c := golden.Load(t, "qwen3-moe-ranks")
	for _, skew := range []struct{ ranks, topK, layers int }{{2, 2, 1}, {4, 1, 2}} {
		t.Run(fmt.Sprintf("ranks=%d", skew.ranks), func(t *testing.T) {
			t.Parallel()
			skewed := *c
			skewed.Dir = withoutRouters(t, c, skew.topK)
			setting := fewerSteps(t, &skewed, 3-skew.ranks/2) // the second on two streams: nobody looks into it
			binary := onRanks(t, &skewed, skew.ranks, skew.ranks, "--recompute", "up")
			again := onRanks(t, &skewed, skew.ranks, skew.ranks, "--recompute", "dispatch")
			sameTensors(t, probe(t, binary, &skewed, "--case", setting, "--device", "sim:1"), probe(t, again, &skewed, "--case", setting, "--device", "sim"))
			got := bench(t, binary, skewed.Dir, "--device", "sim")
			if *got.Replayed != skew.layers {
				t.Errorf("%d layers are replayed, want %d", *got.Replayed, skew.layers)
			}
			if got.Allocated != got.Planned || got.Planned == 0 {
				t.Errorf("%d bytes of GPUs are taken, and %d are planned", got.Allocated, got.Planned)
			}
		})
	}
}
