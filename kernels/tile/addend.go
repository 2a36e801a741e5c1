package tile

import "moegen/kernels/ptx"

// Addend is a bf16 matrix like the product, or one row for all of its rows, that is added to accumulators in float32 on
// their way out. Threads read it where their accumulators belong, two neighbouring columns at a time, a slab ahead of the
// one that is being written, so it may lie where the product is written.
type Addend struct {
	k      *ptx.Kernel
	matrix ptx.Reg // in global memory; a variable, where tiles belong to several
	rows   ptx.Operand
	cols   ptx.Operand // a multiple of 8; outside there is nothing to add
	pitch  ptx.Operand // bytes from row to row; 0: one row for all
	on     ptx.Reg     // whether there is something to add; none: always
	round  bool        // the product is rounded to bf16 first

	row, col ptx.Reg   // of the thread's first accumulator in a slab
	words    []ptx.Reg // of the next slab: for every 8 columns two columns of the thread's first row, then of its second
}

// NewAddend makes an addend of so many rows and columns. Where on is given and does not hold, nothing is read.
func NewAddend(k *ptx.Kernel, matrix ptx.Reg, rows, cols, pitch ptx.Operand, on ptx.Reg) *Addend {
	return &Addend{k: k, matrix: matrix, rows: rows, cols: cols, pitch: pitch, on: on}
}

// Rounded makes it an addend of the product as it would be stored, rounded to bf16: what two operations one after the other
// compute.
func (a *Addend) Rounded() *Addend {
	a.round = true
	return a
}

// shared reports whether all rows are one.
func (a *Addend) shared() bool { return a.pitch == 0 }

// halves is how many rows a thread's accumulators have in a slab, whose words differ.
func (a *Addend) halves() int {
	if a.shared() {
		return 1
	}
	return 2
}

// Start prepares thread t of a warpgroup.
func (a *Addend) Start(t ptx.Reg) {
	k := a.k
	lane := k.And(t, 31)
	a.row, a.col = k.Add(k.Shl(k.Shr(t, 5), 4), k.Shr(lane, 2)), k.Shl(k.And(lane, 3), 1)
	a.words = k.DeclareArray(ptx.B32, "addend", 8*a.halves())
}

// Fetch begins to read the slab at (row, col).
func (a *Addend) Fetch(row, col ptx.Reg) {
	k := a.k
	for _, w := range a.words {
		k.Assign(w, 0)
	}
	read := func() {
		from := k.Add(a.matrix, k.MulWide(k.Add(col, a.col), 2))
		var inside [8]ptx.Reg
		for j := range inside {
			inside[j] = k.Lt(k.Add(col, 8*j), a.cols)
		}
		for h := range a.halves() {
			at := from
			there := inside
			if !a.shared() {
				r := k.Add(row, k.Add(a.row, 8*h))
				at = k.MadWide(r, a.pitch, from)
				exists := k.Lt(r, a.rows)
				for j := range there {
					there[j] = k.And(exists, inside[j])
				}
			}
			for j := range there {
				k.When(there[j]).To(a.words[a.halves()*j+h]).Ld(ptx.Global, ptx.B32, at.At(16*j))
			}
		}
	}
	if a.on.Type() == 0 {
		read()
		return
	}
	k.If(a.on, read)
}

// add returns the two accumulators number i and i+1 of a slab, i even, and what belongs to them.
func (a *Addend) add(i int, x, y ptx.Reg) (ptx.Reg, ptx.Reg) {
	k := a.k
	if a.round {
		x, y = k.UnpackBF16(k.PackBF16(x, y))
	}
	low, high := k.UnpackBF16(a.words[a.halves()*(i/4)+i/2%a.halves()])
	return k.Add(x, low), k.Add(y, high)
}
