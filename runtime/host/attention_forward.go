package host

import "math"

// forwardScratch is what one worker needs for a block of queries.
type forwardScratch struct {
	q, scores, o                     []float32 // [queries, dim], [queries, keyStride], [queries, dim]
	shift, next, factor, part, total []float32 // [queries]
}

func (l attentionLayout) forwardScratch(x []float32) forwardScratch {
	c := carver{x}
	n := l.queries
	return forwardScratch{
		q: c.take(n * l.dim), scores: c.take(n * l.keyStride()), o: c.take(n * l.dim),
		shift: c.take(n), next: c.take(n), factor: c.take(n), part: c.take(n), total: c.take(n),
	}
}

func (a *attention) forward(p *Pool, qkv, o, lse, ws []float32) {
	blocks := a.b * a.g * a.blocks
	c := carver{ws}
	kt, v := c.take(blocks*a.across()), c.take(blocks*a.along())
	p.For(blocks, func(i int) {
		rows, key, value := a.keyBlock(qkv, i)
		keys := a.blockKeys(i % a.blocks)
		packTransposed(rows, a.d, key, a.width(), keys, kt[i*a.across():], a.keyStride())
		packRows(rows, a.d, value, a.width(), keys, a.dim, v[i*a.along():], a.dimStride())
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
	packRows(n, a.d, qkv[(row*a.s+q0)*a.width()+head*a.d:], a.width(), rows, a.dim, w.q, a.dim)
	fill(w.shift[:rows], attentionFloor)
	clear(w.total[:rows])
	clear(w.o[:rows*a.dim])

	kv := (row*a.g + head/(a.h/a.g)) * a.blocks
	for block := int(lowest(starts)) / a.keys; block*a.keys < q0+n; block++ {
		k0, keys := block*a.keys, a.blockKeys(block)
		for n := range a.stripes(q0, rows, k0, keys) {
			a.ops.product(rows-n.first, n.keys, a.d, w.q[n.first*a.dim:], a.dim, 1,
				kt[(kv+block)*a.across()+n.column:], a.keyStride(), w.scores[n.first*a.keyStride()+n.column:], a.keyStride(), false)
		}
		for n := range a.bands(q0, rows, k0, keys) {
			s := w.scores[n.first*a.keyStride():]
			a.mask(w.scores, q0, k0, n, starts)
			a.softmaxStep(n, s, w)
			a.ops.product(n.rows, a.dim, n.keys, s, a.keyStride(), 1,
				v[(kv+block)*a.along():], a.dimStride(), w.o[n.first*a.dim:], a.dim, true)
		}
	}
	for r := range n {
		t := row*a.s + q0 + r
		scale(1/w.total[r], w.o[r*a.dim:][:a.d], o[(t*a.h+head)*a.d:][:a.d])
		lse[t*a.h+head] = float32(float64(w.shift[r])*math.Ln2 + math.Log(float64(w.total[r])))
	}
}

var noShift = []float32{0}

// softmaxStep turns a band of scores into powers of two under the new running maximum, and brings the running sums and
// outputs to that maximum.
func (a *attention) softmaxStep(n band, scores []float32, w forwardScratch) {
	shift, next, factor := w.shift[n.first:][:n.rows], w.next[:n.rows], w.factor[:n.rows]
	part, total := w.part[:n.rows], w.total[n.first:][:n.rows]
	a.ops.rowMax(n.rows, n.keys, scores, a.keyStride(), next)
	rescale := false
	for r, old := range shift {
		shift[r] = max(old, next[r]*a.exponent)
		factor[r] = old - shift[r]
		rescale = rescale || (factor[r] != 0 && total[r] != 0)
	}
	a.ops.rowExp(n.rows, n.keys, scores, a.keyStride(), a.exponent, shift, part)
	if rescale {
		a.ops.rowExp(1, n.rows, factor, n.rows, 1, noShift, next)
		a.ops.rowScale(n.rows, a.dim, w.o[n.first*a.dim:], a.dim, factor)
		for r := range total {
			total[r] *= factor[r]
		}
	}
	for r := range total {
		total[r] += part[r]
	}
}

func lowest(x []int32) int32 {
	m := x[0]
	for _, v := range x {
		m = min(m, v)
	}
	return m
}
