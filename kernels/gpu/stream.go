package gpu

import (
	"moegen/ir"
	"moegen/kernels/ptx"
)

// What kernels share that go over memory once: pieces of rows, 16 bytes where rows allow it, dealt to the threads of a
// persistent grid. Each piece is computed by itself, so results do not depend on the grid.

// streamThreads is the size of a block.
const streamThreads = 256

var (
	// once is how what is read once is read. Unlike ptx.Stream it may be of memory that the same thread writes later.
	once = ptx.Access{Space: ptx.GlobalSpace, L1: ptx.NoAllocate, L2: 256}
	// fixed is how indices and weights are read: by many threads, and nobody writes them.
	fixed = ptx.Access{Space: ptx.GlobalSpace, Const: true}
)

// piece is a run of elements that a thread moves in one access.
type piece struct {
	elem ptx.Type // BF16, F32 or F64
	n    int      // elements: at most 16 bytes
}

// pieceOf returns the largest piece of which all of these numbers of elements are multiples.
func pieceOf(elem ptx.Type, counts ...int) piece {
	for n := 16 / elem.Bytes(); ; n /= 2 {
		whole := true
		for _, c := range counts {
			whole = whole && c%n == 0
		}
		if whole {
			return piece{elem, n}
		}
	}
}

func (p piece) bytes() int { return p.n * p.elem.Bytes() }

// registers returns what a piece is loaded into: words, each of two bf16 or a float32, or one bf16 alone.
func (p piece) registers(k *ptx.Kernel) []ptx.Reg {
	if p.bytes() == 2 {
		return []ptx.Reg{k.Declare(ptx.B16, "half")}
	}
	return k.DeclareArray(ptx.B32, "piece", p.bytes()/4)
}

// load reads a piece.
func (p piece) load(k *ptx.Kernel, a ptx.Access, at ptx.Addr) []ptx.Reg {
	v := p.registers(k)
	k.LdInto(a, v, at)
	return v
}

// loadIf reads a piece where the predicate holds; elsewhere it is zero.
func (p piece) loadIf(k *ptx.Kernel, where ptx.Reg, a ptx.Access, at ptx.Addr) []ptx.Reg {
	v := p.registers(k)
	for _, r := range v {
		k.Assign(r, 0)
	}
	k.When(where).LdInto(a, v, at)
	return v
}

// floats returns a loaded piece's elements in float32, those of float64 as they are.
func (p piece) floats(k *ptx.Kernel, v []ptx.Reg) []ptx.Reg {
	var out []ptx.Reg
	if p.elem == ptx.F64 {
		for i := 0; i < len(v); i += 2 {
			out = append(out, k.Join(ptx.F64, v[i], v[i+1]))
		}
		return out
	}
	for _, r := range v {
		switch {
		case p.elem == ptx.F32:
			out = append(out, r.As(ptx.F32))
		case p.n == 1:
			out = append(out, k.Join(ptx.B32, k.Const(ptx.B16, 0), r).As(ptx.F32))
		default:
			low, high := k.UnpackBF16(r)
			out = append(out, low, high)
		}
	}
	return out
}

// pack rounds what floats returns to the elements of a piece, as it is stored.
func (p piece) pack(k *ptx.Kernel, v []ptx.Reg) []ptx.Reg {
	switch {
	case p.elem != ptx.BF16:
		return v
	case p.n == 1:
		return []ptx.Reg{k.Convert(ptx.BF16, v[0])}
	}
	var words []ptx.Reg
	for i := 0; i < len(v); i += 2 {
		words = append(words, k.PackBF16(v[i], v[i+1]).As(ptx.B32))
	}
	return words
}

// store rounds what floats returns to the elements of a piece and writes it.
func (p piece) store(k *ptx.Kernel, at ptx.Addr, v []ptx.Reg) { k.St(ptx.Global, at, p.pack(k, v)...) }

// eachThread deals the numbers below n to the threads of the grid.
func eachThread(k *ptx.Kernel, n ptx.Operand, body func(i ptx.Reg)) {
	first := k.Mad(k.Read(ptx.CtaIDX), k.Threads(), k.Read(ptx.TidX))
	k.For("i", first, n, k.Mul(k.Read(ptx.NCtaIDX), k.Threads()), body)
}

// eachWarp deals the numbers below n to the warps of the grid.
func eachWarp(k *ptx.Kernel, n ptx.Operand, body func(i ptx.Reg)) {
	warps := k.Threads() / 32
	first := k.Mad(k.Read(ptx.CtaIDX), warps, k.Shr(k.Read(ptx.TidX), 5))
	k.For("i", first, n, k.Mul(k.Read(ptx.NCtaIDX), warps), body)
}

// eachPiece deals the pieces of a matrix to the threads of the grid: row, and the piece in it.
func eachPiece(k *ptx.Kernel, rows ptx.Operand, perRow int, body func(row, col ptx.Reg)) {
	eachThread(k, k.Mul(rows, perRow), func(i ptx.Reg) {
		row := k.Div(i, perRow)
		body(row, k.Sub(i, k.Mul(row, perRow)))
	})
}

// spanRounds is how often all lanes of a warp move a piece of a span.
const spanRounds = 4

// eachSpan deals spans of rows, up to 32·spanRounds pieces, to the warps of the grid: what is read once for all pieces of a row
// is little beside them. each visits the pieces of a lane by cols.
func eachSpan(k *ptx.Kernel, rows ptx.Operand, perRow int, each func(row ptx.Reg, cols func(body func(col ptx.Reg)))) {
	spans := spansOf(perRow)
	eachWarp(k, k.Mul(rows, spans), func(i ptx.Reg) {
		row, first, end := i, k.Read(ptx.LaneID), k.Const(ptx.U32, perRow)
		if spans > 1 {
			row = k.Div(i, spans)
			begin := k.Mul(k.Sub(i, k.Mul(row, spans)), 32*spanRounds)
			first, end = k.Add(begin, first), k.Min(k.Add(begin, 32*spanRounds), perRow)
		}
		each(row, func(body func(col ptx.Reg)) { k.For("col", first, end, 32, body) })
	})
}

func spansOf(perRow int) int { return ceil(perRow, 32*spanRounds) }

// spanGrid is the largest grid worth launching for the spans of so many rows.
func spanGrid(rows, perRow int) int { return streamGrid(32 * rows * spansOf(perRow)) }

// countedRows declares the parameters that say how many rows there are, and returns how many: a number, or an int32
// in memory, which must not be read before the grids in front have ended.
func countedRows(k *ptx.Kernel, counted bool) (rows func() ptx.Reg) {
	if !counted {
		n := k.ParamU32("rows")
		return func() ptx.Reg { return n }
	}
	list, last := k.ParamPtr("counts"), k.ParamU32("last")
	return func() ptx.Reg {
		return k.Ld(fixed, ptx.U32, k.Add(list, k.MulWide(last, 4)).At(0))
	}
}

// rowArgs are the arguments of countedRows: the last of operand i's numbers, or, where that is left out, n.
func rowArgs(l *ir.Launch, i, n int) []Arg {
	if l.In[i] == nil {
		return []Arg{U32(n)}
	}
	return []Arg{Place(In(i)), U32(l.In[i].Type.Dim(0) - 1)}
}

// streamGrid is the largest grid worth launching for so many threads.
func streamGrid(threads int) int { return max(ceil(threads, streamThreads), 1) }

// addressable reports whether the pieces of all these values can be counted in 31 bits.
func addressable(values ...*ir.Value) bool {
	for _, v := range values {
		if v != nil && v.Type.Elements()/pieceOf(ptx.BF16, v.Type.Dim(-1)).n >= 1<<31 {
			return false
		}
	}
	return true
}

// zeroing returns the launch that fills the first bytes of a place with zeros; a multiple of 2.
func zeroing(place Arg, bytes int) Step {
	const name = "zero"
	return Step{
		Launch: Launch{Entry: name, Grid: streamGrid(bytes / 16), Persistent: true, Dependent: true,
			Args: []Arg{place, U32(bytes / 16), U32(bytes % 16 / 2)}},
		Emit: func(m *ptx.Module) {
			k := m.Kernel(name, streamThreads)
			at, pieces, halves := k.ParamPtr("at"), k.ParamU32("pieces"), k.ParamU32("halves")
			k.WaitPrerequisites()
			zeros16(k, at, pieces, halves)
			k.LaunchDependents()
			k.Exit()
		},
	}
}

// zeros16 writes zeros to so many 16-byte pieces, and to the bf16 behind them, which make no whole piece.
func zeros16(k *ptx.Kernel, at, pieces, halves ptx.Reg) {
	zero := k.Const(ptx.B32, 0)
	eachThread(k, pieces, func(i ptx.Reg) {
		k.St(ptx.Global, k.Add(at, k.MulWide(i, 16)).At(0), zero, zero, zero, zero)
	})
	k.Comment("the last bytes")
	eachThread(k, halves, func(i ptx.Reg) {
		k.St(ptx.Global, k.Add(at, k.MadWide(i, 2, k.MulWide(pieces, 16))).At(0), k.Const(ptx.B16, 0))
	})
}

// bfloat reports whether all values that are there have elements in bf16.
func bfloat(values ...*ir.Value) bool {
	for _, v := range values {
		if v != nil && v.Type.DType != ir.BF16 {
			return false
		}
	}
	return true
}
