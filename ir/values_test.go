package ir

import (
	"math"
	"testing"
)

// poisoned stands for rows past a count.
var poisoned = math.NaN()

// valueCase is a graph with what its values must be, worked out by hand.
type valueCase struct {
	name, graph string
	in, want    []map[string][]float64 // by rank
}

type byName = map[string][]float64

func valueCases() []valueCase {
	return []valueCase{
		{
			"route: stable, an expert without rows", `
graph g ranks 1
input idx i32[3 2]
offsets, pairs, slots = route(idx) {experts=4, expected=0}
`,
			[]byName{{"idx": {3, 0, 0, 1, 3, 1}}},
			[]byName{{"offsets": {0, 2, 4, 4, 6}, "pairs": {1, 2, 3, 5, 0, 4}, "slots": {4, 0, 1, 2, 5, 3}}},
		},
		{
			"route: received tokens, one of four choices is here", `
graph g ranks 1
input idx i32[<=3~2 2]
offsets, pairs, slots = route(idx) {experts=1, expected=1} : i32[2], i32[<=3~1], i32[<=3~2 2]
`,
			[]byName{{"idx": {-1, -1, -1, 0, -1, -1}}},
			[]byName{{"offsets": {0, 1}, "pairs": {3, poisoned, poisoned}, "slots": {-1, -1, -1, 0, -1, -1}}},
		},
		{
			"permute and back: rows past the count are unspecified", `
graph g ranks 1
input idx i32[<=3~2 2]
input x f32[<=3~2 2]
input count i32[1]
offsets, pairs, slots = route(idx) {experts=2, expected=1}
r = permute(x, offsets, pairs) {top_k=2}
y = unpermute(r, offsets, pairs, slots, _, _, count) {top_k=2}
z = unpermute(r, offsets, pairs, slots, _, _, _) {top_k=2}
`,
			[]byName{{"idx": {1, 0, -1, 1, -1, -1}, "x": {1, 2, 3, 4, poisoned, poisoned}, "count": {2}}},
			[]byName{{
				"r": {1, 2, 1, 2, 3, 4, poisoned, poisoned, poisoned, poisoned, poisoned, poisoned},
				"y": {2, 4, 3, 4, poisoned, poisoned},
				"z": {2, 4, 3, 4, 0, 0},
			}},
		},
		{
			"experts: rows past the count are unspecified; silu(0) = 0 with slope 1/2", `
graph g ranks 1
input idx i32[<=2~1 1]
input x f32[<=2~1 1]
input w f32[1 2 1]
input weights f32[<=2~1 1]
input da f32[<=2~1 1]
offsets, pairs, slots = route(idx) {experts=1, expected=1}
gu = grouped_linear(x, w, offsets, pairs) {top_k=1}
a = swiglu(gu, offsets)
dgu, aw, dw = swiglu_unpermute_grad(gu, da, weights, offsets, pairs) {top_k=1}
`,
			[]byName{{
				"idx": {0, -1}, "x": {3, poisoned}, "w": {0, 2}, "weights": {0.25, poisoned}, "da": {8, poisoned},
			}},
			[]byName{{
				"gu": {0, 6, poisoned, poisoned}, "a": {0, poisoned},
				"dgu": {0.25 * 8 * 6 / 2, 0, poisoned, poisoned}, "aw": {0, poisoned}, "dw": {0, 0},
			}},
		},
		{
			"router: equal logits, lowest index first", `
graph g ranks 1
input logits f32[1 4]
idx, w = router(logits, _) {top_k=3, renorm=true}
`,
			[]byName{{"logits": {0, 1, 0, 1}}},
			[]byName{{"idx": {1, 3, 0}, "w": {math.E / (2*math.E + 1), math.E / (2*math.E + 1), 1 / (2*math.E + 1)}}},
		},
		{
			"router: experts given to the second of two tokens", `
graph g ranks 1
input logits f32[2 4]
input choice i32[2 2]
idx, w = router(logits, choice) {top_k=2, renorm=true}
`,
			[]byName{{"logits": {0, 1, 0, 2, 0, 1, 0, 2}, "choice": {-1, 0, 2, 1}}},
			[]byName{{"idx": {3, 1, 2, 1}, "w": {math.E / (math.E + 1), 1 / (math.E + 1), 1 / (math.E + 1), math.E / (math.E + 1)}}},
		},
		{
			"router_stats and aux_loss: uniform routing gives top_k", `
graph g ranks 1
input logits f32[2 4]
input idx i32[2 2]
input record f32[16]
stats = router_stats(logits, idx)
aux = aux_loss(stats, record) {rows=2.0}
`,
			[]byName{{"logits": make([]float64, 8), "idx": {2, 0, 1, 3}, "record": make([]float64, RecordLen)}},
			[]byName{{"stats": {1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5}, "aux": {2}}},
		},
		{
			"dispatch_plan, dispatch, combine: a token goes once to each rank, ordered by source", `
graph g ranks 2
input idx i32[2 2]
input x f32[2 1]
received, source, position, idx_local = dispatch_plan(idx) {experts=4, ranks=2} : i32[1], i32[<=4~4], i32[2 2], i32[<=4~4 2]
xs = dispatch(x, source, received, position)
y = combine(xs, position, source, received, _)
`,
			[]byName{{"idx": {0, 1, 3, 0}, "x": {10, 20}}, {"idx": {2, 3, 1, 2}, "x": {30, 40}}},
			[]byName{
				{
					"received": {3}, "source": {0, 1, 3, poisoned}, "position": {0, -1, 1, 0},
					"idx_local": {0, 1, -1, 0, 1, -1, -1, -1}, "xs": {10, 20, 40, poisoned}, "y": {10, 40},
				},
				{
					"received": {3}, "source": {1, 2, 3, poisoned}, "position": {-1, 1, 2, 2},
					"idx_local": {1, -1, 0, 1, -1, 0, -1, -1}, "xs": {20, 30, 40, poisoned}, "y": {30, 80},
				},
			},
		},
		{
			"pool_open, dispatch_keep, dispatch_restore: a pool with room for what rank 1 receives twice and rank 0 once", `
graph g ranks 2
input idx i32[2 2]
input idx2 i32[2 1]
input x f32[2 1]
input x2 f32[2 1]
input now f32[2 1]
pool, use = pool_open() {rows=5, cols=1, dtype="f32"}
received, source, position, idx_local = dispatch_plan(idx) {experts=4, ranks=2} : i32[1], i32[<=4~4], i32[2 2], i32[<=4~4 2]
received2, source2, position2, idx_local2 = dispatch_plan(idx2) {experts=4, ranks=2} : i32[1], i32[<=4~2], i32[2 2], i32[<=4~2 1]
y, pool1, use1, slot = dispatch_keep(x, source, received, position, pool, use)
y2, pool2, use2, slot2 = dispatch_keep(x2, source2, received2, position2, pool1, use1)
z = dispatch_restore(now, source, received, position, pool2, slot)
z2 = dispatch_restore(now, source2, received2, position2, pool2, slot2)
`,
			[]byName{
				{"idx": {0, 1, 3, 0}, "idx2": {0, 3}, "x": {10, 20}, "x2": {1, 2}, "now": {100, 200}},
				{"idx": {2, 3, 1, 2}, "idx2": {0, 1}, "x": {30, 40}, "x2": {3, 4}, "now": {300, 400}},
			},
			[]byName{
				{
					"use": {0, 0}, "y": {10, 20, 40, poisoned}, "use1": {3, 0}, "slot": {0},
					"y2": {1, 3, 4, poisoned}, "use2": {3, 1}, "slot2": {-1}, "pool2": {10, 20, 40, poisoned, poisoned},
					"z": {10, 20, 40, poisoned}, "z2": {100, 300, 400, poisoned},
				},
				{
					"use": {0, 0}, "y": {20, 30, 40, poisoned}, "use1": {3, 0}, "slot": {0},
					"y2": {2, poisoned, poisoned, poisoned}, "use2": {4, 0}, "slot2": {3}, "pool2": {20, 30, 40, 2, poisoned},
					"z": {20, 30, 40, poisoned}, "z2": {2, poisoned, poisoned, poisoned},
				},
			},
		},
		{
			"all_reduce", `
graph g ranks 3
input x f32[2]
input s f64[1]
y = all_reduce(x) {ranks=3}
z = all_reduce(s) {ranks=3}
`,
			[]byName{{"x": {1, 2}, "s": {0.5}}, {"x": {10, 20}, "s": {1}}, {"x": {100, 200}, "s": {2}}},
			[]byName{{"y": {111, 222}, "z": {3.5}}, {"y": {111, 222}, "z": {3.5}}, {"y": {111, 222}, "z": {3.5}}},
		},
		{
			"reduce_scatter and all_gather: two sets of three ranks, every other one; a short part and an empty one; ranks 2 and up accumulate", `
graph g ranks 6
input x f32[150]
input grad f32[128]
input record f32[16]
y = reduce_scatter(x, grad, record) {parts=3, stride=2}
z = all_gather(x) {parts=3, stride=2}
`,
			replicated(func(rank, i int) float64 { return float64(1000*rank + i) }),
			parted(map[string]func(rank, i int) float64{
				"y": func(rank, i int) float64 {
					at := rank/2*128 + i
					if at >= 150 {
						return 0
					}
					sum := float64(1000*3*(rank%2+2) + 3*at) // ranks 0, 2, 4 or 1, 3, 5
					if rank >= 2 {
						sum += float64(i) / 2
					}
					return sum
				},
				"z": func(rank, i int) float64 { return float64(1000*(rank%2+2*(i/128)) + i) },
			}),
		},
		{
			"pack: each from a multiple of four on", `
graph g ranks 1
input a f32[3]
input b f32[2 2]
input c f32[1]
y = pack(a, b, c) {unit=4}
`,
			[]byName{{"a": {1, 2, 3}, "b": {4, 5, 6, 7}, "c": {8}}},
			[]byName{{"y": {1, 2, 3, 0, 4, 5, 6, 7, 8, 0, 0, 0}}},
		},
		{
			"adamw: the own part, with what is kept of it", `
graph g ranks 2
input value f32[130]
input grad f32[128]
input m f32[128]
input v f32[128]
input scale f32[1]
input record f32[16]
w, m1, v1 = adamw(value, grad, m, v, scale, record) {parts=2, stride=1}
`,
			updating(),
			[]byName{
				{"w": numbers(130, func(i int) float64 {
					if i >= 128 {
						return poisoned
					}
					return float64(i) - 3
				}), "m1": numbers(128, func(int) float64 { return 4 }), "v1": numbers(128, func(int) float64 { return 1 })},
				{"w": numbers(130, func(i int) float64 {
					if i < 128 {
						return poisoned
					}
					return float64(i) - 3
				}), "m1": twoThen(4), "v1": twoThen(1)},
			},
		},
		{
			"dispatch_plan, dispatch, combine: groups of one rank each exchange nothing", `
graph g ranks 2
input idx i32[1 1]
input x f32[1 1]
received, source, position, idx_local = dispatch_plan(idx) {experts=2, ranks=1}
xs = dispatch(x, source, received, position)
y = combine(xs, position, source, received, _)
`,
			[]byName{{"idx": {1}, "x": {10}}, {"idx": {0}, "x": {30}}},
			[]byName{
				{"received": {1}, "source": {0}, "position": {0}, "idx_local": {1}, "xs": {10}, "y": {10}},
				{"received": {1}, "source": {0}, "position": {0}, "idx_local": {0}, "xs": {30}, "y": {30}},
			},
		},
		{
			"dispatch_plan, dispatch, combine: two groups of two ranks, source ranks counted from the group's first", `
graph g ranks 4
input idx i32[1 1]
input x f32[1 1]
received, source, position, idx_local = dispatch_plan(idx) {experts=2, ranks=2}
xs = dispatch(x, source, received, position)
y = combine(xs, position, source, received, _)
`,
			[]byName{{"idx": {1}, "x": {10}}, {"idx": {1}, "x": {20}}, {"idx": {0}, "x": {30}}, {"idx": {1}, "x": {40}}},
			[]byName{
				{"received": {0}, "source": {poisoned, poisoned}, "position": {-1, 0}, "xs": {poisoned, poisoned}, "y": {10}},
				{"received": {2}, "source": {0, 1}, "position": {-1, 1}, "idx_local": {0, 0}, "xs": {10, 20}, "y": {20}},
				{"received": {1}, "source": {0, poisoned}, "position": {0, -1}, "xs": {30, poisoned}, "y": {30}},
				{"received": {1}, "source": {1, poisoned}, "position": {-1, 0}, "idx_local": {0, -1}, "xs": {40, poisoned}, "y": {40}},
			},
		},
		{
			"slice_rows: past the end", `
graph g ranks 1
input x f32[3 2]
input first i32[1]
y = slice_rows(x, first) {rows=3}
`,
			[]byName{{"x": {1, 2, 3, 4, 5, 6}, "first": {1}}},
			[]byName{{"y": {3, 4, 5, 6, 0, 0}}},
		},
		{
			"sum_squares and clip_scale: without limit", `
graph g ranks 1
input x f32[2]
input y f32[1 1]
input record f32[16]
a = sum_squares(x, _)
b = sum_squares(y, a)
norm, scale = clip_scale(record, a, b)
`,
			[]byName{{"x": {1, 2}, "y": {3}, "record": make([]float64, RecordLen)}},
			[]byName{{"a": {5}, "b": {14}, "norm": {math.Sqrt(19)}, "scale": {1}}},
		},
		{
			"accumulate: the first micro-batch overwrites", `
graph g ranks 2
input x f32[2]
input grad f32[2]
input record f32[16]
tap(x) {name="x", layer=0}
y = accumulate(x, grad, record)
`,
			[]byName{
				{"x": {1, 2}, "grad": {10, 20}, "record": make([]float64, RecordLen)},
				{"x": {1, 2}, "grad": {10, 20}, "record": accumulating()},
			},
			[]byName{{"y": {1, 2}}, {"y": {11, 22}}},
		},
		{
			"adamw_master: the first step begins with the weight; nothing but decay", `
graph g ranks 1
input value bf16[2]
input grad bf16[2]
input master f32[2]
input m f32[2]
input v f32[2]
input scale f32[1]
input record f32[16]
w, exact, m1, v1 = adamw_master(value, grad, master, m, v, scale, record) {parts=1, stride=1}
`,
			[]byName{{"value": {3, -5}, "grad": {0, 0}, "master": {7, 7}, "m": {0, 0}, "v": {0, 0}, "scale": {1}, "record": decaying(1)}},
			[]byName{{"w": {1.5, -2.5}, "exact": {1.5, -2.5}, "m1": {0, 0}, "v1": {0, 0}}},
		},
		{
			"adamw_master: later the weight is what is stored exactly", `
graph g ranks 1
input value bf16[2]
input grad bf16[2]
input master f32[2]
input m f32[2]
input v f32[2]
input scale f32[1]
input record f32[16]
w, exact, m1, v1 = adamw_master(value, grad, master, m, v, scale, record) {parts=1, stride=1}
`,
			[]byName{{"value": {3, -5}, "grad": {0, 0}, "master": {1 + 0x1p-20, 7}, "m": {0, 0}, "v": {0, 0}, "scale": {1}, "record": decaying(2)}},
			[]byName{{"w": {0.5, 3.5}, "exact": {0.5 + 0x1p-21, 3.5}, "m1": {0, 0}, "v1": {0, 0}}},
		},
		{
			"adamw_split: the bits of value and low are the weight's", `
graph g ranks 1
input value bf16[3]
input grad bf16[3]
input low i16[3]
input m bf16[3]
input v bf16[3]
input scale f32[1]
input record f32[16]
w, low1, m1, v1 = adamw_split(value, grad, low, m, v, scale, record) {stream=5, parts=1, stride=1}
`,
			[]byName{{"value": {3, 1, -1}, "grad": {0, 0, 0}, "low": {0, -2, 5}, "m": {0, 0, 0}, "v": {0, 0, 0}, "scale": {1}, "record": decaying(2)}},
			[]byName{{"w": {1.5, 0.5, -0.5}, "low1": {0, -2, 5}, "m1": {0, 0, 0}, "v1": {0, 0, 0}}},
		},
	}
}

// numbers returns n numbers.
func numbers(n int, at func(i int) float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = at(i)
	}
	return x
}

// replicated returns x of six ranks, and what they have accumulated, which counts from rank 2 on.
func replicated(at func(rank, i int) float64) (in []byName) {
	for r := range 6 {
		record := make([]float64, RecordLen)
		if r >= 2 {
			record = accumulating()
		}
		in = append(in, byName{"x": numbers(150, func(i int) float64 { return at(r, i) }),
			"grad": numbers(128, func(i int) float64 { return float64(i) / 2 }), "record": record})
	}
	return in
}

// parted returns values of six ranks: of an array, and of a share.
func parted(values map[string]func(rank, i int) float64) (want []byName) {
	for r := range 6 {
		want = append(want, byName{})
		for name, at := range values {
			n := map[string]int{"y": 128, "z": 150}[name]
			want[r][name] = numbers(n, func(i int) float64 { return at(r, i) })
		}
	}
	return want
}

// updating is a step of two ranks whose gradients, clipped, are 1: it takes 3 from every weight.
func updating() (in []byName) {
	for r := range 2 {
		record := ofRank(r)
		record[RecordLR], record[RecordBias1], record[RecordBias2] = 1, 2, 9
		record[RecordBeta1], record[RecordBeta2], record[RecordEps] = 0.5, 1, 1.0/3
		in = append(in, byName{"value": numbers(130, func(i int) float64 { return float64(i) }),
			"grad": numbers(128, func(i int) float64 { return 4 }), "m": numbers(128, func(i int) float64 { return 7 }),
			"v": numbers(128, func(i int) float64 { return 1 }), "scale": {0.25}, "record": record})
	}
	return in
}

// twoThen is a share of which two elements count.
func twoThen(x float64) []float64 {
	return numbers(128, func(i int) float64 {
		if i < 2 {
			return x
		}
		return poisoned
	})
}

// ofRank is a rank's record.
func ofRank(rank int) []float64 {
	record := make([]float64, RecordLen)
	record[RecordRank] = float64(rank)
	return record
}

// decaying is the record of a step that halves weights without a gradient.
func decaying(step float64) []float64 {
	record := make([]float64, RecordLen)
	record[RecordLR], record[RecordDecay], record[RecordEps], record[RecordStep] = 1, 0.5, 1, step
	record[RecordBias1], record[RecordBias2] = 1, 1
	return record
}

func accumulating() []float64 {
	record := make([]float64, RecordLen)
	record[RecordAccumulate] = 1
	return record
}

// TestValues compares with values worked out by hand.
func TestValues(t *testing.T) {
	for _, c := range valueCases() {
		t.Run(c.name, func(t *testing.T) {
			g, err := Parse(c.graph)
			if err != nil {
				t.Fatal(err)
			}
			envs := make([]Env, len(c.in))
			for r := range envs {
				envs[r] = Env{}
				for _, v := range g.Outside {
					envs[r][v.Name] = &Tensor{v.Type, c.in[r][v.Name]}
				}
			}
			if err := Eval(g, envs, Float64); err != nil {
				t.Fatal(err)
			}
			for r, want := range c.want {
				for name, x := range want {
					got := envs[r][name]
					if len(got.Data) != len(x) {
						t.Fatalf("%s has %d elements, want %d", name, len(got.Data), len(x))
					}
					sameValues(t, name, got, &Tensor{got.Type, x}, 1e-15)
				}
			}
		})
	}
}
