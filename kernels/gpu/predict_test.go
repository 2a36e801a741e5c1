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
// blocks are as fast as so many multiprocessors; memory may be busy with one.
func TestCeiling(t *testing.T) {
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
		{50, gpu.Floor{FLOPs: 75e10}, 75e10 / (50 * 4096 * 1.83e9) * 1e6},
	} {
		if got := (gpu.Launch{Grid: c.grid}).Ceiling(c.floor); math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("%d blocks, %+v: %v µs, want %v", c.grid, c.floor, got, c.want)
		}
	}
}

func TestPredict(t *testing.T) {
	floor := gpu.Floor{Bytes: 302e7}
	if got, measured := (gpu.Launch{Entry: "nobody_1", Grid: 1}).Predict(floor); measured || math.Abs(got-(1+1000/0.8)) > 1e-9 {
		t.Errorf("a family that was never measured: %v µs, %v", got, measured)
	}
	for _, s := range tuned.H100Speeds {
		l := gpu.Launch{Entry: s.Family + "_1", Grid: 132}
		if got, measured := l.Predict(floor); !measured || math.Abs(got-(1+1000/s.Share)) > 1e-9*got {
			t.Errorf("%s: %v µs, %v", s.Family, got, measured)
		}
		if got, _ := l.Predict(gpu.Floor{}); got != 1+s.Latency {
			t.Errorf("%s of nothing: %v µs, want %v", s.Family, got, 1+s.Latency)
		}
	}
}

func TestSpeeds(t *testing.T) {
	if !slices.IsSortedFunc(tuned.H100Speeds, func(a, b tuned.Speed) int { return strings.Compare(a.Family, b.Family) }) {
		t.Error("not sorted by family")
	}
	for _, s := range tuned.H100Speeds {
		if s.Share <= 0 || s.Latency < 0 || s.Latency > 0 && s.Share != 1 {
			t.Errorf("%+v", s)
		}
	}
}
