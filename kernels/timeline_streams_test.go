package kernels_test

import (
	"fmt"
	"testing"

	"moegen/gen"
	"moegen/kernels"
	"moegen/models"
)

// A layer begins when its input has come back from all ranks, though a tap, which is no launch on a GPU, is the first to wait for it.
func TestTimelineWaitsBehindTaps(t *testing.T) {
	m, _ := models.Lookup("tiny-qwen3-moe")
	planned, err := gen.Plan(gen.Request{Model: m, Target: "h100", DType: "bf16", Seq: 64, MicroBatch: 1, GPUs: 2, EP: 2, Recompute: gen.RecomputeNone}, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := kernels.Timeline(planned.Plan, kernels.Wire{GPUs: 2, Link: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for layer := range 2 {
		came := 0.0
		for _, l := range list {
			if l.Section == fmt.Sprintf("layers.%d.moe", layer) && l.Op == "combine" {
				came = l.End
			}
			if l.Section == fmt.Sprintf("layers.%d.attention", layer+1) {
				if begin := l.End - l.Micros; came == 0 || begin < came*(1-1e-9) {
					t.Errorf("layer %d: %s begins at %.1f µs, its input is there at %.1f", layer+1, l.Kernel, begin, came)
				}
				checked++
			}
		}
	}
	if checked == 0 {
		t.Error("no launch of attention found")
	}
}
