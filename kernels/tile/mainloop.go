package tile

import "moegen/kernels/ptx"

// MainLoop multiplies slots of a ring into accumulators: for a consumer warpgroup, rows of A times all rows of B.
type MainLoop struct {
	Ring *Ring
	A, B Operand

	// Keep is how many slots' wgmmas are still under way when the warpgroup goes on to the next slot: 0, or 1, which lets
	// the tensor cores run through the hand-over.
	Keep int
	// Generic says that operands may be written by ordinary copies (cp.async), which wgmma does not see without a fence.
	Generic bool
	// Started, if given, runs whenever the products of slot number i of a Run are under way.
	Started func(i ptx.Reg)
}

// Accumulators declares what the warpgroup adds up: blocks of 64 rows by all rows of B, zero.
func (l *MainLoop) Accumulators(k *ptx.Kernel, blocks int) []ptx.Acc {
	out := make([]ptx.Acc, blocks)
	for i := range out {
		out[i] = k.Accumulator("acc", l.B.Rows)
	}
	return out
}

// Run multiplies the next iters slots (at least one) and starts acc anew; A's rows begin blockA blocks of 64 into the
// tile. All slots are handed back and the accumulators may be read when it ends.
func (l *MainLoop) Run(k *ptx.Kernel, acc []ptx.Acc, iters, blockA ptx.Reg) {
	r := l.Ring
	offset := k.Mul(blockA, l.A.Block64(1))
	last := k.Declare(ptx.U32, "last") // the slot before, which is still being read
	k.For("iter", 0, iters, 1, func(i ptx.Reg) {
		r.WaitFull()
		if l.Generic {
			k.FenceProxyAsync(false)
		}
		slot := r.Slot()
		a := l.A.Descriptor(k, k.Add(slot, offset))
		b := l.B.Descriptor(k, k.Add(slot, l.A.Bytes()))
		more := k.Ne(i, 0)
		k.WgmmaFence()
		for s := range Steps {
			var add ptx.Operand = true
			if s == 0 {
				add = more
			}
			bs := k.Add(b, l.B.Step(s))
			for m := range acc {
				as := k.Add(a, l.A.Step(s)+l.A.Block64(m)/16)
				k.Wgmma(ptx.BF16, acc[m], as, bs, add, l.A.Major, l.B.Major)
			}
		}
		k.WgmmaCommit()
		if l.Started != nil {
			l.Started(i)
		}
		k.WgmmaWait(l.Keep)
		if l.Keep == 0 {
			r.Release(r.slot)
		} else {
			k.If(more, func() { r.Release(last) })
			k.Assign(last, r.slot)
		}
		r.Advance()
	})
	if l.Keep != 0 {
		k.WgmmaWait(0)
		r.Release(last)
	}
}
