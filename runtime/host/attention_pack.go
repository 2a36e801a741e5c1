package host

// packRows copies n rows of d elements, from rows `from` elements apart to rows `to` apart, and zeroes the padding: columns
// d ≤ c < cols and rows n ≤ r < rows.
func packRows(n, d int, src []float32, from, rows, cols int, dst []float32, to int) {
	for r := range n {
		row := dst[r*to:][:cols]
		copy(row, src[r*from:][:d])
		clear(row[d:])
	}
	for r := n; r < rows; r++ {
		clear(dst[r*to:][:cols])
	}
}

// pack writes n rows of d elements, rows `from` elements apart, into panels of the given rows, with zeroes below and beside.
func (to panels) pack(n, d int, src []float32, from, rows int) {
	for c := 0; c < d; c += attentionLane {
		packRows(n, min(attentionLane, d-c), src[c:], from, rows, attentionLane, to.at(c), to.step)
	}
}

// packTransposed writes the transpose of n rows of d elements, rows `from` elements apart, into panels, with zeroes beside it up to
// the given columns.
func (to panels) packTransposed(n, d int, src []float32, from, cols int) {
	for c := 0; c < cols; c += attentionLane {
		panel, lane := to.at(c), min(n-c, attentionLane)
		transposed(lane, d, src[c*from:], from, panel, to.step)
		for r := range d {
			clear(panel[r*to.step+lane:][:attentionLane-lane])
		}
	}
}

// transposed writes dst[c*to+r] = src[r*from+c] for r < n and c < d.
func transposed(n, d int, src []float32, from int, dst []float32, to int) {
	m := matrix{x: src, ld: from}
	whole := n &^ 7
	for r := 0; r < whole; r += 8 {
		transposeRows(dst[r:], to, &m, r, r+8, 0, d)
	}
	for r := whole; r < n; r++ {
		for c, v := range src[r*from:][:d] {
			dst[c*to+r] = v
		}
	}
}

// carver hands out consecutive parts of a workspace.
type carver struct{ rest []float32 }

func (c *carver) take(n int) []float32 {
	part := c.rest[:n:n]
	c.rest = c.rest[n:]
	return part
}
