package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

var crossEntropyFamily = Family{Name: "cross_entropy", Cases: func() []Case {
	return []Case{crossEntropyCase(5, 1000), crossEntropyCase(2, 8), crossEntropyCase(2, 9000),
		projectedLossCase(136, 16, 40), large(crossEntropyCase(1024, 151936))}
}}

// crossEntropyCase is the loss alone, of logits; the second token has no target.
func crossEntropyCase(tokens, vocab int) Case {
	const norm = 0.125
	d := LossDesc{Tokens: tokens, Vocab: vocab, Loss: true, Grad: true}
	z := normal(61, 3)
	target := func(t int) int {
		if t == 1 {
			return -100
		}
		return int(mix(uint64(t)+9) % uint64(vocab))
	}
	type token struct {
		p    []float64
		loss float64
	}
	solve := rowCache(func(t int) token {
		x := token{p: make([]float64, vocab)}
		if target(t) < 0 {
			return x
		}
		sum := 0.0
		for v := range x.p {
			x.p[v] = math.Exp(z(t*vocab + v))
			sum += x.p[v]
		}
		for v := range x.p {
			x.p[v] *= norm / sum
		}
		x.loss = -norm * math.Log(x.p[target(t)]/norm)
		x.p[target(t)] -= norm
		return x
	})
	return Case{
		Name: fmt.Sprintf("%dx%d", tokens, vocab),
		Emit: func(m *ptx.Module) { d.emit(m); d.emitLossSum(m) },
		Buffers: []Buffer{{"logits", ptx.BF16, tokens * vocab, z}, {"targets", ptx.S32, tokens, func(t int) float64 { return float64(target(t)) }},
			{"record", ptx.F32, ir.RecordLen, func(i int) float64 { return map[int]float64{ir.RecordLossNorm: norm}[i] }},
			{"losses", ptx.F32, tokens, nil}, {"loss", ptx.F32, 1, nil}},
		Launches: []Launch{
			d.losses(tokens, Place("logits"), Place("targets"), Place("record"), Place("losses"), Place("logits")).Launch,
			d.sum(Place("losses"), "loss").Launch,
		},
		Outputs: []Output{
			{Buffer: "logits", Rel: bf16Rel, Acc: 0x1p-20, Why: "a rounding to bf16 (2^-8) of an exponential to 2^-20 and, at the target, a difference",
				Want: func(i int) (float64, float64, bool) { return solve(i / vocab).p[i%vocab], norm, true }},
			{Buffer: "loss", Rel: 0x1p-18, Why: "exponentials and a logarithm to 2^-20 each",
				Want: func(int) (float64, float64, bool) {
					sum := 0.0
					for t := range tokens {
						sum += solve(t).loss
					}
					return sum, 0, true
				}},
		},
		Floor: Floor{Bytes: 4 * int64(tokens) * int64(vocab)},
	}
}

// projectedLossCase is the output projection and its loss in chunks of 128 tokens, whose gradient is added to one before.
func projectedLossCase(tokens, dim, vocab int) Case {
	const norm = 0.125
	d := LossDesc{Tokens: tokens, Vocab: vocab, Loss: true, Grad: true, Dim: dim, Add: Accumulate}
	x, w, grad := normal(62, 1), normal(63, 1/math.Sqrt(float64(dim))), normal(64, 0.1)
	target := func(t int) int { return int(mix(uint64(t)+2) % uint64(vocab)) }
	dz, loss := make([]float64, tokens*vocab), 0.0
	for t := range tokens {
		p, sum := dz[t*vocab:(t+1)*vocab], 0.0
		for v := range p {
			z := 0.0
			for i := range dim {
				z += x(t*dim+i) * w(v*dim+i)
			}
			p[v] = math.Exp(z)
			sum += p[v]
		}
		loss += norm * math.Log(sum/p[target(t)])
		for v := range p {
			p[v] *= norm / sum
		}
		p[target(t)] -= norm
	}
	steps := d.steps(projectedLoss{"x", "w", "targets", "record", "dw", "loss", "dx", "dw", Work})
	c := Case{
		Name: fmt.Sprintf("%dx%dx%d_chunks_of_%d", tokens, dim, vocab, d.chunk()),
		Emit: func(m *ptx.Module) {
			done := map[string]bool{}
			for _, s := range steps {
				if !done[s.Entry] {
					done[s.Entry] = true
					s.Emit(m)
				}
			}
		},
		Buffers: []Buffer{{"x", ptx.BF16, tokens * dim, x}, {"w", ptx.BF16, vocab * dim, w},
			{"targets", ptx.S32, tokens, func(t int) float64 { return float64(target(t)) }},
			{"record", ptx.F32, ir.RecordLen, func(i int) float64 {
				return map[int]float64{ir.RecordLossNorm: norm, ir.RecordAccumulate: 1}[i]
			}},
			{"loss", ptx.F32, 1, nil}, {"dx", ptx.BF16, tokens * dim, nil}, {"dw", ptx.BF16, vocab * dim, grad},
			{Work, ptx.F32, ceil(d.workspace(), 4), nil}},
		Outputs: []Output{
			{Buffer: "loss", Rel: 0x1p-7, Why: "logits of up to 4 rounded to bf16 are off by 2^-7",
				Want: func(int) (float64, float64, bool) { return loss, 0, true }},
			{Buffer: "dx", Rel: bf16Rel, Acc: 0x1p-6, Why: "logits off by 2^-7 change a probability by twice as much; roundings to bf16 (2^-8)",
				Want: func(i int) (value, magnitude float64, ok bool) {
					for v := range vocab {
						term := dz[i/dim*vocab+v] * w(v*dim+i%dim)
						value, magnitude = value+term, magnitude+math.Abs(term)
					}
					return value, magnitude, true
				}},
			{Buffer: "dw", Rel: 2 * bf16Rel, Acc: 0x1p-6, Why: "as dx; a rounding for every chunk",
				Want: func(i int) (value, magnitude float64, ok bool) {
					value = grad(i)
					magnitude = math.Abs(value)
					for t := range tokens {
						term := dz[t*vocab+i/dim] * x(t*dim+i%dim)
						value, magnitude = value+term, magnitude+math.Abs(term)
					}
					return value, magnitude, true
				}},
		},
		Floor: Floor{FLOPs: 6 * int64(tokens) * int64(dim) * int64(vocab), Bytes: int64(4*tokens*dim + 6*vocab*dim + 4*tokens)},
	}
	for _, s := range steps {
		c.Launches = append(c.Launches, s.Launch)
	}
	return c
}
