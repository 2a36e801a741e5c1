package device

import (
	"errors"
	"slices"
	"testing"

	"moegen/runtime/safetensors"
	"moegen/runtime/train"
)

// Where a step has one micro-batch, gradients are the last bytes of the arena, which logits use at other times; where it has several,
// the arena is longer by them, and they outlive what else runs.
func TestGradientsShareMemory(t *testing.T) {
	for _, accumulates := range []bool{false, true} {
		p := toyProgram(toyParts(), simulated)
		p.Accumulates = accumulates
		m, _ := openToy(t, p)
		feed(t, m, 0, record(0.25, 0))
		run(t, m, train.MicroBatch)
		before := values(t, m, toyGrad, toyN)
		if !slices.ContainsFunc(before, func(x float32) bool { return x != 0 }) {
			t.Fatal("all gradients are zero")
		}
		if same := slices.Equal(values(t, m, toyLogits, toyN), before); same == accumulates {
			t.Errorf("accumulates %t: where logits lie are gradients: %t", accumulates, same)
		}
		if err := errors.Join(m.Write(0, toyHeadRow, safetensors.Bytes([]int32{0})), m.Run(train.Eval), m.Run(train.Head)); err != nil {
			t.Fatal(err)
		}
		if same := slices.Equal(values(t, m, toyGrad, toyN), before); same != accumulates {
			t.Errorf("accumulates %t: gradients are what they were before logits were computed: %t", accumulates, same)
		}
		o, err := m.Observe(func() error { return nil })
		if want := p.PeakBytes(); err != nil || o.AllocatedBytes != want || accumulates != (want > toyBytes) {
			t.Errorf("accumulates %t: %d bytes allocated, want %d (%v)", accumulates, o.AllocatedBytes, want, err)
		}
	}
}
