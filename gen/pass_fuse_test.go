package gen

import (
	"slices"
	"strings"
	"testing"

	"moegen/models"
)

// Where a target has the kernels, experts' products go through SwiGLU at once, forward and backward. The up projection itself
// is written by forward where that keeps it, or by backward; eval never writes it.
func TestExpertsGoThroughSwiGLUAtOnce(t *testing.T) {
	m, _ := models.Lookup("tiny-qwen3-moe")
	type programs struct{ forward, backward, eval string } // the operations of a layer's experts, sorted
	const apart, sums = "grouped_linear grouped_linear_unpermute swiglu", "grouped_linear_dgrad grouped_linear_dgrad_unpermute"
	for _, c := range []struct {
		target    string
		recompute Recompute
		want      programs
	}{
		{"cpu", RecomputeNone, programs{apart, sums + " grouped_linear_wgrad grouped_linear_wgrad swiglu_unpermute_grad", apart}},
		{"h100", RecomputeNone, programs{"grouped_linear grouped_linear_swiglu_keep unpermute",
			"grouped_linear_dgrad grouped_linear_dgrad_swiglu grouped_linear_wgrad grouped_linear_wgrad unpermute",
			"grouped_linear grouped_linear_swiglu unpermute"}},
		{"h100", RecomputeUp, programs{"grouped_linear grouped_linear_swiglu unpermute",
			"grouped_linear grouped_linear_dgrad grouped_linear_dgrad_swiglu grouped_linear_wgrad grouped_linear_wgrad unpermute",
			"grouped_linear grouped_linear_swiglu unpermute"}},
	} {
		p, err := Plan(Request{Model: m, Target: c.target, DType: DTypes[c.target], Seq: 128, MicroBatch: 1, GPUs: 1, Recompute: c.recompute}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ops := map[string][]string{}
		for _, program := range p.Plan.Programs {
			for _, l := range program.Launches {
				layer, _ := layerOf(l.Section)
				name := l.Op.Name
				if layer == 1 && (strings.HasPrefix(name, "grouped_") || strings.HasPrefix(name, "swiglu") || name == "unpermute") {
					where := program.Name
					if strings.HasSuffix(l.Section, backwardSuffix) {
						where += backwardSuffix
					}
					ops[where] = append(ops[where], name)
				}
			}
		}
		list := func(where string) string { return strings.Join(slices.Sorted(slices.Values(ops[where])), " ") }
		if got := (programs{list("micro_batch"), list("micro_batch" + backwardSuffix), list("eval")}); got != c.want {
			t.Errorf("%s, recompute %s: %+v, want %+v", c.target, c.recompute, got, c.want)
		}
	}
}
