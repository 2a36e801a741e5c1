package tile

import "moegen/kernels/ptx"

// Walk visits the tiles of a matrix, each cluster of blocks its own: tile t, t + clusters, ... Tiles are numbered in
// groups of Group rows of tiles, column after column inside a group, so that the tiles under way at a time share rows of
// A and B in the second-level cache.
type Walk struct {
	BlockM, BlockN int
	Cluster        int     // blocks along M that work on neighbouring tiles of one column
	Group          int     // rows of tiles (of Cluster blocks) walked together
	TilesM, TilesN ptx.Reg // of the matrix, in rows of Cluster blocks
}

// Each runs body with the first row and column of each of this block's tiles.
func (w Walk) Each(k *ptx.Kernel, body func(row, col ptx.Reg)) {
	first, step := k.Read(ptx.CtaIDX), k.Read(ptx.NCtaIDX)
	var rank ptx.Reg
	if w.Cluster > 1 {
		first, step, rank = k.Div(first, w.Cluster), k.Div(step, w.Cluster), k.Read(ptx.ClusterCtaRank)
	}
	perGroup := k.Mul(w.TilesN, w.Group)
	k.For("tile", first, k.Mul(w.TilesM, w.TilesN), step, func(tile ptx.Reg) {
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
		body(k.Mul(row, w.BlockM), k.Mul(col, w.BlockN))
	})
}
