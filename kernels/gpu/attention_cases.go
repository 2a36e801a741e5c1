package gpu

import (
	"fmt"
	"math"

	"moegen/kernels/ptx"
)

// attentionTruth computes attention and its gradient in float64, element by element.
type attentionTruth struct {
	d       AttentionDesc
	scale   float64
	qkv, do func(int) float64
	start   func(token int) int // in the token's row
}

// documents returns starts of documents of lengths around a mean that differ from each other and from row to row.
func documents(seq, mean int) func(token int) int {
	return func(token int) int {
		begin := 0
		for n := 0; ; n++ {
			length := 1 + int(mix(uint64(token/seq*1000+n))%uint64(2*mean-1))
			if token%seq < begin+length {
				return begin
			}
			begin += length
		}
	}
}

func oneDocument(int) int { return 0 }

func newAttentionTruth(d AttentionDesc, start func(int) int) *attentionTruth {
	return &attentionTruth{d: d, scale: 1 / math.Sqrt(float64(d.Dim)), qkv: normal(31, 1), do: normal(33, 1), start: start}
}

// at is element i of a head of a token's row.
func (a *attentionTruth) at(token, head, i int) float64 {
	return a.qkv(token*a.d.width() + head*a.d.Dim + i)
}

// row is the softmax of a query: the first key's token, P of each key, lse.
func (a *attentionTruth) row(query, head int) (first int, p []float64, lse float64) {
	d := a.d
	first = query/d.Seq*d.Seq + a.start(query)
	top := math.Inf(-1)
	for key := first; key <= query; key++ {
		s := 0.0
		for i := range d.Dim {
			s += a.at(query, head, i) * a.at(key, d.Heads+head/d.group(), i)
		}
		p = append(p, a.scale*s)
		top = max(top, a.scale*s)
	}
	sum := 0.0
	for _, s := range p {
		sum += math.Exp(s - top)
	}
	lse = top + math.Log(sum)
	for i, s := range p {
		p[i] = math.Exp(s - lse)
	}
	return first, p, lse
}

// attentionRow is a softmax with what it was computed for.
type attentionRow struct {
	first int
	p     []float64
	lse   float64
}

var attentionFamily = Family{Name: "attention", Cases: func() []Case {
	small := AttentionConfig{Keys: 64, Slots: 4}
	tight := AttentionConfig{Keys: 32, Slots: 3}
	wide := AttentionConfig{Keys: 128, Slots: 4}
	return []Case{
		attentionCase(AttentionDesc{Rows: 1, Seq: 128, Heads: 1, KVHeads: 1, Dim: 128}, wide, oneDocument, "one"),
		attentionCase(AttentionDesc{Rows: 1, Seq: 300, Heads: 2, KVHeads: 1, Dim: 64}, small, oneDocument, "one"),              // ragged; several tiles
		attentionCase(AttentionDesc{Rows: 2, Seq: 200, Heads: 4, KVHeads: 2, Dim: 32}, tight, documents(200, 60), "documents"), // tiles are skipped
		attentionCase(AttentionDesc{Rows: 3, Seq: 37, Heads: 2, KVHeads: 2, Dim: 16}, small, documents(37, 9), "documents"),
		attentionCase(AttentionDesc{Rows: 1, Seq: 70, Heads: 3, KVHeads: 3, Dim: 96}, small, oneDocument, "one"),
		attentionCase(AttentionDesc{Rows: 2, Seq: 65, Heads: 2, KVHeads: 1, Dim: 24}, tight, documents(65, 5), "documents"), // zeros behind a head's dims
		large(attentionCase(AttentionDesc{Rows: 1, Seq: 4096, Heads: 32, KVHeads: 4, Dim: 128}, wide, oneDocument, "one")),
		large(attentionCase(AttentionDesc{Rows: 1, Seq: 4096, Heads: 32, KVHeads: 4, Dim: 128}, wide, documents(4096, 512), "documents")),
		large(attentionCase(AttentionDesc{Rows: 8, Seq: 4096, Heads: 16, KVHeads: 4, Dim: 64}, wide, oneDocument, "one")),
	}
}}

func attentionCase(d AttentionDesc, c AttentionConfig, start func(int) int, packing string) Case {
	a := newAttentionTruth(d, start)
	softmax := rowCache(func(r int) (s attentionRow) {
		s.first, s.p, s.lse = a.row(r/d.Heads, r%d.Heads)
		return s
	})
	return Case{
		Name: fmt.Sprintf("%s_%s", c.Name(d), packing),
		Emit: func(m *ptx.Module) { EmitAttention(m, d, c) },
		Buffers: []Buffer{{"qkv", ptx.BF16, d.tokens() * d.width(), a.qkv},
			{"starts", ptx.S32, d.tokens(), func(t int) float64 { return float64(start(t)) }},
			{"o", ptx.BF16, d.tokens() * d.Heads * d.Dim, nil}, {"lse", ptx.F32, d.tokens() * d.Heads, nil}},
		Launches: []Launch{attentionLaunch(d, c, a.scale, "qkv", "starts", "o", "lse")},
		Outputs: []Output{
			{Buffer: "o", Row: d.Dim, Rel: bf16Rel, Acc: 1.1 * 0x1p-8,
				Why: "P is rounded to bf16 (2^-8 of each term); float32 sums, 2^x to 2^-22 and the sum's reciprocal are a tenth of that; a rounding of the result",
				Want: func(i int) (value, magnitude float64, ok bool) {
					s, head := softmax(i/d.Dim), i/d.Dim%d.Heads
					for j, p := range s.p {
						v := p * a.at(s.first+j, d.Heads+d.KVHeads+head/d.group(), i%d.Dim)
						value += v
						magnitude += math.Abs(v)
					}
					return value, magnitude, true
				}},
			{Buffer: "lse", Row: 1, Rel: 0x1p-22, Acc: 0x1p-16,
				Why:  "products of up to 128 terms cut at 2^-24 of a sum of magnitude 100, 2^-17; the logarithm to 2^-22",
				Want: func(i int) (float64, float64, bool) { return softmax(i).lse, 1, true }},
		},
		Floor: AttentionFloor(d),
	}
}
