package host

// matrix is a row-major operand: row i starts at element row(i)·ld of x. With pairs it is gathered: row i is row
// pairs[i]/topk of x.
type matrix struct {
	x     []float32
	ld    int
	pairs []int32
	topk  int
}

// start is the first element of row i.
func (m *matrix) start(i int) int {
	if m.pairs != nil {
		i = int(m.pairs[i]) / m.topk
	}
	return i * m.ld
}

// row returns row i from element lo to element hi.
func (m *matrix) row(i, lo, hi int) []float32 {
	at := m.start(i)
	return m.x[at+lo : at+hi]
}

// rowsAhead is how many rows ahead packPanels fetches.
const rowsAhead = 8

// packAlong packs a right operand whose rows are steps of p: rows k0..k1, columns j0..j1, into panels of nr columns, one
// after the other, each [k1-k0][nr]. Columns past j1 in the last panel are left as they are: whatever stands
// there ends in columns of a tile that nobody reads.
func packAlong(dst []float32, nr int, m *matrix, k0, k1, j0, j1 int) {
	var starts [kBlock + rowsAhead]int
	kc, whole := k1-k0, (j1-j0)/nr
	rows := starts[:kc]
	for k := range rows {
		rows[k] = m.start(k0 + k)
		_ = m.x[rows[k]+j1-1] // packPanels does not check
	}
	for k := kc; k < kc+rowsAhead; k++ {
		starts[k] = starts[kc-1]
	}
	if whole > 0 {
		_ = dst[whole*kc*nr-1]
		packPanels(kc, &starts, m.x[j0:], whole, dst)
	}
	if j := j0 + whole*nr; j < j1 {
		dst = dst[whole*kc*nr:]
		for k, at := range rows {
			copy(dst[k*nr:], m.x[at+j:at+j1])
		}
	}
}

// packAcross packs a right operand whose rows are columns of the panels: rows j0..j1, elements k0..k1 of each. It writes
// what packAlong would write for the transpose.
func packAcross(dst []float32, nr int, m *matrix, j0, j1, k0, k1 int) {
	panel := (k1 - k0) * nr
	for ; j0 < j1; j0 += nr {
		for r := 0; r < min(nr, j1-j0); r += 8 {
			transposeRows(dst[r:], nr, m, j0+r, min(j0+r+8, j1), k0, k1)
		}
		dst = dst[min(panel, len(dst)):]
	}
}

// copyRows copies rows i0..i1, elements k0..k1 of each, ld apart: a left operand whose rows are gathered, or lie so that
// they compete for the same sets of the cache.
func copyRows(dst []float32, ld int, m *matrix, i0, i1, k0, k1 int) {
	for i := i0; i < i1; i++ {
		copy(dst, m.row(i, k0, k1))
		dst = dst[min(ld, len(dst)):]
	}
}

// copyColumns copies the transpose of rows k0..k1, elements i0..i1 of each: dst has i1-i0 rows of k1-k0 elements, ld apart.
// It may write up to 7 elements more in each row.
func copyColumns(dst []float32, ld int, m *matrix, i0, i1, k0, k1 int) {
	for k := k0; k < k1; k += 8 {
		transposeRows(dst[k-k0:], ld, m, k, min(k+8, k1), i0, i1)
	}
}

// transposeRows writes dst[j*ldd+i] = row r0+i [e0+j] for up to eight rows r0..r1 and elements e0..e1. Where rows are
// fewer than eight, columns up to the eighth are written too.
func transposeRows(dst []float32, ldd int, m *matrix, r0, r1, e0, e1 int) {
	var rows [8]*float32
	blocks := (e1 - e0) / 8
	if blocks > 0 {
		for i := range rows {
			rows[i] = &m.row(min(r0+i, r1-1), e0, e1)[0]
		}
		transpose8(blocks, &rows, &dst[0], ldd)
	}
	for i := range r1 - r0 {
		for j, v := range m.row(r0+i, e0+8*blocks, e1) {
			dst[(8*blocks+j)*ldd+i] = v
		}
	}
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
