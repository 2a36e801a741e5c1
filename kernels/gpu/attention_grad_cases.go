package gpu

import (
	"fmt"
	"math"

	"moegen/kernels/ptx"
)

var attentionGradFamily = Family{Name: "attention_grad", Cases: func() []Case {
	together := AttentionGradConfig{Slots: 2, Together: 3}
	return []Case{
		attentionGradCase(AttentionDesc{Rows: 1, Seq: 128, Heads: 1, KVHeads: 1, Dim: 128}, oneDocument, "one"),
		attentionGradCase(AttentionDesc{Rows: 1, Seq: 384, Heads: 1, KVHeads: 1, Dim: 64}, oneDocument, "one"), // three blocks of keys in turn
		attentionGradCase(AttentionDesc{Rows: 1, Seq: 200, Heads: 4, KVHeads: 2, Dim: 128}, documents(200, 60), "documents"),
		attentionGradCase(AttentionDesc{Rows: 2, Seq: 300, Heads: 4, KVHeads: 1, Dim: 32}, documents(300, 40), "documents"), // blocks are skipped
		attentionGradCase(AttentionDesc{Rows: 3, Seq: 37, Heads: 2, KVHeads: 2, Dim: 16}, documents(37, 9), "documents"),
		attentionGradCase(AttentionDesc{Rows: 1, Seq: 70, Heads: 2, KVHeads: 1, Dim: 96}, oneDocument, "one"),
		attentionGradCase(AttentionDesc{Rows: 2, Seq: 65, Heads: 2, KVHeads: 1, Dim: 24}, documents(65, 5), "documents"), // zeros behind a head's dims
		attentionGradCaseBy(together, AttentionDesc{Rows: 1, Seq: 384, Heads: 4, KVHeads: 2, Dim: 64}, oneDocument, "one"),
		attentionGradCaseBy(together, AttentionDesc{Rows: 2, Seq: 300, Heads: 4, KVHeads: 1, Dim: 32}, documents(300, 40), "documents"),
		large(attentionGradCase(AttentionDesc{Rows: 1, Seq: 4096, Heads: 32, KVHeads: 4, Dim: 128}, oneDocument, "one")),
		large(attentionGradCase(AttentionDesc{Rows: 1, Seq: 4096, Heads: 32, KVHeads: 4, Dim: 128}, documents(4096, 512), "documents")),
		large(attentionGradCase(AttentionDesc{Rows: 8, Seq: 4096, Heads: 16, KVHeads: 4, Dim: 64}, oneDocument, "one")),
	}
}}

// attentionGradTruth computes elements of dqkv in float64. o and lse are stand-ins of the right size: the gradient's
// formulas hold for any.
type attentionGradTruth struct {
	*attentionTruth
	o func(int) float64
}

func (a attentionGradTruth) lse(i int) float64 {
	t := i / a.d.Heads
	return float64(float32(math.Log(float64(t%a.d.Seq-a.start(t)+1)) + 0.5))
}

func (a attentionGradTruth) grad(token, head, i int) float64 {
	return a.do((token*a.d.Heads+head)*a.d.Dim + i)
}

// delta is the sum of dO∘O over a head.
func (a attentionGradTruth) delta(token, head int) (sum float64) {
	for i := range a.d.Dim {
		sum += a.grad(token, head, i) * a.o((token*a.d.Heads+head)*a.d.Dim+i)
	}
	return sum
}

// pair returns P and dS of a query and a key it sees, and P·(Σ|dO·V| + |delta|), of which dS is the difference.
func (a attentionGradTruth) pair(query, head, key int, delta float64) (p, ds, magnitude float64) {
	kv := a.d.Heads + head/a.d.group()
	var s, dp float64
	for i := range a.d.Dim {
		s += a.at(query, head, i) * a.at(key, kv, i)
		v := a.grad(query, head, i) * a.at(key, kv+a.d.KVHeads, i)
		dp += v
		magnitude += math.Abs(v)
	}
	p = math.Exp(a.scale*s - a.lse(query*a.d.Heads+head))
	return p, p * (dp - delta), p * (magnitude + math.Abs(delta))
}

// term is what one query and key (of one head) add to a row of the gradient: factor times a row of Q, K or dO.
type term struct {
	factor, magnitude float64
	row               func(i int) float64
}

// terms lists what makes up the row of dqkv of a token and a head of the packed projection.
func (a attentionGradTruth) terms(token, head int) (out []term) {
	d := a.d
	first, end := token/d.Seq*d.Seq, (token/d.Seq+1)*d.Seq
	if head < d.Heads {
		delta := a.delta(token, head)
		for key := first + a.start(token); key <= token; key++ {
			_, ds, magnitude := a.pair(token, head, key, delta)
			out = append(out, term{a.scale * ds, a.scale * magnitude,
				func(i int) float64 { return a.at(key, d.Heads+head/d.group(), i) }})
		}
		return out
	}
	kv := (head - d.Heads) % d.KVHeads
	for h := kv * d.group(); h < (kv+1)*d.group(); h++ {
		for query := token; query < end; query++ {
			if first+a.start(query) > token {
				continue
			}
			p, ds, magnitude := a.pair(query, h, token, a.delta(query, h))
			if head < d.Heads+d.KVHeads {
				out = append(out, term{a.scale * ds, a.scale * magnitude, func(i int) float64 { return a.at(query, h, i) }})
			} else {
				out = append(out, term{p, p, func(i int) float64 { return a.grad(query, h, i) }})
			}
		}
	}
	return out
}

func attentionGradCase(d AttentionDesc, start func(int) int, packing string) Case {
	return attentionGradCaseBy(attentionGradConfig, d, start, packing)
}

func attentionGradCaseBy(c AttentionGradConfig, d AttentionDesc, start func(int) int, packing string) Case {
	a := attentionGradTruth{newAttentionTruth(d, start), normal(32, 1)}
	heads := d.Heads + 2*d.KVHeads
	row := rowCache(func(r int) []term { return a.terms(r/heads, r%heads) })
	return Case{
		Name: fmt.Sprintf("%s_%s", c.Name(d), packing),
		Emit: func(m *ptx.Module) {
			EmitAttentionGradStats(m, d, c)
			EmitAttentionGrad(m, d, c)
			EmitAttentionGradQ(m, d, c)
		},
		Buffers: []Buffer{{"do", ptx.BF16, d.tokens() * d.Heads * d.Dim, a.do}, {"qkv", ptx.BF16, d.tokens() * d.width(), a.qkv},
			{"o", ptx.BF16, d.tokens() * d.Heads * d.Dim, a.o}, {"lse", ptx.F32, d.tokens() * d.Heads, a.lse},
			{"starts", ptx.S32, d.tokens(), func(t int) float64 { return float64(start(t)) }},
			{"dqkv", ptx.BF16, d.tokens() * d.width(), nil}, {"work", ptx.F32, d.space().end / 4, nil}},
		Launches: attentionGradLaunches(d, c, a.scale, "do", "qkv", "o", "lse", "starts", "dqkv", "work"),
		Outputs: []Output{{Buffer: "dqkv", Row: d.Dim, Rel: bf16Rel, Acc: 1.1 * 0x1p-8,
			Why: "P and dS are rounded to bf16 (2^-8 of each term); the rest, float32 sums and 2^x to 2^-22, is a tenth of that; a rounding of the result",
			Want: func(i int) (value, magnitude float64, ok bool) {
				for _, t := range row(i / d.Dim) {
					x := t.row(i % d.Dim)
					value += t.factor * x
					magnitude += t.magnitude * math.Abs(x)
				}
				return value, magnitude, true
			}}},
		Floor: AttentionGradFloor(d),
	}
}
