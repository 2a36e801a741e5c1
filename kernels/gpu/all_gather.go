package gpu

import (
	"fmt"

	"moegen/kernels/ptx"
)

// What replicas have in parts, whole on each of them, in place:
//
//	x[i] = x[i] of replica k     i in part k
//
// A replica begins with the one behind it, so that no two read the same one at a time. A rank that runs alone reads the others'
// parts from itself: x stays as it is.
//
// Floor: all but the own share is read and written.

// AllGatherFloor is what a rank moves.
func AllGatherFloor(d ReplicasDesc) Floor {
	return Floor{Bytes: int64(2 * (d.pieces() - d.share()) * d.piece().bytes())}
}

// allGatherConfigs returns the candidates, the preferred first, and why others are none.
func allGatherConfigs(d ReplicasDesc) (out []ExchangeConfig, rejected []string) {
	return exchangeConfigs("all_gather", copyConfigs, func(c ExchangeConfig) string {
		switch {
		case d.piece().bytes() != 16:
			return fmt.Sprintf("pieces of %d bytes; the copy engine takes multiples of 16", d.piece().bytes())
		case d.Of.Parts == 1:
			return "nothing to fetch"
		}
		return c.crowded(c.Warps * c.Slots * (bulkBytes + 8))
	})
}

// EmitAllGather writes the kernel.
func EmitAllGather(m *ptx.Module, d ReplicasDesc, c ExchangeConfig) {
	k := m.Kernel(d.name("all_gather", c), c.threads())
	k.NoSpills()
	if c.Warps == 0 {
		d.shares(k, nil).gatherByThreads()
	} else {
		var w *carriers
		s := d.shares(k, func() { w = c.carriers(k, bulkBytes) })
		w.carry(s.gatherInBulk())
	}
	k.LaunchDependents()
	k.Exit()
}

// behind is the part of the replica that is so many behind this one.
func (s *shares) behind(j ptx.Operand) ptx.Reg { return s.k.Rem(s.k.Add(s.number, j), s.Of.Parts) }

func (s *shares) gatherByThreads() {
	k, p := s.k, s.piece()
	type move struct{ from, to, length ptx.Reg }
	batches := inBatches(s, 1, func(j int) move {
		part := s.behind(j)
		return move{s.place(part, part), s.place(s.number, part), s.length(part)}
	})
	s.each(max(peerPieces/max(s.Of.Parts-1, 1), 1), func(pieces []ptx.Reg) {
		for _, batch := range batches {
			var stores []func()
			for _, move := range batch() {
				for _, piece := range pieces {
					offset, inside := k.MulWide(piece, p.bytes()), k.Lt(piece, move.length)
					v := p.loadIf(k, inside, theirs, k.Add(move.from, offset).At(0))
					stores = append(stores, func() { k.When(inside).St(ptx.Global, k.Add(move.to, offset).At(0), v...) })
				}
			}
			for _, store := range stores {
				store()
			}
		}
	})
}

// gatherInBulk deals parts in turn, so that all replicas are read from at a time. The last parts are shorter: some items are empty.
func (s *shares) gatherInBulk() haul {
	k, p := s.k, s.piece()
	const most = bulkBytes / 16
	others := s.Of.Parts - 1
	split := func(item ptx.Reg) (part, begin ptx.Reg) {
		run := k.Div(item, others)
		return s.behind(k.Add(k.Sub(item, k.Mul(run, others)), 1)), k.Mul(run, most)
	}
	at := func(replica, part, begin ptx.Reg) ptx.Reg {
		return k.Add(s.place(replica, part), k.MulWide(begin, p.bytes()))
	}
	return haul{
		bytes: bulkBytes,
		items: k.Mul(k.Div(k.Add(s.share, most-1), most), others),
		from: func(item, _ ptx.Reg) ptx.Reg {
			part, begin := split(item)
			return at(part, part, begin)
		},
		size: func(item ptx.Reg) ptx.Operand {
			part, begin := split(item)
			length := s.length(part)
			return k.Mul(k.Min(k.Sub(k.Max(length, begin), begin), most), p.bytes())
		},
		to: func(item ptx.Reg, put func(place ptx.Reg, only *ptx.Reg)) {
			part, begin := split(item)
			some := k.Gt(s.length(part), begin)
			put(k.Assume(at(s.number, part, begin), 16, "arenas, buffers and pieces begin at such"), &some)
		},
	}
}

var allGathering = shared{"all_gather", []string{In(0)}, 0, allGatherConfigs, EmitAllGather, AllGatherFloor}

var allGather = allGathering.kernel()
