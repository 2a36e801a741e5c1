package gpu

import (
	"math"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// attentionGradConsumer is a warpgroup of the main kernel: 64 keys of the block, and half of the columns of dQ.
type attentionGradConsumer struct {
	*attentionGradient
	warpgroup, thread ptx.Reg
	turnKV            tile.Turns
	full, empty       ptx.Addr // barriers of its share of dQ
	share             ptx.Reg  // and the thread's place in it
	accRow            ptx.Reg  // of accumulators: the thread's first row in a tile of 64
	pair              ptx.Reg  // and its first column in every 8

	s, dp  ptx.Acc // keys by queries
	dq     ptx.Acc // queries by columns; in the registers of s where it is as large
	dk, dv ptx.Acc
}

func (e *attentionGradient) consume(warpgroup, thread ptx.Reg) {
	k, d := e.k, e.d
	c := &attentionGradConsumer{attentionGradient: e, warpgroup: warpgroup, thread: thread}
	c.turnKV = tile.Turns{Flags: e.flagsKV, Sums: e.sumKV, Thread: thread, Leads: k.Eq(thread, 0), Barrier: k.Add(warpgroup, 1)}
	barrier := k.Shl(warpgroup, 3)
	c.full, c.empty = k.Add(barrier, k.Lea(e.sharesFull)).At(0), k.Add(barrier, k.Lea(e.sharesEmpty)).At(0)
	c.share = k.Add(k.Mad(warpgroup, d.shareBytes(), k.Lea(e.shares)), k.Shl(thread, 4))
	c.accRow = k.Add(k.Shl(k.Shr(thread, 5), 4), k.Shr(k.And(thread, 31), 2))
	c.pair = k.Shl(k.And(thread, 3), 1)
	e.ring.StartConsumer(thread)
	c.dk, c.dv = k.Accumulator("dk", d.padded()), k.Accumulator("dv", d.padded())
	c.s, c.dp = k.Accumulator("s", blockQueries), k.Accumulator("dp", blockQueries)
	c.dq = c.s
	if d.columnsQ() < blockQueries {
		c.dq = k.Accumulator("dq", d.columnsQ())
	}
	k.MbarrierWait(e.loaded, 0)
	side := k.VarMultiple(1024, "side", 0) // of dS: who writes a buffer again has met everybody who read it
	parity := k.Var(ptx.U32, "parity", 1)
	k.Loop(func(l ptx.Loop) {
		e.ring.WaitFull()
		slot := e.ring.Slot()
		note := k.Ld(ptx.Shared, ptx.U32, slot.At(d.slotStats()+statSlot))
		l.Break(k.Eq(note, slotEnd))
		k.WgmmaFence()
		c.scores(slot)
		k.WgmmaWait(1)
		p := c.weights(slot, note)
		k.WgmmaFence()
		c.addDV(slot, p)
		k.WgmmaWait(1)
		ds := c.slopes(slot)
		buffer := k.Add(k.Lea(e.shared), side)
		k.To(side).Xor(side, blockKeys*128)
		c.shareDS(buffer, ds)
		k.WgmmaFence()
		c.products(slot, buffer, ds)
		k.WgmmaWait(1)
		c.sendDQ(parity)
		k.To(parity).Xor(parity, 1)
		k.WgmmaWait(0)
		e.ring.Release(e.ring.Here())
		e.ring.Advance()
	})
	c.addKV()
}

// kMajor and mnMajor describe tiles of rows of 128 bytes; slab is the distance of slabs along mn.
func (c *attentionGradConsumer) kMajor(at ptx.Reg) ptx.Reg {
	return c.k.Descriptor(at, ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024})
}

func (c *attentionGradConsumer) mnMajor(at ptx.Reg, slab int) ptx.Reg {
	return c.k.Descriptor(at, ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024, Leading: slab})
}

// scores starts this warpgroup's 64 keys of S^T = K Q^T and of dP^T = V dO^T.
func (c *attentionGradConsumer) scores(slot ptx.Reg) {
	k := c.k
	mine := k.Mul(c.warpgroup, 64*128)
	keys, values := c.kMajor(k.Add(k.Lea(c.keys), mine)), c.kMajor(k.Add(k.Lea(c.values), mine))
	q, do := c.kMajor(slot), c.kMajor(k.Add(slot, c.d.slotDO()))
	for _, x := range []struct {
		what string
		acc  ptx.Acc
		a, b ptx.Reg
	}{{"S^T = K Q^T", c.s, keys, q}, {"dP^T = V dO^T", c.dp, values, do}} {
		k.Comment("%s", x.what)
		for step := range c.d.steps() {
			slab, inside := step/4, step%4*2
			k.Wgmma(ptx.BF16, x.acc, k.Add(x.a, slab*keySlab/16+inside), k.Add(x.b, slab*blockQueries*128/16+inside), step > 0, ptx.KMajor, ptx.KMajor)
		}
		k.WgmmaCommit()
	}
}

// weights turns S into P and returns it in bf16 as A operands of the products over queries: step n has the fragments 4n to
// 4n+3.
func (c *attentionGradConsumer) weights(slot, note ptx.Reg) (p []ptx.Reg) {
	k := c.k
	stats := c.stats(slot)
	key := k.Add(k.Mul(c.key, blockKeys), k.Shl(c.warpgroup, 6))
	first := k.Mul(k.And(note, slotStarts-1), blockQueries)
	diagonal := k.Lt(first, k.Add(key, 63))
	k.If(k.Or(diagonal, k.Ne(k.And(note, slotStarts), 0)), func() {
		k.Comment("a query sees keys from its start to itself")
		mine := k.Add(key, c.accRow).As(ptx.S32)
		query := k.Sub(k.Add(first, c.pair).As(ptx.S32), mine)
		var starts []ptx.Reg
		for r, s := range c.s.Regs {
			if r%4 == 0 {
				starts = k.LdVec(ptx.Shared, ptx.S32, 2, stats.At(statStart+r/4*32))
				for i, start := range starts {
					starts[i] = k.Sub(start, mine)
				}
			}
			below := r / 2 % 2 * 8 // the key's place behind the thread's first
			seen := k.And(k.Ge(query, below-r/4*8-r%2), k.Le(starts[r%2], below))
			k.Unless(seen).Assign(s, math.Inf(-1))
		}
	})
	k.Comment("P = 2^(c S - lse2)")
	var lse []ptx.Reg
	for r, s := range c.s.Regs {
		if r%4 == 0 {
			lse = k.LdVec(ptx.Shared, ptx.F32, 2, stats.At(statLSE+r/4*32))
		}
		k.To(s).Ex2(k.Fma(s, c.scale2, k.Neg(lse[r%2])))
		if r%2 == 1 {
			p = append(p, k.PackBF16(c.s.Regs[r-1], s))
		}
	}
	return p
}

// stats is where the thread finds what belongs to its first query of every 8.
func (c *attentionGradConsumer) stats(slot ptx.Reg) ptx.Reg {
	k := c.k
	return k.Add(k.Add(slot, c.d.slotStats()), k.Shl(c.pair, 2))
}

// slopes returns dS = P (dP - delta) as weights returns P.
func (c *attentionGradConsumer) slopes(slot ptx.Reg) (ds []ptx.Reg) {
	k := c.k
	k.Comment("dS = P (dP - delta)")
	stats := c.stats(slot)
	var delta []ptx.Reg
	var low ptx.Reg
	for r, p := range c.s.Regs {
		if r%4 == 0 {
			delta = k.LdVec(ptx.Shared, ptx.F32, 2, stats.At(statDelta+r/4*32))
		}
		v := k.Mul(p, k.Sub(c.dp.Regs[r], delta[r%2]))
		if r%2 == 1 {
			ds = append(ds, k.PackBF16(low, v))
		}
		low = v
	}
	return ds
}

// shareDS writes this warpgroup's keys of dS^T to a buffer that both read.
func (c *attentionGradConsumer) shareDS(buffer ptx.Reg, ds []ptx.Reg) {
	k := c.k
	row, chunk := tile.StMatrixRow(k, k.Add(buffer, k.Mul(c.warpgroup, 64*128)), c.thread)
	for q := range 4 {
		k.StMatrix(false, k.Add(row, k.Xor(chunk, 32*q)).At(0), ds[4*q:4*q+4]...)
	}
	k.FenceProxyAsync(false)
	k.SyncNamed(3, 256)
}

// querySlab is the distance between slabs of 64 columns of tiles of queries.
const querySlab = blockQueries * 128

// addDV starts dV += P^T dO.
func (c *attentionGradConsumer) addDV(slot ptx.Reg, p []ptx.Reg) {
	k := c.k
	k.Comment("dV += P^T dO")
	do := c.mnMajor(k.Add(slot, c.d.slotDO()), querySlab)
	for step := range blockQueries / 16 {
		k.WgmmaRegs(ptx.BF16, c.dv, [4]ptx.Reg(p[4*step:]), k.Add(do, step*2048/16), true, ptx.MNMajor)
	}
	k.WgmmaCommit()
}

// products starts this warpgroup's columns of dQ = dS K, and dK += dS^T Q.
func (c *attentionGradConsumer) products(slot, buffer ptx.Reg, ds []ptx.Reg) {
	k, d := c.k, c.d
	k.Comment("dQ = dS K")
	columns := keySlab // bytes to the second warpgroup's columns of K: a slab, or some columns in the first
	if d.Dim <= 64 {
		columns = 2 * d.columnsQ()
	}
	dsT, keys := c.mnMajor(buffer, querySlab), c.mnMajor(k.Add(k.Lea(c.keys), k.Mul(c.warpgroup, columns)), keySlab)
	for step := range blockKeys / 16 {
		k.Wgmma(ptx.BF16, c.dq, k.Add(dsT, step*2048/16), k.Add(keys, step*2048/16), step > 0, ptx.MNMajor, ptx.MNMajor)
	}
	k.WgmmaCommit()
	k.Comment("dK += dS^T Q")
	q := c.mnMajor(slot, querySlab)
	for step := range blockQueries / 16 {
		k.WgmmaRegs(ptx.BF16, c.dk, [4]ptx.Reg(ds[4*step:]), k.Add(q, step*2048/16), true, ptx.MNMajor)
	}
	k.WgmmaCommit()
}

// sendDQ leaves this block's share of dQ to who adds it up, in the order of the registers.
func (c *attentionGradConsumer) sendDQ(parity ptx.Reg) {
	k := c.k
	k.MbarrierWait(c.empty, parity)
	for r := 0; r < len(c.dq.Regs); r += 4 {
		k.St(ptx.Shared, c.share.At(r/4*2048), c.dq.Regs[r:r+4]...)
	}
	k.FenceProxyAsync(false)
	k.MbarrierArrive(c.full)
}

// addKV adds dK and dV of this head to those of the heads before it in the group.
func (c *attentionGradConsumer) addKV() {
	k, d := c.k, c.d
	k.Comment("dK and dV in turn: heads of the group from the first on")
	group := k.Div(c.head, d.group())
	turn := k.Sub(c.head, k.Mul(group, d.group()))
	place := k.Mad(k.Mad(group, d.keys(), c.key), 2, c.warpgroup)
	acc := append(append([]ptx.Reg(nil), c.dk.Regs...), c.dv.Regs...)
	c.turnKV.Add(k, place, turn, k.Eq(turn, d.group()-1), acc, func() {
		row := k.Mad(c.key, blockKeys, k.Shl(c.warpgroup, 6))
		head := k.Add(k.Div(c.headOf, d.group()), d.Heads)
		c.write(c.dk, row, head, c.scale)
		c.write(c.dv, row, k.Add(head, d.KVHeads), ptx.Reg{})
	})
}

// write stores accumulators of the block's keys, times a factor if there is one, as bf16 in a head of dqkv.
func (c *attentionGradConsumer) write(acc ptx.Acc, token, head, factor ptx.Reg) {
	k, d := c.k, c.d
	for half := range 2 {
		r := k.Add(k.Add(token, c.accRow), 8*half)
		at := k.Mad(k.Mad(c.row, d.Seq, r), d.Heads+2*d.KVHeads, head)
		to := k.Add(k.MadWide(at, 2*d.Dim, c.out), k.MulWide(c.pair, 2))
		there := k.Lt(r, d.Seq)
		for j := range d.Dim / 8 {
			x, y := acc.Regs[4*j+2*half], acc.Regs[4*j+2*half+1]
			if factor.Type() != 0 {
				x, y = k.Mul(x, factor), k.Mul(y, factor)
			}
			k.When(there).St(ptx.Global, to.At(16*j), k.PackBF16(x, y))
		}
	}
}
