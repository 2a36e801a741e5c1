package host

var microKernels = [isaCount]microKernel{
	portable: {4, portableNR, 1, portablePanel},
	avx2:     {6, 16, 4, vectorPanel(gemmPanelAVX2)},
	avx512:   {14, 32, 2, vectorPanel(gemmPanelAVX512)},
}

// vectorPanel hands assembly its arguments one by one.
func vectorPanel(
	panel func(rows, vecs, kc int, a *float32, lda int, b, c *float32, ldc int, d *float32, ldd int, next *float32, along, across, tiles int),
) func(rows, vecs, kc int, a *float32, lda int, b *float32, c *float32, ldc int, d *float32, ldd int, next ahead) {
	return func(rows, vecs, kc int, a *float32, lda int, b *float32, c *float32, ldc int, d *float32, ldd int, next ahead) {
		panel(rows, vecs, kc, a, lda, b, c, ldc, d, ldd, next.from, next.along, next.across, next.tiles)
	}
}

// transpose8 writes dst[p*ldd+r] = rows[r][p] for r < 8 and p < 8·blocks, blocks ≥ 1.
func transpose8(blocks int, rows *[8]*float32, dst *float32, ldd int) {
	if activeISA == portable {
		portableTranspose(blocks, rows, dst, ldd)
	} else {
		transpose8AVX2(blocks, rows, dst, ldd)
	}
}

// packPanel writes dst[p*nr+j] = x[starts[p]+j] for every start and j < nr, the kernel's.
func packPanel(starts []int, x, dst []float32) {
	switch activeISA {
	case avx512:
		packPanelAVX512(len(starts), &starts[0], &x[0], &dst[0])
	case avx2:
		packPanelAVX2(len(starts), &starts[0], &x[0], &dst[0])
	default:
		portablePackPanel(starts, x, dst)
	}
}
