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
		append(qkNormRopeGradCases(" first", func(s headShape) []operand {
			return []operand{garbage(s.weights(5).typ), garbage(s.weights(6).typ), stepRecord(false)}
		}),
			qkNormRopeGradCases(" adds", func(s headShape) []operand { return []operand{s.weights(5), s.weights(6), stepRecord(true)} })...)...)},
}

// attentionTolerance is that of the weighted means of attention, whose elements are of the scale of their root mean square
// or below it; few terms of a sum are beyond tenfold.
var attentionTolerance = deviceTolerance{bf16Rounding, 0x1p-5, "P and dS are rounded to bf16 (2^-8 of a term each), o before delta too; a rounding of the result"}

var attentionOps = []deviceOp{
	{op: "attention", results: []deviceTolerance{attentionTolerance,
		{0x1p-22, 0x1p-16, "products of 32 terms cut at 2^-24 of a sum of magnitude 30; the logarithm to 2^-22"}},
		cases: attentionCases(func(qkv, starts operand, attrs ir.Attrs) []operand { return []operand{qkv, starts} })},
	{op: "attention_grad", results: []deviceTolerance{attentionTolerance},
		cases: attentionCases(func(qkv, starts operand, attrs ir.Attrs) []operand {
			n := deviceCase{attrs: attrs, in: []operand{qkv, starts}}.node("attention")
			out := results(n)
			n.Op.Eval(n, []*ir.Tensor{{Type: qkv.typ, Data: qkv.data}, {Type: starts.typ, Data: starts.data}}, out)
			filled := func(t *ir.Tensor) operand {
				return fill(t.Type, t.Type.Dim(0), func(i int) float64 { return t.Data[i] })
			}
			return []operand{normals(7, 1, out[0].Type), qkv, filled(out[0]), filled(out[1]), starts}
		})},
}

// attentionCases are rows of one and of several documents, whole blocks of tokens and less, groups of heads.
func attentionCases(of func(qkv, starts operand, attrs ir.Attrs) []operand) (list []deviceCase) {
	for _, s := range []struct{ rows, seq, heads, kv, dim, document int }{
		{1, 128, 2, 1, 64, 128}, {2, 50, 4, 2, 16, 50}, {2, 150, 2, 1, 32, 40}, {1, 33, 1, 1, 128, 7},
	} {
		attrs := ir.Attrs{{Key: "rows", Value: s.rows}, {Key: "heads", Value: s.heads}, {Key: "kv_heads", Value: s.kv}, {Key: "scale", Value: 1 / math.Sqrt(float64(s.dim))}}
		tokens := s.rows * s.seq
		qkv := normals(1, 1, ir.Fixed(ir.BF16, tokens, (s.heads+2*s.kv)*s.dim))
		starts := fill(ir.Fixed(ir.I32, tokens), tokens, func(t int) float64 { return float64(t % s.seq / s.document * s.document) })
		list = append(list, deviceCase{fmt.Sprintf("%dx%d, %d+2x%d heads of %d, documents of %d", s.rows, s.seq, s.heads, s.kv, s.dim, s.document), attrs, of(qkv, starts, attrs)})
	}
	return list
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
