package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Sums over replicas of gradients, of which each gets its own part, onto what it has accumulated there:
//
//	y[i] = Σ_j x[first + i] of replica j + (y[i] if gradients add up)     first + i in the own part; 0 behind a short one
//
// in the order of the replicas; what is in bf16 is added in float32 and rounded once. Where gradients do not add up y is not read.
//
// A rank that runs alone stands for replicas that all hold what it does, and reads its other parts in their stead, so as to move as
// many bytes of its memory: Σ = Parts·x[first + i] + Σ_j 0·x[i of part j], which is no number where one of these is none.
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
func (d ReplicasDesc) name(kernel string, c ExchangeConfig) string {
	return fmt.Sprintf("%s_%s_v%d_p%d_s%d%s", kernel, d.Elem, d.piece().n, d.Of.Parts, d.Of.Stride, c.mark())
}

// shared is a kernel on an array of replicas.
type shared struct {
	name    string
	buffers []string // x, and what the kernel is given besides
	updates int      // operand that result 0 takes the place of
	configs func(d ReplicasDesc) (out []ExchangeConfig, rejected []string)
	emit    func(m *ptx.Module, d ReplicasDesc, c ExchangeConfig)
	floor   func(d ReplicasDesc) Floor
}

// step is the launch of a kernel on buffers of these names.
func (s shared) step(d ReplicasDesc, c ExchangeConfig, buffers []string) Step {
	l := Launch{Entry: d.name(s.name, c), Grid: c.grid(ceil(d.share(), peerThreads)), Persistent: true, Dependent: true, Floor: s.floor(d),
		Args: []Arg{Place(World), Place(buffers[0]), U32(d.pieces()), U32(d.share())}}
	for _, b := range buffers[1:] {
		l.Args = append(l.Args, Place(b))
	}
	return Step{l, func(m *ptx.Module) { s.emit(m, d, c) }}
}

// kernel is how the target computes an operation by it.
func (s shared) kernel() *Kernel {
	return &Kernel{
		Name: s.name, Op: s.name, Shares: [][2]int{{0, s.updates}},
		Covers: overReplicas,
		Steps: func(l *ir.Launch) []Step {
			d := replicasDesc(l.In[0].Type, l.Attrs)
			configs, _ := s.configs(d)
			return exchange(s.step(d, configs[0], s.buffers))
		},
	}
}

// shares is an array of replicas in a kernel: parameters are the world, x, how many pieces there are and how many of them are a share.
type shares struct {
	*set
	ReplicasDesc
	x, pieces, share ptx.Reg
}

// shares declares the parameters and waits for the grids in front, prepare, if there is anything, being done before.
func (d ReplicasDesc) shares(k *ptx.Kernel, prepare func()) *shares {
	at, x, pieces, share := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamU32("pieces"), k.ParamU32("share")
	if prepare != nil {
		prepare()
	}
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

// reduceScatterConfigs returns the candidates, the preferred first, and why others are none.
func reduceScatterConfigs(d ReplicasDesc) (out []ExchangeConfig, rejected []string) {
	return exchangeConfigs("reduce_scatter", sumConfigs, func(c ExchangeConfig) string { return c.rejectTally(d.Of.Parts, d.piece().bytes()) })
}

// EmitReduceScatter writes the kernel: parameters are those of shares, y and the step record.
func EmitReduceScatter(m *ptx.Module, d ReplicasDesc, c ExchangeConfig) {
	threads := peerThreads
	if c.Warps > 0 {
		threads = c.tallyThreads()
	}
	k := m.Kernel(d.name("reduce_scatter", c), threads)
	k.NoSpills()
	var t *tally
	var y, record ptx.Reg
	s := d.shares(k, func() {
		y, record = k.ParamPtr("y"), k.ParamPtr("record")
		if c.Warps > 0 {
			t = c.tally(k, d.Of.Parts)
		}
	})
	alone := s.rehearsed()
	source := func(j ptx.Operand) (from, length ptx.Reg) {
		part := k.Select(alone, j, s.number)
		return s.place(j, part), s.length(part)
	}
	if c.Warps == 0 {
		s.addByThreads(source, alone, s.leave(y, record))
	} else {
		s.addInBulk(t, source, alone, s.leave(y, record))
	}
	k.LaunchDependents()
	k.Exit()
}

// leave returns what adds a piece of a sum to y, if gradients add up, or leaves it there.
func (s *shares) leave(y, record ptx.Reg) func(piece ptx.Reg, sum []ptx.Reg) {
	k, p := s.k, s.piece()
	adds, length := accumulates(k, record), s.length(s.number)
	return func(piece ptx.Reg, sum []ptx.Reg) {
		at := k.Add(y, k.MulWide(piece, p.bytes())).At(0)
		for e, x := range p.floats(k, p.loadIf(k, k.And(adds, k.Lt(piece, length)), once, at)) {
			sum[e] = k.Add(sum[e], x)
		}
		k.When(k.Lt(piece, s.share)).St(ptx.Global, at, p.pack(k, sum)...)
	}
}

// weight is what replica j counts.
func (s *shares) weight(j int, alone ptx.Reg) ptx.Reg {
	k, float := s.k, ptx.F32
	if s.Elem == ptx.F64 {
		float = ptx.F64
	}
	weight := k.Select(k.Eq(s.number, j), k.Const(float, s.Of.Parts), k.Const(float, 0))
	return k.Select(alone, weight, k.Const(float, 1))
}

// add adds a piece, times a weight, to a sum; the first begins it.
func (s *shares) add(sum *[]ptx.Reg, piece []ptx.Reg, weight ptx.Reg) {
	for e, x := range s.piece().floats(s.k, piece) {
		if len(*sum) <= e {
			*sum = append(*sum, s.k.Mul(x, weight))
		} else {
			(*sum)[e] = s.k.Fma(x, weight, (*sum)[e])
		}
	}
}

func (s *shares) addByThreads(of func(j ptx.Operand) (from, length ptx.Reg), alone ptx.Reg, leave func(piece ptx.Reg, sum []ptx.Reg)) {
	k, p := s.k, s.piece()
	type source struct{ from, length, weight ptx.Reg }
	batches := inBatches(s, 0, func(j int) source {
		from, length := of(j)
		return source{from, length, s.weight(j, alone)}
	})
	s.each(max(peerPieces/s.Of.Parts, 1), func(pieces []ptx.Reg) {
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
					s.add(&sums[i], v, sources[j].weight)
				}
			}
		}
		for i, piece := range pieces {
			leave(piece, sums[i])
		}
	})
}

// addInBulk cuts a share into as many pieces as a block adds up at once.
func (s *shares) addInBulk(t *tally, of func(j ptx.Operand) (from, length ptx.Reg), alone ptx.Reg, leave func(piece ptx.Reg, sum []ptx.Reg)) {
	k, p, most := s.k, s.piece(), 32*t.Warps
	begin := func(item ptx.Reg) ptx.Reg { return k.Mul(item, most) }
	from, length := of(k.Min(k.Read(ptx.LaneID), s.Of.Parts-1))
	var weights []ptx.Reg
	for j := range s.Of.Parts {
		weights = append(weights, s.weight(j, alone))
	}
	t.run(sum{
		items: k.Div(k.Add(s.share, most-1), most),
		look:  func(item, there, lane ptx.Reg) ptx.Reg { return item },
		from: func(item, _, lane ptx.Reg) (place, bytes ptx.Reg) {
			first := begin(item)
			left := k.Sub(k.Max(length, first), first)
			return k.Add(from, k.MulWide(first, p.bytes())), k.Mul(k.Min(left, most), p.bytes())
		},
		add: func(item, thread ptx.Reg, term func(p piece, r int) []ptx.Reg) {
			piece := k.Add(begin(item), thread)
			var sum []ptx.Reg
			for first := 0; first < s.Of.Parts; first += peerPieces {
				var batch [][]ptx.Reg
				for j := first; j < min(first+peerPieces, s.Of.Parts); j++ {
					batch = append(batch, term(p, j))
				}
				for j, v := range batch {
					s.add(&sum, v, weights[first+j])
				}
			}
			leave(piece, sum)
		},
	})
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

var reduceScattering = shared{"reduce_scatter", []string{In(0), Out(0), In(2)}, 1, reduceScatterConfigs, EmitReduceScatter, ReduceScatterFloor}

var reduceScatter = reduceScattering.kernel()
