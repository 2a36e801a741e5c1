package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// What the ranks of the own group that received a token made of it comes back together:
//
//	y[t] = bf16((residual[t] +) bf16(Σ_{d: position[t,d] ≥ 0} x[position[t,d]] of rank d))
//
// in float32, in the order of the ranks; the residual is added where Transformers adds it, to the rounded sum. Values in
// float32 are not rounded. The rows of a piece of a token are under way together. Floor: every row crosses once, each row of y is
// written once, and the residual is read.

// CombineDesc is what is asked.
type CombineDesc struct {
	Elem     ptx.Type // BF16 or F32
	Cols     int
	Ranks    int // of a group
	Residual bool
}

// Name is the kernel's entry; there is one a Desc.
func (d CombineDesc) Name() string {
	return fmt.Sprintf("combine_%s_d%d_r%d%s", d.Elem, d.Cols, d.Ranks, mark(d.Residual, "_r"))
}

// CombineFloor is what so many tokens with so many rows move.
func CombineFloor(d CombineDesc, tokens, rows int) Floor {
	bytes := (tokens+rows)*d.Cols*d.Elem.Bytes() + 4*tokens*d.Ranks
	if d.Residual {
		bytes += tokens * d.Cols * d.Elem.Bytes()
	}
	return Floor{Bytes: int64(bytes)}
}

// EmitCombine writes the kernel: parameters are the world, x, position, the residual if there is one, y, and how many tokens.
// y may be the residual.
func EmitCombine(m *ptx.Module, d CombineDesc) {
	k := m.Kernel(d.Name(), peerThreads)
	k.NoSpills()
	p := pieceOf(d.Elem, d.Cols)
	at, x, position := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamPtr("position")
	var residual ptx.Reg
	if d.Residual {
		residual = k.ParamPtr("residual")
	}
	y, tokens := k.ParamPtr("y"), k.ParamU32("tokens")
	k.WaitPrerequisites()
	group := readWorld(k, at).group(d.Ranks)
	rowBytes := d.Cols * d.Elem.Bytes()
	eachPart(k, tokens, d.Cols/p.n, func(token ptx.Reg, cols, inside []ptx.Reg) {
		list, row := k.Add(position, k.MulWide(token, 4*d.Ranks)), k.MulWide(token, rowBytes)
		var has, from []ptx.Reg
		for r := range d.Ranks {
			place := k.Ld(fixed, ptx.S32, list.At(4*r))
			has = append(has, k.Ge(place, 0))
			from = append(from, k.Add(group.peer(r, x), k.MulWide(place, rowBytes).As(ptx.U64)))
		}
		for i, col := range cols {
			offset := k.MulWide(col, p.bytes())
			place := k.Add(row, offset)
			var own []ptx.Reg
			if d.Residual {
				own = p.loadIf(k, inside[i], once, k.Add(residual, place).At(0))
			}
			sum := make([]ptx.Reg, p.n)
			for j := range sum {
				sum[j] = k.Const(ptx.F32, 0)
			}
			for first := 0; first < d.Ranks; first += peerPieces {
				var rows [][]ptx.Reg
				for r := first; r < min(first+peerPieces, d.Ranks); r++ {
					rows = append(rows, p.loadIf(k, k.And(has[r], inside[i]), theirs, k.Add(from[r], offset).At(0)))
				}
				for _, v := range rows {
					for j, f := range p.floats(k, v) {
						sum[j] = k.Add(sum[j], f)
					}
				}
			}
			if d.Residual {
				for j, f := range p.floats(k, own) {
					sum[j] = k.Add(p.floats(k, p.pack(k, sum))[j], f)
				}
			}
			k.When(inside[i]).St(ptx.Global, k.Add(y, place).At(0), p.pack(k, sum)...)
		}
	})
	k.LaunchDependents()
	k.Exit()
}

// step is the launch for so many tokens; residual may be "".
func (d CombineDesc) step(tokens int, x, position, residual, y string) Step {
	args := []Arg{Place(World), Place(x), Place(position)}
	if d.Residual {
		args = append(args, Place(residual))
	}
	return Step{
		Launch: Launch{Entry: d.Name(), Grid: peerRows(tokens, d.Cols/pieceOf(d.Elem, d.Cols).n), Persistent: true, Dependent: true,
			Args: append(args, Place(y), U32(tokens))},
		Emit: func(m *ptx.Module) { EmitCombine(m, d) },
	}
}

var combine = &Kernel{
	Name: "combine", Op: "combine", InPlace: true,
	Covers: func(n *ir.Node) bool { return crosses(n.In[0], n.In[1]) },
	Steps: func(l *ir.Launch) []Step {
		y, position := l.Out[0].Type, l.In[1].Type
		d := CombineDesc{Elem: elemOf[y.DType], Cols: y.Dim(1), Ranks: ranksOf(position), Residual: l.In[4] != nil}
		return exchange(d.step(y.Dim(0), In(0), In(1), In(4), Out(0)))
	},
}
