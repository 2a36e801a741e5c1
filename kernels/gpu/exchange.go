package gpu

import (
	"fmt"
	"slices"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
	"moegen/kernels/tuned"
)

// How kernels fetch what other ranks have. What decides is how many bytes are under way, and how many warps ask for more; figures are
// an H100's, from its own memory, of rows of 4 KiB on 12 multiprocessors, which have a link of 370 GB/s to fill (docs/benchmarks.md).
//
//   - By threads, each 16 bytes at a time through registers: a block of 16 warps has 32 KB under way (sums 44), but nothing while it
//     looks up the next rows: 75 GB/s a multiprocessor.
//   - In bulk, by the copy engine: a warp, or one of a block, has copies under way into a ring in shared memory, of 96 to 192 KB a
//     multiprocessor, knows its rows ahead, and issues one instruction for what 256 threads would load: 92 GB/s with two blocks, 48
//     with one, whatever the size of its ring.
//
// The bits are the same.

// ExchangeConfig fixes how.
type ExchangeConfig struct {
	Warps  int // of a block: in bulk those that copy, each through a ring of its own, or those that add up; 0: by threads
	Slots  int // of a ring
	Blocks int // of a multiprocessor, at most
}

// mark is what an entry's name ends in; nothing by threads of one block.
func (c ExchangeConfig) mark() string {
	s := ""
	if c.Warps > 0 {
		s = fmt.Sprintf("_w%d_s%d", c.Warps, c.Slots)
	}
	return s + mark(c.Blocks > 1, fmt.Sprintf("_b%d", c.Blocks))
}

// grid is the largest one worth launching for what keeps so many blocks busy.
func (c ExchangeConfig) grid(blocks int) int { return min(max(blocks, 1), peerBlocks*c.Blocks) }

// threads is the size of a block that copies.
func (c ExchangeConfig) threads() int {
	if c.Warps == 0 {
		return peerThreads
	}
	return 32 * c.Warps
}

// exchangeConfigs returns those of a list that a kernel can be, the preferred first, and why others cannot: reject says that, or nothing, of
// those in bulk.
func exchangeConfigs(kernel string, list []ExchangeConfig, reject func(c ExchangeConfig) string) (out []ExchangeConfig, rejected []string) {
	for _, c := range list {
		if c.Warps == 0 {
			out = append(out, c)
		} else if why := reject(c); why != "" {
			rejected = append(rejected, fmt.Sprintf("%s%s: %s", kernel, c.mark(), why))
		} else {
			out = append(out, c)
		}
	}
	for _, t := range tuned.H100Exchanges {
		if best := slices.Index(out, ExchangeConfig{t.Warps, t.Slots, t.Blocks}); t.Kernel == kernel && best > 0 {
			out[0], out[best] = out[best], out[0]
		}
	}
	return out, rejected
}

// bulkBytes is the most that is copied at once: a row of 2048 bf16. Longer ones would leave too few slots, shorter ones ask more
// of the engine.
const bulkBytes = 4096

// bulkLeast is the least that is worth a copy of its own.
const bulkLeast = 128

// crowded says why rings of a block are too large, or nothing.
func (c ExchangeConfig) crowded(bytes int) string {
	if most := (ptx.SharedLimit+1024)/c.Blocks - 1024; bytes > most {
		return fmt.Sprintf("%d bytes of rings; a block of %d has %d", bytes, c.Blocks, most)
	}
	return ""
}

// A haul is items of at most so many bytes, multiples of 16, that warps carry from one place to others. All functions give what
// they say for every lane; what they give for items that do not exist does not matter, but they read nothing for them.
type haul struct {
	bytes int
	items ptx.Reg
	look  func(item, there ptx.Reg) (note ptx.Reg)                   // looks up, long before the copy, what from needs; nil: nothing
	from  func(item, note ptx.Reg) (place ptx.Reg)                   // where an item is
	size  func(item ptx.Reg) (bytes ptx.Operand)                     // of an item
	to    func(item ptx.Reg, put func(place ptx.Reg, only *ptx.Reg)) // where it goes; only where a predicate holds, nil: always
}

// copyConfigs are the candidates for copies. By threads registers leave room for three blocks of a multiprocessor's four.
var copyConfigs = []ExchangeConfig{{Blocks: 1}, {Blocks: 2}, {Blocks: 4}, {8, 6, 1}, {4, 12, 1}, {16, 3, 1}, {4, 6, 2}}

// lag is how many copies out of a warp's ring are under way: the slots in front of them are full or being filled.
func (c ExchangeConfig) lag() int { return min(2, c.Slots-2) }

// carriers are the warps of a block that carry items.
type carriers struct {
	ExchangeConfig
	k           *ptx.Kernel
	bytes       int
	leader      ptx.Reg // whether a lane issues the copies
	first, step ptx.Reg // item of the warp, and how far it is to the next
	slots, full ptx.Reg // of the warp's ring: the memory, and a barrier a slot
}

// carriers sets the rings up; it is called before the grid waits for those in front.
func (c ExchangeConfig) carriers(k *ptx.Kernel, bytes int) *carriers {
	w := &carriers{ExchangeConfig: c, k: k, bytes: bytes}
	slots, full := k.SharedBytes(c.Warps*c.Slots*bytes, 128), k.SharedBytes(8*c.Warps*c.Slots, 8)
	warp := k.Shr(k.Read(ptx.TidX), 5)
	w.leader = k.Eq(k.Read(ptx.LaneID), 0)
	w.first, w.step = k.Mad(k.Read(ptx.CtaIDX), c.Warps, warp), k.Mul(k.Read(ptx.NCtaIDX), c.Warps)
	w.slots, w.full = k.Mad(warp, c.Slots*bytes, k.Lea(slots)), k.Mad(warp, 8*c.Slots, k.Lea(full))
	k.If(w.leader, func() {
		for s := range c.Slots {
			k.MbarrierInit(w.full.At(8*s), 1)
		}
		k.FenceBarrierInit()
	})
	k.SyncWarp()
	return w
}

// carry carries all items, of which item i is the warp's if i = first + n·step.
func (w *carriers) carry(h haul) {
	k := w.k
	k.Comment("what peers stored is visible to the copy engine")
	k.FenceProxyAsync(true)
	count := k.Var(ptx.U32, "count", 0)
	k.If(k.Lt(w.first, h.items), func() {
		k.To(count).Add(k.Div(k.Sub(k.Sub(h.items, w.first), 1), w.step), 1)
	})
	load := w.loader(h, count)
	k.For("filled", 0, w.Slots-w.lag(), 1, func(ptx.Reg) { load() })
	slot, parity := k.Var(ptx.U32, "slot", 0), k.Var(ptx.U32, "parity", 0)
	k.For("n", 0, count, 1, func(n ptx.Reg) {
		item := k.Mad(n, w.step, w.first)
		k.MbarrierWait(w.barrier(slot), parity)
		bytes := h.size(item)
		h.to(item, func(place ptx.Reg, only *ptx.Reg) {
			issue := w.leader
			if only != nil {
				issue = k.And(issue, *only)
			}
			k.When(issue).BulkStore(place.At(0), w.slot(slot).At(0), bytes)
		})
		k.When(w.leader).BulkCommit()
		k.Comment("the next copy goes where the last but %d has been read", w.lag())
		k.BulkWaitRead(w.lag())
		load()
		w.turn(slot, &parity)
	})
	k.BulkWait(0)
}

// loader returns what starts the copy of the next item into the next slot, if there is one. Lane l knows where item
// first + (n + l)·step is, for the last n that is a multiple of 32, and the note of the item 32·step behind it.
func (w *carriers) loader(h haul, count ptx.Reg) func() {
	k := w.k
	look := func(n ptx.Reg) (item, note ptx.Reg) {
		item = k.Mad(n, w.step, w.first)
		if h.look == nil {
			return item, item
		}
		return item, h.look(item, k.Lt(n, count))
	}
	next, slot, from := k.Var(ptx.U32, "next", 0), k.Var(ptx.U32, "into", 0), k.Var(ptx.U64, "from", 0)
	lane := k.Read(ptx.LaneID)
	_, first := look(lane)
	ahead := k.Var(ptx.U32, "ahead", first)
	return func() {
		k.If(k.Lt(next, count), func() {
			k.If(k.Eq(k.And(next, 31), 0), func() {
				mine := k.Add(next, lane)
				k.Assign(from, h.from(k.Mad(mine, w.step, w.first), ahead))
				_, note := look(k.Add(mine, 32))
				k.Assign(ahead, note)
			})
			var words []ptx.Reg
			for _, word := range k.Split(ptx.U32, from) {
				words = append(words, k.ShflIdx(word, k.And(next, 31)))
			}
			place := k.Assume(k.Join(ptx.U64, words...), 16, "arenas, buffers and items begin at such")
			bytes := h.size(k.Mad(next, w.step, w.first))
			k.When(w.leader).MbarrierExpect(w.barrier(slot), bytes)
			issue := w.leader
			if n, ok := bytes.(ptx.Reg); ok {
				issue = k.And(issue, k.Ne(n, 0))
			}
			k.When(issue).BulkLoad(w.slot(slot).At(0), place.At(0), bytes, w.barrier(slot))
			k.To(next).Add(next, 1)
			w.turn(slot, nil)
		})
	}
}

func (w *carriers) slot(number ptx.Reg) ptx.Reg     { return w.k.Mad(number, w.bytes, w.slots) }
func (w *carriers) barrier(number ptx.Reg) ptx.Addr { return w.k.Add(w.full, w.k.Shl(number, 3)).At(0) }

// turn goes to the next slot; the parity, if it is kept, changes with every round.
func (w *carriers) turn(slot ptx.Reg, parity *ptx.Reg) {
	k := w.k
	k.To(slot).Add(slot, 1)
	around := k.Eq(slot, w.Slots)
	k.When(around).Assign(slot, 0)
	if parity != nil {
		k.When(around).To(*parity).Xor(*parity, 1)
	}
}

// sumConfigs are the candidates for sums. By threads they have registers for one block.
var sumConfigs = []ExchangeConfig{{Blocks: 1}, {8, 6, 1}, {4, 12, 1}, {4, 6, 2}, {8, 3, 2}}

// A tally is sums of what several sources have, cut into items of so many pieces as a block has threads that add up. One
// warp has the copy engine fetch what all sources have of an item, lane r of source r, into a slot of a ring, with the number of bytes of each
// beside it; it is one item ahead with what it looks up.
type tally struct {
	ExchangeConfig
	k       *ptx.Kernel
	sources int
	ring    *tile.Ring
	lengths ptx.Addr // of each slot and source
}

// tallyThreads is the size of a block.
func (c ExchangeConfig) tallyThreads() int { return 32 * (c.Warps + 1) }

// tallyBytes is what a source has of an item at most.
func (c ExchangeConfig) tallyBytes() int { return 32 * c.Warps * 16 }

// tallyShared is the shared memory of a block.
func (c ExchangeConfig) tallyShared(sources int) int {
	return c.Slots * (sources*(c.tallyBytes()+4) + 2*8)
}

// rejectTally says why so many sources cannot be added up in bulk, of arrays whose pieces have so many bytes, or nothing.
func (c ExchangeConfig) rejectTally(sources, pieceBytes int) string {
	switch {
	case pieceBytes != 16:
		return fmt.Sprintf("pieces of %d bytes; the copy engine takes multiples of 16", pieceBytes)
	case sources > 32:
		return fmt.Sprintf("%d sources; a warp has 32 lanes", sources)
	}
	return c.crowded(c.tallyShared(sources))
}

// tally sets the ring up; it is called before the grid waits for those in front.
func (c ExchangeConfig) tally(k *ptx.Kernel, sources int) *tally {
	t := &tally{ExchangeConfig: c, k: k, sources: sources}
	t.ring = tile.NewRing(k, c.Slots, sources*c.tallyBytes(), 1)
	t.lengths = k.SharedBytes(4*c.Slots*sources, 16)
	k.If(k.Eq(k.Read(ptx.TidX), 0), func() { t.ring.Init(1, c.Warps) })
	k.Sync()
	return t
}

// A sum is what a tally is to do. The functions of a lane give what they say for its source; they are asked of lanes that have none, too, and
// of items that are not there, for which nothing is read.
type sum struct {
	items ptx.Reg
	look  func(item, there, lane ptx.Reg) (note ptx.Reg)        // what from needs
	from  func(item, note, lane ptx.Reg) (place, bytes ptx.Reg) // where a source's part of the item is, and how long
	// add makes the result of a thread's piece of an item and stores it; term loads what source r has of it, zeros where it has nothing.
	add func(item, thread ptx.Reg, term func(p piece, r int) []ptx.Reg)
}

// run deals the items to the blocks of the grid.
func (t *tally) run(s sum) {
	k := t.k
	first, step := k.Read(ptx.CtaIDX), k.Read(ptx.NCtaIDX)
	thread, lane := k.Read(ptx.TidX), k.Read(ptx.LaneID)
	k.IfElse(k.Ge(thread, 32*t.Warps), func() { t.fetch(s, first, step, lane) }, func() {
		t.ring.StartConsumer(lane)
		offset := k.Shl(thread, 4)
		k.For("item", first, s.items, step, func(item ptx.Reg) {
			t.ring.WaitFull()
			slot, lengths := k.Add(t.ring.Slot(), offset), t.lengthsOf(t.ring.Here())
			s.add(item, thread, func(p piece, r int) []ptx.Reg {
				inside := k.Lt(offset, k.Ld(ptx.Shared, ptx.U32, lengths.At(4*r)))
				return p.loadIf(k, inside, ptx.Shared, slot.At(r*t.tallyBytes()))
			})
			k.SyncWarp()
			t.ring.Release(t.ring.Here())
			t.ring.Advance()
		})
	})
}

// fetch is the warp's part that fetches.
func (t *tally) fetch(s sum, first, step, lane ptx.Reg) {
	k := t.k
	k.Comment("what peers stored is visible to the copy engine")
	k.FenceProxyAsync(true)
	t.ring.Start()
	source := k.Lt(lane, t.sources)
	ahead := k.Var(ptx.U32, "ahead", s.look(first, k.And(source, k.Lt(first, s.items)), lane))
	k.For("item", first, s.items, step, func(item ptx.Reg) {
		place, length := s.from(item, ahead, lane)
		bytes := k.Var(ptx.U32, "bytes", 0)
		k.When(source).Assign(bytes, length)
		next := k.Add(item, step)
		k.Assign(ahead, s.look(next, k.And(source, k.Lt(next, s.items)), lane))
		all := k.Redux(ptx.AtomAdd, bytes)
		t.ring.WaitEmpty()
		k.When(source).St(ptx.Shared, k.Add(t.lengthsOf(t.ring.Here()), k.Shl(lane, 2)).At(0), bytes)
		k.SyncWarp()
		k.When(k.Eq(lane, 0)).MbarrierExpect(t.ring.Full(), all)
		k.SyncWarp()
		k.When(k.Ne(bytes, 0)).BulkLoad(k.Mad(lane, t.tallyBytes(), t.ring.Slot()).At(0), k.Assume(place, 16, "arenas, buffers and items begin at such").At(0),
			k.Assume(bytes, 16, "pieces are"), t.ring.Full())
		t.ring.Advance()
	})
}

// lengthsOf is where the lengths of a slot's sources are.
func (t *tally) lengthsOf(slot ptx.Reg) ptx.Reg {
	return t.k.Mad(slot, 4*t.sources, t.k.Lea(t.lengths))
}
