package ir

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// fixture builds a graph of random operands for one case.
type fixture struct {
	*Builder
	envs   []Env
	rng    *rand.Rand
	routed map[*Value]bool // operands over the rows of a route
}

func newFixture(ranks int) *fixture {
	f := &fixture{Builder: NewBuilder("case"), rng: rand.New(rand.NewPCG(7, uint64(ranks))), routed: map[*Value]bool{}}
	f.Graph.Ranks = ranks
	for range ranks {
		f.envs = append(f.envs, Env{})
	}
	return f
}

// operand declares an operand whose element i on rank r is at(r, i).
func (f *fixture) operand(name string, role Role, t Type, at func(r, i int) float64) *Value {
	v := f.Outside(name, role, t)
	for r := range f.envs {
		x := NewTensor(t)
		for i := range x.Data {
			x.Data[i] = at(r, i)
		}
		f.envs[r][name] = x
	}
	return v
}

// random declares a float operand with normal elements.
func (f *fixture) random(name string, dims ...int) *Value {
	return f.operand(name, Input, Fixed(F32, dims...), func(r, i int) float64 { return f.rng.NormFloat64() })
}

// below declares integers in [low, high).
func (f *fixture) below(name string, t Type, low, high int) *Value {
	return f.operand(name, Input, t, func(r, i int) float64 { return float64(low + f.rng.IntN(high-low)) })
}

// list declares integers, the same on every rank.
func (f *fixture) list(name string, t Type, values ...int) *Value {
	return f.operand(name, Input, t, func(r, i int) float64 { return float64(values[i]) })
}

// rows declares a random float operand with first dim d, poisoned past the rows of a route's offsets or a count.
func (f *fixture) rows(name string, d Dim, count *Value, dims ...int) *Value {
	v := f.operand(name, Input, Bounded(F32, d, dims...), func(r, i int) float64 { return f.rng.NormFloat64() })
	for r, env := range f.eval() {
		poison(f.envs[r][name], routed(env[count.Name]))
	}
	f.routed[v] = count.Def != nil && count.Def.Op == route
	return v
}

// choices declares which k experts each token chooses, all different; with idle the last expert is never chosen.
func (f *fixture) choices(t, k, experts int, idle bool) *Value {
	if idle {
		experts--
	}
	var order []int
	return f.operand("idx", Input, Fixed(I32, t, k), func(r, i int) float64 {
		if i%k == 0 {
			order = f.rng.Perm(experts)
		}
		return float64(order[i%k])
	})
}

func (f *fixture) record() *Value {
	record := f.Record()
	for r := range f.envs {
		x := NewTensor(recordType)
		x.Data[RecordLossNorm], x.Data[RecordAuxNorm] = 0.3, 0.7
		x.Data[RecordAccumulate] = 1
		f.envs[r]["record"] = x
	}
	return record
}

// eval runs the graph on a copy of the operands in float64.
func (f *fixture) eval() []Env {
	envs := make([]Env, len(f.envs))
	for r, env := range f.envs {
		envs[r] = Env{}
		for name, x := range env {
			envs[r][name] = x
		}
	}
	if err := Eval(f.Graph, envs, Float64); err != nil {
		panic(err)
	}
	return envs
}

// gradientCase is an operation on random operands. build returns its node; all float operands of the node are
// operands of the graph.
type gradientCase struct {
	op    string
	name  string
	ranks int
	build func(f *fixture) *Node
}

func gradientCases() []gradientCase {
	var cases []gradientCase
	on := func(ranks int, op, name string, build func(f *fixture) *Node) {
		cases = append(cases, gradientCase{op, name, ranks, build})
	}
	one := func(op, name string, build func(f *fixture) *Node) { on(1, op, name, build) }

	one("add", "", func(f *fixture) *Node { return f.Add("y", f.random("a", 3, 5), f.random("b", 3, 5)).Def })
	one("embedding", "repeated and unused tokens", func(f *fixture) *Node {
		return f.Embedding("y", f.list("tokens", Fixed(I32, 5), 2, 0, 2, 6, 2), f.random("table", 7, 3), -1).Def
	})
	one("rms_norm", "", func(f *fixture) *Node { return f.RMSNorm("y", f.random("x", 3, 5), f.random("w", 5), 1e-2).Def })
	one("rms_norm", "one column", func(f *fixture) *Node { return f.RMSNorm("y", f.random("x", 2, 1), f.random("w", 1), 0.5).Def })
	one("linear", "", func(f *fixture) *Node { return f.Linear("y", f.random("x", 3, 5), f.random("w", 7, 5), nil).Def })
	one("linear", "bias", func(f *fixture) *Node {
		return f.Linear("y", f.random("x", 1, 5), f.random("w", 1, 5), f.random("bias", 1)).Def
	})
	one("linear", "bias and residual", func(f *fixture) *Node {
		x, w, bias, residual := f.random("x", 3, 1), f.random("w", 4, 1), f.random("bias", 4), f.random("residual", 3, 4)
		return f.Op(linear, "y", nil, x, w, bias, residual)[0].Def
	})
	one("qk_norm", "", func(f *fixture) *Node {
		return f.QKNorm("y", f.random("qkv", 3, (4+2*2)*3), f.random("wq", 3), f.random("wk", 3), 4, 2, 1e-2).Def
	})
	for _, c := range []int{1, 2} { // of a head of 5: some dims stay as they are
		one("rope", fmt.Sprintf("%d pairs", c), func(f *fixture) *Node {
			qkv, positions := f.random("qkv", 4, (2+2*1)*5), f.list("positions", Fixed(I32, 4), 0, 1, 5, 3)
			return f.Rope("y", qkv, f.random("cos", 6, c), f.random("sin", 6, c), positions, 2, 1).Def
		})
	}
	one("attention", "two rows, documents", func(f *fixture) *Node {
		qkv := f.random("qkv", 2*5, (4+2*2)*3)
		starts := f.list("starts", Fixed(I32, 10), 0, 0, 2, 2, 4, 0, 0, 0, 0, 0)
		return f.Attention("y", qkv, starts, 2, 4, 2, 0.6).Def
	})
	one("attention", "rows of one token", func(f *fixture) *Node {
		return f.Attention("y", f.random("qkv", 3, 3*1), f.list("starts", Fixed(I32, 3), 0, 0, 0), 3, 1, 1, 1).Def
	})
	for _, k := range []int{1, 2, 5} {
		for _, renorm := range []bool{false, true} {
			one("router", fmt.Sprintf("%d of 5, renorm %t", k, renorm), func(f *fixture) *Node {
				_, w := f.Router("y", f.random("logits", 4, 5), k, renorm)
				return w.Def
			})
		}
	}
	one("router_stats", "", func(f *fixture) *Node {
		return f.RouterStats("y", f.random("logits", 4, 3), f.choices(4, 2, 3, false)).Def
	})
	one("aux_loss", "", func(f *fixture) *Node {
		f.record()
		return f.AuxLoss("y", f.random("stats", 2*3), 12).Def
	})
	one("cross_entropy", "a row without target", func(f *fixture) *Node {
		f.record()
		return f.CrossEntropy("y", f.random("logits", 4, 5), f.list("targets", Fixed(I32, 4), 0, -100, 4, 2)).Def
	})
	for _, k := range []int{1, 2} {
		for _, idle := range []bool{false, true} {
			name := fmt.Sprintf("top %d, empty expert %t", k, idle)
			route := func(f *fixture) (offsets, pairs, slots *Value) { return f.Route("r", f.choices(5, k, 3, idle), 3) }
			routedRoute := func(f *fixture) (offsets, pairs, slots *Value) { return receivedRoute(f, k, idle) }
			for _, r := range []struct {
				name  string
				route func(f *fixture) (offsets, pairs, slots *Value)
			}{{name, route}, {name + ", received tokens", routedRoute}} {
				one("permute", r.name, func(f *fixture) *Node {
					offsets, pairs, slots := r.route(f)
					return f.Permute("y", f.tokens("x", slots, 4), offsets, pairs, k).Def
				})
				one("grouped_linear", r.name, func(f *fixture) *Node {
					offsets, pairs, _ := r.route(f)
					l := offsets.Type.Dim(0) - 1
					x := f.rows("x", pairs.Type.Shape[0], offsets, 3)
					return f.GroupedLinear("y", x, f.random("w", l, 4, 3), offsets).Def
				})
				one("grouped_linear", r.name+", gathered", func(f *fixture) *Node {
					offsets, pairs, slots := r.route(f)
					l := offsets.Type.Dim(0) - 1
					attrs := Attrs{{"top_k", k}}
					return f.Op(groupedLinear, "y", attrs, f.tokens("x", slots, 3), f.random("w", l, 4, 3), offsets, pairs)[0].Def
				})
				one("swiglu", r.name, func(f *fixture) *Node {
					offsets, pairs, _ := r.route(f)
					return f.SwiGLU("y", f.rows("gu", pairs.Type.Shape[0], offsets, 6), offsets).Def
				})
				one("unpermute", r.name, func(f *fixture) *Node {
					offsets, pairs, slots := r.route(f)
					x := f.rows("x", pairs.Type.Shape[0], offsets, 4)
					return f.Unpermute("y", x, offsets, pairs, slots, f.tokens("w", slots, k)).Def
				})
				one("unpermute", r.name+", residual, no weights", func(f *fixture) *Node {
					offsets, pairs, slots := r.route(f)
					x := f.rows("x", pairs.Type.Shape[0], offsets, 4)
					residual := f.tokens("residual", slots, 4)
					count := f.Lookup("received")
					return f.Op(unpermute, "y", Attrs{{"top_k", k}}, x, offsets, pairs, slots, nil, residual, count)[0].Def
				})
			}
		}
	}
	one("swiglu", "dense", func(f *fixture) *Node { return f.SwiGLU("y", f.random("gu", 3, 10), nil).Def })
	for ranks := 1; ranks <= 3; ranks++ {
		on(ranks, "dispatch", fmt.Sprint(ranks, " ranks"), func(f *fixture) *Node {
			plan := f.plan(4, 2, 6)
			return f.Op(dispatch, "y", nil, f.random("x", 4, 3), plan[1], plan[0], plan[2])[0].Def
		})
		for _, residual := range []bool{false, true} {
			on(ranks, "combine", fmt.Sprintf("%d ranks, residual %t", ranks, residual), func(f *fixture) *Node {
				plan := f.plan(4, 2, 6)
				var more *Value
				if residual {
					more = f.random("residual", 4, 3)
				}
				x := f.rows("x", plan[1].Type.Shape[0], plan[0], 3)
				return f.Op(combine, "y", nil, x, plan[2], plan[1], plan[0], more)[0].Def
			})
		}
	}
	return cases
}

// plan exchanges the choices of t tokens a rank, k of so many experts: received, source, position, idx_local.
func (f *fixture) plan(t, k, experts int) []*Value {
	attrs := Attrs{{"experts", experts}, {"ranks", f.Graph.Ranks}}
	return f.Op(dispatchPlan, "plan", attrs, f.choices(t, k, experts, false))
}

// receivedRoute routes as a rank does that has received three of at most six tokens, some of whose choices live
// elsewhere.
func receivedRoute(f *fixture, k int, idle bool) (offsets, pairs, slots *Value) {
	f.list("received", Fixed(I32, 1), 3)
	s := Dim{N: 6, Bounded: true, Expected: 4}
	local := f.operand("idx_local", Input, Bounded(I32, s, k), func(r, i int) float64 {
		t, j := i/k, i%k
		switch {
		case t >= 3 || t == 1 && j == 0:
			return -1
		case idle:
			return 1
		}
		return float64((t + j) % 2)
	})
	out := f.Op(route, "r", Attrs{{"experts", 2}, {"expected", 5}}, local)
	return out[0], out[1], out[2]
}

// tokens declares rows for the tokens behind a route's slots, poisoned past those received.
func (f *fixture) tokens(name string, slots *Value, dims ...int) *Value {
	if received := f.Lookup("received"); received != nil {
		return f.rows(name, slots.Type.Shape[0], received, dims...)
	}
	return f.random(name, append([]int{slots.Type.Dim(0)}, dims...)...)
}

// Lookup finds an operand or result by name, nil if there is none.
func (f *fixture) Lookup(name string) *Value { return f.Graph.Lookup(name) }

// appendGradient appends the gradient of a node under random gradients of its results, and returns these and
// those of the operands. Where a result is poison, so is its gradient. A loss is its own objective.
func (f *fixture) appendGradient(n *Node) (dy, dx []*Value) {
	dy = make([]*Value, len(n.Out))
	if !n.Op.Loss {
		i := 0
		for n.Out[i].Type.DType == I32 {
			i++
		}
		envs := f.eval()
		dy[i] = f.operand("dy", Input, n.Out[i].Type, func(r, j int) float64 {
			if math.IsNaN(envs[r][n.Out[i].Name].Data[j]) {
				return math.NaN()
			}
			return f.rng.NormFloat64()
		})
	}
	return dy, n.Op.Grad(f.Builder, n, dy)
}

// objective is Σ dy·y over ranks, or the loss as it counts.
func (f *fixture) objective(n *Node, dy []*Value) float64 {
	sum := 0.0
	for _, env := range f.eval() {
		if n.Op == auxLoss {
			sum += env["record"].Data[RecordAuxNorm] * env[n.Out[0].Name].Data[0]
		} else if n.Op.Loss {
			sum += env[n.Out[0].Name].Data[0]
		}
		for i, d := range dy {
			if d == nil {
				continue
			}
			for j, g := range env[d.Name].Data {
				if !math.IsNaN(g) {
					sum += g * env[n.Out[i].Name].Data[j]
				}
			}
		}
	}
	return sum
}

// Central differences with step h are off by h²/6·f‴ and by about ε·|f|/h of rounding: with h = 1e-5, values and
// third derivatives up to a few hundred, less than 1e-8 each.
const (
	differenceStep      = 1e-5
	differenceTolerance = 1e-7
)

// TestGradients compares the gradient of every operation with central differences.
func TestGradients(t *testing.T) {
	for _, c := range gradientCases() {
		t.Run(c.op+"/"+c.name, func(t *testing.T) {
			f := newFixture(c.ranks)
			n := c.build(f)
			if n.Op.Name != c.op {
				t.Fatalf("the case builds %s", n.Op.Name)
			}
			dy, dx := f.appendGradient(n)
			if len(dx) != len(n.In) {
				t.Fatalf("%d gradients for %d operands", len(dx), len(n.In))
			}
			if err := Verify(f.Graph); err != nil {
				t.Fatal(err)
			}
			computed := f.eval()
			checked := 0
			for i, v := range n.In {
				if v == nil || v.Type.DType == I32 || constantOperand[n.Op.Operands[i]] {
					if dx[i] != nil {
						t.Errorf("operand %s has a gradient", n.Op.Operands[i])
					}
					continue
				}
				if dx[i] == nil {
					t.Errorf("operand %s has no gradient", n.Op.Operands[i])
					continue
				}
				if !dx[i].Type.Equal(v.Type) {
					t.Errorf("gradient of %s has type %s, want %s", v.Name, dx[i].Type, v.Type)
				}
				for r := range f.envs {
					checked += f.compareDifferences(t, n, dy, r, v, computed[r][dx[i].Name])
				}
			}
			if checked == 0 {
				t.Error("nothing to compare")
			}
		})
	}
}

// constantOperand lists float operands that are never trained.
var constantOperand = map[string]bool{"cos": true, "sin": true, "record": true}

func (f *fixture) compareDifferences(t *testing.T, n *Node, dy []*Value, r int, v *Value, got *Tensor) (checked int) {
	t.Helper()
	x := f.envs[r][v.Name].Data
	counts := n.Op == auxLoss // how often an expert is chosen is not differentiated
	for i := range x {
		if math.IsNaN(x[i]) {
			if f.routed[v] && !math.IsNaN(got.Data[i]) {
				t.Errorf("rank %d: gradient of %s[%d] is %v in a row that does not exist", r, v.Name, i, got.Data[i])
			}
			continue // poison: no such row
		}
		x0 := x[i]
		x[i] = x0 + differenceStep
		up := f.objective(n, dy)
		x[i] = x0 - differenceStep
		down := f.objective(n, dy)
		x[i] = x0
		want := (up - down) / (2 * differenceStep)
		if counts && i < len(x)/2 {
			want = 0
		}
		if !(math.Abs(got.Data[i]-want) <= differenceTolerance*(1+math.Abs(want))) {
			t.Errorf("rank %d: gradient of %s[%d] is %v, differences give %v", r, v.Name, i, got.Data[i], want)
		}
		checked++
	}
	return checked
}
