package gpu

import (
	"moegen/ir"
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

// EmitAllGather writes the kernel.
func EmitAllGather(m *ptx.Module, d ReplicasDesc) {
	k := m.Kernel(d.name("all_gather"), peerThreads)
	k.NoSpills()
	s, p := d.shares(k), d.piece()
	type move struct{ from, to, length ptx.Reg }
	batches := inBatches(s, 1, func(j int) move {
		part := k.Rem(k.Add(s.number, j), d.Of.Parts)
		return move{s.place(part, part), s.place(s.number, part), s.length(part)}
	})
	s.each(max(peerPieces/max(d.Of.Parts-1, 1), 1), func(pieces []ptx.Reg) {
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
	k.LaunchDependents()
	k.Exit()
}

var allGather = &Kernel{
	Name: "all_gather", Op: "all_gather", Shares: [][2]int{{0, 0}},
	Covers: overReplicas,
	Steps: func(l *ir.Launch) []Step {
		d := replicasDesc(l.In[0].Type, l.Attrs)
		return exchange(d.step("all_gather", In(0), EmitAllGather, AllGatherFloor(d)))
	},
}
