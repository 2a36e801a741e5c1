package gpu

import (
	"fmt"
	"math"
	"sync"

	"moegen/kernels/ptx"
)

// qkNormRopeShapes are the layouts that both directions are shown right for, with tokens for each.
var qkNormRopeShapes = []struct {
	desc   QKNormRopeDesc
	tokens int
}{
	{QKNormRopeDesc{Heads: 4, KVHeads: 2, Dim: 128, Norm: true, Rotary: 64}, 13},
	{QKNormRopeDesc{Heads: 5, KVHeads: 5, Dim: 64, Norm: true, Rotary: 32}, 9},   // no whole number of passes
	{QKNormRopeDesc{Heads: 34, KVHeads: 2, Dim: 256, Norm: true, Rotary: 32}, 3}, // partly rotated; several rounds and a rest
	{QKNormRopeDesc{Heads: 6, KVHeads: 1, Dim: 80, Norm: true, Rotary: 20}, 5},   // pieces of 8 bytes; lanes without any
	{QKNormRopeDesc{Heads: 2, KVHeads: 1, Dim: 8, Norm: true, Rotary: 2}, 11},    // pieces of 4 bytes
	{QKNormRopeDesc{Heads: 4, KVHeads: 2, Dim: 96, Norm: true}, 6},
	{QKNormRopeDesc{Heads: 4, KVHeads: 2, Dim: 96, Rotary: 48}, 6},
}

// qwen3Heads are the heads of Qwen3-30B-A3B.
var qwen3Heads = QKNormRopeDesc{Heads: 32, KVHeads: 4, Dim: 128, Norm: true, Rotary: 64}

// qkNormRopeSeq is the length of the tables.
const qkNormRopeSeq = 40

// qkNormRopeData is what both directions are computed from.
type qkNormRopeData struct {
	d                QKNormRopeDesc
	tokens           int
	x, wq, wk, dy    func(int) float64
	cos, sin, places func(int) float64
}

const qkNormRopeEps = 1e-6

func newQKNormRopeData(d QKNormRopeDesc, tokens int) *qkNormRopeData {
	angle := func(f func(float64) float64) func(int) float64 {
		return func(i int) float64 {
			return bf16(f(float64(i/d.Rotary) * math.Pow(1e4, -float64(i%d.Rotary)/float64(d.Rotary))))
		}
	}
	return &qkNormRopeData{d: d, tokens: tokens, x: normal(41, 1), wq: normal(42, 1), wk: normal(43, 1), dy: normal(44, 1),
		cos: angle(math.Cos), sin: angle(math.Sin), places: func(t int) float64 { return float64(t * 7 % qkNormRopeSeq) }}
}

func (q *qkNormRopeData) buffers() []Buffer {
	d := q.d
	out := []Buffer{{"x", ptx.BF16, q.tokens * d.width(), q.x}}
	if d.Norm {
		out = append(out, Buffer{"wq", ptx.BF16, d.Dim, q.wq}, Buffer{"wk", ptx.BF16, d.Dim, q.wk})
	}
	if d.Rotary > 0 {
		out = append(out, Buffer{"cos", ptx.BF16, qkNormRopeSeq * d.Rotary, q.cos}, Buffer{"sin", ptx.BF16, qkNormRopeSeq * d.Rotary, q.sin},
			Buffer{"positions", ptx.S32, q.tokens, q.places})
	}
	return out
}

func (q *qkNormRopeData) args() []Arg {
	return q.d.args(q.tokens, qkNormRopeEps, "wq", "wk", "cos", "sin", "positions")
}

// weight is w of a head and dim, nil for value heads.
func (q *qkNormRopeData) weight(head int) func(int) float64 {
	switch {
	case head < q.d.Heads:
		return q.wq
	case head < q.d.Heads+q.d.KVHeads:
		return q.wk
	}
	return nil
}

// rstd is 1/sqrt(mean(x²) + eps) of head r over all tokens, 1 without a norm.
func (q *qkNormRopeData) rstd(r int) float64 {
	if !q.d.Norm {
		return 1
	}
	return rstdOf(q.x, r, q.d.Dim, qkNormRopeEps)
}

// turned returns what dim i of a head is rotated from: dims and factors; direction -1 rotates back.
func (q *qkNormRopeData) turned(token, i int, direction float64) (dims [2]int, factors [2]float64) {
	c := q.d.Rotary
	if i >= 2*c {
		return [2]int{i, i}, [2]float64{1, 0}
	}
	at := int(q.places(token))*c + i%c
	sin := direction * q.sin(at)
	if i < c {
		return [2]int{i, i + c}, [2]float64{q.cos(at), -sin}
	}
	return [2]int{i, i - c}, [2]float64{q.cos(at), sin}
}

var qkNormRopeFamily = Family{Name: "qk_norm_rope", Cases: func() []Case {
	var out []Case
	for _, s := range qkNormRopeShapes {
		out = append(out, qkNormRopeCase(s.desc, s.tokens, QKNormRopeConfig{Warps: 4, Heads: 2}))
	}
	return append(out, large(qkNormRopeCase(qwen3Heads, 4096, qkNormRopeConfig)), large(qkNormRopeCase(qwen3Heads, 32768, qkNormRopeConfig)))
}}

func qkNormRopeCase(d QKNormRopeDesc, tokens int, c QKNormRopeConfig) Case {
	q := newQKNormRopeData(d, tokens)
	heads := d.Heads + 2*d.KVHeads
	rstd := rowCache(q.rstd)
	return Case{
		Name:     fmt.Sprintf("t%d_%s", tokens, c.Name(d)),
		Emit:     func(m *ptx.Module) { EmitQKNormRope(m, d, c) },
		Buffers:  append(q.buffers(), Buffer{"y", ptx.BF16, tokens * d.width(), nil}),
		Launches: []Launch{qkNormRopeLaunch(d, c, tokens, q.args(), "x", "y")},
		Outputs: []Output{{Buffer: "y", Rel: bf16Rel, Acc: 0x1p-19,
			Why: "a rounding to bf16; float32's of rsqrt and of sums of up to 256 squares in chains of 16 and 4, and of the rotation",
			Want: func(i int) (value, magnitude float64, ok bool) {
				r, j := i/d.Dim, i%d.Dim
				w := q.weight(r % heads)
				if w == nil {
					return q.x(i), 0, true
				}
				dims, factors := q.turned(r/heads, j, 1)
				for n, f := range factors {
					v := q.x(r*d.Dim+dims[n]) * rstd(r) * f
					if d.Norm {
						v *= w(dims[n])
					}
					value += v
					magnitude += math.Abs(v)
				}
				return value, magnitude, true
			}}},
		Floor: QKNormRopeFloor(d, tokens),
	}
}

var qkNormRopeGradFamily = Family{Name: "qk_norm_rope_grad", Cases: func() []Case {
	var out []Case
	for i, s := range qkNormRopeShapes {
		out = append(out, qkNormRopeGradCase(s.desc, s.tokens, QKNormRopeGradConfig{Warps: 2, Heads: 1 + i%2, Partials: 3}, i%3 == 0))
	}
	return append(out, large(qkNormRopeGradCase(qwen3Heads, 4096, qkNormRopeGradConfig, true)),
		large(qkNormRopeGradCase(qwen3Heads, 32768, qkNormRopeGradConfig, true)))
}}

// qkNormRopeGradCase is a case in which the result lies where the gradient was, or not.
func qkNormRopeGradCase(d QKNormRopeDesc, tokens int, c QKNormRopeGradConfig, inPlace bool) Case {
	q := newQKNormRopeData(d, tokens)
	heads := d.Heads + 2*d.KVHeads
	// g and n of an element and their magnitudes
	back := func(i int) (g, magnitude float64) {
		dims, factors := q.turned(i/d.Dim/heads, i%d.Dim, -1)
		for n, f := range factors {
			v := q.dy(i/d.Dim*d.Dim+dims[n]) * f
			g += v
			magnitude += math.Abs(v)
		}
		return g, magnitude
	}
	rstd := rowCache(q.rstd)
	every := sync.OnceValue(func() []float64 {
		out := make([]float64, tokens*heads)
		for r := range out {
			out[r] = q.rstd(r)
		}
		return out
	})
	mean := rowCache(func(r int) (c [2]float64) { // of w g n, and of its magnitudes
		for j := range d.Dim {
			g, magnitude := back(r*d.Dim + j)
			f := q.weight(r%heads)(j) * q.x(r*d.Dim+j) * rstd(r) / float64(d.Dim)
			c[0] += f * g
			c[1] += math.Abs(f) * magnitude
		}
		return c
	})
	out := "dx"
	buffers := append(q.buffers(), Buffer{"dy", ptx.BF16, tokens * d.width(), q.dy})
	if inPlace {
		out = "dy"
	} else {
		buffers = append(buffers, Buffer{"dx", ptx.BF16, tokens * d.width(), nil})
	}
	all := Case{
		Name:     fmt.Sprintf("t%d_%s_%s", tokens, c.Name(d), out),
		Emit:     func(m *ptx.Module) { EmitQKNormRopeGrad(m, d, c) },
		Buffers:  buffers,
		Launches: qkNormRopeGradLaunches(d, c, q.args(), "dy", "x", out, "dwq", "dwk", "partial", ""),
		Outputs: []Output{{Buffer: out, Rel: bf16Rel, Acc: 0x1p-19,
			Why: "a rounding to bf16; float32's of rsqrt, of sums of up to 256 terms in chains of 16 and 4, of the rotation",
			Want: func(i int) (value, magnitude float64, ok bool) {
				r := i / d.Dim
				w := q.weight(r % heads)
				if w == nil {
					return q.dy(i), 0, true
				}
				g, magnitude := back(i)
				if !d.Norm {
					return g, magnitude, true
				}
				n, c := q.x(i)*rstd(r), mean(r)
				wi := w(i % d.Dim)
				return rstd(r) * (wi*g - n*c[0]), rstd(r) * (math.Abs(wi)*magnitude + math.Abs(n)*c[1]), true
			}}},
		Floor: QKNormRopeGradFloor(d, tokens),
	}
	if !d.Norm {
		return all
	}
	all.Emit = func(m *ptx.Module) {
		EmitQKNormRopeGrad(m, d, c)
		EmitQKNormRopeGradSum(m, d, c, false)
	}
	all.Buffers = append(all.Buffers, Buffer{"partial", ptx.F32, c.Partials * 2 * d.Dim, nil}, Buffer{"dwq", ptx.BF16, d.Dim, nil}, Buffer{"dwk", ptx.BF16, d.Dim, nil})
	for i, name := range []string{"dwq", "dwk"} {
		first, count := i*d.Heads, d.Heads-i*(d.Heads-d.KVHeads)
		chain := ceil(tokens, c.Partials*c.Warps)*ceil(count, 32/d.lanes()) + 5 + c.Warps + c.Partials/sumParts + sumParts
		all.Outputs = append(all.Outputs, Output{Buffer: name, Rel: bf16Rel, Acc: 0x1p-20 + float64(chain)*0x1p-24,
			Why: "a rounding to bf16; a chain of float32 additions, 2^-24 of the magnitude each",
			Want: func(j int) (value, magnitude float64, ok bool) {
				for t := range tokens {
					for h := first; h < first+count; h++ {
						r := t*heads + h
						g, m := back(r*d.Dim + j)
						n := q.x(r*d.Dim+j) * every()[r]
						value += g * n
						magnitude += m * math.Abs(n)
					}
				}
				return value, magnitude, true
			}})
	}
	return all
}
