package kernels_test

import (
	"fmt"

	"moegen/ir"
)

var streamOps = []deviceOp{
	{op: "embedding", results: []deviceTolerance{exact}, cases: []deviceCase{
		embeddingCase("tokens of a small vocabulary", 11, 40, 9),
		embeddingCase("rows of an odd number of elements", 7, 13, 30),
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
		magnitude: termSums, cases: append(
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
