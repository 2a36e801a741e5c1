package kernels_test

import (
	"math"

	"moegen/ir"
)

// routerOps are the operations of the router, of routing and of the loss.
var routerOps = []deviceOp{
	{op: "router", results: []deviceTolerance{exact, {rel: bf16Rounding, why: "a softmax in float32, rounded to bf16"}}, cases: routerCases(
		func(t, e, k int, logits operand) []operand { return []operand{logits, {}} },
		func(t, e, k int, logits operand) []operand {
			return []operand{logits, fill(ir.Fixed(ir.I32, t, k), t, func(i int) float64 {
				if i/k%3 == 1 {
					return -1 // the router chooses
				}
				return float64((i/k*7 + i%k*3) % e) // k experts, all different
			})}
		})},
	{op: "router_grad", results: []deviceTolerance{{rel: bf16Rounding, acc: 0x1p-19, why: "differences in float32, rounded to bf16"}}, magnitude: routerGradTerms, cases: routerCases(
		func(t, e, k int, logits operand) []operand {
			return []operand{normals(2, 1, ir.Fixed(ir.F32, t, k)), logits, fill(ir.Fixed(ir.I32, t, k), t, func(i int) float64 {
				return float64((i/k*7 + i%k*3) % e) // k experts, all different
			})}
		})},
	{op: "route", results: []deviceTolerance{exact, exact, exact}, cases: []deviceCase{
		routing("spread", ir.Fixed(ir.I32, 700, 4), 16, func(i int) int { return (i * i / 3) % 16 }),
		routing("all to one", ir.Fixed(ir.I32, 2100, 1), 3, func(int) int { return 1 }),
		routing("elsewhere", ir.Bounded(ir.I32, ir.Dim{N: 300, Bounded: true, Expected: 100}, 2), 8, func(i int) int { return i%12 - 4 }),
	}},
	{op: "router_stats", results: []deviceTolerance{{rel: 0x1p-16, why: "sums of up to a few hundred probabilities in a row in float32"}}, cases: statsCases(
		func(t, e, k int, logits operand) []operand {
			return []operand{logits, fill(ir.Fixed(ir.I32, t, k), t, func(i int) float64 { return float64(i * i / 3 % e) })}
		})},
	{op: "router_stats_grad", results: []deviceTolerance{{rel: bf16Rounding, acc: 0x1p-18, why: "differences in float32, rounded to bf16"}},
		magnitude: statsGradTerms, cases: statsCases(
			func(t, e, k int, logits operand) []operand {
				return []operand{normals(2, 1, ir.Fixed(ir.F32, 2*e)), logits}
			})},
	{op: "aux_loss", results: []deviceTolerance{scalar}, cases: auxCases()},
	{op: "aux_loss_grad", results: []deviceTolerance{scalar}, cases: auxCases()},
	{op: "cross_entropy", results: []deviceTolerance{{rel: 0x1p-18, why: "exponentials and a logarithm to 2^-20 each"}}, cases: logitsCases()},
	{op: "cross_entropy_grad", results: []deviceTolerance{{rel: bf16Rounding, acc: 0x1p-20, why: "a rounding to bf16; a difference in float32"}},
		cases: logitsCases()},
	{op: "linear_cross_entropy", results: []deviceTolerance{{rel: 1e-3, why: "logits are rounded to bf16"}, lossGradient, lossGradient},
		cases: lossCases(true)},
	{op: "linear_cross_entropy_eval", results: []deviceTolerance{{rel: 1e-3, why: "logits are rounded to bf16"}}, cases: lossCases(false)},
}

// Logits of size 4 rounded to bf16 are off by 2^-7 at most, exponentials by as much of their value; the gradient is
// rounded to bf16 on its way, and products add up hundreds of such errors of either sign.
var lossGradient = deviceTolerance{rel: 0x1p-5, acc: 0x1p-5, why: "logits and their gradient are rounded to bf16"}

// routerGradTerms is the size of the terms of router_grad's differences, which may cancel to nothing.
func routerGradTerms(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor {
	dw, logits, idx := in[0], in[1], in[2]
	out := results(n)
	for t := range logits.Type.Dim(0) {
		sum, p := 0.0, out[0].Row(t)
		for e, x := range logits.Row(t) {
			p[e] = math.Exp(x)
			sum += p[e]
		}
		share, mean := 0.0, 0.0 // of what is chosen; of |dw| under p
		for e := range p {
			p[e] /= sum
		}
		for j, e := range idx.Row(t) {
			share += p[int(e)]
			mean += math.Abs(dw.Row(t)[j]) * p[int(e)]
		}
		dp, inner := make([]float64, len(p)), 0.0
		for j, e := range idx.Row(t) {
			if dp[int(e)] = math.Abs(dw.Row(t)[j]); n.Attrs.Bool("renorm") {
				dp[int(e)] = (dp[int(e)] + mean/share) / share
			}
			inner += dp[int(e)] * p[int(e)]
		}
		for e := range p {
			p[e] *= dp[e] + inner
		}
	}
	return out
}

func routerCases(lists ...func(t, e, k int, logits operand) []operand) (cases []deviceCase) {
	for _, s := range []struct {
		tokens, experts, k int
		renorm             bool
	}{{5, 128, 8, true}, {17, 8, 2, false}, {3, 37, 1, true}, {2, 512, 22, true}} {
		logits := normals(1, 1, ir.Fixed(ir.BF16, s.tokens, s.experts))
		for i, v := range logits.data {
			logits.data[i] = math.RoundToEven(8*v) / 8 // ties
		}
		attrs := ir.Attrs{{Key: "top_k", Value: s.k}, {Key: "renorm", Value: s.renorm}}
		for i, operands := range lists {
			cases = append(cases, deviceCase{name: []string{"", "given"}[i], attrs: attrs, in: operands(s.tokens, s.experts, s.k, logits)})
		}
	}
	return cases
}

func routing(name string, idx ir.Type, experts int, expert func(i int) int) deviceCase {
	expected := 0
	if idx.Shape[0].Bounded {
		expected = 100
	}
	return deviceCase{name: name, attrs: ir.Attrs{{Key: "experts", Value: experts}, {Key: "expected", Value: expected}},
		in: []operand{fill(idx, idx.Dim(0), func(i int) float64 { return float64(expert(i)) })}}
}

func lossCases(grad bool) (cases []deviceCase) {
	for _, s := range [][3]int{{12, 24, 136}, {1, 8, 8}} {
		t, d, v := s[0], s[1], s[2]
		x, w := normals(1, 1, ir.Fixed(ir.BF16, t, d)), normals(2, 1/math.Sqrt(float64(d)), ir.Fixed(ir.BF16, v, d))
		targets := fill(ir.Fixed(ir.I32, t), t, func(i int) float64 {
			if i%5 == 4 {
				return -100
			}
			return float64(i * 37 % v)
		})
		in := []operand{x, w, targets, stepRecord(true)}
		if !grad {
			cases = append(cases, deviceCase{in: in})
			continue
		}
		cases = append(cases, deviceCase{name: "first", in: append(in[:4:4], operand{})},
			deviceCase{name: "overwrites", in: append(in[:3:3], stepRecord(false), garbage(w.typ))},
			deviceCase{name: "adds", in: append(in[:4:4], normals(3, 0.01, w.typ))})
	}
	return cases
}

func statsCases(operands func(t, e, k int, logits operand) []operand) (cases []deviceCase) {
	for _, s := range []struct{ tokens, experts, k int }{{77, 128, 8}, {1, 8, 2}, {40, 37, 1}, {5, 512, 22}} {
		cases = append(cases, deviceCase{in: operands(s.tokens, s.experts, s.k, normals(1, 1, ir.Fixed(ir.BF16, s.tokens, s.experts)))})
	}
	return cases
}

// statsGradTerms is the size of the terms of router_stats_grad's differences.
func statsGradTerms(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor {
	out := results(n)
	for t := range want[0].Type.Dim(0) {
		sum, p := 0.0, out[0].Row(t)
		for e, x := range in[1].Row(t) {
			p[e] = math.Exp(x)
			sum += p[e]
		}
		inner, d := 0.0, in[0].Data[len(p):]
		for e := range p {
			p[e] /= sum
			inner += p[e] * math.Abs(d[e])
		}
		for e := range p {
			p[e] *= math.Abs(d[e]) + inner
		}
	}
	return out
}

func auxCases() (cases []deviceCase) {
	for _, experts := range []int{8, 300} {
		t := ir.Fixed(ir.F32, 2*experts)
		stats := fill(t, 2*experts, func(i int) float64 { return float64(3 + i*i%17) })
		cases = append(cases, deviceCase{attrs: ir.Attrs{{Key: "rows", Value: 1234.0}}, in: []operand{stats, stepRecord(false)}})
	}
	return cases
}

func logitsCases() (cases []deviceCase) {
	for _, s := range [][2]int{{5, 1000}, {1, 8}, {3, 4104}} {
		targets := fill(ir.Fixed(ir.I32, s[0]), s[0], func(t int) float64 {
			if t%3 == 1 {
				return -100
			}
			return float64((t + 1) * 37 % s[1])
		})
		cases = append(cases, deviceCase{in: []operand{normals(1, 2, ir.Fixed(ir.BF16, s[0], s[1])), targets, stepRecord(false)}})
	}
	return cases
}
