package host

import "math"

// attentionGrads is the backward pass: what it reads, and its workspace by blocks of keys (index (row·G + kv head)·blocks
// + block) or by queries (see query).
type attentionGrads struct {
	*attention
	qkv, o, lse, do, dqkv []float32
	kt, vt, k             []float32 // keys and values lying across, keys as they are
	dkt, dvt              []float32 // gradients of keys and values, lying across, without the scale
	q, dr                 []float32 // queries and gradients of their outputs, rows of dim
	dq                    []float32 // gradient of queries, rows of dim, without the scale
	shift, delta          []float32 // of each query: lse to base 2; do·o
}

func (a *attention) backward(p *Pool, qkv, o, lse, do, dqkv, ws []float32) {
	blocks, queries := a.b*a.g*a.blocks, a.b*a.h*pad(a.s)
	c := carver{ws}
	b := attentionGrads{
		attention: a, qkv: qkv, o: o, lse: lse, do: do, dqkv: dqkv,
		kt: c.take(blocks * a.across()), vt: c.take(blocks * a.across()), k: c.take(blocks * a.along()),
		dkt: c.take(blocks * a.across()), dvt: c.take(blocks * a.across()),
		q: c.take(queries * a.dim), dr: c.take(queries * a.dim), dq: c.take(queries * a.dim),
		shift: c.take(queries), delta: c.take(queries),
	}
	p.For(blocks, b.pack)
	p.For(a.b*a.h*a.blocks, b.prepare)
	b.pairs(p)
	p.For(blocks, b.storeKeys)
	p.For(a.b*a.h*a.blocks, b.storeQueries)
}

// pack prepares the i-th block of keys.
func (b *attentionGrads) pack(i int) {
	rows, k, v := b.keyBlock(b.qkv, i)
	n := b.blockKeys(i % b.blocks)
	packTransposed(rows, b.d, k, b.width(), n, b.kt[i*b.across():], b.keyStride())
	packTransposed(rows, b.d, v, b.width(), n, b.vt[i*b.across():], b.keyStride())
	packRows(rows, b.d, k, b.width(), n, b.dim, b.k[i*b.along():], b.dimStride())
	clear(b.dkt[i*b.across():][:b.across()])
	clear(b.dvt[i*b.across():][:b.across()])
}

// query is the index of a query in the workspace. Every head begins with a whole lane, since blocks are padded.
func (b *attentionGrads) query(row, head, t int) int { return (row*b.h+head)*pad(b.s) + t }

// queryBlock is the i-th block of as many queries as a block of keys has, over rows and query heads.
func (b *attentionGrads) queryBlock(i int) (row, head, first, n int) {
	first = i % b.blocks * b.keys
	return i / b.blocks / b.h, i / b.blocks % b.h, first, min(b.keys, b.s-first)
}

// prepare copies the i-th block of queries with what belongs to them, so that it stands in one piece, and clears its gradients. A
// padded query is zero: it has probabilities 1 and adds nothing to any gradient.
func (b *attentionGrads) prepare(i int) {
	row, head, first, n := b.queryBlock(i)
	at, t, rows := b.query(row, head, first), row*b.s+first, pad(n)
	packRows(n, b.d, b.qkv[t*b.width()+head*b.d:], b.width(), rows, b.dim, b.q[at*b.dim:], b.dim)
	packRows(n, b.d, b.do[(t*b.h+head)*b.d:], b.h*b.d, rows, b.dim, b.dr[at*b.dim:], b.dim)
	clear(b.dq[at*b.dim:][:rows*b.dim])
	clear(b.shift[at+n : at+rows])
	clear(b.delta[at+n : at+rows])
	for r := range n {
		from := ((t+r)*b.h + head) * b.d
		b.shift[at+r] = float32(float64(b.lse[(t+r)*b.h+head]) * math.Log2E)
		b.delta[at+r] = dot(b.do[from:from+b.d], b.o[from:from+b.d])
	}
}

// storeQueries hands over the gradients of the i-th block of queries.
func (b *attentionGrads) storeQueries(i int) {
	row, head, first, n := b.queryBlock(i)
	at := b.query(row, head, first)
	for r := range n {
		scale(b.scale, b.dq[(at+r)*b.dim:][:b.d], b.dqkv[(row*b.s+first+r)*b.width()+head*b.d:][:b.d])
	}
}

// storeKeys hands over the gradients of the i-th block of keys and values.
func (b *attentionGrads) storeKeys(i int) {
	rows, dk, dv := b.keyBlock(b.dqkv, i)
	transposed(b.d, rows, b.dkt[i*b.across():], b.keyStride(), dk, b.width())
	transposed(b.d, rows, b.dvt[i*b.across():], b.keyStride(), dv, b.width())
	for r := range rows {
		row := dk[r*b.width():][:b.d]
		scale(b.scale, row, row)
	}
}

// pairs runs over all pairs (block of queries, block of keys) up to the diagonal. Every pair adds to the gradients of its
// queries, of its keys and of its values, so the pairs of one round must have no block in common: round r takes those whose
// numbers add up to r modulo the number of blocks. That makes rounds of equal size, and fixes the order of every sum.
func (b *attentionGrads) pairs(p *Pool) {
	heads := b.b * b.g
	for round := range b.blocks {
		// The sum is round, with key blocks 0..round/2, or round+blocks, with key blocks round+1..(round+blocks)/2.
		low := round/2 + 1
		high := (round+b.blocks)/2 - round
		p.ForWorker((low+high)*heads, func(worker, i int) {
			head, n := i%heads, i/heads
			block, sum := n, round
			if n >= low {
				block, sum = n-low+round+1, round+b.blocks
			}
			b.pair(head, sum-block, block, p.workerScratch(worker))
		})
	}
}

// pair is one block of keys against one of as many queries, of all query heads that share the keys.
func (b *attentionGrads) pair(rowHead, queries, keys int, scratch []float32) {
	row, group := rowHead/b.g, b.h/b.g
	first := queries * b.keys
	end := min(first+b.keys, b.s)
	for head := rowHead % b.g * group; head < (rowHead%b.g+1)*group; head++ {
		for q0 := first; q0 < end; q0 += b.queries {
			starts := b.starts[row*b.s+q0:][:min(b.queries, end-q0)]
			if int(lowest(starts)) < (keys+1)*b.keys {
				b.block(rowHead*b.blocks+keys, row, head, q0, keys*b.keys, starts, scratch)
			}
		}
	}
}

// block is one block of queries against block kv of keys, which begins at token k0.
func (b *attentionGrads) block(kv, row, head, q0, k0 int, starts []int32, scratch []float32) {
	rows, keys := pad(len(starts)), b.blockKeys(k0/b.keys)
	stride, at := b.keyStride(), b.query(row, head, q0)
	kt, vt, k := b.kt[kv*b.across():], b.vt[kv*b.across():], b.k[kv*b.along():]
	dkt, dvt := b.dkt[kv*b.across():], b.dvt[kv*b.across():]
	q, do, dq := b.q[at*b.dim:], b.dr[at*b.dim:], b.dq[at*b.dim:]
	c := carver{scratch}
	p, ds := c.take(b.queries*stride), c.take(b.queries*stride) // scores, then probabilities; their gradient, then that of scores
	for n := range b.stripes(q0, rows, k0, keys) {
		to := n.first*stride + n.column
		b.ops.product(rows-n.first, n.keys, b.d, q[n.first*b.dim:], b.dim, 1, kt[n.column:], stride, p[to:], stride, false)
		b.ops.product(rows-n.first, n.keys, b.d, do[n.first*b.dim:], b.dim, 1, vt[n.column:], stride, ds[to:], stride, false)
	}
	for n := range b.bands(q0, rows, k0, keys) {
		b.mask(p, q0, k0, n, starts)
		p, ds := p[n.first*stride:], ds[n.first*stride:]
		b.ops.rowExpGrad(n.rows, n.keys, p, ds, stride, b.exponent, b.shift[at+n.first:], b.delta[at+n.first:])
		b.ops.product(n.rows, b.dim, n.keys, ds, stride, 1, k, b.dimStride(), dq[n.first*b.dim:], b.dim, true)
	}
	for n := range b.stripes(q0, rows, k0, keys) {
		from := n.first*stride + n.column
		b.ops.product(b.dim, n.keys, rows-n.first, do[n.first*b.dim:], 1, b.dim, p[from:], stride, dvt[n.column:], stride, true)
		b.ops.product(b.dim, n.keys, rows-n.first, q[n.first*b.dim:], 1, b.dim, ds[from:], stride, dkt[n.column:], stride, true)
	}
}
