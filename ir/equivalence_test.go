package ir

import (
	"fmt"
	"math"
	"testing"
)

// equivalence is a value computed in two ways: by an operation that does several things at once, and by the
// operations that it stands for.
type equivalence struct {
	op    string
	name  string
	ranks int
	build func(f *fixture) (got, want []*Value)
}

func equivalences() []equivalence {
	var cases []equivalence
	one := func(op, name string, build func(f *fixture) (got, want []*Value)) {
		cases = append(cases, equivalence{op, name, 1, build})
	}
	accumulated := func(f *fixture, fresh, grad *Value) *Value {
		return f.Op(accumulate, "acc", nil, fresh, grad, f.record())[0]
	}
	one("linear", "bias and residual", func(f *fixture) (got, want []*Value) {
		x, w, bias, residual := f.random("x", 3, 5), f.random("w", 4, 5), f.random("bias", 4), f.random("residual", 3, 4)
		return f.Op(linear, "y", nil, x, w, bias, residual), []*Value{f.Add("z", f.Linear("l", x, w, bias), residual)}
	})
	one("linear_dgrad", "residual", func(f *fixture) (got, want []*Value) {
		dy, w, residual := f.random("dy", 3, 5), f.random("w", 5, 4), f.random("residual", 3, 4)
		plain := f.Op(linearDGrad, "p", nil, dy, w, nil)[0]
		return f.Op(linearDGrad, "y", nil, dy, w, residual), []*Value{f.Add("z", plain, residual)}
	})
	one("linear_wgrad", "accumulating", func(f *fixture) (got, want []*Value) {
		dy, x, grad := f.random("dy", 3, 5), f.random("x", 3, 4), f.random("grad", 5, 4)
		plain := f.Op(linearWGrad, "p", nil, dy, x, nil, nil)[0]
		return f.Op(linearWGrad, "y", nil, dy, x, grad, f.record()), []*Value{accumulated(f, plain, grad)}
	})
	one("bias_grad", "accumulating", func(f *fixture) (got, want []*Value) {
		dy, grad := f.random("dy", 3, 5), f.random("grad", 5)
		plain := f.Op(biasGrad, "p", nil, dy, nil, nil)[0]
		return f.Op(biasGrad, "y", nil, dy, grad, f.record()), []*Value{accumulated(f, plain, grad)}
	})
	one("embedding_grad", "accumulating", func(f *fixture) (got, want []*Value) {
		tokens, dy, grad := f.below("tokens", Fixed(I32, 6), 0, 4), f.random("dy", 6, 3), f.random("grad", 5, 3)
		attrs := Attrs{{"vocab", 5}, {"padding", 2}}
		plain := f.Op(embeddingGrad, "p", attrs, tokens, dy, nil, nil)[0]
		return f.Op(embeddingGrad, "y", attrs, tokens, dy, grad, f.record()), []*Value{accumulated(f, plain, grad)}
	})
	one("rms_norm_grad", "residual, accumulating", func(f *fixture) (got, want []*Value) {
		dy, x, w, rstd := f.random("dy", 3, 5), f.random("x", 3, 5), f.random("w", 5), f.random("rstd", 3)
		residual, grad := f.random("residual", 3, 5), f.random("grad", 5)
		plain := f.Op(rmsNormGrad, "p", nil, dy, x, w, rstd, nil, nil, nil)
		return f.Op(rmsNormGrad, "y", nil, dy, x, w, rstd, residual, grad, f.record()),
			[]*Value{f.Add("z", plain[0], residual), accumulated(f, plain[1], grad)}
	})
	one("qk_norm_rope", "", func(f *fixture) (got, want []*Value) {
		qkv, wq, wk, cos, sin, positions := f.projection()
		attrs := Attrs{{"heads", 4}, {"kv_heads", 2}, {"eps", 0.01}}
		return f.Op(qkNormRope, "y", attrs, qkv, wq, wk, cos, sin, positions),
			[]*Value{f.Rope("z", f.QKNorm("n", qkv, wq, wk, 4, 2, 0.01), cos, sin, positions, 4, 2)}
	})
	one("qk_norm_rope_grad", "accumulating", func(f *fixture) (got, want []*Value) {
		qkv, wq, wk, cos, sin, positions := f.projection()
		dy, gradQ, gradK := f.random("dy", 3, 8*5), f.random("grad_q", 5), f.random("grad_k", 5)
		attrs := Attrs{{"heads", 4}, {"kv_heads", 2}, {"eps", 0.01}}
		back := f.Op(ropeGrad, "r", attrs[:2], dy, cos, sin, positions)[0]
		plain := f.Op(qkNormGrad, "p", attrs, back, qkv, wq, wk)
		return f.Op(qkNormRopeGrad, "y", attrs, dy, qkv, wq, wk, cos, sin, positions, gradQ, gradK, f.record()),
			[]*Value{plain[0], accumulated(f, plain[1], gradQ), accumulated(f, plain[2], gradK)}
	})
	one("linear_cross_entropy", "accumulating", func(f *fixture) (got, want []*Value) {
		x, w, targets, grad := f.random("x", 4, 3), f.random("w", 6, 3), f.targets(), f.random("grad", 6, 3)
		logits := f.Linear("l", x, w, nil)
		dlogits := f.Op(crossEntropyGrad, "dl", nil, logits, targets, f.record())[0]
		dw := f.Op(linearWGrad, "dw", nil, dlogits, x, nil, nil)[0]
		return f.Op(linearCrossEntropy, "y", nil, x, w, targets, f.record(), grad), []*Value{
			f.CrossEntropy("z", logits, targets),
			f.Op(linearDGrad, "dx", nil, dlogits, w, nil)[0],
			accumulated(f, dw, grad),
		}
	})
	one("linear_cross_entropy_eval", "", func(f *fixture) (got, want []*Value) {
		x, w, targets := f.random("x", 4, 3), f.random("w", 6, 3), f.targets()
		return f.Op(linearCrossEntropyEval, "y", nil, x, w, targets, f.record()),
			[]*Value{f.CrossEntropy("z", f.Linear("l", x, w, nil), targets)}
	})
	for _, received := range []bool{false, true} {
		route := func(f *fixture) (offsets, pairs, slots *Value) { return f.Route("r", f.choices(5, 2, 3, true), 3) }
		name := "rows of the rank"
		if received {
			route = func(f *fixture) (offsets, pairs, slots *Value) { return receivedRoute(f, 2, false) }
			name = "received rows"
		}
		k := Attrs{{"top_k", 2}}
		one("grouped_linear", name, func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			x, w := f.tokens("x", slots, 3), f.random("w", offsets.Type.Dim(0)-1, 4, 3)
			return f.Op(groupedLinear, "y", k, x, w, offsets, pairs),
				[]*Value{f.GroupedLinear("z", f.Permute("p", x, offsets, pairs, 2), w, offsets)}
		})
		one("grouped_linear_dgrad", name, func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			dy, w := f.tokens("dy", slots, 4), f.random("w", offsets.Type.Dim(0)-1, 4, 3)
			return f.Op(groupedLinearDGrad, "y", k, dy, w, offsets, pairs),
				f.Op(groupedLinearDGrad, "z", k, f.Permute("p", dy, offsets, pairs, 2), w, offsets, nil)
		})
		one("grouped_linear_wgrad", name+", accumulating", func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			dy, x, grad := f.tokens("dy", slots, 4), f.tokens("x", slots, 3), f.random("grad", offsets.Type.Dim(0)-1, 4, 3)
			dyRows, xRows := f.Permute("pdy", dy, offsets, pairs, 2), f.Permute("px", x, offsets, pairs, 2)
			plain := f.Op(groupedLinearWGrad, "p", k, dyRows, xRows, offsets, nil, nil, nil, nil)[0]
			return f.Op(groupedLinearWGrad, "y", k, dy, x, offsets, pairs, pairs, grad, f.record()),
				[]*Value{accumulated(f, plain, grad)}
		})
		one("unpermute", name+", residual", func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			x := f.rows("x", pairs.Type.Shape[0], offsets, 3)
			w, residual, count := f.tokens("w", slots, 2), f.tokens("residual", slots, 3), f.Lookup("received")
			plain := f.Op(unpermute, "p", k, x, offsets, pairs, slots, w, nil, count)[0]
			return f.Op(unpermute, "y", k, x, offsets, pairs, slots, w, residual, count), []*Value{f.Add("z", plain, residual)}
		})
		one("grouped_linear_unpermute", name+", weights, residual", func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			x, down := f.rows("x", pairs.Type.Shape[0], offsets, 3), f.random("down", offsets.Type.Dim(0)-1, 4, 3)
			w, residual, count := f.tokens("w", slots, 2), f.tokens("residual", slots, 4), f.Lookup("received")
			d := f.GroupedLinear("d", x, down, offsets)
			return append(f.Op(groupedLinearUnpermute, "y", nil, x, down, offsets, slots, w, residual, count),
					f.Op(groupedLinearUnpermute, "y1", nil, x, down, offsets, slots, nil, nil, count)...),
				append(f.Op(unpermute, "z", k, d, offsets, pairs, slots, w, residual, count),
					f.Op(unpermute, "z1", k, d, offsets, pairs, slots, nil, nil, count)...)
		})
		one("grouped_linear_dgrad_unpermute", name+", residual", func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			dy, w := f.rows("dy", pairs.Type.Shape[0], offsets, 4), f.random("w", offsets.Type.Dim(0)-1, 4, 3)
			residual, count := f.tokens("residual", slots, 3), f.Lookup("received")
			dx := f.Op(groupedLinearDGrad, "dx", k, dy, w, offsets, nil)[0]
			return f.Op(groupedLinearDGradUnpermute, "y", nil, dy, w, offsets, slots, residual, count),
				f.Op(unpermute, "z", k, dx, offsets, pairs, slots, nil, residual, count)
		})
		one("grouped_linear_swiglu", name, func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			x, w := f.tokens("x", slots, 3), f.random("w", offsets.Type.Dim(0)-1, 4, 3)
			gu := f.Op(groupedLinear, "gu", k, x, w, offsets, pairs)[0]
			return f.Op(groupedLinearSwiGLU, "y", k, x, w, offsets, pairs), []*Value{f.SwiGLU("z", gu, offsets)}
		})
		one("grouped_linear_swiglu_keep", name+", not gathered", func(f *fixture) (got, want []*Value) {
			offsets, pairs, _ := route(f)
			x, w := f.rows("x", pairs.Type.Shape[0], offsets, 3), f.random("w", offsets.Type.Dim(0)-1, 4, 3)
			gu := f.GroupedLinear("gu", x, w, offsets)
			return f.Op(groupedLinearSwiGLUKeep, "y", k, x, w, offsets, nil), []*Value{gu, f.SwiGLU("z", gu, offsets)}
		})
		one("grouped_linear_dgrad_swiglu", name, func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			dy, down := f.tokens("dy", slots, 4), f.random("down", offsets.Type.Dim(0)-1, 4, 3)
			gu, w := f.rows("gu", pairs.Type.Shape[0], offsets, 6), f.tokens("w", slots, 2)
			da := f.Op(groupedLinearDGrad, "da", k, dy, down, offsets, pairs)[0]
			return f.Op(groupedLinearDGradSwiGLU, "y", k, dy, down, gu, w, offsets, pairs, slots),
				f.Op(swigluUnpermuteGrad, "z", k, gu, da, w, offsets, pairs)
		})
		one("swiglu_unpermute_grad", name, func(f *fixture) (got, want []*Value) {
			offsets, pairs, slots := route(f)
			l, r := offsets.Type.Dim(0)-1, pairs.Type.Shape[0]
			gu, w, down, dy := f.rows("gu", r, offsets, 6), f.tokens("w", slots, 2), f.random("down", l, 4, 3), f.tokens("dy", slots, 4)
			// Step by step, from y = unpermute(d = grouped_linear(a = swiglu(gu), down), w):
			a := f.SwiGLU("a", gu, offsets)
			d := f.GroupedLinear("d", a, down, offsets)
			dd := f.Op(unpermuteGrad, "dd", k, dy, w, offsets, pairs)[0]
			da := f.Op(groupedLinearDGrad, "da", k, dd, down, offsets, nil)[0]
			// At once, from da without the weights:
			fused := f.Op(swigluUnpermuteGrad, "y", k,
				gu, f.Op(groupedLinearDGrad, "dau", k, dy, down, offsets, pairs)[0], w, offsets, pairs)
			ddown := f.Op(groupedLinearWGrad, "dw", k, dy, fused[1], offsets, pairs, nil, nil, nil)[0]
			return []*Value{fused[0], ddown, fused[2]}, []*Value{
				f.Op(swigluGrad, "dgu", nil, da, gu, offsets)[0],
				f.Op(groupedLinearWGrad, "ddown", k, dd, a, offsets, nil, nil, nil, nil)[0],
				f.Op(unpermuteWGrad, "dweights", k, dy, d, offsets, pairs, slots)[0],
			}
		})
	}
	for ranks := 1; ranks <= 3; ranks++ {
		cases = append(cases, equivalence{"combine", fmt.Sprint(ranks, " ranks, residual"), ranks, func(f *fixture) (got, want []*Value) {
			plan := f.plan(4, 2, 6)
			x, residual := f.rows("x", plan[1].Type.Shape[0], plan[0], 3), f.random("residual", 4, 3)
			plain := f.Op(combine, "p", nil, x, plan[2], plan[1], plan[0], nil)[0]
			return f.Op(combine, "y", nil, x, plan[2], plan[1], plan[0], residual), []*Value{f.Add("z", plain, residual)}
		}})
	}
	return cases
}

// projection declares the operands of qk_norm_rope: 3 tokens, 4 query and 2 key heads of 5 dims, 4 of them rotated.
func (f *fixture) projection() (qkv, wq, wk, cos, sin, positions *Value) {
	return f.random("qkv", 3, 8*5), f.random("wq", 5), f.random("wk", 5),
		f.random("cos", 6, 2), f.random("sin", 6, 2), f.below("positions", Fixed(I32, 3), 0, 6)
}

func (f *fixture) targets() *Value { return f.list("targets", Fixed(I32, 4), 5, -100, 0, 2) }

// TestEquivalences holds operations that do several things at once to what they stand for. Both sides compute in
// float64 and differ in the order of a few additions.
func TestEquivalences(t *testing.T) {
	for _, c := range equivalences() {
		t.Run(c.op+"/"+c.name, func(t *testing.T) {
			f := newFixture(c.ranks)
			got, want := c.build(f)
			if got[0].Def.Op.Name != c.op && c.op != "swiglu_unpermute_grad" {
				t.Fatalf("the case builds %s", got[0].Def.Op.Name)
			}
			if err := Verify(f.Graph); err != nil {
				t.Fatal(err)
			}
			for r, env := range f.eval() {
				for i := range want {
					sameValues(t, fmt.Sprintf("rank %d: %s", r, got[i].Name), env[got[i].Name], env[want[i].Name], 1e-13)
				}
			}
		})
	}
}

// sameValues compares two tensors, poison with poison.
func sameValues(t *testing.T, name string, got, want *Tensor, tolerance float64) {
	t.Helper()
	if !got.Type.Equal(want.Type) {
		t.Fatalf("%s has type %s, want %s", name, got.Type, want.Type)
	}
	for i, w := range want.Data {
		g := got.Data[i]
		if math.IsNaN(g) != math.IsNaN(w) || math.Abs(g-w) > tolerance*(1+math.Abs(w)) {
			t.Errorf("%s[%d] is %v, want %v", name, i, g, w)
		}
	}
}
