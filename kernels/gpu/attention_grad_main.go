package gpu

import (
	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// attentionGradient writes the main kernel.
type attentionGradient struct {
	k *ptx.Kernel
	d AttentionDesc
	c AttentionGradConfig

	q, kv, do            ptx.TensorMap // 64 columns of a head by 64 queries or 128 keys
	stats, bounds        ptx.Reg
	out                  ptx.Reg // dqkv
	sumQ, sumKV          ptx.Reg
	flagsQ, flagsKV      ptx.Reg
	scale, scale2        ptx.Reg // of S, and for powers of 2
	ring                 *tile.Ring
	keys, values, shared ptx.Addr // K and V; dS, two buffers
	loaded               ptx.Addr // barrier of K and V
	shares               ptx.Addr // of dQ, on their way to its sum: one a consumer warpgroup
	sharesFull           ptx.Addr // and their barriers
	sharesEmpty          ptx.Addr

	// This block's work.
	head, key, row ptx.Reg // head over all rows, block of keys, row
	headOf         ptx.Reg // head in its row
}

// shareBytes is what a consumer warpgroup has of dQ of a block of queries, in float32.
func (d AttentionDesc) shareBytes() int { return 4 * blockQueries * d.columnsQ() }

// slotBytes is a slot of the ring: Q, dO, statistics.
func (d AttentionDesc) slotDO() int    { return d.slabs() * blockQueries * 128 }
func (d AttentionDesc) slotStats() int { return 2 * d.slotDO() }
func (d AttentionDesc) slotBytes() int { return d.slotStats() + 1024 }

const keySlab = blockKeys * 128 // bytes of 64 columns of K or V

// What a slot says about its queries beside their number: that not all of them see all keys up to themselves, or that there
// are none, and nothing follows.
const (
	slotStarts = 1 << 30
	slotEnd    = 1 << 31
)

// EmitAttentionGrad writes the main kernel: parameters are maps of Q, of K and V and of dO, the parts of the workspace, dqkv,
// and scale·log2(e) and scale.
func EmitAttentionGrad(m *ptx.Module, d AttentionDesc, c AttentionGradConfig) {
	k := m.Kernel(c.Name(d), 384)
	if !d.covered() || d.Heads%d.KVHeads != 0 {
		k.Fail("no kernel for %+v", d)
		return
	}
	e := &attentionGradient{k: k, d: d, c: c}
	e.q, e.kv, e.do = k.TensorMap("q", d.box(blockQueries)), k.TensorMap("kv", d.box(blockKeys)), k.TensorMap("do", d.box(blockQueries))
	e.stats, e.bounds = k.ParamPtr("stats"), k.ParamPtr("bounds")
	ticket := k.ParamPtr("flags")
	e.sumQ, e.sumKV, e.out = k.ParamPtr("sum_q"), k.ParamPtr("sum_kv"), k.ParamPtr("dqkv")
	e.scale2, e.scale = k.ParamF32("scale_log"), k.ParamF32("scale")
	e.flagsQ, e.flagsKV = k.Add(ticket, 4), k.Add(ticket, 4+4*d.flagsQ())

	e.keys, e.values = k.SharedBytes(d.slabs()*keySlab, 1024), k.SharedBytes(d.slabs()*keySlab, 1024)
	e.shared = k.SharedBytes(2*blockKeys*128, 1024)
	e.shares = k.SharedBytes(2*d.shareBytes(), 128)
	e.ring = tile.NewRing(k, c.Slots, d.slotBytes(), 1)
	e.loaded, e.sharesFull, e.sharesEmpty = k.SharedBytes(8, 8), k.SharedBytes(2*8, 8), k.SharedBytes(2*8, 8)
	drawn := k.SharedBytes(4, 4)
	tid := k.Read(ptx.TidX)
	warpgroup := k.Shr(tid, 7)
	k.WaitPrerequisites()
	k.If(k.Eq(tid, 0), func() {
		e.ring.Init(1, 2)
		k.MbarrierInit(e.loaded, 1)
		for w := range 2 {
			k.MbarrierInit(e.sharesFull.At(8*w), 128)
			k.MbarrierInit(e.sharesEmpty.At(8*w), 1)
		}
		k.FenceBarrierInit()
		k.St(ptx.Shared, drawn, k.Atom(ptx.Global, ptx.AtomAdd, ticket.At(0), k.Const(ptx.U32, 1)))
	})
	k.Sync()
	work := k.Ld(ptx.Shared, ptx.U32, drawn)
	e.choose(work)
	e.row = k.Div(e.head, d.Heads)
	e.headOf = k.Sub(e.head, k.Mul(e.row, d.Heads))
	k.IfElse(k.Eq(warpgroup, 2), func() {
		k.DropRegisters(24, 1)
		k.Comment("its first warp loads, the next two add to dQ; one thread each")
		warp := k.Sub(k.Shr(tid, 5), 8)
		k.If(k.Eq(k.And(tid, 31), 0), func() {
			k.If(k.Eq(warp, 0), e.produce)
			k.If(k.Or(k.Eq(warp, 1), k.Eq(warp, 2)), func() { e.addDQ(k.Sub(warp, 1)) })
		})
	}, func() {
		k.TakeRegisters(240, 2)
		e.consume(warpgroup, k.And(tid, 127))
	})
	k.Exit()
}

// choose finds the head and the block of keys that a number stands for.
func (e *attentionGradient) choose(work ptx.Reg) {
	k, d, heads := e.k, e.d, e.d.Rows*e.d.Heads
	if e.c.Together == 0 {
		e.head = k.Div(work, d.keys())
		e.key = k.Sub(d.keys()-1, k.Sub(work, k.Mul(e.head, d.keys())))
		return
	}
	k.Comment("so many heads, all blocks of keys: the first heads of all groups come first, as those of one group wait for each other")
	first := k.Mul(k.Div(work, e.c.Together*d.keys()), e.c.Together)
	inside := k.Sub(work, k.Mul(first, d.keys()))
	together := k.Min(k.Sub(heads, first), e.c.Together)
	e.key = k.Div(inside, together)
	number := k.Add(first, k.Sub(inside, k.Mul(e.key, together)))
	member := k.Div(number, heads/d.group())
	e.head = k.Mad(k.Sub(number, k.Mul(member, heads/d.group())), d.group(), member)
}

// produce loads K and V, then Q, dO and the statistics of every block of queries from the diagonal on that sees a key.
func (e *attentionGradient) produce() {
	k, d := e.k, e.d
	kvHead := k.Add(k.Div(e.headOf, d.group()), d.Heads)
	firstKey := k.Mul(e.key, blockKeys)
	k.MbarrierExpect(e.loaded, 2*d.slabs()*e.kv.Bytes())
	for s := range d.slabs() {
		k.TMALoad(e.keys.At(s*keySlab), e.kv, e.loaded, 64*s, kvHead, firstKey, e.row)
		k.TMALoad(e.values.At(s*keySlab), e.kv, e.loaded, 64*s, k.Add(kvHead, d.KVHeads), firstKey, e.row)
	}
	e.ring.Start()
	stats := k.Mul(e.head, d.queries())
	e.each(func(i, _, latest ptx.Reg) {
		note := k.Var(ptx.U32, "note", i)
		k.When(k.Gt(latest, firstKey.As(ptx.S32))).To(note).Or(note, slotStarts)
		e.ring.WaitEmpty()
		slot, full := e.ring.Slot(), e.ring.Full()
		k.St(ptx.Shared, slot.At(d.slotStats()+statSlot), note)
		k.MbarrierExpect(full, d.slabs()*(e.q.Bytes()+e.do.Bytes())+statBytes)
		query := k.Mul(i, blockQueries)
		for s := range d.slabs() {
			k.TMALoad(slot.At(s*blockQueries*128), e.q, full, 64*s, e.headOf, query, e.row)
			k.TMALoad(slot.At(d.slotDO()+s*blockQueries*128), e.do, full, 64*s, e.headOf, query, e.row)
		}
		k.BulkLoad(slot.At(d.slotStats()), k.MadWide(k.Add(stats, i), statBytes, e.stats).At(0), statBytes, full)
		e.ring.Advance()
	})
	e.ring.WaitEmpty()
	k.St(ptx.Shared, e.ring.Slot().At(d.slotStats()+statSlot), k.Const(ptx.U32, slotEnd))
	k.MbarrierArrive(e.ring.Full())
}

// each visits the blocks of queries from the diagonal on that see a key, or from the last to the diagonal, with the
// earliest and the latest start of their queries.
func (e *attentionGradient) each(body func(i, earliest, latest ptx.Reg)) {
	k, d := e.k, e.d
	end := k.Mad(e.key, blockKeys, k.Const(ptx.U32, blockKeys)).As(ptx.S32)
	bounds := k.Mul(e.row, d.queries())
	diagonal := k.Mul(e.key, blockKeys/blockQueries)
	k.For("i", diagonal, d.queries(), 1, func(i ptx.Reg) {
		if e.c.Together > 0 {
			i = k.Sub(k.Add(diagonal, d.queries()-1), i)
		}
		bound := k.LdVec(fixed, ptx.S32, 2, k.MadWide(k.Add(bounds, i), 8, e.bounds).At(0))
		k.If(k.Lt(bound[0], end), func() { body(i, bound[0], bound[1]) })
	})
}

// addDQ adds what a consumer warpgroup leaves of dQ to the sum, for a thread that speaks to the copy engine. Blocks of keys
// come in turn, from the diagonal down or from the first one that the queries see.
func (e *attentionGradient) addDQ(warpgroup ptx.Reg) {
	k, d := e.k, e.d
	barrier := k.Shl(warpgroup, 3)
	full, empty := k.Add(barrier, k.Lea(e.sharesFull)).At(0), k.Add(barrier, k.Lea(e.sharesEmpty)).At(0)
	share := k.Mad(warpgroup, d.shareBytes(), k.Lea(e.shares)).At(0)
	parity := k.Var(ptx.U32, "parity", 0)
	e.each(func(i, earliest, _ ptx.Reg) {
		place := k.Mad(k.Mad(e.head, d.queries(), i), 2, warpgroup)
		flag, sum := k.MadWide(place, 4, e.flagsQ).At(0), k.MadWide(place, d.shareBytes(), e.sumQ).At(0)
		var turn ptx.Reg
		if e.c.Together > 0 {
			turn = k.Sub(e.key, k.Div(earliest.As(ptx.U32), blockKeys))
		} else {
			turn = k.Sub(k.Div(i, blockKeys/blockQueries), e.key)
		}
		k.MbarrierWait(full, parity)
		k.To(parity).Xor(parity, 1)
		k.IfElse(k.Eq(turn, 0), func() {
			k.BulkStore(sum, share, d.shareBytes())
		}, func() {
			k.Loop(func(l ptx.Loop) {
				added := k.Ld(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Acquire, Scope: ptx.GPU}, ptx.U32, flag)
				l.Break(k.Eq(added, turn))
			})
			k.FenceProxyAsync(true)
			k.BulkReduceAdd(ptx.F32, sum, share, d.shareBytes())
		})
		k.BulkCommit()
		k.BulkWaitRead(0)
		k.MbarrierArrive(empty)
		k.BulkWait(0)
		k.FenceProxyAsync(true)
		k.St(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Release, Scope: ptx.GPU}, flag, k.Add(turn, 1))
	})
}
