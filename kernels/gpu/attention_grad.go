package gpu

import (
	"fmt"
	"math"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// Causal attention backward, head dimension 128, a spike: its shape is that of the kernel to be tuned. For each head,
// with S = Q·Kᵀ, P = exp(scale·S − lse), dP = dO·Vᵀ and delta = rowsum(dO∘O):
//
//	dS = P∘(dP − delta)     dV = Pᵀ·dO     dQ = scale·dS·K     dK = scale·dSᵀ·Q
//
// Five products of 2·S²/2·128 operations a head; P and dS are recomputed tile by tile and rounded to bf16 where they are
// multiplied. A block has 128 keys of one head and walks over the queries that see them, 64 at a time, from the diagonal
// on. It works with transposed tiles (keys by queries), so Pᵀ and dSᵀ go from accumulators to the A operand of dV and dK
// without leaving registers; only dQ needs dS in shared memory.
//
// dK and dV stay in registers. dQ gets a contribution from every block of keys below the diagonal, and the heads of a group
// share dK and dV: both are added in float32 in one order, whatever the schedule. Blocks of keys add to a block of
// queries from the diagonal down, heads to their keys from the first on; a flag counts who has added. As each block begins
// on its diagonal, block j adds to queries i one step after block j+1 did: in step with each other nobody waits. The last
// to add writes bf16. Blocks take their work from a counter, in an order in which everybody waits for earlier ones only.

// AttentionGradDesc is what is asked: sequences of Seq tokens each, packed [tokens, (Heads + 2·KVHeads)·128].
type AttentionGradDesc struct {
	Heads, KVHeads int
	Sequences, Seq int // Seq a multiple of 4
}

// headDim is the head dimension, in two slabs of 64.
const headDim = 128

// Blocks of keys and of queries.
const blockKeys, blockQueries = 128, 64

func (d AttentionGradDesc) tokens() int    { return d.Sequences * d.Seq }
func (d AttentionGradDesc) width() int     { return (d.Heads + 2*d.KVHeads) * headDim }
func (d AttentionGradDesc) keys() int      { return ceil(d.Seq, blockKeys) }
func (d AttentionGradDesc) queries() int   { return ceil(d.Seq, blockQueries) }
func (d AttentionGradDesc) group() int     { return d.Heads / d.KVHeads }
func (d AttentionGradDesc) statRow() int   { return (ceil(d.tokens(), 64) + 1) * 64 } // statistics of a head, with room to read past the end
func (d AttentionGradDesc) gridMain() int  { return d.Sequences * d.Heads * d.keys() }
func (d AttentionGradDesc) gridStats() int { return ceil(d.statRow()*d.Heads, 8) }

// What the flags count, in order: the ticket, additions to dQ (two warpgroups a block of queries), to dK and dV.
func (d AttentionGradDesc) flagsQ() int  { return 2 * d.Sequences * d.Heads * d.queries() }
func (d AttentionGradDesc) flagsKV() int { return 2 * d.Sequences * d.KVHeads * d.keys() }

// sumQ and sumKV are float32 in the running sums.
func (d AttentionGradDesc) sumQ() int  { return d.flagsQ() * 64 * 64 }
func (d AttentionGradDesc) sumKV() int { return d.flagsKV() * 2 * 64 * headDim }

// Name is the entry of the main kernel.
func (d AttentionGradDesc) Name() string {
	return fmt.Sprintf("attention_grad_h%d_kv%d_n%d_s%d", d.Heads, d.KVHeads, d.Sequences, d.Seq)
}

// StatsName is the entry of the kernel in front of it.
func (d AttentionGradDesc) StatsName() string {
	return fmt.Sprintf("attention_grad_stats_h%d_t%d", d.Heads, d.tokens())
}

// AttentionGradFloor is what the gradient cannot do without.
func AttentionGradFloor(d AttentionGradDesc) Floor {
	seq := int64(d.Seq)
	return Floor{Bytes: 2 * int64(d.tokens()) * int64(2*d.width()+2*d.Heads*headDim),
		FLOPs: 5 * 2 * int64(d.Sequences*d.Heads) * seq * (seq + 1) / 2 * headDim}
}

// EmitAttentionGrad writes both kernels.
func EmitAttentionGrad(m *ptx.Module, d AttentionGradDesc) {
	emitAttentionStats(m, d)
	emitAttentionMain(m, d)
}

// emitAttentionStats writes delta and lse·log2(e), head by head: 16 lanes for a token of a head. Behind the last token both
// are zero.
func emitAttentionStats(m *ptx.Module, d AttentionGradDesc) {
	k := m.Kernel(d.StatsName(), 128)
	do, o, lse := k.ParamPtr("do"), k.ParamPtr("o"), k.ParamPtr("lse")
	lse2, delta := k.ParamPtr("lse2"), k.ParamPtr("delta")
	k.WaitPrerequisites()
	tid := k.Read(ptx.TidX)
	lane := k.And(tid, 15)
	pair := k.Mad(k.Read(ptx.CtaIDX), 8, k.Shr(tid, 4))
	token := k.Div(pair, d.Heads)
	head := k.Sub(pair, k.Mul(token, d.Heads))
	sum, l := k.Var(ptx.F32, "sum", 0), k.Var(ptx.F32, "l", 0)
	there := k.Lt(token, d.tokens())
	k.If(there, func() {
		k.Comment("delta = sum of do o over the head")
		at := k.Add(k.MulWide(pair, 2*headDim), k.MulWide(lane, 16))
		a, b := k.LdVec(ptx.Stream, ptx.B32, 4, k.Add(do, at).At(0)), k.LdVec(ptx.Stream, ptx.B32, 4, k.Add(o, at).At(0))
		for i := range a {
			a0, a1 := k.UnpackBF16(a[i])
			b0, b1 := k.UnpackBF16(b[i])
			k.To(sum).Fma(a0, b0, sum)
			k.To(sum).Fma(a1, b1, sum)
		}
		k.To(l).Ld(ptx.Global, ptx.F32, k.Add(lse, k.MulWide(pair, 4)).At(0))
	})
	total := k.SumLanes(sum, 16)
	k.If(k.And(k.Eq(lane, 0), k.Lt(token, d.statRow())), func() {
		at := k.MulWide(k.Mad(head, d.statRow(), token), 4)
		k.St(ptx.Global, k.Add(delta, at).At(0), total)
		k.St(ptx.Global, k.Add(lse2, at).At(0), k.Mul(l, math.Log2E))
	})
	k.LaunchDependents()
	k.Exit()
}

// attentionGrad writes the main kernel.
type attentionGrad struct {
	k *ptx.Kernel
	d AttentionGradDesc

	q, kv, do        ptx.TensorMap // 64 columns of a head by 64 queries or 128 keys
	lse2, delta      ptx.Reg
	out              ptx.Reg // dqkv
	sumQ, sumKV      ptx.Reg
	flagsQ, flagsKV  ptx.Reg
	ring             *tile.Ring
	keys, values, ds ptx.Addr // K and V, two slabs each; dS, two buffers
	loaded           ptx.Addr // barrier of K and V

	// This block's work.
	head, key, token ptx.Reg // head over all sequences, block of keys, first token of the sequence
	headOf           ptx.Reg // head in its sequence
}

// Places in a slot of the ring.
const (
	slotQ     = 0
	slotDO    = slotQ + 2*blockQueries*128
	slotLSE   = slotDO + 2*blockQueries*128
	slotDelta = slotLSE + 4*blockQueries
	slotBytes = 33 * 1024
)

const keySlab = blockKeys * 128 // bytes of 64 columns of K or V

func emitAttentionMain(m *ptx.Module, d AttentionGradDesc) {
	k := m.Kernel(d.Name(), 384)
	if d.Seq%4 != 0 || d.Heads%d.KVHeads != 0 {
		k.Fail("sequences of multiples of 4 tokens and groups of whole heads, not %+v", d)
		return
	}
	e := &attentionGrad{k: k, d: d}
	box := func(rows int) ptx.MapSpec {
		return ptx.MapSpec{Elem: ptx.BF16, Box: []int{64, rows}, Swizzle: ptx.Swizzle128}
	}
	e.q, e.kv, e.do = k.TensorMap("q", box(blockQueries)), k.TensorMap("kv", box(blockKeys)), k.TensorMap("do", box(blockQueries))
	e.lse2, e.delta, e.out = k.ParamPtr("lse2"), k.ParamPtr("delta"), k.ParamPtr("dqkv")
	e.sumQ, e.sumKV = k.ParamPtr("sum_q"), k.ParamPtr("sum_kv")
	ticket := k.ParamPtr("flags")
	e.flagsQ = k.Add(ticket, 4)
	e.flagsKV = k.Add(ticket, 4+4*d.flagsQ())

	e.keys, e.values = k.SharedBytes(2*keySlab, 1024), k.SharedBytes(2*keySlab, 1024)
	e.ds = k.SharedBytes(2*blockKeys*128, 1024)
	e.ring = tile.NewRing(k, 2, slotBytes, 1)
	e.loaded = k.SharedBytes(8, 8)
	drawn := k.SharedBytes(4, 4)
	tid := k.Read(ptx.TidX)
	warpgroup := k.Shr(tid, 7)
	k.WaitPrerequisites()
	k.If(k.Eq(tid, 0), func() {
		e.ring.Init(1, 2)
		k.MbarrierInit(e.loaded, 1)
		k.FenceBarrierInit()
		k.Comment("the counter wraps, so it is zero again for the next launch")
		k.St(ptx.Shared, drawn, k.Atom(ptx.Global, ptx.AtomInc, ticket.At(0), k.Const(ptx.U32, d.gridMain()-1)))
	})
	k.Sync()
	work := k.Ld(ptx.Shared, ptx.U32, drawn)
	e.head = k.Div(work, d.keys())
	e.key = k.Sub(d.keys()-1, k.Sub(work, k.Mul(e.head, d.keys())))
	sequence := k.Div(e.head, d.Heads)
	e.headOf = k.Sub(e.head, k.Mul(sequence, d.Heads))
	e.token = k.Mul(sequence, d.Seq)
	k.IfElse(k.Eq(warpgroup, 2), func() {
		k.DropRegisters(24, 1)
		k.If(k.Eq(tid, 256), e.produce)
	}, func() {
		k.TakeRegisters(240, 2)
		e.consume(warpgroup, k.And(tid, 127))
	})
	k.Exit()
}

// produce loads K and V, then Q, dO and the statistics of every block of queries from the diagonal on.
func (e *attentionGrad) produce() {
	k, d := e.k, e.d
	kvHead := k.Div(e.headOf, d.group())
	k.MbarrierExpect(e.loaded, 4*keySlab)
	row := k.Mad(e.key, blockKeys, e.token)
	for s := range 2 {
		col := k.Mul(k.Add(kvHead, d.Heads), headDim)
		k.TMALoad(e.keys.At(s*keySlab), e.kv, e.loaded, k.Add(col, 64*s), row)
		k.TMALoad(e.values.At(s*keySlab), e.kv, e.loaded, k.Add(col, d.KVHeads*headDim+64*s), row)
	}
	e.ring.Start()
	stats := k.Mul(e.headOf, d.statRow())
	k.For("i", k.Mul(e.key, blockKeys/blockQueries), d.queries(), 1, func(i ptx.Reg) {
		e.ring.WaitEmpty()
		slot, full := e.ring.Slot(), e.ring.Full()
		k.MbarrierExpect(full, 2*e.q.Bytes()+2*e.do.Bytes()+2*4*blockQueries)
		row := k.Mad(i, blockQueries, e.token)
		col := k.Mul(e.headOf, headDim)
		for s := range 2 {
			k.TMALoad(slot.At(slotQ+s*blockQueries*128), e.q, full, k.Add(col, 64*s), row)
			k.TMALoad(slot.At(slotDO+s*blockQueries*128), e.do, full, k.Add(col, 64*s), row)
		}
		at := k.Assume(k.MulWide(k.Add(stats, row), 4), 16, "sequences are multiples of 4 tokens")
		k.BulkLoad(slot.At(slotLSE), k.Add(e.lse2, at).At(0), 4*blockQueries, full)
		k.BulkLoad(slot.At(slotDelta), k.Add(e.delta, at).At(0), 4*blockQueries, full)
		e.ring.Advance()
	})
}

func (d AttentionGradDesc) scale() float64 { return 1 / math.Sqrt(headDim) }

// Launches on the buffers of attentionGradCase.
func attentionGradLaunches(d AttentionGradDesc) []Launch {
	box := func(rows int) ptx.MapSpec {
		return ptx.MapSpec{Elem: ptx.BF16, Box: []int{64, rows}, Swizzle: ptx.Swizzle128}
	}
	return []Launch{
		{Entry: d.StatsName(), Grid: d.gridStats(), Args: []Arg{Place("do"), Place("o"), Place("lse"), Place("lse2"), Place("delta")}},
		{Entry: d.Name(), Grid: d.gridMain(), Args: []Arg{
			MapOf("qkv", d.tokens(), d.width(), box(blockQueries)), MapOf("qkv", d.tokens(), d.width(), box(blockKeys)),
			MapOf("do", d.tokens(), d.Heads*headDim, box(blockQueries)),
			Place("lse2"), Place("delta"), Place("dqkv"), Place("sum_q"), Place("sum_kv"), Place("flags")}},
	}
}
