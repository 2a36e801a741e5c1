package gpu

import (
	"math"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// attentionConsumer is a warpgroup of the main kernel: 64 keys of the block, and half of the columns of dQ.
type attentionConsumer struct {
	*attentionGrad
	warpgroup, thread ptx.Reg
	dq, dkv           tile.Turns
	row               ptx.Reg // of accumulators: the thread's first row in a tile of 64
	pair              ptx.Reg // and its first column in every 8

	s, dp  ptx.Acc // keys by queries; s is dQ afterwards, queries by half of the columns
	dk, dv ptx.Acc
}

func (e *attentionGrad) consume(warpgroup, thread ptx.Reg) {
	k := e.k
	c := &attentionConsumer{attentionGrad: e, warpgroup: warpgroup, thread: thread}
	c.dq = tile.Turns{Flags: e.flagsQ, Sums: e.sumQ, Thread: thread, Leads: k.Eq(thread, 0), Barrier: k.Add(warpgroup, 1)}
	c.dkv = c.dq
	c.dkv.Flags, c.dkv.Sums = e.flagsKV, e.sumKV
	c.row = k.Add(k.Shl(k.Shr(thread, 5), 4), k.Shr(k.And(thread, 31), 2))
	c.pair = k.Shl(k.And(thread, 3), 1)
	e.ring.StartConsumer(thread)
	c.dk, c.dv = k.Accumulator("dk", headDim), k.Accumulator("dv", headDim)
	c.s, c.dp = k.Accumulator("s", blockQueries), k.Accumulator("dp", blockQueries)
	k.MbarrierWait(e.loaded, 0)
	side := k.VarMultiple(1024, "side", 0) // of dS: who writes a buffer again has met everybody who read it
	k.For("i", k.Mul(e.key, blockKeys/blockQueries), e.d.queries(), 1, func(i ptx.Reg) {
		e.ring.WaitFull()
		slot := e.ring.Slot()
		c.scores(slot)
		p, ds := c.softmax(slot, i)
		buffer := k.Add(k.Lea(e.ds), side)
		c.shareDS(buffer, ds)
		c.gradients(slot, buffer, p, ds)
		e.ring.Release(e.ring.Here())
		e.ring.Advance()
		c.addDQ(i)
		k.To(side).Xor(side, blockKeys*128)
	})
	c.addKV()
}

// k-major and mn-major tiles of rows of 128 bytes; slab is the distance of slabs along mn.
func (c *attentionConsumer) kMajor(at ptx.Reg) ptx.Reg {
	return c.k.Descriptor(at, ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024})
}

func (c *attentionConsumer) mnMajor(at ptx.Reg, slab int) ptx.Reg {
	return c.k.Descriptor(at, ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024, Leading: slab})
}

// scores computes this warpgroup's 64 keys of S^T = K Q^T and dP^T = V dO^T.
func (c *attentionConsumer) scores(slot ptx.Reg) {
	k := c.k
	mine := k.Mul(c.warpgroup, 64*128)
	keys, values := c.kMajor(k.Add(k.Lea(c.keys), mine)), c.kMajor(k.Add(k.Lea(c.values), mine))
	q, do := c.kMajor(k.Add(slot, slotQ)), c.kMajor(k.Add(slot, slotDO))
	k.Comment("S^T = K Q^T, dP^T = V dO^T")
	k.WgmmaFence()
	for _, x := range []struct {
		acc  ptx.Acc
		a, b ptx.Reg
	}{{c.s, keys, q}, {c.dp, values, do}} {
		for step := range headDim / 16 {
			slab, inside := step/4, step%4*2
			k.Wgmma(ptx.BF16, x.acc, k.Add(x.a, slab*keySlab/16+inside), k.Add(x.b, slab*blockQueries*128/16+inside), step > 0, ptx.KMajor, ptx.KMajor)
		}
	}
	k.WgmmaCommit()
	k.WgmmaWait(0)
}

// softmax turns S into P and dP into dS, in bf16 as A operands of the products over queries: step n has the fragments
// 4n to 4n+3.
func (c *attentionConsumer) softmax(slot, i ptx.Reg) (p, ds []ptx.Reg) {
	k, d := c.k, c.d
	key := k.Add(k.Mad(c.key, blockKeys, k.Shl(c.warpgroup, 6)), c.row)
	query := k.Mad(i, blockQueries, c.pair)
	diagonal := k.Lt(k.Mul(i, blockQueries), k.Mul(k.Add(c.key, 1), blockKeys))
	end := k.Gt(k.Mul(k.Add(i, 1), blockQueries), d.Seq)
	k.If(k.Or(diagonal, end), func() {
		k.Comment("a query sees keys up to itself; there are %d", d.Seq)
		for r, s := range c.s.Regs {
			q, j := k.Add(query, r/4*8+r%2), k.Add(key, r/2%2*8)
			seen := k.And(k.Le(j, q), k.Lt(q, d.Seq))
			k.Unless(seen).Assign(s, math.Inf(-1))
		}
	})
	k.Comment("P = 2^(c S - lse2), dS = P (dP - delta)")
	stats := k.Add(slot, k.Shl(c.pair, 2))
	var lse, delta []ptx.Reg
	var low, lowD ptx.Reg
	for r := range c.s.Regs {
		if r%4 == 0 {
			lse = k.LdVec(ptx.Shared, ptx.F32, 2, stats.At(slotLSE+r/4*32))
			delta = k.LdVec(ptx.Shared, ptx.F32, 2, stats.At(slotDelta+r/4*32))
		}
		v := k.Ex2(k.Fma(c.s.Regs[r], d.scale()*math.Log2E, k.Neg(lse[r%2])))
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
func (c *attentionConsumer) shareDS(buffer ptx.Reg, ds []ptx.Reg) {
	k := c.k
	row, chunk := tile.StMatrixRow(k, k.Add(buffer, k.Mul(c.warpgroup, 64*128)), c.thread)
	for q := range 4 {
		k.StMatrix(false, k.Add(row, k.Xor(chunk, 32*q)).At(0), ds[4*q:4*q+4]...)
	}
	k.FenceProxyAsync(false)
	k.SyncNamed(3, 256)
}

// gradients adds to dV and dK and computes this block's share of dQ, in the registers of S.
func (c *attentionConsumer) gradients(slot, buffer ptx.Reg, p, ds []ptx.Reg) {
	k := c.k
	const slab = blockQueries * 128
	q, do := c.mnMajor(k.Add(slot, slotQ), slab), c.mnMajor(k.Add(slot, slotDO), slab)
	dsT := c.mnMajor(buffer, slab)
	keys := c.mnMajor(k.Add(k.Lea(c.keys), k.Mul(c.warpgroup, keySlab)), keySlab)
	k.WgmmaFence()
	k.Comment("dV += P^T dO")
	for step := range blockQueries / 16 {
		k.WgmmaRegs(ptx.BF16, c.dv, [4]ptx.Reg(p[4*step:]), k.Add(do, step*2048/16), true, ptx.MNMajor)
	}
	k.Comment("dQ = dS K")
	for step := range blockKeys / 16 {
		k.Wgmma(ptx.BF16, c.s, k.Add(dsT, step*2048/16), k.Add(keys, step*2048/16), step > 0, ptx.MNMajor, ptx.MNMajor)
	}
	k.Comment("dK += dS^T Q")
	for step := range blockQueries / 16 {
		k.WgmmaRegs(ptx.BF16, c.dk, [4]ptx.Reg(ds[4*step:]), k.Add(q, step*2048/16), true, ptx.MNMajor)
	}
	k.WgmmaCommit()
	k.WgmmaWait(0)
}

// addDQ adds this block's share of dQ, half of the columns a warpgroup. Blocks of keys come from the diagonal down.
func (c *attentionConsumer) addDQ(i ptx.Reg) {
	k, d := c.k, c.d
	k.Comment("dQ in turn: blocks of keys from the diagonal down")
	place := k.Mad(k.Mad(c.head, d.queries(), i), 2, c.warpgroup)
	turn := k.Sub(k.Div(i, blockKeys/blockQueries), c.key)
	c.dq.Add(k, place, turn, k.Eq(c.key, 0), c.s.Regs, func() {
		col := k.Add(k.Mul(c.headOf, headDim), k.Shl(c.warpgroup, 6))
		c.write(c.s, k.Mul(i, blockQueries), col, d.scale())
	})
}

// addKV adds dK and dV of this head to those of the heads before it in the group.
func (c *attentionConsumer) addKV() {
	k, d := c.k, c.d
	k.Comment("dK and dV in turn: heads of the group from the first on")
	group := k.Div(c.head, d.group())
	turn := k.Sub(c.head, k.Mul(group, d.group()))
	place := k.Mad(k.Mad(group, d.keys(), c.key), 2, c.warpgroup)
	acc := append(append([]ptx.Reg(nil), c.dk.Regs...), c.dv.Regs...)
	c.dkv.Add(k, place, turn, k.Eq(turn, d.group()-1), acc, func() {
		row := k.Mad(c.key, blockKeys, k.Shl(c.warpgroup, 6))
		col := k.Mul(k.Add(k.Div(c.headOf, d.group()), d.Heads), headDim)
		c.write(c.dk, row, col, d.scale())
		c.write(c.dv, row, k.Add(col, d.KVHeads*headDim), 1)
	})
}

// write stores accumulators times a factor as bf16: 64 rows of the sequence from row, columns of dqkv from col.
func (c *attentionConsumer) write(acc ptx.Acc, row, col ptx.Reg, factor float64) {
	k, d := c.k, c.d
	for half := range 2 {
		r := k.Add(k.Add(row, c.row), 8*half)
		at := k.Add(k.MadWide(k.Add(c.token, r), 2*d.width(), c.out), k.MulWide(k.Add(col, c.pair), 2))
		there := k.Lt(r, d.Seq)
		for j := range acc.N / 8 {
			x, y := acc.Regs[4*j+2*half], acc.Regs[4*j+2*half+1]
			if factor != 1 {
				x, y = k.Mul(x, factor), k.Mul(y, factor)
			}
			k.When(there).St(ptx.Global, at.At(16*j), k.PackBF16(x, y))
		}
	}
}
