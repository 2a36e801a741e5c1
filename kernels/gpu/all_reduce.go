package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Sums over all ranks, y = Σ_r x of rank r, in the order of the ranks and with the same bits on every rank, of little: numbers,
// and statistics of the router. One rank fetches and adds up everything and gives the result to all, so y may be x; it is
// latency that counts. What is in bf16 is added in float32 and rounded once.
//
// A rank that runs alone stands for ranks that all hold what it does: y = x + x + …, as often as there are ranks.

// AllReduceDesc is what is asked.
type AllReduceDesc struct {
	Elem     ptx.Type // BF16, F32 or F64
	Elements int
	Ranks    int
}

// piece is what a thread moves in one access.
func (d AllReduceDesc) piece() piece { return pieceOf(d.Elem, d.Elements) }

// Name is the kernel's entry; there is one for all numbers of pieces.
func (d AllReduceDesc) Name() string {
	return fmt.Sprintf("all_reduce_%s_v%d_r%d", d.Elem, d.piece().n, d.Ranks)
}

// EmitAllReduce writes the kernel: parameters are the world, x, y and how many pieces there are.
func EmitAllReduce(m *ptx.Module, d AllReduceDesc) {
	k := m.Kernel(d.Name(), peerThreads)
	p := d.piece()
	at, x, y, pieces := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamPtr("y"), k.ParamU32("pieces")
	k.WaitPrerequisites()
	w := readWorld(k, at)
	k.If(k.Or(k.Eq(w.rank, 0), w.rehearsed()), func() {
		eachThread(k, pieces, func(i ptx.Reg) {
			offset := k.MulWide(i, p.bytes())
			from, to := k.Add(x, offset), k.Add(y, offset)
			var sum []ptx.Reg
			for first := 0; first < d.Ranks; first += peerPieces {
				var batch [][]ptx.Reg
				for r := first; r < min(first+peerPieces, d.Ranks); r++ {
					batch = append(batch, p.load(k, theirs, w.peer(r, from).At(0)))
				}
				for _, v := range batch {
					values := p.floats(k, v)
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
				p.store(k, w.peer(r, to).At(0), sum)
			}
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// step is the launch.
func (d AllReduceDesc) step(x, y string) Step {
	pieces := d.Elements / d.piece().n
	return Step{
		Launch: Launch{Entry: d.Name(), Grid: peerGrid(ceil(pieces, 32)), Persistent: true, Dependent: true,
			Args: []Arg{Place(World), Place(x), Place(y), U32(pieces)}},
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
		return exchange(d.step(In(0), Out(0)))
	},
}
