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
			c.name = fmt.Sprintf("%s, top %d", r.name, k)
			out = append(out, c)
		}
	}
	return out
}
