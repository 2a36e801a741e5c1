package gpu_test

import (
	"testing"

	"moegen/kernels/gpu"
	"moegen/kernels/tuned"
)

// What was measured comes first for products that are the same work; the others go by cost. No candidate comes twice.
func TestGEMMChoice(t *testing.T) {
	forms := map[string]gpu.Form{"nt": gpu.NT, "nn": gpu.NN, "tn": gpu.TN}
	for _, p := range tuned.H100Products {
		want := gpu.GEMMConfig{BlockM: p.BlockM, BlockN: p.BlockN, Stages: p.Stages, Cluster: p.Cluster, Group: p.Group, Keep: p.Keep, Split: p.Split}
		form, ok := forms[p.Form]
		if !ok {
			t.Fatalf("a product of form %q", p.Form)
		}
		same := gpu.GEMMDesc{Form: form, M: p.M, N: p.N - 8, K: p.K - 8}
		for _, d := range []gpu.GEMMDesc{{Form: form, M: p.M, N: p.N, K: p.K}, same} {
			if got, _ := gpu.GEMMConfigs(d); got[0] != want {
				t.Errorf("%+v: %+v, measured %+v", d, got[0], want)
			}
		}
		other := gpu.GEMMDesc{Form: form, M: p.M + 1, N: p.N, K: p.K}
		configs, _ := gpu.GEMMConfigs(other)
		seen := map[gpu.GEMMConfig]bool{}
		for i, c := range configs {
			if i > 0 && gpu.GEMMCost(other, c) < gpu.GEMMCost(other, configs[i-1]) {
				t.Errorf("%+v: %+v comes late", other, c)
			}
			if seen[c] {
				t.Errorf("%+v: %+v comes twice", other, c)
			}
			seen[c] = true
		}
	}
}
