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
	turnQ, turnKV     tile.Turns
	accRow            ptx.Reg // of accumulators: the thread's first row in a tile of 64
	pair              ptx.Reg // and its first column in every 8

	s, dp  ptx.Acc // keys by queries
	dq     ptx.Acc // queries by columns; in the registers of s where it is as large
	dk, dv ptx.Acc
}

func (e *attentionGradient) consume(warpgroup, thread ptx.Reg) {
	k, d := e.k, e.d
	c := &attentionGradConsumer{attentionGradient: e, warpgroup: warpgroup, thread: thread}
	c.turnQ = tile.Turns{Flags: e.flagsQ, Sums: e.sumQ, Thread: thread, Leads: k.Eq(thread, 0), Barrier: k.Add(warpgroup, 1)}
	c.turnKV = c.turnQ
	c.turnKV.Flags, c.turnKV.Sums = e.flagsKV, e.sumKV
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
	k.Loop(func(l ptx.Loop) {
		e.ring.WaitFull()
		slot := e.ring.Slot()
		note := k.Ld(ptx.Shared, ptx.U32, slot.At(d.slotStats()+statSlot))
		l.Break(k.Eq(note, slotEnd))
		c.scores(slot)
		p, ds := c.softmax(slot, note)
		buffer := k.Add(k.Lea(e.shared), side)
		c.shareDS(buffer, ds)
		c.gradients(slot, buffer, p, ds)
		e.ring.Release(e.ring.Here())
		e.ring.Advance()
		c.addDQ(note)
		k.To(side).Xor(side, blockKeys*128)
	})
	c.addKV()
}

// queriesOf is the block of queries that a slot holds.
func (c *attentionGradConsumer) queriesOf(note ptx.Reg) ptx.Reg { return c.k.And(note, slotLast-1) }

// kMajor and mnMajor describe tiles of rows of 128 bytes; slab is the distance of slabs along mn.
func (c *attentionGradConsumer) kMajor(at ptx.Reg) ptx.Reg {
	return c.k.Descriptor(at, ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024})
}

func (c *attentionGradConsumer) mnMajor(at ptx.Reg, slab int) ptx.Reg {
	return c.k.Descriptor(at, ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024, Leading: slab})
}

// scores computes this warpgroup's 64 keys of S^T = K Q^T and dP^T = V dO^T.
func (c *attentionGradConsumer) scores(slot ptx.Reg) {
	k := c.k
	mine := k.Mul(c.warpgroup, 64*128)
	keys, values := c.kMajor(k.Add(k.Lea(c.keys), mine)), c.kMajor(k.Add(k.Lea(c.values), mine))
	q, do := c.kMajor(slot), c.kMajor(k.Add(slot, c.d.slotDO()))
	k.Comment("S^T = K Q^T, dP^T = V dO^T")
	k.WgmmaFence()
	for _, x := range []struct {
		acc  ptx.Acc
		a, b ptx.Reg
	}{{c.s, keys, q}, {c.dp, values, do}} {
		for step := range c.d.steps() {
			slab, inside := step/4, step%4*2
			k.Wgmma(ptx.BF16, x.acc, k.Add(x.a, slab*keySlab/16+inside), k.Add(x.b, slab*blockQueries*128/16+inside), step > 0, ptx.KMajor, ptx.KMajor)
		}
	}
	k.WgmmaCommit()
	k.WgmmaWait(0)
}

// softmax turns S into P and dP into dS, in bf16 as A operands of the products over queries: step n has the fragments
// 4n to 4n+3.
func (c *attentionGradConsumer) softmax(slot, note ptx.Reg) (p, ds []ptx.Reg) {
	k := c.k
	stats := k.Add(k.Add(slot, c.d.slotStats()), k.Shl(c.pair, 2))
	key := k.Add(k.Mul(c.key, blockKeys), k.Shl(c.warpgroup, 6))
	first := k.Mul(c.queriesOf(note), blockQueries)
	diagonal := k.Lt(first, k.Add(key, 63))
	k.If(k.Or(diagonal, k.Ne(k.And(note, slotStarts), 0)), func() {
		k.Comment("a query sees keys from its start to itself")
		mine := k.Add(key, c.accRow).As(ptx.S32)
		query := k.Add(first, c.pair).As(ptx.S32)
		var starts []ptx.Reg
		for r, s := range c.s.Regs {
			if r%4 == 0 {
				starts = k.LdVec(ptx.Shared, ptx.S32, 2, stats.At(statStart+r/4*32))
			}
			j := k.Add(mine, r/2%2*8)
			seen := k.And(k.Le(j, k.Add(query, r/4*8+r%2)), k.Ge(j, starts[r%2]))
			k.Unless(seen).Assign(s, math.Inf(-1))
		}
	})
	k.Comment("P = 2^(c S - lse2), dS = P (dP - delta)")
	var lse, delta []ptx.Reg
	var low, lowD ptx.Reg
	for r := range c.s.Regs {
		if r%4 == 0 {
			lse = k.LdVec(ptx.Shared, ptx.F32, 2, stats.At(statLSE+r/4*32))
			delta = k.LdVec(ptx.Shared, ptx.F32, 2, stats.At(statDelta+r/4*32))
		}
		v := k.Ex2(k.Fma(c.s.Regs[r], c.scale2, k.Neg(lse[r%2])))
		w := k.Mul(v, k.Sub(c.dp.Regs[r], delta[r%2]))
		if r%2 == 0 {
			low, lowD = v, w
			continue
		}
		p, ds = append(p, k.PackBF16(low, v)), append(ds, k.PackBF16(lowD, w))
	}
	return p, ds
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

// gradients adds to dV and dK and computes this block's share of dQ.
func (c *attentionGradConsumer) gradients(slot, buffer ptx.Reg, p, ds []ptx.Reg) {
	k, d := c.k, c.d
	const slab = blockQueries * 128
	q, do := c.mnMajor(slot, slab), c.mnMajor(k.Add(slot, d.slotDO()), slab)
	dsT := c.mnMajor(buffer, slab)
	columns := keySlab // bytes to the second warpgroup's columns of K: a slab, or some columns in the first
	if d.Dim <= 64 {
		columns = 2 * d.columnsQ()
	}
	keys := c.mnMajor(k.Add(k.Lea(c.keys), k.Mul(c.warpgroup, columns)), keySlab)
	k.WgmmaFence()
	k.Comment("dV += P^T dO")
	for step := range blockQueries / 16 {
		k.WgmmaRegs(ptx.BF16, c.dv, [4]ptx.Reg(p[4*step:]), k.Add(do, step*2048/16), true, ptx.MNMajor)
	}
	k.Comment("dQ = dS K")
	for step := range blockKeys / 16 {
		k.Wgmma(ptx.BF16, c.dq, k.Add(dsT, step*2048/16), k.Add(keys, step*2048/16), step > 0, ptx.MNMajor, ptx.MNMajor)
	}
	k.Comment("dK += dS^T Q")
	for step := range blockQueries / 16 {
		k.WgmmaRegs(ptx.BF16, c.dk, [4]ptx.Reg(ds[4*step:]), k.Add(q, step*2048/16), true, ptx.MNMajor)
	}
	k.WgmmaCommit()
	k.WgmmaWait(0)
}

// addDQ adds this block's share of dQ. Blocks of keys come from the diagonal down, to the first that any query sees.
func (c *attentionGradConsumer) addDQ(note ptx.Reg) {
	k, d := c.k, c.d
	k.Comment("dQ in turn: blocks of keys from the diagonal down")
	i := c.queriesOf(note)
	place := k.Mad(k.Mad(c.head, d.queries(), i), 2, c.warpgroup)
	turn := k.Sub(k.Div(i, blockKeys/blockQueries), c.key)
	c.turnQ.Add(k, place, turn, k.Ne(k.And(note, slotLast), 0), c.dq.Regs, func() {
		c.write(c.dq, k.Mul(i, blockQueries), c.headOf, k.Mul(c.warpgroup, d.columnsQ()), c.scale)
	})
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
		c.write(c.dk, row, head, k.Const(ptx.U32, 0), c.scale)
		c.write(c.dv, row, k.Add(head, d.KVHeads), k.Const(ptx.U32, 0), ptx.Reg{})
	})
}

// write stores accumulators, times a factor if there is one, as bf16: 64 tokens of the row from the given one, columns of
// a head from the given one, those that there are.
func (c *attentionGradConsumer) write(acc ptx.Acc, token, head, column, factor ptx.Reg) {
	k, d := c.k, c.d
	column = k.Add(column, c.pair)
	for half := range 2 {
		r := k.Add(k.Add(token, c.accRow), 8*half)
		at := k.Mad(k.Mad(c.row, d.Seq, r), d.Heads+2*d.KVHeads, head)
		to := k.Add(k.MadWide(at, 2*d.Dim, c.out), k.MulWide(column, 2))
		there := k.Lt(r, d.Seq)
		for j := range acc.N / 8 {
			x, y := acc.Regs[4*j+2*half], acc.Regs[4*j+2*half+1]
			if factor.Type() != 0 {
				x, y = k.Mul(x, factor), k.Mul(y, factor)
			}
			writes := there
			if d.Dim%16 != 0 || d.Dim > 64 && d.Dim < 128 {
				writes = k.And(there, k.Lt(column, d.Dim-8*j))
			}
			k.When(writes).St(ptx.Global, to.At(16*j), k.PackBF16(x, y))
		}
	}
}
