package train

import (
	"math"

	"moegen/runtime/checkpoint"
	"moegen/runtime/host"
	"moegen/runtime/safetensors"
)

// bigram is a small model written by hand as a Program, so that every command can be tried without the generator. A
// token's hidden state is its embedding plus half the embedding of the first token of its document, scaled
// dim by dim by the token's expert (token mod experts); the next token's logits are a linear map of it:
//
//	x_t = (embed[token_t] + ½·embed[token_start(t)]) ∘ scale[token_t mod E]      logits_t = head·x_t
//
// The experts' scales are split over the ranks. The auxiliary loss is Σ scale².
type bigram struct {
	ranks, rows, seq   int
	vocab, dim, expert int
	aux                float64

	top                              int64 // arena bytes handed out
	embed, head, scale               array // parameters
	tokens, targets, starts          int64
	positions, record, loss, auxLoss int64
	gradNorm, headRow, logits        int64
	x, dx, dscale, chosen, sums      int64
	clip                             int64
	grads                            int64 // bytes of gradients, which lie from top on
}

// array is where a parameter lies: value, terms of the gradient, and the gradient and the moments of a rank's share of what so many
// ranks hold.
type array struct {
	n                          int
	value, terms, grad, m1, m2 int64
	parts, share               int
}

const (
	testVocab   = 260 // 256 bytes and what the test tokenizer adds
	testHidden  = 8
	testExperts = 4
)

// newBigram lays out the model for so many ranks, each with rows sequences of seq tokens a micro-batch.
func newBigram(ranks, rows, seq int, aux float64) *bigram {
	b := &bigram{ranks: ranks, rows: rows, seq: seq, vocab: testVocab, dim: testHidden, expert: testExperts, aux: aux}
	b.embed, b.head = b.param(b.vocab*b.dim, ranks), b.param(b.vocab*b.dim, ranks)
	b.scale = b.param(b.expert/ranks*b.dim, 1)
	t := rows * seq
	b.tokens, b.targets, b.positions, b.starts = b.take(t), b.take(t), b.take(t), b.take(t)
	b.record, b.loss, b.auxLoss, b.gradNorm = b.take(host.RecordLen), b.take(1), b.take(1), b.take(1)
	b.headRow = b.take(1)
	b.x, b.dx, b.chosen = b.take(t*b.dim), b.take(t*b.dim), b.take(2*t)
	b.dscale, b.sums, b.clip = b.take(b.expert*b.dim), b.take(2*2), b.take(1)
	b.logits = b.top
	b.placeGradients()
	return b
}

// placeGradients puts them behind all else; where a step has one micro-batch, their memory is that of the logits at other times.
func (b *bigram) placeGradients() {
	for _, a := range []*array{&b.embed, &b.head, &b.scale} {
		a.grad = b.grads
		b.grads += round64(4 * a.share)
	}
	b.top = b.logits + b.grads
	for _, a := range []*array{&b.embed, &b.head, &b.scale} {
		a.grad += b.top
	}
}

// headRows does not divide the tests' token counts: the last call of Head has rows to spare.
const headRows = 5

// take reserves n elements of four bytes.
func (b *bigram) take(n int) int64 {
	at := b.top
	b.top += round64(4 * n)
	return at
}

func round64(bytes int) int64 { return (int64(bytes) + 63) &^ 63 }

func (b *bigram) param(n, parts int) array {
	share := n
	if parts > 1 {
		share = ((n+parts-1)/parts + 127) / 128 * 128
	}
	return array{n: n, value: b.take(n), terms: b.take(n), m1: b.take(share), m2: b.take(share), parts: parts, share: share}
}

func (b *bigram) program() Program {
	floats := func(at int64) checkpoint.Array { return checkpoint.Array{At: at, DType: safetensors.F32} }
	param := func(name string, shape []int, a array, sharded bool, init checkpoint.Init, pieces ...checkpoint.Piece) checkpoint.Param {
		return checkpoint.Param{Name: name, Shape: shape, Sharded: sharded, Pieces: pieces, Init: init,
			Value: floats(a.value), Grad: floats(a.grad),
			State: []checkpoint.State{{Name: "exp_avg", Array: floats(a.m1)}, {Name: "exp_avg_sq", Array: floats(a.m2)}},
			Share: a.share}
	}
	table := []int{b.vocab, b.dim}
	normal := checkpoint.Init{Kind: checkpoint.InitNormal, Std: 0.5}
	auxAt := b.auxLoss
	if b.aux == 0 {
		auxAt = -1
	}
	return Program{
		Manifest: Manifest{
			Model: "bigram", Architecture: "bigram", Config: bigramConfig, Version: "test", Target: "cpu", DType: "f32",
			Seq: b.seq, MicroBatch: b.rows, Ranks: b.ranks, EP: b.ranks,
			Vocab: b.vocab, Hidden: b.dim, Layers: 1, Experts: b.expert, TopK: 1, AuxCoef: b.aux,
			Parameters: int64(2*b.vocab*b.dim + b.expert*b.dim), ActiveParameters: int64(2*b.vocab*b.dim + b.dim),
			FLOPsPerToken: int64(6 * b.vocab * b.dim), ArenaBytes: b.top, GradientBytes: b.grads, PeakBytesPerGPU: b.top,
			AccumulatingBytesPerGPU: b.top + b.grads, PlanHash: "bigram",
		},
		Params: []checkpoint.Param{
			param("embed", table, b.embed, false, normal, checkpoint.Piece{Name: "model.embed_tokens.weight", Shape: table}),
			param("scale", []int{b.expert, b.dim}, b.scale, true, checkpoint.Init{Kind: checkpoint.InitOnes},
				checkpoint.Piece{Name: "model.experts.%d.weight", Shape: []int{b.dim}, Count: b.expert, Step: b.dim}),
			param("head", table, b.head, false, normal, checkpoint.Piece{Name: "lm_head.weight", Shape: table}),
		},
		Layout: Layout{
			Tokens: b.tokens, Targets: b.targets, Positions: b.positions, Starts: b.starts,
			Record: b.record, Loss: b.loss, AuxLoss: auxAt, Choice: -1, PoolUse: -1, GradNorm: b.gradNorm,
			HeadRow: b.headRow, HeadRows: headRows, Logits: b.logits, LogitsType: safetensors.F32,
		},
		Target: CPU(b.parts()),
	}
}

func (b *bigram) parts() Parts[host.Rank] {
	return Parts[host.Rank]{Setup: func(*host.Rank) {}, MicroBatch: b.microBatch, Update: b.update, Eval: b.forward, Head: b.headLogits}
}

const bigramConfig = `{"model_type": "bigram", "vocab_size": 260, "hidden_size": 8, "rope_theta": 10000.0, "eos_token_id": null}`

// scaleOf is the scale of an expert, on whichever rank it lives.
func (b *bigram) scaleOf(r *host.Rank, expert int) []float32 {
	local := b.expert / b.ranks
	all := host.Peer(r, expert/local, r.F32(b.scale.value, b.scale.n))
	return all[expert%local*b.dim:][:b.dim]
}

// row is a row of a table of dim columns.
func (b *bigram) row(table []float32, i int) []float32 { return table[i*b.dim:][:b.dim] }

// forward writes the hidden states and the loss.
func (b *bigram) forward(r *host.Rank) {
	t := b.rows * b.seq
	tokens, targets, starts := r.I32(b.tokens, t), r.I32(b.targets, t), r.I32(b.starts, t)
	embed, head, x := r.F32(b.embed.value, b.embed.n), r.F32(b.head.value, b.head.n), r.F32(b.x, t*b.dim)
	chosen := r.I32(b.chosen, 2*t)
	loss := 0.0
	p := make([]float64, b.vocab)
	for i, token := range tokens {
		expert := int(token) % b.expert
		chosen[2*i], chosen[2*i+1] = int32(expert), int32((expert+1)%b.expert)
		first := tokens[i/b.seq*b.seq+int(starts[i])]
		own, start, scale := b.row(embed, int(token)), b.row(embed, int(first)), b.scaleOf(r, expert)
		for d := range b.dim {
			b.row(x, i)[d] = (own[d] + start[d]/2) * scale[d]
		}
		if targets[i] >= 0 {
			b.softmax(head, b.row(x, i), p)
			loss -= math.Log(p[targets[i]])
		}
	}
	r.F32(b.loss, 1)[0] = float32(loss * float64(r.F32(b.record, host.RecordLen)[host.RecordLossNorm]))
	r.TapF32("hidden", 0, x)
	r.TapI32("topk", 0, chosen)
}

// softmax writes the probabilities of all tokens after a hidden state.
func (b *bigram) softmax(head, x []float32, p []float64) {
	top, sum := math.Inf(-1), 0.0
	for v := range p {
		p[v] = 0
		for d, h := range b.row(head, v) {
			p[v] += float64(h) * float64(x[d])
		}
		top = max(top, p[v])
	}
	for v := range p {
		p[v] = math.Exp(p[v] - top)
		sum += p[v]
	}
	for v := range p {
		p[v] /= sum
	}
}

func (b *bigram) microBatch(r *host.Rank) {
	b.forward(r)
	t := b.rows * b.seq
	record := r.F32(b.record, host.RecordLen)
	tokens, targets, starts := r.I32(b.tokens, t), r.I32(b.targets, t), r.I32(b.starts, t)
	embed, head, x := r.F32(b.embed.value, b.embed.n), r.F32(b.head.value, b.head.n), r.F32(b.x, t*b.dim)
	dembed, dhead, dscale := r.F32(b.embed.terms, b.embed.n), r.F32(b.head.terms, b.head.n), r.F32(b.dscale, b.expert*b.dim)
	if !r.Accumulate() {
		clear(r.F32(b.scale.grad, b.scale.n))
	}
	clear(dembed)
	clear(dhead)
	clear(dscale)
	p, dx := make([]float64, b.vocab), make([]float64, b.dim)
	for i, token := range tokens {
		if targets[i] < 0 {
			continue
		}
		b.softmax(head, b.row(x, i), p)
		p[targets[i]]--
		clear(dx)
		for v := range p {
			g := p[v] * float64(record[host.RecordLossNorm])
			for d, h := range b.row(head, v) {
				dx[d] += g * float64(h)
				b.row(dhead, v)[d] += float32(g * float64(b.row(x, i)[d]))
			}
		}
		expert, first := int(token)%b.expert, int(tokens[i/b.seq*b.seq+int(starts[i])])
		scale := b.scaleOf(r, expert)
		for d := range b.dim {
			b.row(dscale, expert)[d] += float32(dx[d]) * (b.row(embed, int(token))[d] + b.row(embed, first)[d]/2)
			b.row(dembed, int(token))[d] += float32(dx[d]) * scale[d]
			b.row(dembed, first)[d] += float32(dx[d]) * scale[d] / 2
		}
	}
	b.expertGrad(r)
	for _, a := range []array{b.embed, b.head} {
		host.ReduceScatter(r, a.parts, 1, r.F32(a.terms, a.n), r.Accumulate(), r.F32(a.grad, a.share))
	}
}

// expertGrad adds all ranks' gradients of this rank's experts, and the auxiliary loss.
func (b *bigram) expertGrad(r *host.Rank) {
	r.Barrier()
	grad, scale := r.F32(b.scale.grad, b.scale.n), r.F32(b.scale.value, b.scale.n)
	for rank := range b.ranks {
		theirs := host.Peer(r, rank, r.F32(b.dscale, b.expert*b.dim))[r.ID*b.scale.n:]
		for i := range grad {
			grad[i] += theirs[i]
		}
	}
	aux := 0.0
	for e := range b.expert {
		for _, s := range b.scaleOf(r, e) {
			aux += float64(s) * float64(s)
		}
	}
	if b.aux != 0 {
		r.F32(b.auxLoss, 1)[0] = float32(aux)
		for i := range grad {
			grad[i] += 2 * scale[i] * r.F32(b.record, host.RecordLen)[host.RecordAuxNorm]
		}
	}
	r.Barrier()
}

func (b *bigram) update(r *host.Rank) {
	sum := r.F64(b.sums, 1)
	record, norm, scale := r.F32(b.record, host.RecordLen), r.F32(b.gradNorm, 1), r.F32(b.clip, 1)
	all := []array{b.embed, b.head, b.scale}
	for i, a := range all {
		host.SumSquares(r.Pool, r.F32(a.grad, a.share), i == 0, sum)
	}
	host.AllReduceF64(r, sum)
	host.ClipScale(record, sum, norm, scale)
	for _, a := range all {
		value := r.F32(a.value, a.n)
		host.AdamW(r.Pool, a.parts, 1, scale, record, r.F32(a.grad, a.share), value, r.F32(a.m1, a.share), r.F32(a.m2, a.share))
		host.AllGather(r, a.parts, 1, value) // also in front of the next step, in which peers read our scales
	}
}

func (b *bigram) headLogits(r *host.Rank) {
	t := b.rows * b.seq
	head, x, logits := r.F32(b.head.value, b.head.n), r.F32(b.x, t*b.dim), r.F32(b.logits, headRows*b.vocab)
	first := int(r.I32(b.headRow, 1)[0])
	for i := range headRows {
		for v := range b.vocab {
			sum := 0.0
			for d, h := range b.row(head, v) {
				if first+i < t {
					sum += float64(h) * float64(b.row(x, first+i)[d])
				}
			}
			logits[i*b.vocab+v] = float32(sum)
		}
	}
}
