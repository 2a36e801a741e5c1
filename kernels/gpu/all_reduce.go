package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Sums over ranks, y = Σ_r x of rank r, in the order of the ranks and with the same bits on every rank: each rank adds up a share of
// the elements and gives the result to all. What is in bf16 is added in float32 and rounded once. y may be x.
//
// A rank that runs alone stands for ranks that all hold what it does: y = ranks·x. It moves as much as one of many
// would: every share is read and written once, in the name of another rank.
//
// Floor: x is read and y written once; of both all but a rank's share crosses.

// AllReduceDesc is what is asked.
type AllReduceDesc struct {
	Elem     ptx.Type // BF16, F32 or F64
	Elements int
	Ranks    int
}

// piece is what a thread moves in one access.
func (d AllReduceDesc) piece() piece { return pieceOf(d.Elem, d.Elements) }

// pieces is how many there are, share how many of them a rank adds up at most.
func (d AllReduceDesc) pieces() int { return d.Elements / d.piece().n }
func (d AllReduceDesc) share() int  { return ceil(d.pieces(), d.Ranks) }

// Name is the kernel's entry; there is one for all numbers of pieces.
func (d AllReduceDesc) Name() string {
	return fmt.Sprintf("all_reduce_%s_v%d_r%d", d.Elem, d.piece().n, d.Ranks)
}

// AllReduceFloor is what a rank moves.
func AllReduceFloor(d AllReduceDesc) Floor {
	return Floor{Bytes: int64(2 * d.Elements * d.Elem.Bytes())}
}

// EmitAllReduce writes the kernel: parameters are the world, x, y, how many pieces there are and how many of them are a share.
func EmitAllReduce(m *ptx.Module, d AllReduceDesc) {
	k := m.Kernel(d.Name(), peerThreads)
	p := d.piece()
	at, x, y, pieces, share := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamPtr("y"), k.ParamU32("pieces"), k.ParamU32("share")
	k.WaitPrerequisites()
	w := readWorld(k, at, d.Ranks)
	apart := k.Sub(y, x)
	var theirX []ptx.Reg
	for r := range d.Ranks {
		theirX = append(theirX, w.peer(r, x))
	}
	k.IfElse(w.rehearsed(), func() {
		for r := range d.Ranks {
			k.Comment("the share of rank %d", r)
			eachThread(k, share, func(i ptx.Reg) {
				number := k.Mad(share, r, i)
				k.If(k.Lt(number, pieces), func() {
					from := k.Add(theirX[r], k.MulWide(number, p.bytes()))
					v := d.values(k, p.load(k, theirs, from.At(0)))
					for j := range v {
						v[j] = k.Mul(v[j], float64(d.Ranks))
					}
					d.store(k, k.Add(from, apart).At(0), v)
				})
			})
		}
	}, func() {
		first := k.Mul(share, w.rank)
		count := k.Sub(k.Min(k.Add(first, share), pieces), k.Min(first, pieces))
		eachThread(k, count, func(i ptx.Reg) {
			offset := k.MulWide(k.Add(first, i), p.bytes())
			var sum []ptx.Reg
			for first := 0; first < d.Ranks; first += combineBatch {
				var batch [][]ptx.Reg
				for r := first; r < min(first+combineBatch, d.Ranks); r++ {
					batch = append(batch, p.load(k, theirs, k.Add(theirX[r], offset).At(0)))
				}
				for _, v := range batch {
					values := d.values(k, v)
					if sum == nil {
						sum = values
						continue
					}
					for j := range sum {
						sum[j] = k.Add(sum[j], values[j])
					}
				}
			}
			for r := range d.Ranks {
				d.store(k, k.Add(k.Add(theirX[r], apart), offset).At(0), sum)
			}
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// values returns a loaded piece's elements, in float32 or float64.
func (d AllReduceDesc) values(k *ptx.Kernel, v []ptx.Reg) []ptx.Reg {
	if d.Elem != ptx.F64 {
		return d.piece().floats(k, v)
	}
	var out []ptx.Reg
	for i := 0; i < len(v); i += 2 {
		out = append(out, k.Join(ptx.F64, v[i], v[i+1]))
	}
	return out
}

// store writes a piece.
func (d AllReduceDesc) store(k *ptx.Kernel, at ptx.Addr, v []ptx.Reg) {
	if d.Elem != ptx.F64 {
		d.piece().store(k, at, v)
		return
	}
	k.St(ptx.Global, at, v...)
}

// step is the launch.
func (d AllReduceDesc) step(x, y string) Step {
	return Step{
		Launch: Launch{Entry: d.Name(), Grid: peerGrid(ceil(d.share(), 32)), Persistent: true, Dependent: true,
			Args: []Arg{Place(World), Place(x), Place(y), U32(d.pieces()), U32(d.share())}},
		Emit: func(m *ptx.Module) { EmitAllReduce(m, d) },
	}
}

// reduced are the element types that can be added up over ranks.
var reduced = map[ir.DType]ptx.Type{ir.BF16: ptx.BF16, ir.F32: ptx.F32, ir.F64: ptx.F64}

var allReduce = &Kernel{
	Name: "all_reduce", Op: "all_reduce", InPlace: true,
	Covers: func(n *ir.Node) bool { return onRanks(n.Attrs.Int("ranks")) && n.In[0].Type.Elements() < 1<<31 },
	Steps: func(l *ir.Launch) []Step {
		t := l.In[0].Type
		d := AllReduceDesc{Elem: reduced[t.DType], Elements: t.Elements(), Ranks: l.Attrs.Int("ranks")}
		return exchange(d.Ranks, d.step(In(0), Out(0)))
	},
}
