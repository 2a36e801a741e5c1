package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Rows of tokens, fetched from the ranks of the own group that have them:
//
//	y[i] = x[source[i] mod Tokens] of rank source[i] / Tokens     i < received
//
// Floor: every row crosses once, and is written once, 2·received rows in all.

// DispatchDesc is what is asked.
type DispatchDesc struct {
	Elem   ptx.Type // BF16 or F32
	Cols   int
	Tokens int // of a rank
	Ranks  int // of a group
}

// Name is the kernel's entry; there is one a Desc.
func (d DispatchDesc) Name() string {
	return fmt.Sprintf("dispatch_%s_d%d_t%d_r%d", d.Elem, d.Cols, d.Tokens, d.Ranks)
}

// DispatchFloor is what so many received rows move.
func DispatchFloor(d DispatchDesc, received int) Floor {
	return Floor{Bytes: int64(received * (2*d.Cols*d.Elem.Bytes() + 4))}
}

// EmitDispatch writes the kernel: parameters are the world, x, source, received and y.
func EmitDispatch(m *ptx.Module, d DispatchDesc) {
	k := m.Kernel(d.Name(), peerThreads)
	at, x, source, received, y := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamPtr("source"), k.ParamPtr("received"), k.ParamPtr("y")
	k.WaitPrerequisites()
	d.move(k, k.Ld(fixed, ptx.U32, received.At(0)), d.sent(k, at, x, source), target{rows: y})
	k.LaunchDependents()
	k.Exit()
}

// sent returns where received rows come from: a function of the row.
func (d DispatchDesc) sent(k *ptx.Kernel, at, x, source ptx.Reg) func(row ptx.Reg) ptx.Reg {
	group := readWorld(k, at).group(d.Ranks)
	return func(row ptx.Reg) ptx.Reg {
		number := k.Ld(fixed, ptx.U32, k.Add(source, k.MulWide(row, 4)).At(0))
		rank := k.Div(number, d.Tokens)
		token := k.Sub(number, k.Mul(rank, d.Tokens))
		return k.Add(group.peer(rank, x), k.MulWide(token, d.rowBytes()))
	}
}

func (d DispatchDesc) rowBytes() int { return d.Cols * d.Elem.Bytes() }

// target is where rows go.
type target struct {
	rows ptx.Reg  // the first
	only *ptx.Reg // a predicate; nil: always
}

// move copies so many rows to all targets.
func (d DispatchDesc) move(k *ptx.Kernel, rows ptx.Reg, from func(row ptx.Reg) ptx.Reg, to ...target) {
	p := pieceOf(d.Elem, d.Cols)
	eachPart(k, rows, d.Cols/p.n, func(row ptx.Reg, cols, inside []ptx.Reg) {
		from, offset := from(row), k.MulWide(row, d.rowBytes())
		var pieces [][]ptx.Reg
		for i, col := range cols {
			pieces = append(pieces, p.loadIf(k, inside[i], theirs, k.Add(from, k.MulWide(col, p.bytes())).At(0)))
		}
		for _, t := range to {
			to := k.Add(t.rows, offset)
			for i, col := range cols {
				store := inside[i]
				if t.only != nil {
					store = k.And(store, *t.only)
				}
				k.When(store).St(ptx.Global, k.Add(to, k.MulWide(col, p.bytes())).At(0), pieces[i]...)
			}
		}
	})
}

// step is the launch.
func (d DispatchDesc) step(x, source, received, y string) Step {
	perRow := d.Cols / pieceOf(d.Elem, d.Cols).n
	return Step{
		Launch: Launch{Entry: d.Name(), Grid: peerRows(d.Ranks*d.Tokens, perRow), Persistent: true, Dependent: true,
			Args: []Arg{Place(World), Place(x), Place(source), Place(received), Place(y)}},
		Emit: func(m *ptx.Module) { EmitDispatch(m, d) },
	}
}

// crosses reports whether the kernels can move values of a type between so many ranks.
func crosses(v *ir.Value, position *ir.Value) bool {
	return (v.Type.DType == ir.BF16 || v.Type.DType == ir.F32) && onRanks(ranksOf(position.Type)) && addressable(v, position)
}

var dispatch = &Kernel{
	Name: "dispatch", Op: "dispatch",
	Covers: func(n *ir.Node) bool { return crosses(n.Out[0], n.In[3]) },
	Steps: func(l *ir.Launch) []Step {
		x, position := l.In[0].Type, l.In[3].Type
		d := DispatchDesc{Elem: elemOf[x.DType], Cols: x.Dim(1), Tokens: x.Dim(0), Ranks: ranksOf(position)}
		return exchange(d.step(In(0), In(1), In(2), Out(0)))
	},
}
