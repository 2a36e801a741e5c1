package tile

import "moegen/kernels/ptx"

// GroupWalk visits the tiles of a grouped product: group g has the rows Offsets[g] to Offsets[g+1], and tiles that begin at
// its first row. How many rows there are is known on the device only; blocks whose tiles run out are done. Tiles are
// numbered group by group, down the rows and then along the columns.
type GroupWalk struct {
	BlockM, BlockN int
	Groups         int
	TilesN         int
	Offsets        ptx.Reg // int32 [Groups+1] in global memory, not falling
}

// GroupTile is a tile: its group, its first row and the end of the group's rows, its first column.
type GroupTile struct {
	Group, Row, End, Col ptx.Reg
}

// Each runs body for each of this block's tiles.
func (w GroupWalk) Each(k *ptx.Kernel, body func(GroupTile)) {
	tile := k.Var(ptx.U32, "tile", k.Read(ptx.CtaIDX))
	step := k.Read(ptx.NCtaIDX)
	group := k.Var(ptx.U32, "group", 0) // behind the current one
	start, end := k.Var(ptx.U32, "start", 0), k.Var(ptx.U32, "end", k.Ld(ptx.Global, ptx.U32, w.Offsets.At(0)))
	before, count := k.Var(ptx.U32, "before", 0), k.Var(ptx.U32, "count", 0)
	rows := k.Var(ptx.U32, "rows", 0) // of tiles
	k.Loop(func(all ptx.Loop) {
		k.Comment("the group that the tile is in; empty groups have none")
		k.Loop(func(search ptx.Loop) {
			search.Break(k.Lt(tile, k.Add(before, count)))
			all.Break(k.Eq(group, w.Groups))
			k.To(before).Add(before, count)
			k.To(group).Add(group, 1)
			k.Assign(start, end)
			k.To(end).Ld(ptx.Global, ptx.U32, k.MadWide(group, 4, w.Offsets).At(0))
			k.To(rows).Div(k.Add(k.Sub(end, start), w.BlockM-1), w.BlockM)
			k.To(count).Mul(rows, w.TilesN)
		})
		inside := k.Sub(tile, before)
		col := k.Div(inside, rows)
		row := k.Sub(inside, k.Mul(col, rows))
		body(GroupTile{Group: k.Sub(group, 1), Row: k.Mad(row, w.BlockM, start), End: end, Col: k.Mul(col, w.BlockN)})
		k.To(tile).Add(tile, step)
	})
}

// MatrixWalk visits the tiles of a product that is ragged along k: every group has a whole matrix, and the values along
// k from Offsets[g] to Offsets[g+1]. Tiles are numbered group by group, down the rows and then along the columns.
type MatrixWalk struct {
	BlockM, BlockN int
	Groups         int
	TilesM, TilesN int
	Offsets        ptx.Reg // int32 [Groups+1] in global memory, not falling
}

// MatrixTile is a tile: its group, its place in the matrix, and the values along k: Slots slots, one even if there are no
// values.
type MatrixTile struct {
	Group, Row, Col   ptx.Reg
	First, End, Slots ptx.Reg
}

// Each runs body for each of this block's tiles.
func (w MatrixWalk) Each(k *ptx.Kernel, body func(MatrixTile)) {
	per := w.TilesM * w.TilesN
	k.For("tile", k.Read(ptx.CtaIDX), w.Groups*per, k.Read(ptx.NCtaIDX), func(number ptx.Reg) {
		var t MatrixTile
		t.Group = k.Div(number, per)
		inside := k.Sub(number, k.Mul(t.Group, per))
		col := k.Div(inside, w.TilesM)
		t.Row, t.Col = k.Mul(k.Sub(inside, k.Mul(col, w.TilesM)), w.BlockM), k.Mul(col, w.BlockN)
		at := k.MadWide(t.Group, 4, w.Offsets)
		t.First, t.End = k.Ld(ptx.Global, ptx.U32, at.At(0)), k.Ld(ptx.Global, ptx.U32, at.At(4))
		t.Slots = k.Max(k.Shr(k.Add(k.Sub(t.End, t.First), Depth-1), log2(Depth)), 1)
		body(t)
	})
}
