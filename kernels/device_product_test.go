package kernels_test

import (
	"fmt"
	"math"

	"moegen/ir"
)

// productTolerance is that of a product: float32 sums in the tensor cores, and one rounding.
var productTolerance = deviceTolerance{bf16Rounding, 0x1p-14,
	"a rounding to bf16 (2^-8) and, for every 16 along k, cuts of 2^-20 of the partial sum at most, at depths up to 1024"}

// Shapes of dense layers, as tokens, in, out: whole tiles and ragged ones, several tiles along each side, one token, the
// smallest rows, few outputs of many inputs, which blocks share, and rows that are no multiples of 16 bytes.
var denseShapes = [][3]int{{128, 64, 64}, {200, 136, 72}, {1, 64, 16}, {3, 8, 8}, {300, 72, 264}, {16, 1024, 64}, {37, 20, 35}}

var productOps = []deviceOp{
	{op: "bias_grad", results: []deviceTolerance{{bf16Rounding, 0x1p-18, "a rounding to bf16 (2^-8), and at most 64 of 2^-24"}}, magnitude: termSums,
		cases: denseCases(func(t, in, out int) []deviceCase {
			if out%8 != 0 {
				return nil // not covered
			}
			dy, grad := normals(1, 1, ir.Fixed(ir.BF16, t, out)), normals(3, 3, ir.Fixed(ir.BF16, out))
			return []deviceCase{
				{name: "plain", in: []operand{dy, {}, {}}}, {name: "first", in: []operand{dy, garbage(grad.typ), stepRecord(false)}},
				{name: "accumulated", in: []operand{dy, grad, stepRecord(true)}},
			}
		})},
	{op: "linear", results: []deviceTolerance{productTolerance}, magnitude: roundedSums(3, productTolerance.acc), cases: denseCases(func(t, in, out int) []deviceCase {
		x, w := normals(1, 1, ir.Fixed(ir.BF16, t, in)), normals(2, 1, ir.Fixed(ir.BF16, out, in))
		bias, residual := normals(3, 3, ir.Fixed(ir.BF16, out)), normals(4, 3, ir.Fixed(ir.BF16, t, out))
		return []deviceCase{
			{name: "plain", in: []operand{x, w, {}, {}}}, {name: "bias", in: []operand{x, w, bias, {}}},
			{name: "residual", in: []operand{x, w, {}, residual}}, {name: "both", in: []operand{x, w, bias, residual}},
		}
	})},
	{op: "linear_dgrad", results: []deviceTolerance{productTolerance}, magnitude: roundedSums(2, productTolerance.acc), cases: denseCases(func(t, in, out int) []deviceCase {
		dy, w := normals(1, 1, ir.Fixed(ir.BF16, t, out)), normals(2, 1, ir.Fixed(ir.BF16, out, in))
		return []deviceCase{{name: "plain", in: []operand{dy, w, {}}}, {name: "residual", in: []operand{dy, w, normals(3, 3, ir.Fixed(ir.BF16, t, in))}}}
	})},
	{op: "linear_wgrad", results: []deviceTolerance{productTolerance}, magnitude: termSums, cases: denseCases(func(t, in, out int) []deviceCase {
		dy, x := normals(1, 1, ir.Fixed(ir.BF16, t, out)), normals(2, 1, ir.Fixed(ir.BF16, t, in))
		grad := normals(3, 3, ir.Fixed(ir.BF16, out, in))
		return []deviceCase{
			{name: "plain", in: []operand{dy, x, {}, {}}}, {name: "first", in: []operand{dy, x, garbage(grad.typ), stepRecord(false)}},
			{name: "accumulated", in: []operand{dy, x, grad, stepRecord(true)}},
		}
	})},
	{op: "grouped_linear", results: []deviceTolerance{productTolerance}, magnitude: termSums, cases: groupedCases(func(r deviceRoute, in, out int) []deviceCase {
		w := normals(2, 1, ir.Fixed(ir.BF16, r.experts(), out, in))
		return []deviceCase{
			{"rows", topK(0), []operand{normalRows(1, 1, r.matrix(in), r.count), w, r.offsets, {}}},
			{"gathered", topK(r.topK), []operand{normalRows(1, 1, r.tokenMatrix(ir.BF16, in), r.known), w, r.offsets, r.pairs}},
		}
	})},
	{op: "grouped_linear_dgrad", results: []deviceTolerance{productTolerance}, magnitude: termSums, cases: groupedCases(func(r deviceRoute, in, out int) []deviceCase {
		w := normals(2, 1, ir.Fixed(ir.BF16, r.experts(), out, in))
		return []deviceCase{
			{"rows", topK(0), []operand{normalRows(1, 1, r.matrix(out), r.count), w, r.offsets, {}}},
			{"gathered", topK(r.topK), []operand{normalRows(1, 1, r.tokenMatrix(ir.BF16, out), r.known), w, r.offsets, r.pairs}},
		}
	})},
	{op: "grouped_linear_swiglu", results: []deviceTolerance{gatedTolerance}, magnitude: gatedSums,
		cases: groupedCases(func(r deviceRoute, in, out int) []deviceCase { return gatedCases(r, in, out) })},
	{op: "grouped_linear_swiglu_keep", results: []deviceTolerance{productTolerance, gatedTolerance}, magnitude: gatedSums,
		cases: groupedCases(func(r deviceRoute, in, out int) []deviceCase { return gatedCases(r, in, out) })},
	{op: "grouped_linear_dgrad_swiglu", results: []deviceTolerance{gatedTolerance, swigluTolerance,
		{0, 1, "what the roundings of the product and a hundred of float32 move"}}, magnitude: gatedGradSums,
		cases: groupedCases(func(r deviceRoute, in, out int) []deviceCase {
			dy := normalRows(1, 1, r.tokenMatrix(ir.BF16, in), r.known)
			down := normals(2, 0.125, ir.Fixed(ir.BF16, r.experts(), in, out))
			gu, w := normalRows(3, 2, r.matrix(2*out), r.count), normalRows(4, 0.5, r.tokenMatrix(ir.F32, r.topK), r.known)
			return []deviceCase{{"", topK(r.topK), []operand{dy, down, gu, w, r.offsets, r.pairs, r.slots}}}
		})},
	{op: "grouped_linear_wgrad", results: []deviceTolerance{productTolerance}, magnitude: termSums, cases: groupedCases(func(r deviceRoute, in, out int) []deviceCase {
		dy, x := normalRows(1, 1, r.matrix(out), r.count), normalRows(2, 1, r.matrix(in), r.count)
		dyT, xT := normalRows(1, 1, r.tokenMatrix(ir.BF16, out), r.known), normalRows(2, 1, r.tokenMatrix(ir.BF16, in), r.known)
		grad := normals(3, 3, ir.Fixed(ir.BF16, r.experts(), out, in))
		return []deviceCase{
			{"rows", topK(0), []operand{dy, x, r.offsets, {}, {}, {}, {}}},
			{"gathered x, first", topK(r.topK), []operand{dy, xT, r.offsets, {}, r.pairs, garbage(grad.typ), stepRecord(false)}},
			{"gathered x, accumulated", topK(r.topK), []operand{dy, xT, r.offsets, {}, r.pairs, grad, stepRecord(true)}},
			{"gathered dy, accumulated", topK(r.topK), []operand{dyT, x, r.offsets, r.pairs, {}, grad, stepRecord(true)}},
		}
	})},
}

// garbage is what lies where a gradient will be: a kernel that overwrites it must not look.
func garbage(t ir.Type) operand { return normalRows(0, 1, t, 0) }

// gatedTolerance is that of what SwiGLU makes of a product: the magnitude is what the product's roundings may move.
var gatedTolerance = deviceTolerance{bf16Rounding, 1, "one rounding to bf16, and what those of the product move"}

// gatedCases are products of weights with halves, of rows and of gathered ones.
func gatedCases(r deviceRoute, in, out int) []deviceCase {
	w := normals(2, 0.125, ir.Fixed(ir.BF16, r.experts(), 2*out, in))
	return []deviceCase{
		{"rows", topK(0), []operand{normalRows(1, 1, r.matrix(in), r.count), w, r.offsets, {}}},
		{"gathered", topK(r.topK), []operand{normalRows(1, 1, r.tokenMatrix(ir.BF16, in), r.known), w, r.offsets, r.pairs}},
	}
}

// off is how far a product is from the truth at most before it goes on.
func off(value, sum float64) float64 { return bf16Rounding*math.Abs(value) + productTolerance.acc*sum }

// gatedSums is the magnitude of SwiGLU of a product: gate and up are off by so much, and silu's slope is 1.1 at most.
func gatedSums(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor {
	product, _ := ir.LookupOp("grouped_linear")
	b := ir.NewBuilder("product")
	gu := b.Op(product, "gu", n.Attrs, n.In...)[0].Def
	value := results(gu)
	gu.Op.Eval(gu, in, value)
	sums := termSums(gu, in, value)[0]
	out := results(n)
	copy(out[0].Data, sums.Data) // of the product, if it is kept
	a := out[len(out)-1]
	for i := range a.Type.Dim(0) {
		g, sum, half := value[0].Row(i), sums.Row(i), a.Type.Dim(1)
		for j := range a.Row(i) {
			gateOff, upOff := off(g[j], sum[j]), off(g[half+j], sum[half+j])
			a.Row(i)[j] = 1.1*gateOff*(math.Abs(g[half+j])+upOff) + math.Abs(g[j])*upOff
		}
	}
	return out
}

// gatedGradSums is the magnitude of SwiGLU's gradient under a product: the gradient at what the product may be off, with slopes of 1.1
// and 1, and a hundred float32 roundings of terms that may cancel; for aw, of the root mean square.
func gatedGradSums(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor {
	product, _ := ir.LookupOp("grouped_linear_dgrad")
	b := ir.NewBuilder("product")
	da := b.Op(product, "da", n.Attrs, n.In[0], n.In[1], n.In[4], n.In[5])[0].Def
	value, operands := results(da), []*ir.Tensor{in[0], in[1], in[4], in[5]}
	da.Op.Eval(da, operands, value)
	sums := termSums(da, operands, value)[0]
	out := results(n)
	out[1] = rootMeanSquares(n, in, want)[1]
	half := sums.Type.Dim(1)
	for i := range in[4].Int(in[4].Type.Dim(0) - 1) {
		gu, c := in[2].Row(i), in[5].Int(i)
		for j, v := range value[0].Row(i) {
			moved := off(v, sums.Row(i)[j]) + 100*0x1p-24*math.Abs(v)
			gate, up, w := math.Abs(gu[j]), math.Abs(gu[half+j]), math.Abs(in[3].Data[c])
			out[0].Row(i)[j], out[0].Row(i)[half+j] = 1.1*w*up*moved, w*gate*moved
			out[2].Data[c] += gate * up * moved
		}
	}
	return out
}

func topK(k int) ir.Attrs { return ir.Attrs{{Key: "top_k", Value: k}} }

// denseCases are cases at each of the dense shapes.
func denseCases(of func(tokens, in, out int) []deviceCase) (list []deviceCase) {
	for _, s := range denseShapes {
		for _, c := range of(s[0], s[1], s[2]) {
			c.name = fmt.Sprintf("%dx%dx%d %s", s[0], s[1], s[2], c.name)
			list = append(list, c)
		}
	}
	return list
}

// groupedCases are cases of every route.
func groupedCases(of func(r deviceRoute, in, out int) []deviceCase) (list []deviceCase) {
	for i, r := range append(deviceRoutes(90, 2, 5), deviceRoutes(1, 1, 3)[0]) {
		in, out := 72, 136
		if i%2 == 1 {
			in, out = 64, 16
		}
		for _, c := range of(r, in, out) {
			c.name = fmt.Sprintf("%s %d tokens %dx%d %s", r.name, r.tokens.N, in, out, c.name)
			list = append(list, c)
		}
	}
	return list
}

func (r deviceRoute) experts() int { return len(r.offsets.data) - 1 }
