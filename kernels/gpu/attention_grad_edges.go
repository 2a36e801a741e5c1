package gpu

import (
	"math"

	"moegen/kernels/ptx"
)

// The kernels in front of the main one and behind it.

// statToken is what a thread has of a token in the first kernel.
type statToken struct {
	query, leads ptx.Reg // in the block of queries; whether the thread writes what belongs to it
	l, start     ptx.Reg
	do, o        []ptx.Reg
}

// EmitAttentionGradStats writes the first kernel: parameters do, o, lse, starts and the parts of the workspace that it
// fills. A block has 64 queries of a head; 8 dims of a token are a lane's.
func EmitAttentionGradStats(m *ptx.Module, d AttentionDesc, c AttentionGradConfig) {
	const threads = 128
	k := m.Kernel(c.StatsName(d), threads)
	do, o, lse, starts := k.ParamPtr("do"), k.ParamPtr("o"), k.ParamPtr("lse"), k.ParamPtr("starts")
	stats, bounds, flags := k.ParamPtr("stats"), k.ParamPtr("bounds"), k.ParamPtr("flags")
	k.WaitPrerequisites()
	lanes := 1 // of a token
	for lanes < d.Dim/8 {
		lanes *= 2
	}
	tid, block := k.Read(ptx.TidX), k.Read(ptx.CtaIDX)
	number := k.Div(block, d.queries())
	first := k.Mul(k.Sub(block, k.Mul(number, d.queries())), blockQueries)
	row := k.Div(number, d.Heads)
	head := k.Sub(number, k.Mul(row, d.Heads))
	lane, mine := k.And(tid, lanes-1), k.Shr(tid, log2(lanes))
	out := k.MadWide(block, statBytes, stats)
	k.Comment("all loads, then the sums: dO o over a head's dims")
	var tokens []statToken
	for pass := 0; pass < blockQueries; pass += threads / lanes {
		t := statToken{query: k.Add(mine, pass), l: k.Var(ptx.F32, "lse", 0), start: k.Var(ptx.S32, "start", never)}
		token := k.Add(first, t.query)
		there := k.Lt(token, d.Seq)
		t.leads = k.Eq(lane, 0)
		if threads/lanes > blockQueries { // more threads than the block has queries
			inside := k.Lt(t.query, blockQueries)
			there, t.leads = k.And(there, inside), k.And(t.leads, inside)
		}
		token = k.Mad(row, d.Seq, token)
		pair := k.Mad(token, d.Heads, head)
		k.When(there).To(t.l).Ld(fixed, ptx.F32, k.MadWide(pair, 4, lse).At(0))
		k.When(there).To(t.start).Ld(fixed, ptx.S32, k.MadWide(token, 4, starts).At(0))
		there = k.And(there, k.Lt(lane, d.Dim/8))
		at := k.Add(k.MulWide(pair, 2*d.Dim), k.MulWide(lane, 16))
		p := piece{ptx.BF16, 8}
		t.do, t.o = p.loadIf(k, there, once, k.Add(do, at).At(0)), p.loadIf(k, there, once, k.Add(o, at).At(0))
		tokens = append(tokens, t)
	}
	for _, t := range tokens {
		sum := k.Const(ptx.F32, 0)
		for i := range t.do {
			a0, a1 := k.UnpackBF16(t.do[i])
			b0, b1 := k.UnpackBF16(t.o[i])
			sum = k.Fma(a1, b1, k.Fma(a0, b0, sum))
		}
		sum = k.SumLanes(sum, lanes)
		at := k.MadWide(t.query, 4, out)
		k.When(t.leads).St(ptx.Global, at.At(statLSE), k.Mul(t.l, math.Log2E))
		k.When(t.leads).St(ptx.Global, at.At(statDelta), sum)
		k.When(t.leads).St(ptx.Global, at.At(statStart), t.start)
	}
	k.If(k.And(k.Eq(head, 0), k.Lt(tid, 32)), func() {
		k.Comment("the least and the largest start of the queries")
		var least, most ptx.Reg
		for i := range 2 {
			token := k.Add(k.Add(first, tid), 32*i)
			start := k.Var(ptx.S32, "start", never)
			k.When(k.Lt(token, d.Seq)).To(start).Ld(fixed, ptx.S32, k.MadWide(k.Mad(row, d.Seq, token), 4, starts).At(0))
			if i == 0 {
				least, most = start, start
			} else {
				least, most = k.Min(least, start), k.Max(most, start)
			}
		}
		least, most = k.Redux(ptx.AtomMin, least), k.Redux(ptx.AtomMax, most)
		at := k.MadWide(k.Mad(row, d.queries(), k.Div(first, blockQueries)), 8, bounds)
		k.When(k.Eq(tid, 0)).St(ptx.Global, at.At(0), least, most)
	})
	k.If(k.Lt(tid, 2), func() {
		k.Comment("nobody has added yet")
		nobody := k.Const(ptx.U32, 0)
		flag := k.Mad(block, 2, tid)
		k.St(ptx.Global, k.MadWide(flag, 4, flags).At(4), nobody)
		k.When(k.Lt(flag, d.flagsKV())).St(ptx.Global, k.MadWide(flag, 4, flags).At(4+4*d.flagsQ()), nobody)
		k.When(k.Eq(flag, 0)).St(ptx.Global, flags.At(0), nobody)
	})
	k.LaunchDependents()
	k.Exit()
}

// EmitAttentionGradQ writes the last kernel, which rounds the sums of dQ: parameters sum_q, dqkv and scale. A block has
// what a warpgroup of the main kernel had of 64 queries of a head, in the same registers.
func EmitAttentionGradQ(m *ptx.Module, d AttentionDesc, c AttentionGradConfig) {
	k := m.Kernel(c.QName(d), 128)
	sums, out, scale := k.ParamPtr("sum_q"), k.ParamPtr("dqkv"), k.ParamF32("scale")
	k.WaitPrerequisites()
	thread, block := k.Read(ptx.TidX), k.Read(ptx.CtaIDX)
	place := k.Shr(block, 1)
	warpgroup := k.And(block, 1)
	number := k.Div(place, d.queries())
	first := k.Mul(k.Sub(place, k.Mul(number, d.queries())), blockQueries)
	row := k.Div(number, d.Heads)
	head := k.Sub(number, k.Mul(row, d.Heads))
	at := k.Add(k.MadWide(block, d.shareBytes(), sums), k.MulWide(thread, 16))
	var acc [][]ptx.Reg
	for j := range d.columnsQ() / 8 {
		acc = append(acc, k.LdVec(once, ptx.F32, 4, at.At(2048*j)))
	}
	column := k.Mad(warpgroup, d.columnsQ(), k.Shl(k.And(thread, 3), 1))
	for half := range 2 {
		r := k.Add(k.Add(k.Shl(k.Shr(thread, 5), 4), k.Shr(k.And(thread, 31), 2)), 8*half)
		r = k.Add(first, r)
		to := k.MadWide(k.Mad(k.Mad(row, d.Seq, r), d.Heads+2*d.KVHeads, head), 2*d.Dim, k.Add(out, k.MulWide(column, 2)))
		there := k.Lt(r, d.Seq)
		for j, v := range acc {
			writes := there
			if 2*d.columnsQ() > d.Dim {
				writes = k.And(there, k.Lt(column, d.Dim-8*j))
			}
			k.When(writes).St(ptx.Global, to.At(16*j), k.PackBF16(k.Mul(v[2*half], scale), k.Mul(v[2*half+1], scale)))
		}
	}
	k.LaunchDependents()
	k.Exit()
}
