package gpu

import (
	"moegen/ir"
	"moegen/kernels/ptx"
)

// What crosses between ranks is fetched: a rank whose operands are ready waits for the others at a barrier, reads what it needs
// of them through their addresses, and waits again, so that nobody writes what another still reads. Blocks that wait for
// other ranks are those of the barrier alone, one a rank: however many ranks share a GPU, they leave room for each other's work.
// Barriers are counted one by one, so all of a program's run on one stream.

const (
	peerThreads = 512 // of a block: four pieces a thread under way keep a link busy
	peerBlocks  = 132 // of a grid: one for each multiprocessor
	peerPieces  = 8   // that a thread has under way at least, where it has as many
)

// theirs is how peers' memory is read: what they wrote before the barrier, each byte once.
var theirs = ptx.Access{Space: ptx.GlobalSpace, L1: ptx.NoAllocate}

// Where things are in the world.
const (
	worldRank      = 8 * MostRanks
	worldRanks     = worldRank + 4
	worldRehearsed = worldRank + 8
	worldCount     = worldRank + 12
	worldAbort     = worldRank + 16
	worldFlags     = worldRank + 128 // a cache line of their own
)

// A world is what a kernel knows of all ranks.
type world struct {
	k    *ptx.Kernel
	at   ptx.Reg // in memory
	rank ptx.Reg // this one
	own  ptx.Reg // its base
}

// readWorld reads who this rank is.
func readWorld(k *ptx.Kernel, at ptx.Reg) *world {
	w := &world{k: k, at: at}
	w.rank = k.Ld(fixed, ptx.U32, at.At(worldRank))
	w.own = w.base(w.rank)
	return w
}

// base is where a rank's arena begins.
func (w *world) base(rank ptx.Operand) ptx.Reg {
	if n, ok := rank.(int); ok {
		return w.k.Ld(fixed, ptx.U64, w.at.At(8*n))
	}
	return w.k.Ld(fixed, ptx.U64, w.k.Add(w.at, w.k.MulWide(rank, 8)).At(0))
}

// peer is what lies in a rank's arena where at lies in this one's; at is a multiple of 16.
func (w *world) peer(rank ptx.Operand, at ptx.Reg) ptx.Reg {
	return w.k.Add(at, w.k.Sub(w.base(rank), w.own))
}

// rehearsed says whether one rank runs alone.
func (w *world) rehearsed() ptx.Reg {
	return w.k.Ne(w.k.Ld(fixed, ptx.U32, w.at.At(worldRehearsed)), 0)
}

// A set is ranks that exchange something, as ir.Replicas counts them.
type set struct {
	*world
	of     ir.Replicas
	number ptx.Reg // of this rank among them
	first  ptx.Reg // the rank with number 0
}

// set returns the one of this rank.
func (w *world) set(of ir.Replicas) *set {
	s := &set{world: w, of: of, number: replicaNumber(w.k, w.rank, of)}
	s.first = w.k.Sub(w.rank, w.k.Mul(s.number, of.Stride))
	return s
}

// replicaNumber is ir.Replicas.Number.
func replicaNumber(k *ptx.Kernel, rank ptx.Reg, of ir.Replicas) ptx.Reg {
	return k.Rem(k.Div(rank, of.Stride), of.Parts)
}

// group returns the ranks that share the experts, so many in a row.
func (w *world) group(ranks int) *set { return w.set(ir.Replicas{Parts: ranks, Stride: 1}) }

// peer is world.peer by the number in the set.
func (s *set) peer(number ptx.Operand, at ptx.Reg) ptx.Reg {
	if n, ok := number.(int); ok {
		return s.world.peer(s.k.Add(s.first, n*s.of.Stride), at)
	}
	return s.world.peer(s.k.Mad(number, s.of.Stride, s.first), at)
}

// barrier is the launch that waits until all ranks have come as far as this one. Everything that they did before is visible
// to whatever follows. It is no dependent launch: it would promise what the launches in front have not done yet. Numbers of
// barriers are compared by their difference: they may run over. Where the host has given the ranks up nobody waits any more, so
// that everything comes to an end; what the launches behind make is of no use then.
func barrier() Step {
	const name = "world_barrier"
	return Step{Launch{Entry: name, Grid: 1, Args: []Arg{Place(World)}}, func(m *ptx.Module) {
		k := m.Kernel(name, MostRanks)
		at := k.ParamPtr("world")
		k.WaitPrerequisites()
		w := readWorld(k, at)
		lane := k.Read(ptx.TidX)
		passed := k.Add(k.Ld(ptx.Global, ptx.U32, at.At(worldCount)), 1)
		k.SyncWarp()
		k.Comment("the host may look")
		k.When(k.Eq(lane, 0)).St(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Relaxed, Scope: ptx.Sys}, at.At(worldCount), passed)
		k.If(k.Lt(lane, k.Ld(fixed, ptx.U32, at.At(worldRanks))), func() {
			k.Comment("lane d tells rank d, and waits for it")
			told := k.Add(w.peer(lane, at), k.MulWide(w.rank, 4))
			k.St(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Release, Scope: ptx.Sys}, told.At(worldFlags), passed)
			k.Comment("alone there is nobody else to wait for")
			heard := k.Add(at, k.MulWide(k.Select(w.rehearsed(), w.rank, lane), 4))
			k.Loop(func(l ptx.Loop) {
				flag := k.Ld(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Acquire, Scope: ptx.Sys}, ptx.U32, heard.At(worldFlags))
				l.Break(k.Ge(k.Sub(flag, passed).As(ptx.S32), 0))
				l.Break(k.Ne(k.Ld(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Relaxed, Scope: ptx.Sys}, ptx.U32, at.At(worldAbort)), 0))
			})
		})
		k.Exit()
	}}
}

// exchange is launches between two barriers: all ranks have their operands, and nobody goes on while another reads them.
func exchange(steps ...Step) []Step {
	return append(append([]Step{barrier()}, steps...), barrier())
}

// peerGrid is the largest grid worth launching for so many warps.
func peerGrid(warps int) int { return min(max(ceil(warps, peerThreads/32), 1), peerBlocks) }

// partBlocks is how many blocks rows of so many pieces keep busy, as eachPart deals them.
func partBlocks(rows, perRow int) int {
	warps := rows * spansOf(perRow)
	if perRow < 32 {
		warps = ceil(rows*perRow, 32)
	}
	return ceil(warps, peerThreads/32)
}

// eachPart deals pieces of rows to the threads of the grid, several of one row at once: a warp takes a span of a row, or, where rows
// are shorter than a warp, 32 pieces as they come. What is read once for a row is read by prepare. Of the pieces of a
// thread some may lie outside; inside is a predicate, or nothing where all lie inside.
func eachPart(k *ptx.Kernel, rows ptx.Operand, perRow int, each func(row ptx.Reg, cols, inside []ptx.Reg)) {
	if perRow < 32 {
		yes := k.Eq(k.Const(ptx.U32, 0), 0)
		eachPiece(k, rows, perRow, func(row, col ptx.Reg) { each(row, []ptx.Reg{col}, []ptx.Reg{yes}) })
		return
	}
	spans := spansOf(perRow)
	eachWarp(k, k.Mul(rows, spans), func(i ptx.Reg) {
		row, first := i, k.Read(ptx.LaneID)
		if spans > 1 {
			row = k.Div(i, spans)
			first = k.Mad(k.Sub(i, k.Mul(row, spans)), 32*spanRounds, first)
		}
		var cols, inside []ptx.Reg
		for round := range min(ceil(perRow, 32), spanRounds) {
			col := k.Add(first, 32*round)
			cols, inside = append(cols, col), append(inside, k.Lt(col, perRow))
		}
		each(row, cols, inside)
	})
}

// onRanks reports whether the kernels can tell so many ranks apart.
func onRanks(ranks int) bool { return ranks <= MostRanks }

// ranksOf is how many ranks a node's dispatch_plan has: the columns of position.
func ranksOf(position ir.Type) int { return position.Dim(1) }
