package tile

import "moegen/kernels/ptx"

// Slab is a stage of the way out: 64 rows by 64 columns of bf16 in shared memory, in rows of 128 bytes with the
// 128-byte swizzle.
const slabBytes = 64 * rowBytes

// Store writes accumulators as bf16 by the copy engine, slab by slab: registers go to shared memory by stmatrix, without
// bank conflicts, and leave while the next slab, or the next tile's main loop, is under way. Each consumer warpgroup has
// two slabs of its own, or as many as its part of a tile, which then goes to shared memory at once: where tiles are short,
// nobody waits for memory between two of them.
type Store struct {
	k       *ptx.Kernel
	m       ptx.TensorMap
	slabs   ptx.Addr // of all warpgroups
	barrier ptx.Reg  // of this warpgroup
	leads   ptx.Reg  // one thread of the warpgroup, which speaks to the copy engine
	mine    ptx.Reg  // the warpgroup's slabs
	whole   int      // slabs of its part of a tile, if it has as many; 0: it has two
	row     ptx.Reg  // in them, the row whose address the lane gives to stmatrix
	chunk   ptx.Reg  // the lane's first 16-byte piece of that row, swizzled, in bytes
	addends []*Addend
}

// StoreMap is the box of one copy.
func StoreMap() ptx.MapSpec {
	return ptx.MapSpec{Elem: ptx.BF16, Box: []int{64, 64}, Swizzle: ptx.Swizzle128}
}

// NewStore sets aside the slabs of so many warpgroups. The addends are added in their order.
func NewStore(k *ptx.Kernel, m ptx.TensorMap, warpgroups int, addends ...*Addend) *Store {
	return &Store{k: k, m: m, slabs: k.SharedBytes(2*slabBytes*warpgroups, 1024), addends: addends}
}

// NewWholeStore is NewStore with so many slabs for each warpgroup, as many as its part of a tile.
func NewWholeStore(k *ptx.Kernel, m ptx.TensorMap, warpgroups, slabs int, addends ...*Addend) *Store {
	return &Store{k: k, m: m, slabs: k.SharedBytes(slabs*slabBytes*warpgroups, 1024), whole: slabs, addends: addends}
}

// Start prepares thread t of 128 of a warpgroup, whose named barrier is 1 + its number.
func (s *Store) Start(warpgroup, t ptx.Reg) {
	k := s.k
	s.barrier, s.leads = k.Add(warpgroup, 1), k.Eq(t, 0)
	own := 2
	if s.whole > 0 {
		own = s.whole
	}
	s.mine = k.Mad(warpgroup, own*slabBytes, k.Lea(s.slabs))
	s.row, s.chunk = StMatrixRow(k, s.mine, t)
	for _, a := range s.addends {
		a.Start(t)
	}
}

// StMatrixRow returns where thread t of a warpgroup writes rows of a slab with stmatrix.x4, which stores the 8x8
// matrices (rows 0-7, columns 0-7), (rows 8-15, columns 0-7), (rows 0-7, columns 8-15), (rows 8-15, columns 8-15) of a
// warp's 16 rows: the address of row 16·warp + lane mod 16, and the swizzled place of piece lane/16 in it.
func StMatrixRow(k *ptx.Kernel, slab, t ptx.Reg) (row, chunk ptx.Reg) {
	lane := k.And(t, 31)
	r := k.Add(k.Shl(k.Shr(t, 5), 4), k.And(lane, 15))
	return k.Add(slab, k.Shl(r, 7)), k.Shl(k.Xor(k.Shr(lane, 4), k.And(lane, 7)), 4)
}

// pack rounds columns 16·q to 16·q+15 of accumulators, with what belongs to them of addends, to bf16, in the order of
// stmatrix.x4.
func pack(k *ptx.Kernel, acc ptx.Acc, q int, addends ...*Addend) []ptx.Reg {
	out := make([]ptx.Reg, 4)
	for i := range out {
		n := 8*q + 2*i
		x, y := acc.Regs[n], acc.Regs[n+1]
		for _, a := range addends {
			x, y = a.add(n%32, x, y)
		}
		out[i] = k.PackBF16(x, y)
	}
	return out
}

// Fetch begins to read addends for the next Tile at (row, col): long enough before it, they are there in time.
func (s *Store) Fetch(row, col ptx.Reg) {
	for _, a := range s.addends {
		a.Fetch(row, col)
	}
}

// Tile writes acc, 64 rows each, to the rows from row and the columns from col; what lies outside the matrix is dropped.
// more are further coordinates of the map. With addends, Fetch has been called for the same place.
func (s *Store) Tile(acc []ptx.Acc, row, col ptx.Reg, more ...ptx.Operand) {
	if s.whole > 0 {
		s.all(acc, row, col, more)
		return
	}
	for i := range acc {
		s.block(acc[i], s.k.Add(row, 64*i), col, i+1 == len(acc), more)
	}
}

// all writes a tile for which there are as many slabs: those of the tile before have long left.
func (s *Store) all(acc []ptx.Acc, row, col ptx.Reg, more []ptx.Operand) {
	k := s.k
	slabs := acc[0].N / 64
	if len(acc)*slabs != s.whole {
		k.Fail("a tile of %d slabs, set aside are %d", len(acc)*slabs, s.whole)
	}
	k.When(s.leads).BulkWaitRead(0)
	k.SyncNamed(s.barrier, 128)
	for n := range s.whole {
		i, slab := n/slabs, n%slabs
		values := s.values(acc[i], slab)
		if len(s.addends) > 0 && n+1 < s.whole {
			s.Fetch(k.Add(row, 64*((n+1)/slabs)), k.Add(col, 64*((n+1)%slabs)))
		}
		for q := range 4 {
			k.StMatrix(false, k.Add(s.row, k.Xor(s.chunk, 32*q)).At(n*slabBytes), values(q)...)
		}
	}
	k.FenceProxyAsync(false)
	k.SyncNamed(s.barrier, 128)
	k.If(s.leads, func() {
		for n := range s.whole {
			to := []ptx.Operand{k.Add(col, 64*(n%slabs)), k.Add(row, 64*(n/slabs))}
			k.TMAStore(s.m, s.mine.At(n*slabBytes), append(to, more...)...)
		}
		k.BulkCommit()
	})
}

// block writes 64 rows of a tile, perhaps the last ones.
func (s *Store) block(acc ptx.Acc, row, col ptx.Reg, last bool, more []ptx.Operand) {
	k := s.k
	slabs := acc.N / 64
	for slab := range slabs {
		side := slab % 2 * slabBytes
		k.Comment("columns %d to %d", 64*slab, 64*slab+63)
		values := s.values(acc, slab)
		if len(s.addends) > 0 {
			if slab+1 < slabs {
				s.Fetch(row, k.Add(col, 64*(slab+1)))
			} else if !last {
				s.Fetch(k.Add(row, 64), col)
			}
		}
		inFlight := 1
		if slab == 0 && slabs%2 == 1 {
			inFlight = 0 // the slab before this one left from the same side
		}
		k.When(s.leads).BulkWaitRead(inFlight)
		k.SyncNamed(s.barrier, 128)
		for q := range 4 {
			at := k.Add(s.row, k.Xor(s.chunk, 32*q))
			k.StMatrix(false, at.At(side), values(q)...)
		}
		k.FenceProxyAsync(false)
		k.SyncNamed(s.barrier, 128)
		to := k.Add(col, 64*slab)
		k.When(s.leads).TMAStore(s.m, s.mine.At(side), append([]ptx.Operand{to, row}, more...)...)
		k.When(s.leads).BulkCommit()
	}
}

// values returns what stmatrix number q of a slab writes. Addends are added at once: their registers are free for the next
// slab.
func (s *Store) values(acc ptx.Acc, slab int) func(q int) []ptx.Reg {
	if len(s.addends) == 0 {
		return func(q int) []ptx.Reg { return pack(s.k, acc, 4*slab+q) }
	}
	var out [4][]ptx.Reg
	for q := range out {
		out[q] = pack(s.k, acc, 4*slab+q, s.addends...)
	}
	return func(q int) []ptx.Reg { return out[q] }
}

// Drain waits until everything is written: a block's shared memory must outlive the copies from it.
func (s *Store) Drain() { s.k.When(s.leads).BulkWait(0) }
