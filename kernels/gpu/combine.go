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

// name is the kernel's entry; there is one a Desc and Config.
func (d CombineDesc) name(c ExchangeConfig) string {
	return fmt.Sprintf("combine_%s_d%d_r%d%s%s", d.Elem, d.Cols, d.Ranks, mark(d.Residual, "_r"), c.mark())
}

// sources is what a sum is made from: what the ranks have, and the residual.
func (d CombineDesc) sources() int {
	if d.Residual {
		return d.Ranks + 1
	}
	return d.Ranks
}

// configs returns the candidates, the preferred first, and why others are none.
func (d CombineDesc) configs() (out []ExchangeConfig, rejected []string) {
	return exchangeConfigs("combine", sumConfigs, func(c ExchangeConfig) string {
		if bytes := d.rowBytes(); bytes < bulkLeast {
			return fmt.Sprintf("rows of %d bytes; the copy engine is worth %d", bytes, bulkLeast)
		}
		return c.rejectTally(d.sources(), pieceOf(d.Elem, d.Cols).bytes())
	})
}

func (d CombineDesc) rowBytes() int { return d.Cols * d.Elem.Bytes() }

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
func EmitCombine(m *ptx.Module, d CombineDesc, c ExchangeConfig) {
	threads := peerThreads
	if c.Warps > 0 {
		threads = c.tallyThreads()
	}
	k := m.Kernel(d.name(c), threads)
	k.NoSpills()
	o := combination{CombineDesc: d, k: k, piece: pieceOf(d.Elem, d.Cols)}
	o.world, o.x, o.position = k.ParamPtr("world"), k.ParamPtr("x"), k.ParamPtr("position")
	if d.Residual {
		o.residual = k.ParamPtr("residual")
	}
	o.y, o.tokens = k.ParamPtr("y"), k.ParamU32("tokens")
	if c.Warps > 0 {
		t := c.tally(k, d.sources())
		k.WaitPrerequisites()
		o.inBulk(t)
	} else {
		k.WaitPrerequisites()
		o.byThreads()
	}
	k.LaunchDependents()
	k.Exit()
}

// combination is a kernel.
type combination struct {
	CombineDesc
	k                                       *ptx.Kernel
	piece                                   piece
	world, x, position, residual, y, tokens ptx.Reg
}

// finish adds the residual, if there is one, to a rounded sum and stores the piece.
func (o *combination) finish(sum, residual []ptx.Reg, inside ptx.Reg, at ptx.Addr) {
	k, p := o.k, o.piece
	if o.Residual {
		rounded := p.floats(k, p.pack(k, sum))
		for j, f := range p.floats(k, residual) {
			sum[j] = k.Add(rounded[j], f)
		}
	}
	k.When(inside).St(ptx.Global, at, p.pack(k, sum)...)
}

// add adds a piece to a sum.
func (o *combination) add(sum, piece []ptx.Reg) {
	for j, f := range o.piece.floats(o.k, piece) {
		sum[j] = o.k.Add(sum[j], f)
	}
}

// zeros are a sum of nothing.
func (o *combination) zeros() []ptx.Reg {
	sum := make([]ptx.Reg, o.piece.n)
	for j := range sum {
		sum[j] = o.k.Const(ptx.F32, 0)
	}
	return sum
}

func (o *combination) byThreads() {
	k, p, d := o.k, o.piece, o.CombineDesc
	group := readWorld(k, o.world).group(d.Ranks)
	eachPart(k, o.tokens, d.Cols/p.n, func(token ptx.Reg, cols, inside []ptx.Reg) {
		list, row := k.Add(o.position, k.MulWide(token, 4*d.Ranks)), k.MulWide(token, d.rowBytes())
		var has, from []ptx.Reg
		for r := range d.Ranks {
			place := k.Ld(fixed, ptx.S32, list.At(4*r))
			has = append(has, k.Ge(place, 0))
			from = append(from, k.Add(group.peer(r, o.x), k.MulWide(place, d.rowBytes()).As(ptx.U64)))
		}
		for i, col := range cols {
			offset := k.MulWide(col, p.bytes())
			place := k.Add(row, offset)
			var own []ptx.Reg
			if d.Residual {
				own = p.loadIf(k, inside[i], once, k.Add(o.residual, place).At(0))
			}
			sum := o.zeros()
			for first := 0; first < d.Ranks; first += peerPieces {
				var rows [][]ptx.Reg
				for r := first; r < min(first+peerPieces, d.Ranks); r++ {
					rows = append(rows, p.loadIf(k, k.And(has[r], inside[i]), theirs, k.Add(from[r], offset).At(0)))
				}
				for _, v := range rows {
					o.add(sum, v)
				}
			}
			o.finish(sum, own, inside[i], k.Add(o.y, place).At(0))
		}
	})
}

// inBulk cuts rows into parts of as many pieces as a block adds up at once.
func (o *combination) inBulk(t *tally) {
	k, p, d := o.k, o.piece, o.CombineDesc
	group := readWorld(k, o.world).group(d.Ranks)
	parts := ceil(d.rowBytes(), t.tallyBytes())
	split := func(item ptx.Reg) (token, offset ptx.Reg) {
		token = k.Div(item, parts)
		return token, k.Mul(k.Sub(item, k.Mul(token, parts)), t.tallyBytes())
	}
	length := func(offset ptx.Reg) ptx.Reg {
		return k.Min(k.Sub(k.Const(ptx.U32, d.rowBytes()), offset), t.tallyBytes())
	}
	lane := k.Min(k.Read(ptx.LaneID), d.Ranks-1)
	theirs := group.peer(lane, o.x) // the rows of the lane's rank
	t.run(sum{
		items: k.Mul(o.tokens, parts),
		look: func(item, there, lane ptx.Reg) ptx.Reg {
			token, _ := split(item)
			place := k.Var(ptx.U32, "place", 1<<32-1)
			k.When(k.And(there, k.Lt(lane, d.Ranks))).To(place).Ld(fixed, ptx.U32, k.Add(k.Add(o.position, k.MulWide(token, 4*d.Ranks)), k.MulWide(lane, 4)).At(0))
			return place
		},
		from: func(item, note, lane ptx.Reg) (place, bytes ptx.Reg) {
			token, offset := split(item)
			from, row, has := theirs, note, k.Ge(note.As(ptx.S32), 0)
			if d.Residual {
				own := k.Eq(lane, d.Ranks)
				from, row, has = k.Select(own, o.residual, from), k.Select(own, token, row), k.Or(own, has)
			}
			return k.Add(from, k.MadWide(row, d.rowBytes(), k.Convert(ptx.U64, offset))), k.Select(has, length(offset), 0)
		},
		add: func(item, thread ptx.Reg, term func(p piece, r int) []ptx.Reg) {
			token, offset := split(item)
			within := k.Shl(thread, 4)
			total := o.zeros()
			for first := 0; first < d.Ranks; first += peerPieces {
				var rows [][]ptx.Reg
				for r := first; r < min(first+peerPieces, d.Ranks); r++ {
					rows = append(rows, term(p, r))
				}
				for _, v := range rows {
					o.add(total, v)
				}
			}
			var own []ptx.Reg
			if d.Residual {
				own = term(p, d.Ranks)
			}
			at := k.Add(o.y, k.MadWide(token, d.rowBytes(), k.Convert(ptx.U64, k.Add(offset, within))))
			o.finish(total, own, k.Lt(within, length(offset)), at.At(0))
		},
	})
}

// step is the launch for so many tokens; residual may be "".
func (d CombineDesc) step(c ExchangeConfig, tokens int, x, position, residual, y string) Step {
	args := []Arg{Place(World), Place(x), Place(position)}
	if d.Residual {
		args = append(args, Place(residual))
	}
	blocks := partBlocks(tokens, d.Cols/pieceOf(d.Elem, d.Cols).n)
	if c.Warps > 0 {
		blocks = tokens * ceil(d.rowBytes(), c.tallyBytes())
	}
	return Step{
		Launch: Launch{Entry: d.name(c), Grid: c.grid(blocks), Persistent: true, Dependent: true,
			Args: append(args, Place(y), U32(tokens))},
		Emit: func(m *ptx.Module) { EmitCombine(m, d, c) },
	}
}

var combine = &Kernel{
	Name: "combine", Op: "combine", InPlace: true,
	Covers: func(n *ir.Node) bool { return crosses(n.In[0], n.In[1]) },
	Steps: func(l *ir.Launch) []Step {
		y, position := l.Out[0].Type, l.In[1].Type
		d := CombineDesc{Elem: elemOf[y.DType], Cols: y.Dim(1), Ranks: ranksOf(position), Residual: l.In[4] != nil}
		configs, _ := d.configs()
		return exchange(d.step(configs[0], y.Dim(0), In(0), In(1), In(4), Out(0)))
	},
}
