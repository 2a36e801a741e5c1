package tile

import "moegen/kernels/ptx"

// Gather loads a K-major tile of A whose rows lie anywhere in global memory, as the copy engine of Hopper cannot: a
// warpgroup copies 16 bytes a thread with cp.async, eight neighbouring threads a row's 128 bytes, to where the engine's
// 128-byte swizzle would have put them.
type Gather struct {
	k      *ptx.Kernel
	rows   int     // of the tile
	depth  int     // values in a row of the matrix
	matrix ptx.Reg // bf16 [...][depth]
	from   Rows

	first  ptx.Reg   // the thread's first row in the tile
	piece  ptx.Reg   // which 8 values of a slot's row it copies
	to     ptx.Reg   // where its first piece goes in a slot, in bytes
	places []ptx.Reg // of its pieces in the matrix, at k = 0
	bytes  []ptx.Reg // 16, or 0 behind the last row: such rows are zero
}

// Rows says where row r of a product lies in a matrix: at pairs[r]/TopK, or at r if there are no pairs.
type Rows struct {
	Pairs ptx.Reg // int32 in global memory
	TopK  int     // 0: no pairs
}

// fetch begins to look up row r, for threads for which there holds: into is a variable.
func (f Rows) fetch(k *ptx.Kernel, into, r, there ptx.Reg) {
	if f.TopK == 0 {
		k.To(into).Select(there, r, 0)
		return
	}
	k.Assign(into, 0)
	k.When(there).To(into).Ld(ptx.Global, ptx.U32, k.MadWide(r, 4, f.Pairs).At(0))
}

// place is where a row lies that was looked up, 0 if it is not there.
func (f Rows) place(k *ptx.Kernel, fetched ptx.Reg) ptx.Reg {
	if f.TopK <= 1 {
		return fetched
	}
	return k.Div(fetched, f.TopK)
}

// gatherRows is how many rows a warpgroup copies at a time.
const gatherRows = 128 / 8

// NewGather prepares thread t of the warpgroup.
func NewGather(k *ptx.Kernel, o Operand, depth int, matrix ptx.Reg, from Rows, t ptx.Reg) *Gather {
	g := &Gather{k: k, rows: o.Rows, depth: depth, matrix: matrix, from: from}
	if o.Major != ptx.KMajor || depth%8 != 0 {
		k.Fail("a gathered operand is K-major with rows of multiples of 16 bytes")
	}
	g.first, g.piece = k.Shr(t, 3), k.And(t, 7)
	swizzled := k.Shl(k.Xor(g.piece, k.And(g.first, 7)), 4)
	g.to = k.Add(k.Shl(g.first, log2(rowBytes)), swizzled)
	n := o.Rows / gatherRows
	g.places, g.bytes = k.DeclareArray(ptx.U64, "place", n), k.DeclareArray(ptx.U32, "bytes", n)
	return g
}

// Rows looks up the rows of the tile that begins at row; those from end on do not exist.
func (g *Gather) Rows(row, end ptx.Reg) {
	k := g.k
	k.Comment("the matrix rows of this thread's %d rows", len(g.places))
	mine := k.Add(row, g.first)
	offset := k.Shl(g.piece, 4)
	for i := range g.places {
		r := k.Add(mine, i*gatherRows)
		there := k.Lt(r, end)
		at := k.Declare(ptx.U32, "at")
		g.from.fetch(k, at, r, there)
		at = g.from.place(k, at)
		k.To(g.places[i]).MadWide(at, 2*g.depth, k.Add(g.matrix, k.Convert(ptx.U64, offset)))
		k.To(g.bytes[i]).Select(there, k.Const(ptx.U32, 16), 0)
	}
}

// Load starts the copies for values kk to kk + Depth of the rows into a slot, and lets them arrive at full when they are
// done: one arrival a thread.
func (g *Gather) Load(slot, kk ptx.Reg, full ptx.Addr) {
	k := g.k
	to := k.Assume(k.Add(slot, g.to), 16, "pieces are 16 bytes, the swizzle permutes them")
	at := k.MulWide(kk, 2)
	var inside ptx.Reg
	if g.depth%Depth != 0 {
		inside = k.Lt(k.Add(kk, k.Shl(g.piece, 3)), g.depth)
	}
	for i := range g.places {
		n := g.bytes[i]
		if inside.Type() != 0 {
			n = k.Select(inside, n, 0)
		}
		k.CpAsync(to.At(i*gatherRows*rowBytes), k.Add(g.places[i], at).At(0), 16, n)
	}
	k.CpAsyncArrive(full)
}
