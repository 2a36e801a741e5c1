package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
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
// dK and dV stay in registers. dQ gets a share from every block of keys below the diagonal, and the heads of a group share dK
// and dV: both are added in float32 in one order, whatever the schedule, heads to their keys from the first on; a flag counts
// who has added. Blocks take their work from a counter, in an order in which everybody waits for earlier ones only. A share
// of dQ goes to shared memory and from there into the sum by the copy engine, in the order of the registers, while the next
// products run; a thread that does nothing else waits for its turn.
//
// Head by head, blocks of keys add to a block of queries from the diagonal down. As each block begins on its diagonal, block
// j adds to queries i two steps after block j+1 did: in step with each other nobody waits, but the longest work comes last.
// Where several heads are under way together, blocks of keys come from the first on, which has the most queries, and begin
// with the last queries: block j adds to queries i one step after block j-1 did, and the shortest work comes last.
//
// A kernel in front prepares what belongs to blocks of 64 queries of a head, in one piece for the copy engine: lse, delta
// and the first token that each sees; behind a row's end no query sees any. It also clears the flags. One behind rounds dQ.

// Blocks of keys and of queries.
const blockKeys, blockQueries = 128, 64

// never is the start of queries that see nothing.
const never = math.MaxInt32

// AttentionGradConfig fixes a pair of kernels.
type AttentionGradConfig struct {
	Slots    int // of the ring, each 64 queries
	Together int // heads that are under way together, long work first; 0: one after the other, short work first
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
	s.sumQ = next(d.flagsQ() * d.shareBytes())
	s.sumKV = next(4 * d.flagsKV() * 2 * 64 * d.padded())
	return s
}

// Name is the entry of the main kernel.
func (c AttentionGradConfig) Name(d AttentionDesc) string {
	return fmt.Sprintf("attention_grad_%s_g%d%s", d.name(), c.Slots, mark(c.Together > 0, fmt.Sprintf("_h%d", c.Together)))
}

// QName is the entry of the kernel behind it.
func (c AttentionGradConfig) QName(d AttentionDesc) string { return "attention_grad_q_" + d.name() }

// StatsName is the entry of the kernel in front of it.
func (c AttentionGradConfig) StatsName(d AttentionDesc) string {
	return "attention_grad_stats_" + d.name()
}

// attentionGradLaunches are the launches on the named buffers.
func attentionGradLaunches(d AttentionDesc, c AttentionGradConfig, scale float64, do, qkv, o, lse, starts, dqkv, work string) []Launch {
	s, heads := d.space(), d.Heads+2*d.KVHeads
	part := func(offset int) Arg { return Place(work).from(offset) }
	return []Launch{
		{Entry: c.StatsName(d), Grid: d.Rows * d.Heads * d.queries(), Args: []Arg{
			Place(do), Place(o), Place(lse), Place(starts), part(s.stats), part(s.bounds), part(s.flags)}},
		{Entry: c.Name(d), Grid: d.Rows * d.Heads * d.keys(), Dependent: true, Args: []Arg{
			d.headMap(Place(qkv), heads, blockQueries), d.headMap(Place(qkv), heads, blockKeys), d.headMap(Place(do), d.Heads, blockQueries),
			part(s.stats), part(s.bounds), part(s.flags), part(s.sumQ), part(s.sumKV), Place(dqkv), F32(scale * math.Log2E), F32(scale)},
			Floor: AttentionGradFloor(d)},
		{Entry: c.QName(d), Grid: 2 * d.Rows * d.Heads * d.queries(), Dependent: true, Args: []Arg{part(s.sumQ), Place(dqkv), F32(scale)},
			Floor: Floor{Bytes: int64(d.tokens() * d.Heads * d.Dim * (4 + 2))}},
	}
}

var attentionGrad = &Kernel{
	Name: "attention_grad", Op: "attention_grad",
	Covers: func(n *ir.Node) bool {
		return n.In[1].Type.DType == ir.BF16 && attentionDesc(n.Attrs, n.In[1].Type).covered()
	},
	Limit:     func(n *ir.Node) string { return headLimit(attentionDesc(n.Attrs, n.In[1].Type).Dim) },
	Workspace: func(n *ir.Node) int { return attentionDesc(n.Attrs, n.In[1].Type).space().end },
	Steps: func(l *ir.Launch) []Step {
		d, c := attentionDesc(l.Attrs, l.In[1].Type), attentionGradConfig
		launches := attentionGradLaunches(d, c, l.Attrs.Float("scale"), In(0), In(1), In(2), In(3), In(4), Out(0), Work)
		return []Step{
			{Launch: launches[0], Emit: func(m *ptx.Module) { EmitAttentionGradStats(m, d, c) }},
			{Launch: launches[1], Emit: func(m *ptx.Module) { EmitAttentionGrad(m, d, c) }},
			{Launch: launches[2], Emit: func(m *ptx.Module) { EmitAttentionGradQ(m, d, c) }},
		}
	},
}
