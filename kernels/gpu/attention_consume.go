package gpu

import (
	"math"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// attentionForwardConsumer is a warpgroup of the forward kernel: 64 queries.
type attentionForwardConsumer struct {
	*attentionForward
	warpgroup, thread ptx.Reg
	leads             ptx.Reg
	row               ptx.Reg // of accumulators: the thread's first row; the other is 8 below
	pair              ptx.Reg // and its first column in every 8

	s, o ptx.Acc   // 64 queries by keys, by dims
	p    []ptx.Reg // S as A operands of the products over keys, bf16

	// Of the thread's two queries.
	starts, last [2]ptx.Reg // keys that it sees: from, to
	top, sum     [2]ptx.Reg // the largest S so far; the sum of P over the thread's columns
	shrink       [2]ptx.Reg // what sums so far are multiplied by
	masked       ptx.Reg    // keys below this one are not seen by all queries of the warp
}

// lowest is below any S and is not infinite, so that differences are numbers where no key was seen yet.
const lowest = -1e30

// Named barriers of a warpgroup: its turn to issue products, and of its own.
const (
	barrierTurn = 1
	barrierOwn  = barrierTurn + attentionConsumers
)

func newAttentionConsumer(e *attentionForward, warpgroup, thread ptx.Reg) *attentionForwardConsumer {
	k := e.k
	c := &attentionForwardConsumer{attentionForward: e, warpgroup: warpgroup, thread: thread, leads: k.Eq(thread, 0)}
	c.row = k.Add(k.Shl(k.Shr(thread, 5), 4), k.Shr(k.And(thread, 31), 2))
	c.pair = k.Shl(k.And(thread, 3), 1)
	c.s, c.o = k.Accumulator("s", e.c.Keys), k.Accumulator("o", e.d.Dim)
	c.p = k.DeclareArray(ptx.BF16x2, "prob", e.c.Keys/4)
	for i := range 2 {
		c.top[i], c.sum[i] = k.Declare(ptx.F32, "top"), k.Declare(ptx.F32, "sum")
		c.shrink[i] = k.Declare(ptx.F32, "shrink")
	}
	e.ring.StartConsumer(thread)
	return c
}

// consume computes the warpgroup's queries of all of the block's work.
func (c *attentionForwardConsumer) consume() {
	k := c.k
	turn, next := k.Add(c.warpgroup, barrierTurn), k.Sub(barrierTurn+1, c.warpgroup)
	first := k.Eq(c.warpgroup, 0)
	k.Comment("the first warpgroup issues first")
	k.Unless(first).ArriveNamed(barrierTurn, 256)
	parity := k.Var(ptx.U32, "parity", 0)
	c.each(func(w attentionWork) {
		k.MbarrierWait(c.full, parity)
		k.To(parity).Xor(parity, 1)
		least := k.Ld(ptx.Shared, ptx.U32, c.first)
		c.begin(w)
		key := k.Var(ptx.U32, "key", k.Mul(w.last, c.c.Keys))
		c.ring.WaitFull()
		k.WgmmaFence()
		c.scores(c.ring.Slot())
		k.WgmmaCommit()
		k.WgmmaWait(0)
		c.ring.Release(c.ring.Here())
		c.ring.Advance()
		c.mask(key)
		c.softmax()
		c.pack()
		k.For("tile", least, w.last, 1, func(ptx.Reg) {
			k.To(key).Sub(key, c.c.Keys)
			k.SyncNamed(turn, 256)
			c.ring.WaitFull()
			k.WgmmaFence()
			c.scores(c.ring.Slot())
			k.WgmmaCommit()
			slot := k.Add(c.ring.Here(), 0)
			c.ring.Advance()
			c.ring.WaitFull()
			k.WgmmaFence()
			c.values(c.ring.Slot())
			k.WgmmaCommit()
			k.ArriveNamed(next, 256)
			k.WgmmaWait(1)
			c.mask(key)
			c.softmax()
			c.ring.ReleaseBehind(slot, k.Not(k.Lt(k.Add(c.sum[0], c.sum[1]), 0.0)))
			k.WgmmaWait(0)
			c.ring.Release(c.ring.Here())
			c.ring.Advance()
			for r, o := range c.o.Regs {
				k.To(o).Mul(o, c.shrink[r/2%2])
			}
			c.pack()
		})
		k.MbarrierArrive(c.empty)
		c.ring.WaitFull()
		k.WgmmaFence()
		c.values(c.ring.Slot())
		k.WgmmaCommit()
		k.WgmmaWait(0)
		c.ring.Release(c.ring.Here())
		c.ring.Advance()
		c.write(w)
	})
	k.Comment("the turn that the other warpgroup gave last")
	k.If(first, func() { k.SyncNamed(barrierTurn, 256) })
	k.LaunchDependents()
	k.When(c.leads).BulkWait(0)
}

// begin sets sums to zero and finds what the thread's queries see.
func (c *attentionForwardConsumer) begin(w attentionWork) {
	k := c.k
	mine := k.Add(w.query, k.Shl(c.warpgroup, 6))
	for i := range 2 {
		query := k.Add(k.Add(mine, c.row), 8*i)
		c.starts[i], c.last[i] = c.start(w, query), query.As(ptx.S32)
		k.Assign(c.top[i], lowest)
		k.Assign(c.sum[i], 0)
	}
	for _, r := range c.o.Regs {
		k.Assign(r, 0)
	}
	c.masked = k.Redux(ptx.AtomMax, k.Max(c.starts[0], c.starts[1]))
}

// scores starts S = Q K^T.
func (c *attentionForwardConsumer) scores(slot ptx.Reg) {
	k := c.k
	layout := ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024}
	queries := k.Descriptor(k.Add(k.Lea(c.queries), k.Mul(c.warpgroup, 64*128)), layout)
	keys := k.Descriptor(slot, layout)
	for step := range c.d.steps() {
		slab, inside := step/4, step%4*2
		k.Wgmma(ptx.BF16, c.s, k.Add(queries, slab*blockRows*128/16+inside), k.Add(keys, slab*c.c.Keys*128/16+inside), step > 0, ptx.KMajor, ptx.KMajor)
	}
}

// values starts O += P V.
func (c *attentionForwardConsumer) values(slot ptx.Reg) {
	k := c.k
	v := k.Descriptor(slot, ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024, Leading: c.c.Keys * 128})
	for step := range c.c.Keys / 16 {
		k.WgmmaRegs(ptx.BF16, c.o, [4]ptx.Reg(c.p[4*step:]), k.Add(v, step*2048/16), true, ptx.MNMajor)
	}
}

// mask sets S to -infinity where a query does not see a key, in tiles where that may be.
func (c *attentionForwardConsumer) mask(key ptx.Reg) {
	k := c.k
	from := key.As(ptx.S32)
	warp := k.Sub(c.last[0], k.Shr(k.And(c.thread, 31), 2).As(ptx.S32)) // its first query
	k.If(k.Or(k.Gt(k.Add(from, c.c.Keys-1), warp), k.Lt(from, c.masked)), func() {
		column := k.Add(from, c.pair.As(ptx.S32))
		for i := range 2 {
			low, high := k.Sub(c.starts[i], column), k.Sub(c.last[i], column)
			for r := 2 * i; r < len(c.s.Regs); r += 4 {
				for j := range 2 {
					at := r/4*8 + j
					seen := k.And(k.Le(low, at), k.Ge(high, at))
					k.Unless(seen).Assign(c.s.Regs[r+j], math.Inf(-1))
				}
			}
		}
	})
}

// softmax turns S into P = 2^(scale (S - top)) and says what shrinks sums so far to the new top.
func (c *attentionForwardConsumer) softmax() {
	k := c.k
	for i := range 2 {
		top := c.top[i]
		for r := 2 * i; r < len(c.s.Regs); r += 4 {
			top = k.Max(top, k.Max(c.s.Regs[r], c.s.Regs[r+1]))
		}
		top = k.MaxLanes(top, 4)
		base := k.Neg(k.Mul(top, c.scale))
		k.To(c.shrink[i]).Ex2(k.Mul(k.Sub(c.top[i], top), c.scale))
		k.Assign(c.top[i], top)
		sum := k.Mul(c.sum[i], c.shrink[i])
		for r := 2 * i; r < len(c.s.Regs); r += 4 {
			for j := range 2 {
				s := c.s.Regs[r+j]
				k.To(s).Ex2(k.Fma(s, c.scale, base))
				sum = k.Add(sum, s)
			}
		}
		k.Assign(c.sum[i], sum)
	}
}

// pack rounds P to bf16.
func (c *attentionForwardConsumer) pack() {
	for i, p := range c.p {
		c.k.To(p).PackBF16(c.s.Regs[2*i], c.s.Regs[2*i+1])
	}
}

// write divides O by the sums and writes it by the copy engine, and lse.
func (c *attentionForwardConsumer) write(w attentionWork) {
	k, d := c.k, c.d
	barrier := k.Add(c.warpgroup, barrierOwn)
	var scale [2]ptx.Reg
	for i := range 2 {
		sum := k.SumLanes(c.sum[i], 4)
		scale[i] = k.RcpApprox(sum)
		lse := k.Mul(k.Fma(c.top[i], c.scale, k.Lg2(sum)), math.Ln2)
		query := c.last[i].As(ptx.U32)
		at := k.Mad(k.Mad(w.row, d.Seq, query), d.Heads, w.head)
		writes := k.And(k.Eq(c.pair, 0), k.Lt(query, d.Seq))
		k.When(writes).St(ptx.Global, k.MadWide(at, 4, c.lse).At(0), lse)
	}
	k.Comment("O goes through shared memory, when the copy before has left it")
	k.When(c.leads).BulkWaitRead(0)
	k.SyncNamed(barrier, 128)
	mine := k.Mad(c.warpgroup, d.slabs()*64*128, k.Lea(c.out))
	row, chunk := tile.StMatrixRow(k, mine, c.thread)
	nothing := k.Const(ptx.B32, 0) // behind a head's dims, where the copy reads but does not write
	for q := 0; q < 64*d.slabs(); q += 16 {
		packed := []ptx.Reg{nothing, nothing, nothing, nothing}
		for i := range packed {
			if r := q/2 + 2*i; r < d.Dim/2 {
				packed[i] = k.PackBF16(k.Mul(c.o.Regs[r], scale[i%2]), k.Mul(c.o.Regs[r+1], scale[i%2]))
			}
		}
		k.StMatrix(false, k.Add(row, k.Xor(chunk, q%64*2)).At(q/64*64*128), packed...)
	}
	k.FenceProxyAsync(false)
	k.SyncNamed(barrier, 128)
	query := k.Add(w.query, k.Shl(c.warpgroup, 6))
	for s := range d.slabs() {
		k.When(c.leads).TMAStore(c.attentionForward.o, mine.At(s*64*128), 64*s, w.head, query, w.row)
	}
	k.When(c.leads).BulkCommit()
}
