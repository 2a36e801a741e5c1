package tile

import "moegen/kernels/ptx"

// Walk visits the tiles of a matrix, each cluster of blocks its own: piece of work t, t + clusters, ... Tiles are numbered
// in groups of Group rows of tiles, column after column inside a group, so that the tiles under way at a time share rows of
// A and B in the second-level cache.
//
// The last tiles, which would leave most of the GPU idle, can be split along k: from tile SplitFrom on, each is Split
// pieces of work, one after the other in number.
type Walk struct {
	BlockM, BlockN int
	Cluster        int     // blocks along M that work on neighbouring tiles of one column
	Group          int     // rows of tiles (of Cluster blocks) walked together
	TilesM, TilesN ptx.Reg // of the matrix, in rows of Cluster blocks
	Slots          ptx.Reg // along k

	Split     int     // 1: no tile is split
	SplitFrom ptx.Reg // none if no tile is split
}

// Tile is a piece of work: a tile, or a part of one along k.
type Tile struct {
	Row, Col     ptx.Reg
	First, Slots ptx.Reg // along k
	Part         ptx.Reg // of Split; none if no tile is split
	Last         ptx.Reg // whether it is the last of its tile, or all of it
	Number       ptx.Reg // of the split tile, this block's among all blocks'
}

// Each runs body for each of this block's pieces of work.
func (w Walk) Each(k *ptx.Kernel, body func(Tile)) {
	first, step := k.Read(ptx.CtaIDX), k.Read(ptx.NCtaIDX)
	var rank ptx.Reg
	if w.Cluster > 1 {
		first, step, rank = k.Div(first, w.Cluster), k.Div(step, w.Cluster), k.Read(ptx.ClusterCtaRank)
	}
	perGroup := k.Mul(w.TilesN, w.Group)
	work := k.Mul(w.TilesM, w.TilesN)
	if w.Split > 1 {
		work = k.Add(w.SplitFrom, k.Mul(k.Sub(work, w.SplitFrom), w.Split))
	}
	k.For("work", first, work, step, func(number ptx.Reg) {
		t := Tile{First: k.Const(ptx.U32, 0), Slots: w.Slots}
		tile := number
		if w.Split > 1 {
			tile = w.part(k, &t, number, rank)
		}
		k.Comment("group of rows, then column, then row inside the group, which may be lower at the end")
		group := k.Div(tile, perGroup)
		inside := k.Sub(tile, k.Mul(group, perGroup))
		top := k.Mul(group, w.Group)
		height := k.Min(k.Sub(w.TilesM, top), w.Group)
		col := k.Div(inside, height)
		row := k.Add(top, k.Sub(inside, k.Mul(col, height)))
		if w.Cluster > 1 {
			row = k.Mad(row, w.Cluster, rank)
		}
		t.Row, t.Col = k.Mul(row, w.BlockM), k.Mul(col, w.BlockN)
		body(t)
	})
}

// part finds the tile of a piece of work and its share of k.
func (w Walk) part(k *ptx.Kernel, t *Tile, number, rank ptx.Reg) (tile ptx.Reg) {
	k.Comment("tiles from the split on are %d pieces", w.Split)
	whole := k.Lt(number, w.SplitFrom)
	behind := k.Select(whole, k.Const(ptx.U32, 0), k.Sub(number, w.SplitFrom))
	split := k.Div(behind, w.Split)
	tile = k.Select(whole, number, k.Add(w.SplitFrom, split))
	t.Part = k.Sub(behind, k.Mul(split, w.Split))
	t.Last = k.Or(whole, k.Eq(t.Part, w.Split-1))
	t.First = k.Div(k.Mul(t.Part, w.Slots), w.Split)
	end := k.Div(k.Mul(k.Add(t.Part, 1), w.Slots), w.Split)
	t.Slots = k.Sub(k.Select(whole, w.Slots, end), t.First)
	t.Number = split
	if w.Cluster > 1 {
		t.Number = k.Mad(split, w.Cluster, rank)
	}
	return tile
}
