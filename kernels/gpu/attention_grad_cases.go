package gpu

import (
	"fmt"
	"math"

	"moegen/kernels/ptx"
)

var attentionGradFamily = Family{Name: "attention_grad", Cases: func() []Case {
	return []Case{
		attentionGradCase(AttentionGradDesc{Heads: 1, KVHeads: 1, Sequences: 1, Seq: 128}),
		attentionGradCase(AttentionGradDesc{Heads: 1, KVHeads: 1, Sequences: 1, Seq: 384}), // three blocks of keys in turn
		attentionGradCase(AttentionGradDesc{Heads: 4, KVHeads: 2, Sequences: 1, Seq: 200}), // groups; ragged ends
		attentionGradCase(AttentionGradDesc{Heads: 2, KVHeads: 1, Sequences: 2, Seq: 36}),
		large(attentionGradCase(AttentionGradDesc{Heads: 32, KVHeads: 4, Sequences: 1, Seq: 4096})),
	}
}}

// attentionReference computes elements of dqkv in float64. lse is a stand-in of the right size: the gradient's
// formulas hold for any.
type attentionReference struct {
	d          AttentionGradDesc
	qkv, o, do func(int) float64
}

func (a attentionReference) lse(i int) float64 {
	return float64(float32(math.Log(float64(i/a.d.Heads%a.d.Seq+1)) + 0.5))
}

func (a attentionReference) at(token, head, i int) float64 {
	return a.qkv(token*a.d.width() + head*headDim + i)
}

func (a attentionReference) grad(token, head, i int) float64 {
	return a.do((token*a.d.Heads+head)*headDim + i)
}

// delta is the sum of dO∘O over a head.
func (a attentionReference) delta(token, head int) (sum float64) {
	for i := range headDim {
		sum += a.grad(token, head, i) * a.o((token*a.d.Heads+head)*headDim+i)
	}
	return sum
}

// pair returns P and dS of a query and a key it sees, and P·(Σ|dO·V| + |delta|), of which dS is the difference.
func (a attentionReference) pair(query, head, key int, delta float64) (p, ds, magnitude float64) {
	kv := a.d.Heads + head/a.d.group()
	var s, dp float64
	for i := range headDim {
		s += a.at(query, head, i) * a.at(key, kv, i)
		v := a.grad(query, head, i) * a.at(key, kv+a.d.KVHeads, i)
		dp += v
		magnitude += math.Abs(v)
	}
	p = math.Exp(a.d.scale()*s - a.lse(query*a.d.Heads+head))
	return p, p * (dp - delta), p * (magnitude + math.Abs(delta))
}

// term is what one query and key (of one head) add to a row of the gradient: factor times a row of Q, K or dO.
type term struct {
	factor, magnitude float64
	row               func(i int) float64
}

// terms lists what makes up the row of dqkv of a token and a head of the packed projection.
func (a attentionReference) terms(token, head int) (out []term) {
	d := a.d
	first, end := token/d.Seq*d.Seq, (token/d.Seq+1)*d.Seq
	if head < d.Heads {
		delta := a.delta(token, head)
		for key := first; key <= token; key++ {
			_, ds, magnitude := a.pair(token, head, key, delta)
			out = append(out, term{d.scale() * ds, d.scale() * magnitude,
				func(i int) float64 { return a.at(key, d.Heads+head/d.group(), i) }})
		}
		return out
	}
	kv := (head - d.Heads) % d.KVHeads
	for h := kv * d.group(); h < (kv+1)*d.group(); h++ {
		for query := token; query < end; query++ {
			p, ds, magnitude := a.pair(query, h, token, a.delta(query, h))
			if head < d.Heads+d.KVHeads {
				out = append(out, term{d.scale() * ds, d.scale() * magnitude, func(i int) float64 { return a.at(query, h, i) }})
			} else {
				out = append(out, term{p, p, func(i int) float64 { return a.grad(query, h, i) }})
			}
		}
	}
	return out
}

func attentionGradCase(d AttentionGradDesc) Case {
	a := attentionReference{d: d, qkv: normal(31, 1), o: normal(32, 1), do: normal(33, 1)}
	heads := d.Heads + 2*d.KVHeads
	row := rowCache(func(r int) []term { return a.terms(r/heads, r%heads) })
	scratch := d.Heads * d.statRow()
	return Case{
		Name: fmt.Sprintf("h%d_kv%d_n%d_s%d", d.Heads, d.KVHeads, d.Sequences, d.Seq),
		Emit: func(m *ptx.Module) { EmitAttentionGrad(m, d) },
		Buffers: []Buffer{{"qkv", ptx.BF16, d.tokens() * d.width(), a.qkv}, {"o", ptx.BF16, d.tokens() * d.Heads * headDim, a.o},
			{"do", ptx.BF16, d.tokens() * d.Heads * headDim, a.do}, {"lse", ptx.F32, d.tokens() * d.Heads, a.lse},
			{"lse2", ptx.F32, scratch, nil}, {"delta", ptx.F32, scratch, nil}, {"dqkv", ptx.BF16, d.tokens() * d.width(), nil},
			{"sum_q", ptx.F32, d.sumQ(), nil}, {"sum_kv", ptx.F32, d.sumKV(), nil}, {"flags", ptx.S32, 1 + d.flagsQ() + d.flagsKV(), zeros}},
		Launches: attentionGradLaunches(d),
		Outputs: []Output{{Buffer: "dqkv", Rel: bf16Rel, Acc: 1.1 * 0x1p-8,
			Why: "P and dS are rounded to bf16 (2^-8 of each term); the rest, float32 sums and 2^x to 2^-22, is a tenth of that; a rounding of the result",
			Want: func(i int) (value, magnitude float64, ok bool) {
				for _, t := range row(i / headDim) {
					x := t.row(i % headDim)
					value += t.factor * x
					magnitude += t.magnitude * math.Abs(x)
				}
				return value, magnitude, true
			}}},
		Floor: AttentionGradFloor(d),
	}
}
