package host

// matrix is a row-major operand: row i starts at element row(i)·ld of x. With pairs it is gathered: row i is row
// pairs[i]/topk of x.
type matrix struct {
	x     []float32
	ld    int
	pairs []int32
	topk  int
}

// row returns row i from element lo to element hi.
func (m *matrix) row(i, lo, hi int) []float32 {
	if m.pairs != nil {
		i = int(m.pairs[i]) / m.topk
	}
	return m.x[i*m.ld+lo : i*m.ld+hi]
}

// packAlong packs a matrix whose rows are steps of p: steps k0..k1, columns j0..j1, into panels of nr columns, one after
// the other, each [k1-k0][nr]. The last panel is filled up with zeros to a whole vector of nr/2.
func packAlong(dst []float32, nr int, m *matrix, k0, k1, j0, j1 int) {
	kc := k1 - k0
	for p := range kc {
		src := m.row(k0+p, j0, j1)
		for to := p * nr; len(src) > 0; to += kc * nr {
			w := copy(dst[to:to+nr], src)
			if w < nr {
				clear(dst[to+w : to+roundUp(w, nr/2)])
			}
			src = src[w:]
		}
	}
}

// packAcross packs a matrix whose rows are columns of the panels: rows j0..j1, elements k0..k1 of each. It writes
// what packAlong would write for the transpose.
func packAcross(dst []float32, kern *microKernel, m *matrix, j0, j1, k0, k1 int) {
	kc, nr := k1-k0, kern.nr
	blocks := kc / 8
	if m.pairs != nil {
		blocks = 0 // gathered rows are not equally far apart
	}
	for ; j0 < j1; j0 += nr {
		w := min(nr, j1-j0)
		for r := 0; r < w; r += 8 {
			rows, done := min(8, w-r), 0
			if blocks > 0 && rows == 8 {
				first := m.row(j0+r, k0, k1)
				kern.transpose(blocks, &first[0], m.ld, &dst[r], nr)
				done = 8 * blocks
			}
			for i := range rows {
				for p, v := range m.row(j0+r+i, k0+done, k1) {
					dst[(done+p)*nr+r+i] = v
				}
			}
		}
		if end := roundUp(w, nr/2); w < end {
			for p := range kc {
				clear(dst[p*nr+w : p*nr+end])
			}
		}
		dst = dst[kc*nr:]
	}
}

// copyRows copies rows i0..i1, elements k0..k1 of each, one after the other: a left operand whose rows were gathered, or
// lie so far apart that they would share cache sets.
func copyRows(dst []float32, m *matrix, i0, i1, k0, k1 int) {
	for i := i0; i < i1; i++ {
		dst = dst[copy(dst, m.row(i, k0, k1)):]
	}
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
