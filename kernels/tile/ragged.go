package tile

import "moegen/kernels/ptx"

// Ragged loads an MN-major operand whose values along k are rows of a matrix, gathered or behind one another, up to a last
// one: what lies behind it is zero, because it may be anything in memory, and 0·NaN is NaN. A warpgroup copies 16 bytes a
// thread with cp.async, eight neighbouring threads a row's 128 bytes of a slab, to where the copy engine's 128-byte
// swizzle would have put them.
type Ragged struct {
	k      *ptx.Kernel
	o      Operand
	cols   int     // of a row of the matrix
	matrix ptx.Reg // bf16 [...][cols]
	from   Rows

	first  ptx.Reg   // the thread's first row of a slot
	piece  ptx.Reg   // which 8 columns of a slab it copies
	to     ptx.Reg   // where its first piece goes in a slot, in bytes
	column ptx.Reg   // its piece of the first slab, in row 0 of the matrix
	inside []ptx.Reg // a slab: 16, or 0 where the matrix has no such columns; none if it has all
	pairs  []ptx.Reg // a row: what was looked up of it
	bytes  []ptx.Reg // a row: 16, or 0 behind the last
}

// NewRagged prepares thread t of the warpgroup.
func NewRagged(k *ptx.Kernel, o Operand, cols int, matrix ptx.Reg, from Rows, t ptx.Reg) *Ragged {
	r := &Ragged{k: k, o: o, cols: cols, matrix: matrix, from: from}
	if o.Major != ptx.MNMajor || cols%8 != 0 {
		k.Fail("a ragged operand is MN-major with rows of multiples of 16 bytes")
	}
	r.first, r.piece = k.Shr(t, 3), k.And(t, 7)
	r.to = k.Add(k.Shl(r.first, log2(rowBytes)), k.Shl(k.Xor(r.piece, k.And(r.first, 7)), 4))
	r.column = k.Declare(ptx.U64, "column")
	if cols%o.Rows != 0 {
		r.inside = k.DeclareArray(ptx.U32, "inside", o.Rows/64)
	}
	r.pairs, r.bytes = k.DeclareArray(ptx.U32, "pair", Depth/gatherRows), k.DeclareArray(ptx.U32, "bytes", Depth/gatherRows)
	return r
}

// Tile goes to the tile whose first column is col.
func (r *Ragged) Tile(col ptx.Reg) {
	k := r.k
	c := k.Add(col, k.Shl(r.piece, 3))
	k.To(r.column).Add(r.matrix, k.MulWide(c, 2))
	for s := range r.inside {
		k.To(r.inside[s]).Select(k.Lt(k.Add(c, 64*s), r.cols), k.Const(ptx.U32, 16), 0)
	}
}

// Find begins to look up the rows of the slot that begins at row; those from end on do not exist. Long enough before Load,
// nobody waits for what it reads.
func (r *Ragged) Find(row, end ptx.Reg) {
	k := r.k
	mine := k.Add(row, r.first)
	for i := range r.pairs {
		n := k.Add(mine, i*gatherRows)
		there := k.Lt(n, end)
		r.from.fetch(k, r.pairs[i], n, there)
		k.To(r.bytes[i]).Select(there, k.Const(ptx.U32, 16), 0)
	}
}

// Load starts the copies of the rows that Find has found into a slot. Who arrives at the slot's barrier for them is the
// caller's.
func (r *Ragged) Load(slot ptx.Reg) {
	k := r.k
	to := k.Assume(k.Add(slot, r.to), 16, "pieces are 16 bytes, the swizzle permutes them")
	for i := range r.pairs {
		from := k.MadWide(r.from.place(k, r.pairs[i]), 2*r.cols, r.column)
		for s := range r.o.Rows / 64 {
			n := r.bytes[i]
			if len(r.inside) > 0 {
				n = k.And(n, r.inside[s])
			}
			k.CpAsync(to.At(r.o.Block64(s)+i*gatherRows*rowBytes), from.At(128*s), 16, n)
		}
	}
}
