package kernels_test

import (
	"fmt"
	"slices"

	"moegen/ir"
)

var streamOps = []deviceOp{
	{op: "embedding", results: []deviceTolerance{exact}, cases: []deviceCase{
		embeddingCase("tokens of a small vocabulary", 11, 40, 9),
		embeddingCase("rows of an odd number of elements", 7, 13, 30),
	}},
	{op: "pool_open", results: []deviceTolerance{exact, exact}, cases: []deviceCase{
		{"", ir.Attrs{{Key: "rows", Value: 9}, {Key: "cols", Value: 40}, {Key: "dtype", Value: "bf16"}}, nil},
	}},
	{op: "permute", results: []deviceTolerance{exact}, cases: overRoutes(func(r deviceRoute) deviceCase {
		return deviceCase{"", chosen(r), []operand{normalRows(1, 1, r.tokenMatrix(ir.BF16, 48), r.known), r.offsets, r.pairs}}
	})},
	{op: "unpermute_grad", results: []deviceTolerance{{bf16Rounding, 0, "one rounding of a product"}},
		cases: overRoutes(func(r deviceRoute) deviceCase {
			dy, w := normalRows(1, 1, r.tokenMatrix(ir.BF16, 40), r.known), normalRows(2, 1, r.tokenMatrix(ir.F32, r.topK), r.known)
			if r.known%2 == 0 {
				w = operand{}
			}
			return deviceCase{"", chosen(r), []operand{dy, w, r.offsets, r.pairs}}
		})},
	{op: "swiglu", results: []deviceTolerance{swigluTolerance}, cases: append(
		overRoutes(func(r deviceRoute) deviceCase {
			return deviceCase{"", nil, []operand{normalRows(1, 2, r.matrix(2*24), r.count), r.offsets}}
		}),
		deviceCase{"dense", nil, []operand{normals(1, 2, ir.Fixed(ir.BF16, 13, 2*40)), {}}},
		deviceCase{"odd", nil, []operand{normals(1, 2, ir.Fixed(ir.BF16, 5, 2*3)), {}}},
		deviceCase{"far out", nil, []operand{fill(ir.Fixed(ir.BF16, 1, 16), 1, func(i int) float64 {
			return []float64{-1e30, -200, -88, -1, 0, 88, 200, 1e30, 1, 1, 1, 1, 1, 1, 1, 1}[i]
		}), {}}},
	)},
	{op: "swiglu_grad", results: []deviceTolerance{swigluTolerance}, cases: append(
		overRoutes(func(r deviceRoute) deviceCase {
			return deviceCase{"", nil, []operand{normalRows(2, 1, r.matrix(24), r.count), normalRows(1, 2, r.matrix(2*24), r.count), r.offsets}}
		}),
		deviceCase{"dense", nil, []operand{normals(2, 1, ir.Fixed(ir.BF16, 13, 40)), normals(1, 2, ir.Fixed(ir.BF16, 13, 2*40)), {}}},
		deviceCase{"odd", nil, []operand{normals(2, 1, ir.Fixed(ir.BF16, 5, 3)), normals(1, 2, ir.Fixed(ir.BF16, 5, 2*3)), {}}},
	)},
	{op: "unpermute", results: []deviceTolerance{{bf16Rounding, 10 * 0x1p-24, "one rounding; a chain of at most nine float32 sums"}},
		magnitude: roundedSums(5, 10*0x1p-24), cases: append(
			overRoutes(func(r deviceRoute) deviceCase {
				return unpermuteCase(r, true, true)
			}),
			overRoutes(func(r deviceRoute) deviceCase {
				return unpermuteCase(r, false, false)
			})...)},
	{op: "unpermute_wgrad", results: []deviceTolerance{{0, 20 * 0x1p-24, "a chain of ten float32 sums along a lane's elements and over lanes"}},
		magnitude: termSums, cases: overRoutes(func(r deviceRoute) deviceCase {
			dy, x := normalRows(1, 1, r.tokenMatrix(ir.BF16, 72), r.known), normalRows(2, 1, r.matrix(72), r.count)
			return deviceCase{"", chosen(r), []operand{dy, x, r.offsets, r.pairs, r.slots}}
		})},
	{op: "swiglu_unpermute_grad", results: []deviceTolerance{swigluTolerance, swigluTolerance,
		{0, 0x1p-17, "float32 sums of a row's terms, and the sigmoid's rounding of each, of the size of the sums"}},
		cases: overRoutes(func(r deviceRoute) deviceCase {
			gu, da := normalRows(1, 2, r.matrix(2*24), r.count), normalRows(2, 1, r.matrix(24), r.count)
			return deviceCase{"", chosen(r), []operand{gu, da, normalRows(3, 0.5, r.tokenMatrix(ir.F32, r.topK), r.known), r.offsets, r.pairs}}
		})},
	{op: "rms_norm", results: []deviceTolerance{{2 * bf16Rounding, 0, "two roundings to bf16"},
		{0x1p-18, 0, "half the relative error of a float32 sum of at most 80 squares along a lane, and rsqrt's 2^-22.9"}},
		cases: []deviceCase{
			rmsNormCase("multiple of 8", 9, 136), rmsNormCase("one piece", 1, 8), rmsNormCase("two warps", 5, 2056),
			rmsNormCase("many", 600, 64), rmsNormCase("odd", 3, 77),
		}},
	{op: "rms_norm_grad", results: []deviceTolerance{{bf16Rounding, 0x1p-17, "one rounding to bf16; a mean of as many float32 products as a row has, of its scale"},
		{bf16Rounding, 0x1p-16, "one rounding to bf16; a float32 sum over at most 300 rows"}},
		cases: slices.Concat(
			rmsNormGradCases("one piece", 1, 8), rmsNormGradCases("four warps", 5, 1032),
			rmsNormGradCases("many", 300, 64), rmsNormGradCases("odd", 3, 77),
		)},
	{op: "embedding_grad", results: []deviceTolerance{{bf16Rounding, 200 * 0x1p-24, "one rounding; a chain of float32 sums, at most one a token"}},
		magnitude: termSums, cases: slices.Concat(
			embeddingGradCases("few ids", 70, 24, 20, 3, func(t int) int { return t * t % 20 }),
			embeddingGradCases("all tokens equal", 131, 16, 6, -1, func(int) int { return 5 }),
			embeddingGradCases("all padding", 9, 8, 6, 2, func(int) int { return 2 }),
			embeddingGradCases("odd", 33, 5, 300, 7, func(t int) int { return t * 9 % 300 }),
		)},
	{op: "add", results: []deviceTolerance{{bf16Rounding, 0, "one rounding"}}, cases: []deviceCase{
		{"bf16", nil, []operand{normals(1, 1, ir.Fixed(ir.BF16, 11, 24)), normals(2, 1, ir.Fixed(ir.BF16, 11, 24))}},
		{"odd", nil, []operand{normals(1, 1, ir.Fixed(ir.BF16, 7, 3)), normals(2, 1, ir.Fixed(ir.BF16, 7, 3))}},
		{"f32", nil, []operand{normals(1, 1, ir.Fixed(ir.F32, 18)), normals(2, 1, ir.Fixed(ir.F32, 18))}},
	}},
	{op: "accumulate", results: []deviceTolerance{{bf16Rounding, 0, "one rounding"}}, cases: []deviceCase{
		{"overwrites", nil, []operand{normals(1, 1, ir.Fixed(ir.BF16, 11, 24)), garbage(ir.Fixed(ir.BF16, 11, 24)), stepRecord(false)}},
		{"adds", nil, []operand{normals(1, 1, ir.Fixed(ir.BF16, 11, 24)), normals(2, 1, ir.Fixed(ir.BF16, 11, 24)), stepRecord(true)}},
		{"f32", nil, []operand{normals(1, 1, ir.Fixed(ir.F32, 9)), normals(2, 1, ir.Fixed(ir.F32, 9)), stepRecord(true)}},
	}},
	{op: "slice_rows", results: []deviceTolerance{exact}, cases: []deviceCase{
		{"inside", ir.Attrs{{Key: "rows", Value: 4}}, []operand{normals(1, 1, ir.Fixed(ir.BF16, 11, 24)), whole(3)}},
		{"over the end", ir.Attrs{{Key: "rows", Value: 7}}, []operand{normals(1, 1, ir.Fixed(ir.BF16, 5, 3)), whole(2)}},
	}},
}

func rmsNormCase(name string, rows, dim int) deviceCase {
	return deviceCase{name, ir.Attrs{{Key: "eps", Value: 1e-5}}, []operand{normals(1, 1, ir.Fixed(ir.BF16, rows, dim)), normals(2, 1, ir.Fixed(ir.BF16, dim))}}
}

// rmsNormGradCases has gradients alone, with a residual, and with one that overwrites or adds up.
func rmsNormGradCases(name string, rows, dim int) []deviceCase {
	x, w := ir.Fixed(ir.BF16, rows, dim), ir.Fixed(ir.BF16, dim)
	rstd := fill(ir.Fixed(ir.F32, rows), rows, func(i int) float64 { return 1 + float64(i%7)/8 })
	of := func(name string, more ...operand) deviceCase {
		return deviceCase{name, nil, append([]operand{normals(1, 1, x), normals(2, 1, x), normals(3, 1, w), rstd}, more...)}
	}
	return []deviceCase{
		of(name, operand{}, operand{}, operand{}),
		of(name+", residual, overwriting", normals(4, 1, x), garbage(w), stepRecord(false)),
		of(name+", residual, adding", normals(4, 1, x), normals(5, 1, w), stepRecord(true)),
	}
}

// embeddingGradCases has a gradient alone, one that overwrites what is no number, and one that adds up.
func embeddingGradCases(name string, tokens, cols, vocab, padding int, id func(t int) int) []deviceCase {
	attrs := ir.Attrs{{Key: "vocab", Value: vocab}, {Key: "padding", Value: padding}}
	ids := fill(ir.Fixed(ir.I32, tokens), tokens, func(t int) float64 { return float64(id(t)) })
	dy, table := normals(1, 1, ir.Fixed(ir.BF16, tokens, cols)), ir.Fixed(ir.BF16, vocab, cols)
	return []deviceCase{
		{name, attrs, []operand{ids, dy, {}, {}}},
		{name + ", overwriting", attrs, []operand{ids, dy, garbage(table), stepRecord(false)}},
		{name + ", adding", attrs, []operand{ids, dy, normals(2, 1, table), stepRecord(true)}},
	}
}

var swigluTolerance = deviceTolerance{bf16Rounding, 0x1p-20, "one rounding; a dozen float32 ones and those of the sigmoid, of terms near the root mean square"}

// unpermuteCase has weights and a residual or neither.
func unpermuteCase(r deviceRoute, weighted, residual bool) deviceCase {
	c := deviceCase{"plain", chosen(r), []operand{normalRows(1, 1, r.matrix(40), r.count), r.offsets, r.pairs, r.slots, {}, {}, {}}}
	if weighted {
		c.name = "weighted"
		c.in[4] = normalRows(2, 1, r.tokenMatrix(ir.F32, r.topK), r.known)
	}
	if residual {
		c.in[5] = normalRows(3, 1, r.tokenMatrix(ir.BF16, 40), r.known)
	}
	if r.tokens.Bounded {
		c.in[6] = whole(r.known)
	}
	return c
}

func embeddingCase(name string, tokens, cols, vocab int) deviceCase {
	ids := fill(ir.Fixed(ir.I32, tokens), tokens, func(i int) float64 { return float64(i * i % vocab) })
	return deviceCase{name, ir.Attrs{{Key: "padding", Value: -1}}, []operand{ids, normals(1, 1, ir.Fixed(ir.BF16, vocab, cols))}}
}

// chosen are the attributes of operations over a route.
func chosen(r deviceRoute) ir.Attrs { return ir.Attrs{{Key: "top_k", Value: r.topK}} }

// overRoutes makes a case of every route, for one, two and eight choices a token.
func overRoutes(make func(deviceRoute) deviceCase) []deviceCase {
	var out []deviceCase
	for _, k := range []int{1, 2, 8} {
		for _, r := range deviceRoutes(19, k, 6) {
			c := make(r)
			c.name = fmt.Sprintf("%s, top %d %s", r.name, k, c.name)
			out = append(out, c)
		}
	}
	return out
}
