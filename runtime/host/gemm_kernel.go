package host

import "unsafe"

// microKernel is one implementation of the innermost matrix product: a tile of c in registers, of at most mr rows by
// two vectors of columns. Everything that multiplies matrices is built on it.
//
// Operands. Both are read along p, the dimension that is summed over. a is row-major. b is a packed panel: nr
// consecutive elements for each p (packAlong and packAcross write such panels).
type microKernel struct {
	mr, nr int // rows and columns of a full tile; nr is two vectors
	unroll int // steps of p in a round of the main loop

	// panel computes, for i < rows and j < vecs·nr/2,
	//
	//	c[i*ldc+j] = d[i*ldd+j] + Σ_{p<kc} a[i*lda+p]·b[p*nr+j]
	//
	// in tiles of mr rows. rows ≥ 1, vecs is 1 or 2, kc ≥ 1. d may be nil (zeros), c itself (accumulation), or any addend: a
	// residual, or a bias with ldd = 0. The sum is one chain over p for each element, added to d at the end, so
	// an element's bits do not depend on the tile that it falls into.
	panel func(rows, vecs, kc int, a *float32, lda int, b *float32, c *float32, ldc int, d *float32, ldd int, next ahead)
}

// ahead is memory that a panel fetches while it computes: in each of its first tiles a line every round, along elements apart.
// The first tile begins at from, each other one across elements further on.
type ahead struct {
	from                 *float32
	along, across, tiles int
}

// kernel is the micro-kernel of the active ISA.
func kernel() *microKernel { return &microKernels[activeISA] }

// portablePanel is the micro-kernel in plain Go: 8 columns, in blocks of 2×4 that compilers can keep in registers. It fetches
// nothing ahead.
func portablePanel(rows, vecs, kc int, a *float32, lda int, b *float32, c *float32, ldc int, d *float32, ldd int, _ ahead) {
	const nr, lanes = portableNR, portableNR / 2
	av := unsafe.Slice(a, (rows-1)*lda+kc)
	bv := unsafe.Slice(b, kc*nr)
	cols := vecs * lanes
	cv := unsafe.Slice(c, (rows-1)*ldc+cols)
	var dv []float32
	if d != nil {
		dv = unsafe.Slice(d, (rows-1)*ldd+cols)
	}
	for j := 0; j < cols; j += lanes {
		for i := 0; i < rows; i += 2 {
			second := min(i+1, rows-1) // an odd last row is computed twice
			r0, r1 := portableBlock(kc, av[i*lda:], av[second*lda:], bv[j:])
			for x := range lanes {
				if dv != nil {
					r0[x] += dv[i*ldd+j+x]
					if second != i {
						r1[x] += dv[second*ldd+j+x]
					}
				}
			}
			copy(cv[i*ldc+j:], r0[:])
			if second != i {
				copy(cv[second*ldc+j:], r1[:])
			}
		}
	}
}

const portableNR = 8

// portableBlock returns two rows of four sums.
func portableBlock(kc int, a0, a1 []float32, b []float32) (r0, r1 [4]float32) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	for p := range kc {
		x, y := a0[p], a1[p]
		v := (*[4]float32)(b[p*portableNR:])
		s00 += x * v[0]
		s01 += x * v[1]
		s02 += x * v[2]
		s03 += x * v[3]
		s10 += y * v[0]
		s11 += y * v[1]
		s12 += y * v[2]
		s13 += y * v[3]
	}
	return [4]float32{s00, s01, s02, s03}, [4]float32{s10, s11, s12, s13}
}

// portableTranspose is transpose8 in plain Go.
func portableTranspose(blocks int, rows *[8]*float32, dst *float32, ldd int) {
	t := unsafe.Slice(dst, (8*blocks-1)*ldd+8)
	for r, row := range rows {
		for p, v := range unsafe.Slice(row, 8*blocks) {
			t[p*ldd+r] = v
		}
	}
}

// portablePackPanels is packPanels in plain Go.
func portablePackPanels(kc int, starts *[kBlock + rowsAhead]int, x []float32, panels int, dst []float32) {
	for p, at := range starts[:kc] {
		for i := range panels {
			copy(dst[(i*kc+p)*portableNR:][:portableNR], x[at+i*portableNR:])
		}
	}
}
