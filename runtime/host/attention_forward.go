package host

import (
	"math"
)

// attentionSlack is how far, to base 2, a row's scores may lie above its shift before the shift follows: their powers and all sums
// of these stay far from the end of float32, and hardly a block brings what came before it to a new shift.
const attentionSlack = 32

// forwardScratch is what one worker needs for a block of queries.
type forwardScratch struct {
	q, scores, o                        []float32 // [queries, dim], [queries, keyStride], [queries, dim]
	shift, largest, factor, part, total []float32 // [queries]
}

func (l attentionLayout) forwardScratch(x []float32) forwardScratch {
	c := carver{x}
	n := l.queries
	return forwardScratch{
		q: c.take(n * l.dim), scores: c.take(n * l.keyStride()), o: c.take(n * l.dim),
		shift: c.take(n), largest: c.take(n), factor: c.take(n), part: c.take(n), total: c.take(n),
	}
}

func (a *attention) forward(p *Pool, qkv, o, lse, ws []float32) {
	blocks := a.b * a.g * a.blocks
	c := carver{ws}
	kt, v := c.take(blocks*a.packed()), c.take(blocks*a.packed())
	p.For(blocks, func(i int) {
		rows, key, value := a.keyBlock(qkv, i)
		keys := a.blockKeys(i % a.blocks)
		a.across(kt, i, 0).packTransposed(rows, a.d, key, a.width(), keys)
		a.along(v, i).pack(rows, a.d, value, a.width(), keys)
	})
	queries := blockCount(a.s, a.queries)
	p.ForWorker(a.b*a.h*queries, func(worker, i int) {
		// The blocks with the most keys come first, so that the last tasks to be handed out are the small ones.
		block, head := queries-1-i/(a.b*a.h), i%(a.b*a.h)
		a.forwardBlock(head/a.h, head%a.h, block*a.queries, qkv, kt, v, o, lse, a.forwardScratch(p.workerScratch(worker)))
	})
}

// forwardBlock is the attention of one block of queries of one head over all keys before them.
func (a *attention) forwardBlock(row, head, q0 int, qkv, kt, v, o, lse []float32, w forwardScratch) {
	n := min(a.queries, a.s-q0)
	rows := pad(n)
	starts := a.starts[row*a.s+q0:][:n]
	first, last := seen(starts)
	blocks := (row*a.g + head/(a.h/a.g)) * a.blocks
	a.packQueries(n, qkv[(row*a.s+q0)*a.width()+head*a.d:], w.q)
	fill(w.shift[:rows], -attentionFloor)
	clear(w.total[:rows])
	clear(w.o[:rows*a.dim])

	for block := first / a.keys; block*a.keys < q0+n; block++ {
		k0, keys := block*a.keys, a.blockKeys(block)
		for n := range a.stripes(q0, rows, k0, keys) {
			a.ops.product(rows-n.first, n.keys, a.d, w.q[n.first*a.dim:], a.dim, 1,
				a.across(kt, blocks+block, n.column), w.scores[n.first*a.keyStride()+n.column:], a.keyStride(), false)
		}
		for n := range a.bands(q0, rows, k0, keys) {
			a.mask(w.scores, q0, k0, n, starts, last)
			s, shift, part := w.scores[n.first*a.keyStride():], w.shift[n.first:][:n.rows], w.part[:n.rows]
			a.follow(n, s, w)
			a.ops.rowExp(n.rows, n.keys, s, a.keyStride(), shift, part)
			add(part, w.total[n.first:][:n.rows], w.total[n.first:][:n.rows])
			a.ops.product(n.rows, a.dim, n.keys, s, a.keyStride(), 1, a.along(v, blocks+block), w.o[n.first*a.dim:], a.dim, true)
		}
	}
	for r := range n {
		t := row*a.s + q0 + r
		scale(1/w.total[r], w.o[r*a.dim:][:a.d], o[(t*a.h+head)*a.d:][:a.d])
		lse[t*a.h+head] = float32(math.Log(float64(w.total[r])) - float64(w.shift[r])*math.Ln2)
	}
}

// packQueries copies n queries so that their products with keys are scores to base 2, with zeroes up to whole lanes.
func (a *attention) packQueries(n int, src, q []float32) {
	for r := range n {
		row := q[r*a.dim:][:a.dim]
		scale(a.exponent, src[r*a.width():][:a.d], row[:a.d])
		clear(row[a.d:])
	}
	clear(q[n*a.dim : pad(n)*a.dim])
}

// follow lowers the shifts of those rows of a band whose scores have left them behind, to minus the largest score, and brings the
// running sums and outputs to the new shifts. What a row's shift is depends on the scores that it sees, and on no other.
func (a *attention) follow(n band, scores []float32, w forwardScratch) {
	shift, total := w.shift[n.first:][:n.rows], w.total[n.first:][:n.rows]
	largest, factor := w.largest[:n.rows], w.factor[:n.rows]
	a.ops.rowMax(n.rows, n.keys, scores, a.keyStride(), largest)
	rescale := false
	for r, old := range shift {
		factor[r] = 1
		if largest[r]+old > attentionSlack {
			shift[r] = -largest[r]
			factor[r] = exp2(shift[r] - old)
			rescale = rescale || total[r] != 0
		}
	}
	if rescale {
		a.ops.rowScale(n.rows, a.dim, w.o[n.first*a.dim:], a.dim, factor)
		for r := range total {
			total[r] *= factor[r]
		}
	}
}
