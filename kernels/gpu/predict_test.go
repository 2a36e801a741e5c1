package gpu_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"moegen/kernels/gpu"
	"moegen/kernels/tuned"
)

// The families are those of the runtime's profiles.
func TestLaunchFamily(t *testing.T) {
	for entry, want := range map[string]string{
		"gemm_nt_128x256_s4": "gemm_nt", "rmsnorm": "rmsnorm", "rmsnorm_grad_4096": "rmsnorm_grad", "adamw_bf16_n0": "adamw", "x": "x",
	} {
		if got := (gpu.Launch{Entry: entry}).Family(); got != want {
			t.Errorf("%s is of family %s, want %s", entry, got, want)
		}
	}
}

// A launch takes as long as what binds it: 0.75 TFLOP take a millisecond in the tensor cores, 3.02 GB one in memory. Few
// blocks are as fast as so many multiprocessors, also in a last round; memory may be busy with one.
func TestCeiling(t *testing.T) {
	const block = 4096 * 1.83e9
	for _, c := range []struct {
		grid  int
		floor gpu.Floor
		want  float64
	}{
		{132, gpu.Floor{FLOPs: 75e10}, 1000},
		{132, gpu.Floor{FLOPs: 75e10, Bytes: 302e7}, 1000},
		{132, gpu.Floor{FLOPs: 75e10, Bytes: 604e7}, 2000},
		{1, gpu.Floor{Bytes: 302e7}, 1000},
		{120, gpu.Floor{FLOPs: 75e10}, 1000},
		{50, gpu.Floor{FLOPs: 75e10}, 75e10 / (50 * block) * 1e6},
		{133, gpu.Floor{FLOPs: 75e10}, 75e10 / (66.5 * block) * 1e6},
		{1333, gpu.Floor{FLOPs: 75e10}, 1000},
	} {
		if got := (gpu.Launch{Grid: c.grid}).Ceiling(c.floor); math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("%d blocks, %+v: %v µs, want %v", c.grid, c.floor, got, c.want)
		}
	}
}

// A gap, a latency, and what there is to do at the shares that were measured.
func TestPredict(t *testing.T) {
	floor := gpu.Floor{Bytes: 302e7, FLOPs: 75e10} // a millisecond of each
	at := func(share float64) float64 {
		if share == 0 {
			return 0
		}
		return 1000 / share
	}
	for _, s := range tuned.H100Speeds {
		want := max(1.3, s.Latency+at(s.Tensor)+at(s.Memory))
		for _, c := range []struct {
			launch   gpu.Launch
			measured bool
			want     float64
		}{
			{gpu.Launch{Entry: s.Family + "_1", Grid: 132}, true, 0.7 + want},
			{gpu.Launch{Entry: s.Family + "_1", Grid: 132, Dependent: true}, true, 0.45 + want},
			{gpu.Launch{Entry: s.Family + "_of_nobody_1", Grid: 132}, false, 0.7 + want},
		} {
			if got, measured := c.launch.Predict(floor); measured != c.measured || math.Abs(got-c.want) > 1e-9*got {
				t.Errorf("%s: %v µs, %v, want %v", c.launch.Entry, got, measured, c.want)
			}
		}
		if got, _ := (gpu.Launch{Entry: s.Family, Grid: 132}).Predict(gpu.Floor{}); math.Abs(got-(0.7+max(1.3, s.Latency))) > 1e-9 {
			t.Errorf("%s of nothing: %v µs, want %v", s.Family, got, 0.7+max(1.3, s.Latency))
		}
	}
	if got, measured := (gpu.Launch{Entry: "nobody_1", Grid: 132}).Predict(floor); measured || math.Abs(got-(0.7+1000/0.8)) > 1e-9*got {
		t.Errorf("a family that was never measured: %v µs, %v", got, measured)
	}
}

func TestSpeeds(t *testing.T) {
	if !slices.IsSortedFunc(tuned.H100Speeds, func(a, b tuned.Speed) int { return strings.Compare(a.Family, b.Family) }) {
		t.Error("not sorted by family")
	}
	for _, s := range tuned.H100Speeds {
		if s.Tensor < 0 || s.Memory < 0 || s.Latency < 0 || s.Tensor+s.Memory+s.Latency == 0 {
			t.Errorf("%+v", s)
		}
	}
}
