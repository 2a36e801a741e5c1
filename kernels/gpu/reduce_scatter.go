package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Sums over replicas, of which each gets its own part, in place:
//
//	x[i] = Σ_j x[i] of replica j     i in the own part
//
// in the order of the replicas; what is in bf16 is added in float32 and rounded once. Part k of x is read by replica k alone.
//
// A rank that runs alone stands for replicas that all hold what it does, and reads its other parts in their stead, so as to move as
// many bytes of its memory: x[i] = Parts·x[i] + Σ_j 0·x[i of part j], which is no number where one of these is none.
//
// Floor: a share of every replica is read, and one written.

// ReplicasDesc is what is asked of an array that replicas hold.
type ReplicasDesc struct {
	Of       ir.Replicas
	Elem     ptx.Type // BF16, F32 or F64
	Elements int
}

// piece is what a thread moves in one access.
func (d ReplicasDesc) piece() piece { return pieceOf(d.Elem, d.Elements) }

// pieces is how many there are, share how many of them are a part; the last parts are shorter.
func (d ReplicasDesc) pieces() int { return d.Elements / d.piece().n }
func (d ReplicasDesc) share() int  { return ceil(ir.Share(d.Elements, d.Of.Parts), d.piece().n) }

// name is the entry of a kernel; there is one for all numbers of pieces.
func (d ReplicasDesc) name(kernel string) string {
	return fmt.Sprintf("%s_%s_v%d_p%d_s%d", kernel, d.Elem, d.piece().n, d.Of.Parts, d.Of.Stride)
}

// step is the launch of a kernel.
func (d ReplicasDesc) step(kernel, x string, emit func(*ptx.Module, ReplicasDesc), floor Floor) Step {
	return Step{
		Launch: Launch{Entry: d.name(kernel), Grid: peerGrid(ceil(d.share(), 32)), Persistent: true, Dependent: true, Floor: floor,
			Args: []Arg{Place(World), Place(x), U32(d.pieces()), U32(d.share())}},
		Emit: func(m *ptx.Module) { emit(m, d) },
	}
}

// shares is an array of replicas in a kernel: parameters are the world, x, how many pieces there are and how many of them are a share.
type shares struct {
	*set
	ReplicasDesc
	x, pieces, share ptx.Reg
}

func (d ReplicasDesc) shares(k *ptx.Kernel) *shares {
	at, x, pieces, share := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamU32("pieces"), k.ParamU32("share")
	k.WaitPrerequisites()
	return &shares{set: readWorld(k, at).set(d.Of), ReplicasDesc: d, x: x, pieces: pieces, share: share}
}

// begin is the first piece of a part, length how many it has.
func (s *shares) begin(part ptx.Operand) ptx.Reg { return s.k.Mul(s.share, part) }
func (s *shares) length(part ptx.Operand) ptx.Reg {
	return s.k.Min(s.k.Sub(s.k.Max(s.begin(part), s.pieces), s.begin(part)), s.share)
}

// place is where a part begins on a replica.
func (s *shares) place(replica, part ptx.Operand) ptx.Reg {
	return s.k.Add(s.peer(replica, s.x), s.k.MulWide(s.begin(part), s.piece().bytes()))
}

// each deals the numbers of a share's pieces to the threads of the grid, so many at once.
func (s *shares) each(atOnce int, body func(pieces []ptx.Reg)) {
	k := s.k
	threads := k.Mul(k.Read(ptx.NCtaIDX), k.Threads())
	first := k.Mad(k.Read(ptx.CtaIDX), k.Threads(), k.Read(ptx.TidX))
	k.For("i", first, s.share, k.Mul(threads, atOnce), func(i ptx.Reg) {
		list := []ptx.Reg{i}
		for len(list) < atOnce {
			list = append(list, k.Add(list[len(list)-1], threads))
		}
		body(list)
	})
}

// ReduceScatterFloor is what a rank moves.
func ReduceScatterFloor(d ReplicasDesc) Floor {
	return Floor{Bytes: int64((d.pieces() + d.share()) * d.piece().bytes())}
}

// EmitReduceScatter writes the kernel.
func EmitReduceScatter(m *ptx.Module, d ReplicasDesc) {
	k := m.Kernel(d.name("reduce_scatter"), peerThreads)
	k.NoSpills()
	s, p := d.shares(k), d.piece()
	float := ptx.F32
	if d.Elem == ptx.F64 {
		float = ptx.F64
	}
	alone := s.rehearsed()
	type source struct{ from, length, weight ptx.Reg }
	batches := inBatches(s, 0, func(j int) source {
		part := k.Select(alone, j, s.number)
		weight := k.Select(k.Eq(s.number, j), k.Const(float, d.Of.Parts), k.Const(float, 0))
		return source{s.place(j, part), s.length(part), k.Select(alone, weight, k.Const(float, 1))}
	})
	own, length := s.place(s.number, s.number), s.length(s.number)
	s.each(max(peerPieces/d.Of.Parts, 1), func(pieces []ptx.Reg) {
		sums := make([][]ptx.Reg, len(pieces))
		for _, batch := range batches {
			sources := batch()
			terms := make([][][]ptx.Reg, len(pieces)) // of a piece and a replica
			for i, piece := range pieces {
				offset := k.MulWide(piece, p.bytes())
				for _, source := range sources {
					terms[i] = append(terms[i], p.loadIf(k, k.Lt(piece, source.length), theirs, k.Add(source.from, offset).At(0)))
				}
			}
			for i := range pieces {
				for j, v := range terms[i] {
					for e, x := range p.floats(k, v) {
						if len(sums[i]) <= e {
							sums[i] = append(sums[i], k.Mul(x, sources[j].weight))
						} else {
							sums[i][e] = k.Fma(x, sources[j].weight, sums[i][e])
						}
					}
				}
			}
		}
		for i, piece := range pieces {
			k.When(k.Lt(piece, length)).St(ptx.Global, k.Add(own, k.MulWide(piece, p.bytes())).At(0), p.pack(k, sums[i])...)
		}
	})
	k.LaunchDependents()
	k.Exit()
}

// inBatches returns what of makes of the numbers of replicas from first on, as many at a time as a thread has pieces under way. What
// there is of a single batch is made once, before the pieces; of several, again for each piece: registers are few.
func inBatches[T any](s *shares, first int, of func(j int) T) (batches []func() []T) {
	for begin := first; begin < s.Of.Parts; begin += peerPieces {
		batch := func() (out []T) {
			for j := begin; j < min(begin+peerPieces, s.Of.Parts); j++ {
				out = append(out, of(j))
			}
			return out
		}
		if s.Of.Parts <= peerPieces {
			once := batch()
			batch = func() []T { return once }
		}
		batches = append(batches, batch)
	}
	return batches
}

// overReplicas reports whether the kernels cover an operation on an array of replicas.
func overReplicas(n *ir.Node) bool {
	d := replicasDesc(n.In[0].Type, n.Attrs)
	return onRanks(d.Of.Parts) && d.pieces() < 1<<31
}

func replicasDesc(t ir.Type, a ir.Attrs) ReplicasDesc {
	return ReplicasDesc{Of: replicasOf(a), Elem: reduced[t.DType], Elements: t.Elements()}
}

// replicasOf is what the attributes of an operation say.
func replicasOf(a ir.Attrs) ir.Replicas {
	return ir.Replicas{Parts: a.Int("parts"), Stride: a.Int("stride")}
}

var reduceScatter = &Kernel{
	Name: "reduce_scatter", Op: "reduce_scatter", Shares: [][2]int{{0, 0}},
	Covers: overReplicas,
	Steps: func(l *ir.Launch) []Step {
		d := replicasDesc(l.In[0].Type, l.Attrs)
		return exchange(d.step("reduce_scatter", In(0), EmitReduceScatter, ReduceScatterFloor(d)))
	},
}
