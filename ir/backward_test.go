package ir

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// The model of the tests of this file: one layer of attention and one of experts under tied embeddings.
const (
	modelVocab, modelHidden, modelHeads, modelHeadDim = 7, 4, 2, 2
	modelExperts, modelTopK, modelWidth, modelSeq     = 6, 2, 3, 3
	modelRows                                         = 6 // of the batch over all ranks, modelSeq tokens each
)

// weight declares a trained parameter with random elements, the same on all ranks. With experts a rank has its
// share of the first dim.
func (f *fixture) weight(name string, expert bool, dims ...int) *Value {
	all := NewTensor(Fixed(F32, dims...))
	for i := range all.Data {
		all.Data[i] = f.rng.NormFloat64()
	}
	ranks := len(f.envs)
	if expert {
		dims = append([]int{dims[0] / ranks}, dims[1:]...)
	}
	v := f.Weight(Param{Name: name, Shape: dims, Expert: expert})
	for r, env := range f.envs {
		env[name] = NewTensor(v.Type)
		if expert {
			copy(env[name].Data, all.Data[r*len(env[name].Data):])
		} else {
			copy(env[name].Data, all.Data)
		}
	}
	return v
}

// batch declares integers of the batch, element i of the whole batch given, a rank's share on each rank.
func (f *fixture) batch(name string, at func(i int) int) *Value {
	tokens := modelRows * modelSeq / len(f.envs)
	return f.operand(name, Input, Fixed(I32, tokens), func(r, i int) float64 { return float64(at(r*tokens + i)) })
}

// model builds the forward graph, experts spread over the ranks, and returns its loss. With aux it has the
// auxiliary loss, too (one rank only: statistics of several are summed after differentiation).
func (f *fixture) model(aux bool) []*Value {
	record := f.record()
	for _, env := range f.envs {
		env[record.Name].Data[RecordAccumulate] = 0
	}
	b, ranks := f.Builder, len(f.envs)
	table := f.weight("embed", false, modelVocab, modelHidden)
	tokens := f.batch("tokens", func(i int) int { return i * i % modelVocab })
	targets := f.batch("targets", func(i int) int {
		if i%5 == 4 {
			return -100
		}
		return (3*i + 1) % modelVocab
	})
	positions := f.batch("positions", func(i int) int { return i % modelSeq })
	starts := f.batch("starts", func(i int) int { return i / modelSeq % 2 * (i % modelSeq / 2) })
	cos, sin := b.RopeTable(modelSeq, []float64{0.7}, 1, F32)

	b.Section = "embed"
	x := b.Embedding("x", tokens, table, -1)
	b.Section = "layers.0"
	y := b.RMSNorm("norm1", x, f.weight("norm1.w", false, modelHidden), 1e-3)
	qkv := b.Linear("qkv", y, f.weight("qkv.w", false, (modelHeads+2)*modelHeadDim, modelHidden), f.weight("qkv.b", false, (modelHeads+2)*modelHeadDim))
	qkv = b.QKNorm("qkv_normed", qkv, f.weight("q_norm", false, modelHeadDim), f.weight("k_norm", false, modelHeadDim), modelHeads, 1, 1e-3)
	qkv = b.Rope("qkv_rotated", qkv, cos, sin, positions, modelHeads, 1)
	o := b.Attention("attention", qkv, starts, modelRows/ranks, modelHeads, 1, 0.8)
	x = b.Add("h", x, b.Linear("o", o, f.weight("o.w", false, modelHidden, modelHeads*modelHeadDim), nil))
	y = b.RMSNorm("norm2", x, f.weight("norm2.w", false, modelHidden), 1e-3)
	logits := b.Linear("router.logits", y, f.weight("router.w", false, modelExperts, modelHidden), nil)
	idx, w := b.Router("router", logits, modelTopK, true)
	b.Tap(idx, "topk", 0)
	x = b.Add("out", x, f.experts(y, idx, w))
	b.Section = "head"
	x = b.RMSNorm("norm", x, f.weight("norm.w", false, modelHidden), 1e-3)
	losses := []*Value{b.CrossEntropy("loss", b.Linear("logits", x, table, nil), targets)}
	if aux {
		losses = append(losses, b.AuxLoss("aux", b.RouterStats("stats", logits, idx), modelRows*modelSeq))
	}
	b.Section = ""
	return losses
}

// experts appends the expert part of a layer, through the exchange where there are several ranks.
func (f *fixture) experts(y, idx, w *Value) *Value {
	b, ranks := f.Builder, len(f.envs)
	gateUp := f.weight("gate_up", true, modelExperts, 2*modelWidth, modelHidden)
	down := f.weight("down", true, modelExperts, modelHidden, modelWidth)
	var plan []*Value
	expected := 0
	if ranks > 1 {
		expected = 1
		plan = b.Op(dispatchPlan, "plan", Attrs{{"experts", modelExperts}, {"ranks", ranks}}, idx)
		y = b.Op(dispatch, "y.received", nil, y, plan[1], plan[0], plan[2])[0]
		w = b.Op(dispatch, "w.received", nil, w, plan[1], plan[0], plan[2])[0]
		idx = plan[3]
	}
	r := b.Op(route, "route", Attrs{{"experts", modelExperts / ranks}, {"expected", expected}}, idx)
	offsets, pairs, slots := r[0], r[1], r[2]
	gu := b.GroupedLinear("gu", b.Permute("permuted", y, offsets, pairs, modelTopK), gateUp, offsets)
	d := b.GroupedLinear("d", b.SwiGLU("a", gu, offsets), down, offsets)
	if ranks == 1 {
		return b.Unpermute("moe", d, offsets, pairs, slots, w)
	}
	part := b.Op(unpermute, "part", Attrs{{"top_k", modelTopK}}, d, offsets, pairs, slots, w, nil, plan[0])[0]
	return b.Op(combine, "moe", nil, part, plan[2], plan[1], plan[0], nil)[0]
}

// TestDifferentiateModel compares the gradients of a whole model with central differences, on one rank with both
// losses and on several with the exchange in between. The objective is the sum over ranks.
func TestDifferentiateModel(t *testing.T) {
	for _, ranks := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(ranks, " ranks"), func(t *testing.T) {
			plain, f := newFixture(ranks), newFixture(ranks)
			losses := plain.model(ranks == 1)
			grads, err := Differentiate(f.Graph, f.model(ranks == 1)...)
			if err != nil {
				t.Fatal(err)
			}
			if err := Verify(f.Graph); err != nil {
				t.Fatal(err)
			}
			f.zeroGradients()
			computed := f.eval()
			objective := func() float64 {
				sum := 0.0
				for _, env := range plain.eval() {
					sum += env["loss"].Data[0]
					if len(losses) > 1 {
						sum += env["record"].Data[RecordAuxNorm] * env["aux"].Data[0]
					}
				}
				return sum
			}
			for w, g := range grads {
				for r := range ranks {
					x := plain.envs[r][w.Name].Data
					for i := range x {
						x0 := x[i]
						x[i] = x0 + differenceStep
						up := objective()
						x[i] = x0 - differenceStep
						want := (up - objective()) / (2 * differenceStep)
						x[i] = x0
						if got := computed[r][g.Name].Data[i]; !(math.Abs(got-want) <= differenceTolerance*(1+math.Abs(want))) {
							t.Errorf("rank %d: gradient of %s[%d] is %v, differences give %v", r, w.Name, i, got, want)
						}
					}
				}
			}
		})
	}
}

// zeroGradients gives every accumulated gradient a value from the past.
func (f *fixture) zeroGradients() {
	for _, v := range f.Graph.Outside {
		if v.Role == Gradient {
			for _, env := range f.envs {
				env[v.Name] = NewTensor(v.Type)
			}
		}
	}
}

// TestDistributedEqualsOneRank: spread over ranks, the model has the same loss and the same gradients: those of
// dense weights summed over ranks, those of experts in slices. Only the order of sums differs.
func TestDistributedEqualsOneRank(t *testing.T) {
	run := func(ranks int) (float64, map[string][]float64) {
		f := newFixture(ranks)
		f.rng = newFixture(1).rng
		grads, err := Differentiate(f.Graph, f.model(false)...)
		if err != nil {
			t.Fatal(err)
		}
		f.zeroGradients()
		loss, sums := 0.0, map[string][]float64{}
		for _, env := range f.eval() {
			loss += env["loss"].Data[0]
			for w, g := range grads {
				x := env[g.Name].Data
				switch {
				case w.Param.Expert:
					sums[w.Name] = append(sums[w.Name], x...)
				case sums[w.Name] == nil:
					sums[w.Name] = append([]float64(nil), x...)
				default:
					axpy(1, x, sums[w.Name])
				}
			}
		}
		return loss, sums
	}
	loss, want := run(1)
	for _, ranks := range []int{2, 3} {
		l, got := run(ranks)
		if math.Abs(l-loss) > 1e-12 {
			t.Errorf("%d ranks: loss %v, one rank %v", ranks, l, loss)
		}
		for name, x := range want {
			typ := Fixed(F32, len(x))
			sameValues(t, fmt.Sprint(ranks, " ranks: ", name), &Tensor{typ, got[name]}, &Tensor{typ, x}, 1e-12)
		}
	}
}

// TestAccumulation: two micro-batches, the second under record.accumulate, leave twice the gradient of one, and
// whatever stood there before is gone.
func TestAccumulation(t *testing.T) {
	f := newFixture(1)
	grads, err := Differentiate(f.Graph, f.model(true)...)
	if err != nil {
		t.Fatal(err)
	}
	f.zeroGradients()
	once := f.eval()[0]
	env := f.envs[0]
	for _, g := range grads {
		for i := range env[g.Name].Data {
			env[g.Name].Data[i] = 1e6
		}
	}
	for _, accumulate := range []float64{0, 1} {
		env["record"].Data[RecordAccumulate] = accumulate
		if err := Eval(f.Graph, f.envs, Float64); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range grads {
		for i, x := range once[g.Name].Data {
			if env[g.Name].Data[i] != 2*x {
				t.Errorf("%s[%d] is %v, once it was %v", g.Name, i, env[g.Name].Data[i], x)
			}
		}
	}
}

// TestDifferentiateOrder: nodes of the backward come in reverse order of the forward, in their sections, and a
// gradient is accumulated right after the last node that adds to it.
func TestDifferentiateOrder(t *testing.T) {
	g, err := Parse(`
graph g ranks 1
map w [3 3]
input record f32[16]
input x f32[2 3]
input targets i32[2]
param w f32[3 3] of w
a = linear(x, w, _, _) @one
b = linear(a, w, _, _) @two
c = add(a, b) @two
loss = cross_entropy(c, targets, record) @head
`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Differentiate(g, g.Lookup("loss")); err != nil {
		t.Fatal(err)
	}
	got := Print(g)
	want := `a = linear(x, w, _, _) @one : f32[2 3]
b = linear(a, w, _, _) @two : f32[2 3]
c = add(a, b) @two : f32[2 3]
loss = cross_entropy(c, targets, record) @head : f32[1]
d.c = cross_entropy_grad(c, targets, record) @head.grad : f32[2 3]
d.a = linear_dgrad(d.c, w, _) @two.grad : f32[2 3]
d.w = linear_wgrad(d.c, a, _, _) @two.grad : f32[3 3]
d.a.2 = add(d.c, d.a) @two.grad : f32[2 3]
d.x = linear_dgrad(d.a.2, w, _) @one.grad : f32[2 3]
d.w.2 = linear_wgrad(d.a.2, x, _, _) @one.grad : f32[3 3]
d.w.3 = add(d.w, d.w.2) @one.grad : f32[3 3]
acc.w = accumulate(d.w.3, grad.w, record) @one.grad : f32[3 3]
write grad.w <- acc.w
`
	if _, nodes, _ := strings.Cut(got, "of w\ngrad grad.w f32[3 3] of w\n"); nodes != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDifferentiateErrors(t *testing.T) {
	for _, c := range []struct{ name, nodes, objective, want string }{
		{"not a loss", "y = linear(x, w, _, _)", "y", "g: y cannot be an objective: no loss computes it"},
		{"from outside", "y = linear(x, w, _, _)", "x", "g: x cannot be an objective: no loss computes it"},
		{"weight without part", "y = linear(x, w, _, _)\nl = cross_entropy(x, targets, record)", "l",
			"g: the objectives do not depend on w"},
		{"no gradient", "y = linear(x, w, _, _)\nz = slice_rows(y, first) {rows=2}\nl = cross_entropy(z, targets, record)", "l",
			"g: z (slice_rows) stands between a weight and an objective but has no gradient"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := Parse(`
graph g ranks 1
map w [3 3]
input record f32[16]
input x f32[2 3]
input targets i32[2]
input first i32[1]
input two f32[2]
param w f32[3 3] of w
` + c.nodes)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Differentiate(g, g.Lookup(c.objective)); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
