package tile

import (
	"math/bits"

	"moegen/kernels/ptx"
)

// RowStore writes accumulators as bf16 with ordinary stores, so that a tile may end at any row: registers go to shared
// memory by stmatrix, and from there each row's 128 bytes by eight threads. Each consumer warpgroup has two slabs of its
// own.
type RowStore struct {
	k       *ptx.Kernel
	matrix  ptx.Reg // bf16 [...][cols]
	cols    int
	slabs   ptx.Addr
	barrier ptx.Reg
	row     ptx.Reg // as in Store
	chunk   ptx.Reg
	first   ptx.Reg // the first row that the thread copies out
	piece   ptx.Reg // its 16 bytes of the row
	from    ptx.Reg // their address in the first slab
}

// NewRowStore sets aside the slabs of so many warpgroups for a matrix with rows of cols, a multiple of 8.
func NewRowStore(k *ptx.Kernel, matrix ptx.Reg, cols, warpgroups int) *RowStore {
	if cols%8 != 0 {
		k.Fail("rows of %d columns; 16-byte stores need a multiple of 8", cols)
	}
	return &RowStore{k: k, matrix: matrix, cols: cols, slabs: k.SharedBytes(2*slabBytes*warpgroups, 1024)}
}

// Start prepares thread t of 128 of a warpgroup, whose named barrier is 1 + its number.
func (s *RowStore) Start(warpgroup, t ptx.Reg) {
	k := s.k
	s.barrier = k.Add(warpgroup, 1)
	mine := k.Mad(warpgroup, 2*slabBytes, k.Lea(s.slabs))
	s.row, s.chunk = StMatrixRow(k, mine, t)
	s.first, s.piece = k.Shr(t, 3), k.And(t, 7)
	s.from = k.Add(k.Add(mine, k.Shl(s.first, log2(rowBytes))), k.Shl(k.Xor(s.piece, k.And(s.first, 7)), 4))
}

// Tile writes acc to the 64 rows from row, those before end, and the columns from col that there are.
func (s *RowStore) Tile(acc ptx.Acc, row, end, col ptx.Reg) {
	k := s.k
	for slab := range acc.N / 64 {
		side := slab % 2 * slabBytes
		k.Comment("columns %d to %d", 64*slab, 64*slab+63)
		for q := range 4 {
			k.StMatrix(false, k.Add(s.row, k.Xor(s.chunk, 32*q)).At(side), pack(k, acc, 4*slab+q)...)
		}
		k.SyncNamed(s.barrier, 128) // two slabs: who writes one again has passed the barrier of the other
		c := k.Add(k.Add(col, 64*slab), k.Shl(s.piece, 3))
		r := k.Add(row, s.first)
		to := k.Add(k.MadWide(r, 2*s.cols, s.matrix), k.MulWide(c, 2))
		inside := k.Lt(c, s.cols)
		for i := range 64 / gatherRows {
			v := k.LdVec(ptx.Shared, ptx.B32, 4, s.from.At(side+i*gatherRows*rowBytes))
			there := k.And(inside, k.Lt(k.Add(r, i*gatherRows), end))
			k.When(there).St(ptx.Global, to.At(i*gatherRows*2*s.cols), v...)
		}
	}
	if acc.N/64%2 == 1 { // the next tile begins with the slab that was just read
		k.SyncNamed(s.barrier, 128)
	}
}

func log2(n int) int { return bits.TrailingZeros(uint(n)) }
