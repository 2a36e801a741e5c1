package tile

import (
	"math/bits"

	"moegen/kernels/ptx"
)

// Strips are where a warp keeps 16 rows by 64 columns of bf16 in shared memory, its share of a slab, on their way between
// accumulators and matrices in which a tile may end at any row: to and from registers by stmatrix and ldmatrix, to memory by
// ordinary stores and from it by cp.async, each row's 128 bytes by eight lanes. A warp has strips of its own and waits for
// nobody else's.
type Strips struct {
	k     *ptx.Kernel
	each  int // strips of a warp
	all   ptx.Addr
	row   ptx.Reg    // in the warp's first strip, the row whose address the lane gives to stmatrix and ldmatrix
	chunk ptx.Reg    // the lane's first 16-byte piece of that row, swizzled, in bytes
	first ptx.Reg    // the first row of 64 that the lane copies
	piece ptx.Reg    // the first of its 8 columns
	own   [2]ptx.Reg // where they lie in the first strip: of its even and of its odd rows of eight
}

const (
	stripBytes = 16 * rowBytes
	stripRows  = 32 / 8 // that a warp copies at a time
)

// Columns are some columns of a row-major bf16 matrix in global memory.
type Columns struct {
	First ptx.Reg // the address of the first one, in row 0
	Count int     // a multiple of 8
	Pitch int     // elements from row to row, a multiple of 8
}

// NewStrips sets aside so many strips for each warp of so many warpgroups.
func NewStrips(k *ptx.Kernel, warpgroups, each int) *Strips {
	return &Strips{k: k, each: each, all: k.SharedBytes(4*warpgroups*each*stripBytes, 1024)}
}

// Start prepares thread t of the warpgroups' threads.
func (s *Strips) Start(t ptx.Reg) {
	k := s.k
	warp, lane := k.Shr(t, 5), k.And(t, 31)
	mine := k.Mad(warp, s.each*stripBytes, k.Lea(s.all))
	s.row, s.chunk = StMatrixRow(k, mine, lane)
	row, piece := k.Shr(lane, 3), k.And(lane, 7)
	s.first, s.piece = k.Add(k.Shl(k.And(warp, 3), 4), row), k.Shl(piece, 3)
	s.own[0] = k.Add(k.Add(mine, k.Shl(row, log2(rowBytes))), k.Shl(k.Xor(piece, row), 4))
	s.own[1] = k.Xor(s.own[0], stripRows*16)
}

// at is where pass i of a copy has the lane's piece of strip n.
func (s *Strips) at(n, i int) ptx.Addr { return s.own[i%2].At(n*stripBytes + i*stripRows*rowBytes) }

// Put writes columns 16·q to 16·q+15 of strip n, in the order of stmatrix.x4.
func (s *Strips) Put(n int, q ptx.Operand, words []ptx.Reg) {
	s.k.StMatrix(false, s.block(n, q), words...)
}

// Get reads what Put wrote, or Load.
func (s *Strips) Get(n int, q ptx.Operand) []ptx.Reg { return s.k.LdMatrix(4, false, s.block(n, q)) }

func (s *Strips) block(n int, q ptx.Operand) ptx.Addr {
	k := s.k
	if i, ok := q.(int); ok {
		return k.Add(s.row, k.Xor(s.chunk, 32*i)).At(n * stripBytes)
	}
	return k.Add(s.row, k.Xor(s.chunk, k.Shl(q.(ptx.Reg), 5))).At(n * stripBytes)
}

// places are the lane's rows of the 64 from row, whether each is before end and its columns from col are there, and the address
// of the first.
func (s *Strips) places(c Columns, row, end, col ptx.Reg) (at ptx.Reg, there [16 / stripRows]ptx.Reg) {
	k := s.k
	if c.Count%8 != 0 || c.Pitch%8 != 0 {
		k.Fail("%d columns of %d; 16-byte pieces need multiples of 8", c.Count, c.Pitch)
	}
	column, r := k.Add(col, s.piece), k.Add(row, s.first)
	inside := k.Lt(column, c.Count)
	for i := range there {
		there[i] = k.And(inside, k.Lt(k.Add(r, i*stripRows), end))
	}
	return k.Add(k.MadWide(r, 2*c.Pitch, c.First), k.MulWide(column, 2)), there
}

// Store writes the warp's 16 rows of the 64 from row, those before end, and the columns from col that there are from strip n.
// What the warp has put there it has synchronised behind.
func (s *Strips) Store(n int, c Columns, row, end, col ptx.Reg) {
	k := s.k
	at, there := s.places(c, row, end, col)
	for i := range there {
		v := k.LdVec(ptx.Shared, ptx.B32, 4, s.at(n, i))
		k.When(there[i]).St(ptx.Global, at.At(2*i*stripRows*c.Pitch), v...)
	}
}

// Load starts the copies of the same rows and columns to strip n, zero where there are none. They are the lane's copies: Get reads
// them behind CpAsyncWait and SyncWarp.
func (s *Strips) Load(n int, c Columns, row, end, col ptx.Reg) {
	k := s.k
	at, there := s.places(c, row, end, col)
	for i := range there {
		k.CpAsync(s.at(n, i), at.At(2*i*stripRows*c.Pitch), 16, k.Select(there[i], k.Const(ptx.U32, 16), 0))
	}
}

// Tile writes acc as bf16 to the 64 rows from row, those before end, and the columns from col that there are, through strips 0
// and 1 in turn.
func (s *Strips) Tile(acc ptx.Acc, c Columns, row, end, col ptx.Reg) {
	k := s.k
	for slab := range acc.N / 64 {
		k.Comment("columns %d to %d", 64*slab, 64*slab+63)
		s.Send(slab%2, func(q int) []ptx.Reg { return Words(k, acc, 4*slab+q) }, c, row, end, k.Add(col, 64*slab))
	}
	k.SyncWarp()
}

// Send puts 64 columns, 16 at a time, and stores them. Who sends by two strips in turn, and synchronises the warp behind the last,
// puts nothing where it is still read.
func (s *Strips) Send(n int, words func(q int) []ptx.Reg, c Columns, row, end, col ptx.Reg) {
	for q := range 4 {
		s.Put(n, q, words(q))
	}
	s.k.SyncWarp()
	s.Store(n, c, row, end, col)
}

// Words are columns 16·q to 16·q+15 of accumulators rounded to bf16, in the order of stmatrix.x4: with r = lane/4 and c = 2·(lane mod
// 4), word i has rows r + 8·(i mod 2) of the warp's 16, and the columns from c + 8·(i/2).
func Words(k *ptx.Kernel, acc ptx.Acc, q int) []ptx.Reg { return pack(k, acc, q) }

func log2(n int) int { return bits.TrailingZeros(uint(n)) }
