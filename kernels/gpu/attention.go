package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// Causal attention forward over packed documents, with groups of query heads on one key and value head. For each row of Seq
// tokens and each query head, over the keys from the start of the query's document to the query itself:
//
//	S = Q·Kᵀ     P = exp(scale·S − max)     O = P·V / rowsum(P)     lse = scale·max + ln rowsum(P)
//
// Two products of 2·Dim operations a query and key: the tensor cores decide, if the exponentials (16 a cycle and
// multiprocessor against 4096 operations) run beside them. As in FlashAttention-3 (Shah et al., 2024) a warpgroup issues
// S of the next keys before P·V of these, and computes the exponentials while the tensor cores work; two warpgroups take
// turns at issuing, so that one's exponentials also run beside the other's products. S and O are float32 in registers, P is
// rounded to bf16 in registers, where it is the A operand of its product. Sums are of the unrounded P.
//
// A block has 64 queries of one head a consumer warpgroup; a producer warp loads Q, and K and V tile by tile from the
// diagonal down into a ring of slots, in the order in which they are used: K, K, V, K, V, …, V. Blocks are persistent and take
// the longest work first. Tiles before the start of every query's document are skipped. Everything is read through maps
// of four dimensions (dims of a head, heads, tokens, rows), so heads of any multiple of 8 dims and rows of any length do:
// what lies outside is zero, and not stored.

// AttentionDesc is what is asked: Rows rows of Seq tokens, packed [tokens, (Heads + 2·KVHeads)·Dim].
type AttentionDesc struct {
	Rows, Seq           int
	Heads, KVHeads, Dim int
}

func (d AttentionDesc) tokens() int { return d.Rows * d.Seq }
func (d AttentionDesc) width() int  { return (d.Heads + 2*d.KVHeads) * d.Dim }
func (d AttentionDesc) group() int  { return d.Heads / d.KVHeads }

// slabs is how many slabs of 64 columns hold a head, steps how many wgmmas deep it is.
func (d AttentionDesc) slabs() int { return ceil(d.Dim, 64) }
func (d AttentionDesc) steps() int { return ceil(d.Dim, 16) }

// covered says whether there are kernels.
func (d AttentionDesc) covered() bool { return headLimit(d.Dim) == "" }

// headLimit says what is wrong with heads of so many dims; "": nothing. Copies take multiples of 16 bytes, accumulators 128
// columns.
func headLimit(dim int) string {
	if dim%8 == 0 && dim > 0 && dim <= 128 {
		return ""
	}
	return fmt.Sprintf("head_dim is %d, and must be a multiple of 8, at most 128", dim)
}

func (d AttentionDesc) name() string {
	return fmt.Sprintf("r%d_s%d_h%d_kv%d_d%d", d.Rows, d.Seq, d.Heads, d.KVHeads, d.Dim)
}

// box is a tile of tokens of one head: 64 of its columns.
func (d AttentionDesc) box(tokens int) ptx.MapSpec {
	return ptx.MapSpec{Elem: ptx.BF16, Box: []int{64, 1, tokens, 1}, Swizzle: ptx.Swizzle128}
}

// headMap is a map over a place with heads of this layout in each token's row.
func (d AttentionDesc) headMap(at Arg, heads, tokens int) Arg {
	at.Type = 0
	at.Map = &Map{Dims: []int{d.Dim, heads, d.Seq, d.Rows}, Strides: []int{2 * d.Dim, 2 * heads * d.Dim, 2 * d.Seq * heads * d.Dim}, Spec: d.box(tokens)}
	return at
}

// AttentionConfig fixes one kernel.
type AttentionConfig struct {
	Keys  int // of a tile
	Slots int // of the ring, each a tile of K or of V
}

// attentionConsumers is how many warpgroups multiply, 64 queries each.
const attentionConsumers = 2

// blockRows is the queries of a block.
const blockRows = 64 * attentionConsumers

// Name is the kernel's entry.
func (c AttentionConfig) Name(d AttentionDesc) string {
	return fmt.Sprintf("attention_%s_n%d_g%d", d.name(), c.Keys, c.Slots)
}

// AttentionConfigs returns the candidates, the preferred first, and why others are none.
func AttentionConfigs(d AttentionDesc) (out []AttentionConfig, rejected []string) {
	if !d.covered() {
		return nil, []string{headLimit(d.Dim)}
	}
	for _, keys := range []int{128, 64} {
		c := AttentionConfig{Keys: keys, Slots: 4}
		switch {
		case keys > 64 && d.Seq <= 64:
			rejected = append(rejected, fmt.Sprintf("%s: half of every tile is behind the row's end", c.Name(d)))
		default:
			out = append(out, c)
		}
	}
	return out, rejected
}

// tiles is how many tiles of queries a row has, work how many blocks' worth of work there is.
func (d AttentionDesc) tiles() int { return ceil(d.Seq, blockRows) }
func (d AttentionDesc) work() int  { return d.tiles() * d.Rows * d.Heads }

// AttentionFloor is what attention over whole rows cannot do without.
func AttentionFloor(d AttentionDesc) Floor {
	seq := int64(d.Seq)
	return Floor{Bytes: int64(d.tokens()) * int64(2*d.width()+2*d.Heads*d.Dim+4*d.Heads+4),
		FLOPs: 2 * 2 * int64(d.Rows*d.Heads) * seq * (seq + 1) / 2 * int64(d.Dim)}
}

// attentionForward writes the kernel.
type attentionForward struct {
	k *ptx.Kernel
	d AttentionDesc
	c AttentionConfig

	q, kv, o           ptx.TensorMap
	lse, starts, scale ptx.Reg // scale is that of powers of 2
	ring               *tile.Ring
	queries, out       ptx.Addr // Q, and O on its way out
	first              ptx.Addr // the first tile of keys of the work at hand
	full, empty        ptx.Addr // barriers of Q
}

// EmitAttention writes the kernel: parameters are maps of Q, of K and V and of O, lse, starts and scale·log2(e).
func EmitAttention(m *ptx.Module, d AttentionDesc, c AttentionConfig) {
	k := m.Kernel(c.Name(d), 128*(1+attentionConsumers))
	if !d.covered() || d.Heads%d.KVHeads != 0 || c.Keys%16 != 0 {
		k.Fail("no kernel for %+v and %+v", d, c)
		return
	}
	e := &attentionForward{k: k, d: d, c: c}
	e.q, e.kv, e.o = k.TensorMap("q", d.box(blockRows)), k.TensorMap("kv", d.box(c.Keys)), k.TensorMap("o", d.box(64))
	e.lse, e.starts, e.scale = k.ParamPtr("lse"), k.ParamPtr("starts"), k.ParamF32("scale")
	e.queries = k.SharedBytes(d.slabs()*blockRows*128, 1024)
	e.out = k.SharedBytes(d.slabs()*blockRows*128, 1024)
	e.ring = tile.NewRing(k, c.Slots, d.slabs()*c.Keys*128, 1)
	e.full, e.empty, e.first = k.SharedBytes(8, 8), k.SharedBytes(8, 8), k.SharedBytes(4, 4)
	tid := k.Read(ptx.TidX)
	warpgroup := k.Shr(tid, 7)
	k.If(k.Eq(tid, 0), func() {
		e.ring.Init(1, attentionConsumers)
		k.MbarrierInit(e.full, 1)
		k.MbarrierInit(e.empty, 128*attentionConsumers)
		k.FenceBarrierInit()
		for _, m := range []ptx.TensorMap{e.q, e.kv, e.o} {
			k.PrefetchMap(m)
		}
	})
	k.Sync()
	k.WaitPrerequisites()
	k.IfElse(k.Eq(warpgroup, attentionConsumers), func() {
		k.DropRegisters(40, 1)
		k.If(k.Lt(tid, 128*attentionConsumers+32), e.produce)
	}, func() {
		k.TakeRegisters(232, attentionConsumers)
		newAttentionConsumer(e, warpgroup, k.And(tid, 127)).consume()
	})
	k.Exit()
}

// attentionWork is 128 queries of one head: the first of them and the tile of keys of the last.
type attentionWork struct {
	row, head, query, last ptx.Reg
}

// each runs body for the block's work, the longest first: tiles of queries from the last down, in rounds over the blocks
// that turn at either end, so that all get about as much.
func (e *attentionForward) each(body func(attentionWork)) {
	k, d := e.k, e.d
	blocks := k.Read(ptx.NCtaIDX)
	ahead := k.Read(ptx.CtaIDX)
	behind := k.Sub(k.Sub(blocks, 1), ahead)
	place, other := k.Var(ptx.U32, "place", ahead), k.Var(ptx.U32, "other", behind)
	k.For("round", 0, d.work(), blocks, func(round ptx.Reg) {
		number := k.Add(round, place)
		k.If(k.Lt(number, d.work()), func() {
			rank := k.Div(number, d.Rows*d.Heads)
			rest := k.Sub(number, k.Mul(rank, d.Rows*d.Heads))
			w := attentionWork{row: k.Div(rest, d.Heads)}
			w.head = k.Sub(rest, k.Mul(w.row, d.Heads))
			w.query = k.Mul(k.Sub(d.tiles()-1, rank), blockRows)
			w.last = k.Div(k.Sub(k.Min(k.Add(w.query, blockRows), d.Seq), 1), e.c.Keys)
			body(w)
		})
		swap := k.Add(place, 0)
		k.Assign(place, other)
		k.Assign(other, swap)
	})
}

// start loads the first token that a query sees; queries behind the row's end are like its last.
func (e *attentionForward) start(w attentionWork, query ptx.Reg) ptx.Reg {
	k := e.k
	at := k.Mad(w.row, e.d.Seq, k.Min(query, e.d.Seq-1))
	return k.Ld(fixed, ptx.S32, k.MadWide(at, 4, e.starts).At(0))
}

// produce loads Q, K and V, for a warp of which one lane speaks to the copy engine.
func (e *attentionForward) produce() {
	k, d, c := e.k, e.d, e.c
	lane := k.Read(ptx.LaneID)
	leads := k.Eq(lane, 0)
	e.ring.Start()
	parity := k.Var(ptx.U32, "parity", 1)
	e.each(func(w attentionWork) {
		k.Comment("the first token that any of the queries sees")
		least := k.Const(ptx.S32, d.Seq)
		for i := range blockRows / 32 {
			least = k.Min(least, e.start(w, k.Add(k.Add(w.query, lane), 32*i)))
		}
		first := k.Div(k.Redux(ptx.AtomMin, least).As(ptx.U32), c.Keys)
		k.If(leads, func() {
			kvHead := k.Add(k.Div(w.head, d.group()), d.Heads)
			k.MbarrierWait(e.empty, parity)
			k.St(ptx.Shared, e.first, first)
			k.MbarrierExpect(e.full, d.slabs()*e.q.Bytes())
			for s := range d.slabs() {
				k.TMALoad(e.queries.At(s*blockRows*128), e.q, e.full, 64*s, w.head, w.query, w.row)
			}
			load := func(head, key ptx.Reg) {
				e.ring.WaitEmpty()
				slot, full := e.ring.Slot(), e.ring.Full()
				k.MbarrierExpect(full, d.slabs()*e.kv.Bytes())
				for s := range d.slabs() {
					k.TMALoad(slot.At(s*c.Keys*128), e.kv, full, 64*s, head, key, w.row)
				}
				e.ring.Advance()
			}
			key := k.Var(ptx.U32, "key", k.Mul(w.last, c.Keys))
			load(kvHead, key)
			k.For("tile", first, w.last, 1, func(ptx.Reg) {
				k.To(key).Sub(key, c.Keys)
				load(kvHead, key)
				load(k.Add(kvHead, d.KVHeads), k.Add(key, c.Keys))
			})
			load(k.Add(kvHead, d.KVHeads), key)
		})
		k.To(parity).Xor(parity, 1)
	})
}

// attentionLaunch is the launch on the named buffers.
func attentionLaunch(d AttentionDesc, c AttentionConfig, scale float64, qkv, starts, o, lse string) Launch {
	heads := d.Heads + 2*d.KVHeads
	return Launch{Entry: c.Name(d), Grid: d.work(), Persistent: true, Args: []Arg{
		d.headMap(Place(qkv), heads, blockRows), d.headMap(Place(qkv), heads, c.Keys), d.headMap(Place(o), d.Heads, 64),
		Place(lse), Place(starts), F32(scale * math.Log2E)}, Floor: AttentionFloor(d)}
}

// attentionDesc is the layout that a node's attributes give a packed projection.
func attentionDesc(attrs ir.Attrs, qkv ir.Type) AttentionDesc {
	h := packedHeads(attrs, qkv)
	rows := attrs.Int("rows")
	return AttentionDesc{Rows: rows, Seq: qkv.Dim(0) / rows, Heads: h.Heads, KVHeads: h.KVHeads, Dim: h.Dim}
}

var attention = &Kernel{
	Name: "attention", Op: "attention",
	Covers: func(n *ir.Node) bool {
		return n.In[0].Type.DType == ir.BF16 && attentionDesc(n.Attrs, n.In[0].Type).covered()
	},
	Limit: func(n *ir.Node) string { return headLimit(attentionDesc(n.Attrs, n.In[0].Type).Dim) },
	Steps: func(l *ir.Launch) []Step {
		d := attentionDesc(l.Attrs, l.In[0].Type)
		configs, _ := AttentionConfigs(d)
		launch := attentionLaunch(d, configs[0], l.Attrs.Float("scale"), In(0), In(1), Out(0), Out(1))
		return []Step{{Launch: launch, Emit: func(m *ptx.Module) { EmitAttention(m, d, configs[0]) }}}
	},
}
