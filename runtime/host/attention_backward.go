package host

import (
	"math"
	"sync/atomic"
	"time"
)

// attentionGrads is the backward pass: what it reads, and its workspace by blocks of keys (index (row·G + kv head)·blocks
// + block) or by queries (see query).
type attentionGrads struct {
	*attention
	qkv, o, lse, do, dqkv []float32
	kt, vt, k             []float32 // keys and values lying across, keys as they are
	dkt, dvt              []float32 // gradients of keys and values, lying across; those of keys without ln 2
	q, dr                 []float32 // queries, times the exponent, and gradients of their outputs, rows of dim
	dq                    []float32 // gradient of queries, rows of dim, without the scale
	shift, delta          []float32 // of each query: −lse to base 2; −do·o
}

func (a *attention) backward(p *Pool, qkv, o, lse, do, dqkv, ws []float32) {
	blocks, queries := a.b*a.g*a.blocks, a.b*a.h*pad(a.s)
	c := carver{ws}
	b := attentionGrads{
		attention: a, qkv: qkv, o: o, lse: lse, do: do, dqkv: dqkv,
		kt: c.take(blocks * a.packed()), vt: c.take(blocks * a.packed()), k: c.take(blocks * a.packed()),
		dkt: c.take(blocks * a.sums()), dvt: c.take(blocks * a.sums()),
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
	b.across(b.kt, i, 0).packTransposed(rows, b.d, k, b.width(), n)
	b.across(b.vt, i, 0).packTransposed(rows, b.d, v, b.width(), n)
	b.along(b.k, i).pack(rows, b.d, k, b.width(), n)
	clear(b.dkt[i*b.sums():][:b.sums()])
	clear(b.dvt[i*b.sums():][:b.sums()])
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
	b.packQueries(n, b.qkv[t*b.width()+head*b.d:], b.q[at*b.dim:])
	packRows(n, b.d, b.do[(t*b.h+head)*b.d:], b.h*b.d, rows, b.dim, b.dr[at*b.dim:], b.dim)
	clear(b.dq[at*b.dim:][:rows*b.dim])
	clear(b.shift[at+n : at+rows])
	clear(b.delta[at+n : at+rows])
	for r := range n {
		from := ((t+r)*b.h + head) * b.d
		b.shift[at+r] = float32(float64(b.lse[(t+r)*b.h+head]) * -math.Log2E)
		b.delta[at+r] = -dot(b.do[from:from+b.d], b.o[from:from+b.d])
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

// storeKeys hands over the gradients of the i-th block of keys and values. Those of keys are sums over queries times the exponent,
// scale·log₂e, where the scale alone is wanted.
func (b *attentionGrads) storeKeys(i int) {
	rows, dk, dv := b.keyBlock(b.dqkv, i)
	dkt, dvt := b.dkt[i*b.sums():][:b.sums()], b.dvt[i*b.sums():][:b.sums()]
	scale(math.Ln2, dkt, dkt)
	transposed(b.d, rows, dkt, b.keyStride(), dk, b.width())
	transposed(b.d, rows, dvt, b.keyStride(), dv, b.width())
}

// pairs runs over all pairs (block of queries, block of keys) up to the diagonal: those on it first, then those one block away from
// it, and so on. Every pair adds to the gradients of its queries, of its keys and of its values. Of the pairs that share a block
// there is one at each distance, so a pair waits until both of its blocks have had as many pairs as its own distance: that fixes the
// order of every sum. Tasks are handed out in this order and neighbours share no block, so hardly anybody waits.
func (b *attentionGrads) pairs(p *Pool) {
	heads := b.b * b.g
	queries, keys := make([]atomic.Int32, heads*b.blocks), make([]atomic.Int32, heads*b.blocks) // pairs that blocks have had
	var broken atomic.Bool
	p.ForWorker(heads*b.blocks*(b.blocks+1)/2, func(worker, i int) {
		head, block, distance := i%heads, i/heads, 0
		for block >= b.blocks-distance {
			block -= b.blocks - distance
			distance++
		}
		q, k := &queries[head*b.blocks+block+distance], &keys[head*b.blocks+block]
		whole := false
		defer func() {
			if !whole {
				broken.Store(true) // what waits for this pair must not wait for ever
			}
		}()
		if !await(&broken, int32(distance), q, k) {
			return
		}
		b.pair(head, block+distance, block, p.workerScratch(worker))
		q.Add(1)
		k.Add(1)
		whole = true
	})
}

// await returns once both counts have reached n, or false when something broke. It spins as a worker does, but then sleeps: whom it
// waits for may have lost its core to another process.
func await(broken *atomic.Bool, n int32, a, b *atomic.Int32) bool {
	var start time.Time
	for a.Load() != n || b.Load() != n {
		if broken.Load() {
			return false
		}
		for range spinPauses {
			spinPause()
		}
		if start.IsZero() {
			start = time.Now()
		} else if time.Since(start) > spinTime {
			time.Sleep(spinTime)
		}
	}
	return true
}

// pair is one block of keys against one of as many queries, of all query heads that share the keys.
func (b *attentionGrads) pair(rowHead, queries, keys int, scratch []float32) {
	row, group := rowHead/b.g, b.h/b.g
	first := queries * b.keys
	end := min(first+b.keys, b.s)
	for head := rowHead % b.g * group; head < (rowHead%b.g+1)*group; head++ {
		for q0 := first; q0 < end; q0 += b.queries {
			starts := b.starts[row*b.s+q0:][:min(b.queries, end-q0)]
			if first, last := seen(starts); first < (keys+1)*b.keys {
				b.block(rowHead*b.blocks+keys, row, head, q0, keys*b.keys, starts, last, scratch)
			}
		}
	}
}

// block is one block of queries against block kv of keys, which begins at token k0. The last of the queries' starts is `last`.
func (b *attentionGrads) block(kv, row, head, q0, k0 int, starts []int32, last int, scratch []float32) {
	rows, keys := pad(len(starts)), b.blockKeys(k0/b.keys)
	stride, at := b.keyStride(), b.query(row, head, q0)
	dkt, dvt := b.dkt[kv*b.sums():], b.dvt[kv*b.sums():]
	q, do, dq := b.q[at*b.dim:], b.dr[at*b.dim:], b.dq[at*b.dim:]
	c := carver{scratch}
	p, ds := c.take(b.queries*stride), c.take(b.queries*stride) // scores, then probabilities; their gradient, then that of scores
	for n := range b.stripes(q0, rows, k0, keys) {
		to := n.first*stride + n.column
		b.ops.product(rows-n.first, n.keys, b.d, q[n.first*b.dim:], b.dim, 1, b.across(b.kt, kv, n.column), p[to:], stride, false)
		b.ops.product(rows-n.first, n.keys, b.d, do[n.first*b.dim:], b.dim, 1, b.across(b.vt, kv, n.column), ds[to:], stride, false)
	}
	for n := range b.bands(q0, rows, k0, keys) {
		b.mask(p, q0, k0, n, starts, last)
		p, ds := p[n.first*stride:], ds[n.first*stride:]
		b.ops.rowExpGrad(n.rows, n.keys, p, ds, stride, b.shift[at+n.first:], b.delta[at+n.first:])
		b.ops.product(n.rows, b.dim, n.keys, ds, stride, 1, b.along(b.k, kv), dq[n.first*b.dim:], b.dim, true)
	}
	for n := range b.stripes(q0, rows, k0, keys) {
		from := n.first*stride + n.column
		b.ops.product(b.dim, n.keys, rows-n.first, do[n.first*b.dim:], 1, b.dim, rowMajor(p[from:], stride), dvt[n.column:], stride, true)
		b.ops.product(b.dim, n.keys, rows-n.first, q[n.first*b.dim:], 1, b.dim, rowMajor(ds[from:], stride), dkt[n.column:], stride, true)
	}
}
