package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// Causal attention backward over packed documents. For each query head, with S = Q·Kᵀ, P = exp(scale·S − lse), dP = dO·Vᵀ
// and delta = rowsum(dO∘O), over the queries that see a key:
//
//	dS = P∘(dP − delta)     dV = Pᵀ·dO     dQ = scale·dS·K     dK = scale·dSᵀ·Q
//
// Five products of 2·Dim operations a query and key; P and dS are recomputed tile by tile and rounded to bf16 where they are
// multiplied. A block has 128 keys of one head and walks over the queries that see them, 64 at a time, from the diagonal
// on. It works with transposed tiles (keys by queries), so Pᵀ and dSᵀ go from accumulators to the A operand of dV and dK
// without leaving registers; only dQ needs dS in shared memory.
//
// dK and dV stay in registers. dQ gets a contribution from every block of keys below the diagonal, and the heads of a group
// share dK and dV: both are added in float32 in one order, whatever the schedule. Blocks of keys add to a block of
// queries from the diagonal down, heads to their keys from the first on; a flag counts who has added. As each block begins
// on its diagonal, block j adds to queries i two steps after block j+1 did: in step with each other nobody waits. The last
// to add writes bf16. Blocks take their work from a counter, in an order in which everybody waits for earlier ones only.
//
// A first kernel prepares what belongs to blocks of 64 queries of a head, in one piece for the copy engine: lse, delta and
// the first token that each sees; behind a row's end no query sees any. It also clears the flags.

// Blocks of keys and of queries.
const blockKeys, blockQueries = 128, 64

// never is the start of queries that see nothing.
const never = math.MaxInt32

// AttentionGradConfig fixes a pair of kernels.
type AttentionGradConfig struct {
	Slots int // of the ring, each 64 queries
}

var attentionGradConfig = AttentionGradConfig{Slots: 2}

func (d AttentionDesc) keys() int    { return ceil(d.Seq, blockKeys) }
func (d AttentionDesc) queries() int { return ceil(d.Seq, blockQueries) }

// padded is the dims of a head as products see them: what is behind its own is zero.
func (d AttentionDesc) padded() int { return 16 * d.steps() }

// columnsQ is how many columns of dQ each of the two warpgroups has: half of a slab's, or a slab.
func (d AttentionDesc) columnsQ() int {
	if d.Dim > 64 {
		return 64
	}
	return d.padded() / 2
}

// AttentionGradFloor is what the gradient over whole rows cannot do without.
func AttentionGradFloor(d AttentionDesc) Floor {
	seq := int64(d.Seq)
	return Floor{Bytes: int64(d.tokens()) * int64(4*d.width()+4*d.Heads*d.Dim+4*d.Heads+4),
		FLOPs: 5 * 2 * int64(d.Rows*d.Heads) * seq * (seq + 1) / 2 * int64(d.Dim)}
}

// What a block of queries of a head has in front of the main kernel, 64 words each; behind it, in a slot of the ring, which
// queries the slot holds.
const (
	statLSE   = 0
	statDelta = statLSE + 4*blockQueries
	statStart = statDelta + 4*blockQueries
	statBytes = statStart + 4*blockQueries
	statSlot  = statBytes
)

// attentionSpace is where the parts of the workspace begin, in bytes. Flags are the ticket, then what counts additions to
// dQ (two warpgroups a block of queries), then to dK and dV.
type attentionSpace struct {
	stats, bounds, flags, sumQ, sumKV, end int
}

func (d AttentionDesc) flagsQ() int  { return 2 * d.Rows * d.Heads * d.queries() }
func (d AttentionDesc) flagsKV() int { return 2 * d.Rows * d.KVHeads * d.keys() }

func (d AttentionDesc) space() (s attentionSpace) {
	next := func(bytes int) int {
		at := s.end
		s.end += (bytes + 255) &^ 255
		return at
	}
	s.stats = next(d.Rows * d.Heads * d.queries() * statBytes)
	s.bounds = next(d.Rows * d.queries() * 8)
	s.flags = next(4 * (1 + d.flagsQ() + d.flagsKV()))
	s.sumQ = next(4 * d.flagsQ() * blockQueries * d.columnsQ())
	s.sumKV = next(4 * d.flagsKV() * 2 * 64 * d.padded())
	return s
}

// Name is the entry of the main kernel.
func (c AttentionGradConfig) Name(d AttentionDesc) string {
	return fmt.Sprintf("attention_grad_%s_g%d", d.name(), c.Slots)
}

// StatsName is the entry of the kernel in front of it.
func (c AttentionGradConfig) StatsName(d AttentionDesc) string {
	return "attention_grad_stats_" + d.name()
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
	for pass := 0; pass < blockQueries; pass += threads / lanes {
		query := k.Add(mine, pass)
		token := k.Add(first, query)
		there := k.Lt(token, d.Seq)
		if pass+threads/lanes > blockQueries {
			there = k.And(there, k.Lt(query, blockQueries))
		}
		token = k.Mad(row, d.Seq, token)
		pair := k.Mad(token, d.Heads, head)
		sum, l, start := k.Var(ptx.F32, "sum", 0), k.Var(ptx.F32, "lse", 0), k.Var(ptx.S32, "start", never)
		k.If(k.And(there, k.Lt(lane, d.Dim/8)), func() {
			at := k.Add(k.MulWide(pair, 2*d.Dim), k.MulWide(lane, 16))
			a, b := k.LdVec(ptx.Stream, ptx.B32, 4, k.Add(do, at).At(0)), k.LdVec(ptx.Stream, ptx.B32, 4, k.Add(o, at).At(0))
			for i := range a {
				a0, a1 := k.UnpackBF16(a[i])
				b0, b1 := k.UnpackBF16(b[i])
				k.To(sum).Fma(a0, b0, sum)
				k.To(sum).Fma(a1, b1, sum)
			}
			k.To(l).Ld(fixed, ptx.F32, k.MadWide(pair, 4, lse).At(0))
			k.To(start).Ld(fixed, ptx.S32, k.MadWide(token, 4, starts).At(0))
		})
		total := k.SumLanes(sum, lanes)
		leads := k.Eq(lane, 0)
		if pass+threads/lanes > blockQueries {
			leads = k.And(leads, k.Lt(query, blockQueries))
		}
		at := k.MadWide(query, 4, out)
		k.When(leads).St(ptx.Global, at.At(statLSE), k.Mul(l, math.Log2E))
		k.When(leads).St(ptx.Global, at.At(statDelta), total)
		k.When(leads).St(ptx.Global, at.At(statStart), start)
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

	// This block's work.
	head, key, row ptx.Reg // head over all rows, block of keys, row
	headOf         ptx.Reg // head in its row
}

// slotBytes is a slot of the ring: Q, dO, statistics.
func (d AttentionDesc) slotDO() int    { return d.slabs() * blockQueries * 128 }
func (d AttentionDesc) slotStats() int { return 2 * d.slotDO() }
func (d AttentionDesc) slotBytes() int { return d.slotStats() + 1024 }

const keySlab = blockKeys * 128 // bytes of 64 columns of K or V

// What a slot says about its queries beside their number: whether this block is the last to add to their dQ, whether all of
// them see all keys up to themselves, whether there are none, and nothing follows.
const (
	slotLast   = 1 << 29
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
	e.ring = tile.NewRing(k, c.Slots, d.slotBytes(), 1)
	e.loaded = k.SharedBytes(8, 8)
	drawn := k.SharedBytes(4, 4)
	tid := k.Read(ptx.TidX)
	warpgroup := k.Shr(tid, 7)
	k.WaitPrerequisites()
	k.If(k.Eq(tid, 0), func() {
		e.ring.Init(1, 2)
		k.MbarrierInit(e.loaded, 1)
		k.FenceBarrierInit()
		k.St(ptx.Shared, drawn, k.Atom(ptx.Global, ptx.AtomAdd, ticket.At(0), k.Const(ptx.U32, 1)))
	})
	k.Sync()
	work := k.Ld(ptx.Shared, ptx.U32, drawn)
	e.head = k.Div(work, d.keys())
	e.key = k.Sub(d.keys()-1, k.Sub(work, k.Mul(e.head, d.keys())))
	e.row = k.Div(e.head, d.Heads)
	e.headOf = k.Sub(e.head, k.Mul(e.row, d.Heads))
	k.IfElse(k.Eq(warpgroup, 2), func() {
		k.DropRegisters(24, 1)
		k.If(k.Eq(tid, 256), e.produce)
	}, func() {
		k.TakeRegisters(240, 2)
		e.consume(warpgroup, k.And(tid, 127))
	})
	k.Exit()
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
	stats, bounds := k.Mul(e.head, d.queries()), k.Mul(e.row, d.queries())
	k.For("i", k.Mul(e.key, blockKeys/blockQueries), d.queries(), 1, func(i ptx.Reg) {
		bound := k.LdVec(fixed, ptx.S32, 2, k.MadWide(k.Add(bounds, i), 8, e.bounds).At(0))
		k.If(k.Lt(bound[0], k.Add(firstKey, blockKeys).As(ptx.S32)), func() {
			note := k.Var(ptx.U32, "note", i)
			k.When(k.Ge(bound[0], firstKey.As(ptx.S32))).To(note).Or(note, slotLast)
			k.When(k.Gt(bound[1], firstKey.As(ptx.S32))).To(note).Or(note, slotStarts)
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
	})
	e.ring.WaitEmpty()
	k.St(ptx.Shared, e.ring.Slot().At(d.slotStats()+statSlot), k.Const(ptx.U32, slotEnd))
	k.MbarrierArrive(e.ring.Full())
}

// attentionGradLaunches are the launches on the named buffers.
func attentionGradLaunches(d AttentionDesc, c AttentionGradConfig, scale float64, do, qkv, o, lse, starts, dqkv, work string) []Launch {
	s, heads := d.space(), d.Heads+2*d.KVHeads
	part := func(offset int) Arg { return Place(work).from(offset) }
	return []Launch{
		{Entry: c.StatsName(d), Grid: d.Rows * d.Heads * d.queries(), Args: []Arg{
			Place(do), Place(o), Place(lse), Place(starts), part(s.stats), part(s.bounds), part(s.flags)}},
		{Entry: c.Name(d), Grid: d.Rows * d.Heads * d.keys(), Args: []Arg{
			d.headMap(Place(qkv), heads, blockQueries), d.headMap(Place(qkv), heads, blockKeys), d.headMap(Place(do), d.Heads, blockQueries),
			part(s.stats), part(s.bounds), part(s.flags), part(s.sumQ), part(s.sumKV), Place(dqkv), F32(scale * math.Log2E), F32(scale)}},
	}
}

var attentionGrad = &Kernel{
	Name: "attention_grad", Op: "attention_grad",
	Covers: func(n *ir.Node) bool {
		return n.In[1].Type.DType == ir.BF16 && attentionDesc(n.Attrs, n.In[1].Type).covered()
	},
	Workspace: func(n *ir.Node) int { return attentionDesc(n.Attrs, n.In[1].Type).space().end },
	Steps: func(l *ir.Launch) []Step {
		d, c := attentionDesc(l.Attrs, l.In[1].Type), attentionGradConfig
		launches := attentionGradLaunches(d, c, l.Attrs.Float("scale"), In(0), In(1), In(2), In(3), In(4), Out(0), Work)
		return []Step{
			{Launch: launches[0], Emit: func(m *ptx.Module) { EmitAttentionGradStats(m, d, c) }},
			{Launch: launches[1], Emit: func(m *ptx.Module) { EmitAttentionGrad(m, d, c) }},
		}
	},
}
