package kernels_test

import (
	"fmt"
	"math"

	"moegen/ir"
)

// headTolerance is that of norms and rotations of heads: elements are of the scale of their root mean square, which few are
// beyond threefold.
var headTolerance = deviceTolerance{bf16Rounding, 0x1p-18, "a rounding to bf16; a few dozen of float32 (2^-24) of terms of the result's scale"}

var headOps = []deviceOp{
	{op: "qk_norm", results: []deviceTolerance{headTolerance}, cases: headCases(func(s headShape) ([]operand, bool) {
		return []operand{s.heads(1), s.weights(2), s.weights(3)}, true
	})},
	{op: "qk_norm_grad", results: []deviceTolerance{headTolerance, headTolerance, headTolerance}, cases: headCases(func(s headShape) ([]operand, bool) {
		return []operand{s.heads(4), s.heads(1), s.weights(2), s.weights(3)}, true
	})},
	{op: "rope", results: []deviceTolerance{headTolerance}, cases: headCases(func(s headShape) ([]operand, bool) {
		return append([]operand{s.heads(1)}, s.rotation()...), false
	})},
	{op: "rope_grad", results: []deviceTolerance{headTolerance}, cases: headCases(func(s headShape) ([]operand, bool) {
		return append([]operand{s.heads(4)}, s.rotation()...), false
	})},
	{op: "qk_norm_rope", results: []deviceTolerance{headTolerance}, cases: headCases(func(s headShape) ([]operand, bool) {
		return append([]operand{s.heads(1), s.weights(2), s.weights(3)}, s.rotation()...), true
	})},
	{op: "qk_norm_rope_grad", results: []deviceTolerance{headTolerance, headTolerance, headTolerance}, cases: append(
		qkNormRopeGradCases("", func(headShape) []operand { return make([]operand, 3) }),
		append(qkNormRopeGradCases(" first", func(s headShape) []operand { return []operand{s.weights(5), s.weights(6), stepRecord(false)} }),
			qkNormRopeGradCases(" adds", func(s headShape) []operand { return []operand{s.weights(5), s.weights(6), stepRecord(true)} })...)...)},
}

// headShape is the layout of a packed projection and its rotation.
type headShape struct{ tokens, q, kv, dim, rotary int }

// headShapes are heads that are wholly and partly rotated, of pieces of 16, 8 and 4 bytes.
var headShapes = []headShape{{9, 4, 2, 32, 16}, {5, 2, 2, 128, 64}, {7, 3, 1, 64, 16}, {6, 2, 1, 40, 10}}

func (s headShape) heads(seed uint64) operand {
	return normals(seed, 1, ir.Fixed(ir.BF16, s.tokens, (s.q+2*s.kv)*s.dim))
}

func (s headShape) weights(seed uint64) operand { return normals(seed, 1, ir.Fixed(ir.BF16, s.dim)) }

// rotation is cos, sin and positions.
func (s headShape) rotation() []operand {
	const seq = 12
	table := ir.Fixed(ir.BF16, seq, s.rotary)
	angle := func(i int) float64 { return float64(i/s.rotary) / float64(1+i%s.rotary) }
	return []operand{
		fill(table, seq, func(i int) float64 { return math.Cos(angle(i)) }),
		fill(table, seq, func(i int) float64 { return math.Sin(angle(i)) }),
		fill(ir.Fixed(ir.I32, s.tokens), s.tokens, func(t int) float64 { return float64(t * 5 % seq) }),
	}
}

// headCases are cases of every shape; eps says whether there is a norm.
func headCases(of func(headShape) (in []operand, eps bool)) (list []deviceCase) {
	for _, s := range headShapes {
		in, eps := of(s)
		attrs := ir.Attrs{{Key: "heads", Value: s.q}, {Key: "kv_heads", Value: s.kv}}
		if eps {
			attrs = append(attrs, ir.Attr{Key: "eps", Value: 1e-6})
		}
		list = append(list, deviceCase{fmt.Sprintf("%d+2x%d heads of %d", s.q, s.kv, s.dim), attrs, in})
	}
	return list
}

func qkNormRopeGradCases(name string, sums func(headShape) []operand) []deviceCase {
	list := headCases(func(s headShape) ([]operand, bool) {
		in := append([]operand{s.heads(4), s.heads(1), s.weights(2), s.weights(3)}, s.rotation()...)
		return append(in, sums(s)...), true
	})
	for i := range list {
		list[i].name += name
	}
	return list
}
