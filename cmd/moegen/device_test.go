package main

import (
	"fmt"
	"testing"

	"moegen/internal/golden"
)

// A binary for GPUs computes what Transformers computes in bfloat16, as closely to the float64 reference as
// Transformers itself, in the simulator with every checker on.
func TestParityOnASimulatedGPU(t *testing.T) {
	for _, name := range golden.Cases {
		t.Run(name, func(t *testing.T) {
			c := golden.Load(t, name)
			b := c.Batch(0)
			binary := build(t, "h100", c.Dir, "--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(b.Rows))
			report := golden.Compare(c, probe(t, binary, c, "--device", "sim"), "bf16")
			if !report.OK() {
				t.Errorf("not as close to the reference as Transformers is\n%s", report)
			}
			t.Logf("largest share of a limit: %.2f (%s)", report.Rows[0].Share, report.Rows[0].Name)
		})
	}
}
