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

// name is the kernel's entry; there is one a Desc and Config.
func (d DispatchDesc) name(c ExchangeConfig) string {
	return fmt.Sprintf("dispatch_%s_d%d_t%d_r%d%s", d.Elem, d.Cols, d.Tokens, d.Ranks, c.mark())
}

// configs returns the candidates of dispatch, or of what else moves rows, the preferred first, and why others are none.
func (d DispatchDesc) configs(kernel string) (out []ExchangeConfig, rejected []string) {
	return exchangeConfigs(kernel, copyConfigs, func(c ExchangeConfig) string {
		if d.rowBytes()%16 != 0 || d.rowBytes() < bulkLeast {
			return fmt.Sprintf("rows of %d bytes; the copy engine takes multiples of 16, and is worth %d", d.rowBytes(), bulkLeast)
		}
		return c.crowded(c.Warps * c.Slots * (d.partBytes() + 8))
	})
}

// DispatchFloor is what so many received rows move.
func DispatchFloor(d DispatchDesc, received int) Floor {
	return Floor{Bytes: int64(received * (2*d.Cols*d.Elem.Bytes() + 4))}
}

// EmitDispatch writes the kernel: parameters are the world, x, source, received and y.
func EmitDispatch(m *ptx.Module, d DispatchDesc, c ExchangeConfig) {
	k := m.Kernel(d.name(c), c.threads())
	at, x, source, received, y := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamPtr("source"), k.ParamPtr("received"), k.ParamPtr("y")
	move := d.mover(k, c)
	k.WaitPrerequisites()
	move(k.Ld(fixed, ptx.U32, received.At(0)), d.sent(k, at, x, source), target{rows: y})
	k.LaunchDependents()
	k.Exit()
}

// origin is where rows come from: what is looked up of a row, nil for nothing, and where the row is, of that. Where there does not
// hold nothing is read; left out, it holds.
type origin struct {
	look  func(row, there ptx.Reg) (note ptx.Reg)
	place func(note ptx.Reg) ptx.Reg
}

// sent returns where received rows come from.
func (d DispatchDesc) sent(k *ptx.Kernel, at, x, source ptx.Reg) origin {
	group := readWorld(k, at).group(d.Ranks)
	return origin{
		look: func(row, there ptx.Reg) ptx.Reg {
			at := k.Add(source, k.MulWide(row, 4)).At(0)
			if there.Type() == 0 {
				return k.Ld(fixed, ptx.U32, at)
			}
			number := k.Var(ptx.U32, "number", 0)
			k.When(there).To(number).Ld(fixed, ptx.U32, at)
			return number
		},
		place: func(number ptx.Reg) ptx.Reg {
			rank := k.Div(number, d.Tokens)
			token := k.Sub(number, k.Mul(rank, d.Tokens))
			return k.Add(group.peer(rank, x), k.MulWide(token, d.rowBytes()))
		},
	}
}

// inRow is where rows are that lie one behind the other.
func (d DispatchDesc) inRow(k *ptx.Kernel, first ptx.Reg) origin {
	return origin{place: func(row ptx.Reg) ptx.Reg { return k.Add(first, k.MulWide(row, d.rowBytes())) }}
}

func (d DispatchDesc) rowBytes() int { return d.Cols * d.Elem.Bytes() }

// partBytes is the most of a row that is copied at once in bulk, parts into how many that cuts it.
func (d DispatchDesc) partBytes() int { return min(d.rowBytes(), bulkBytes) }
func (d DispatchDesc) parts() int     { return ceil(d.rowBytes(), bulkBytes) }

// target is where rows go.
type target struct {
	rows ptx.Reg  // the first
	only *ptx.Reg // a predicate; nil: always
}

// mover prepares, before the grid waits for those in front, what copies so many rows to all targets.
func (d DispatchDesc) mover(k *ptx.Kernel, c ExchangeConfig) func(rows ptx.Reg, from origin, to ...target) {
	if c.Warps == 0 {
		return func(rows ptx.Reg, from origin, to ...target) { d.move(k, rows, from, to) }
	}
	w := c.carriers(k, d.partBytes())
	return func(rows ptx.Reg, from origin, to ...target) { w.carry(d.haul(k, rows, from, to)) }
}

// haul is rows as the copy engine moves them: in parts.
func (d DispatchDesc) haul(k *ptx.Kernel, rows ptx.Reg, from origin, to []target) haul {
	parts := d.parts()
	split := func(item ptx.Reg) (row, offset ptx.Reg) {
		row = k.Div(item, parts)
		return row, k.Mul(k.Sub(item, k.Mul(row, parts)), bulkBytes)
	}
	h := haul{bytes: d.partBytes(), items: k.Mul(rows, parts)}
	h.look = func(item, there ptx.Reg) ptx.Reg {
		row, _ := split(item)
		if from.look == nil {
			return row
		}
		return from.look(row, there)
	}
	h.from = func(item, note ptx.Reg) ptx.Reg {
		_, offset := split(item)
		return k.Add(from.place(note), k.Convert(ptx.U64, offset))
	}
	h.size = func(item ptx.Reg) ptx.Operand {
		if d.rowBytes()%d.partBytes() == 0 {
			return d.partBytes()
		}
		_, offset := split(item)
		return k.Assume(k.Min(k.Sub(k.Const(ptx.U32, d.rowBytes()), offset), bulkBytes), 16, "rows are")
	}
	h.to = func(item ptx.Reg, put func(place ptx.Reg, only *ptx.Reg)) {
		row, offset := split(item)
		at := k.MadWide(row, d.rowBytes(), k.Convert(ptx.U64, offset))
		for _, t := range to {
			put(k.Assume(k.Add(t.rows, at), 16, "buffers, rows and parts begin at such"), t.only)
		}
	}
	return h
}

// move copies rows by threads.
func (d DispatchDesc) move(k *ptx.Kernel, rows ptx.Reg, from origin, to []target) {
	p := pieceOf(d.Elem, d.Cols)
	eachPart(k, rows, d.Cols/p.n, func(row ptx.Reg, cols, inside []ptx.Reg) {
		note := row
		if from.look != nil {
			note = from.look(row, ptx.Reg{})
		}
		from, offset := from.place(note), k.MulWide(row, d.rowBytes())
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

// grid is the largest one worth launching.
func (d DispatchDesc) grid(c ExchangeConfig) int {
	if c.Warps > 0 {
		return c.grid(ceil(d.Ranks*d.Tokens*d.parts(), c.Warps))
	}
	return c.grid(partBlocks(d.Ranks*d.Tokens, d.Cols/pieceOf(d.Elem, d.Cols).n))
}

// step is the launch.
func (d DispatchDesc) step(c ExchangeConfig, x, source, received, y string) Step {
	return Step{
		Launch: Launch{Entry: d.name(c), Grid: d.grid(c), Persistent: true, Dependent: true,
			Args: []Arg{Place(World), Place(x), Place(source), Place(received), Place(y)}},
		Emit: func(m *ptx.Module) { EmitDispatch(m, d, c) },
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
		configs, _ := d.configs("dispatch")
		return exchange(d.step(configs[0], In(0), In(1), In(2), Out(0)))
	},
}
