package golden

import (
	"maps"
	"math"
	"slices"
	"testing"
)

// TestCompare: the reference is within its own limits, and every way to be wrong is caught.
func TestCompare(t *testing.T) {
	c := Load(t, "qwen3-moe-options")
	change := func(name string, f func(x Tensor) Tensor) map[string]Tensor {
		out := maps.Clone(c.Expected)
		x := out[name]
		out[name] = f(Tensor{slices.Clone(x.Shape), slices.Clone(x.Data)})
		return out
	}
	scale := func(by float64) func(Tensor) Tensor {
		return func(x Tensor) Tensor {
			for i := range x.Data {
				x.Data[i] *= by
			}
			return x
		}
	}
	set := func(v float64) func(Tensor) Tensor {
		return func(x Tensor) Tensor { x.Data[3] = v; return x }
	}
	const q = "grad.model.layers.0.self_attn.q_proj.weight"
	for _, test := range []struct {
		name  string
		out   map[string]Tensor
		dtype string
		only  []string
		ok    bool
	}{
		{"the reference", c.Expected, "f32", nil, true},
		{"a rounding error", change(q, scale(1+1e-6)), "f32", nil, true},
		{"ten rounding errors", change(q, scale(1+1e-5)), "f32", nil, false},
		{"ten rounding errors in bfloat16", change(q, scale(1+1e-5)), "bf16", nil, true},
		{"twice the gradient", change(q, scale(2)), "bf16", nil, false},
		{"not asked for", change(q, scale(2)), "f32", []string{"logits", "loss"}, true},
		{"asked for", change(q, scale(2)), "f32", []string{"grad"}, false},
		{"no such group", c.Expected, "f32", []string{"gradients"}, false},
		{"not a number", change("logits", set(math.NaN())), "f32", nil, false},
		{"another shape", change("logits", func(x Tensor) Tensor { x.Shape[0] *= 2; x.Shape[1] /= 2; return x }), "f32", nil, false},
		{"one token misrouted", change("topk.0", set(5)), "f32", nil, false},
		{"one token of 80 misrouted in bfloat16", change("topk.0", set(5)), "bf16", nil, true},
		{"missing", func() map[string]Tensor { out := maps.Clone(c.Expected); delete(out, "loss"); return out }(), "f32", nil, false},
	} {
		if r := Compare(c, test.out, test.dtype, test.only...); r.OK() != test.ok {
			t.Errorf("%s: ok is %v\n%s", test.name, r.OK(), r)
		}
	}
}

// TestBatch holds what a program reads against the rows of a case with two documents each.
func TestBatch(t *testing.T) {
	c := Load(t, "qwen3-moe-packed")
	documents := 0
	for step := range c.Steps {
		b := c.Batch(step)
		for i := range b.Tokens {
			at := int32(i % b.Seq)
			if b.Positions[i] != at-b.Starts[i] {
				t.Fatalf("step %d, token %d: position %d, but its document starts at %d", step, i, b.Positions[i], b.Starts[i])
			}
			last := int(at) == b.Seq-1
			switch {
			case b.Targets[i] < 0:
			case last:
				t.Fatalf("step %d, token %d is the last of its row but has a target", step, i)
			case b.Targets[i] != b.Tokens[i+1] || b.Starts[i+1] != b.Starts[i]:
				t.Fatalf("step %d, token %d has target %d, the next token is %d", step, i, b.Targets[i], b.Tokens[i+1])
			}
			if b.Positions[i] == 0 {
				documents++
			}
		}
	}
	if want := 2 * c.Steps * c.Batch(0).Rows; documents != want {
		t.Errorf("%d documents, want %d", documents, want)
	}
}
