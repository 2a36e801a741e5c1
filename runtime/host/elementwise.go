package host

// forElements splits n elements into tasks.
func forElements(p *Pool, n int, f func(lo, hi int)) { forRows(p, n, 1, f) }

// Add writes y = a + b; y may be either.
func Add(p *Pool, a, b, y []float32) {
	mustLen("Add", "a", a, len(y))
	mustLen("Add", "b", b, len(y))
	forElements(p, len(y), func(lo, hi int) { add(a[lo:hi], b[lo:hi], y[lo:hi]) })
}

// Copy writes y = x.
func Copy(p *Pool, x, y []float32) {
	mustLen("Copy", "x", x, len(y))
	forElements(p, len(y), func(lo, hi int) { copy(y[lo:hi], x[lo:hi]) })
}

// Zero writes x = 0.
func Zero(p *Pool, x []float32) {
	forElements(p, len(x), func(lo, hi int) { clear(x[lo:hi]) })
}

// Accumulate writes y = x, or adds x to y.
func Accumulate(p *Pool, x []float32, accumulate bool, y []float32) {
	if accumulate {
		Add(p, x, y, y)
	} else {
		Copy(p, x, y)
	}
}

// SliceRows copies consecutive rows of width d from row first[0] of x on into y; rows past the end of x become zero.
func SliceRows(d int, first []int32, x, y []float32) {
	at := min(int(first[0])*d, len(x))
	n := copy(y, x[at:])
	clear(y[n:])
}

// ClearGaps clears what lies in y between arrays of these lengths, one behind the other, each from a multiple of unit on, and behind the
// last.
func ClearGaps(unit int, lengths []int, y []float32) {
	at := 0
	for _, n := range lengths {
		next := at + blockCount(n, unit)*unit
		clear(y[at+n : next])
		at = next
	}
	mustLen("ClearGaps", "y", y, at)
}
