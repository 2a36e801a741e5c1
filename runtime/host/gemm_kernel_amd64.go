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

// packPanels writes dst[(i*kc+p)*nr+j] = x[starts[p]+i*nr+j] for p < kc, i < panels and j < nr, the kernel's.
func packPanels(kc int, starts *[kBlock + rowsAhead]int, x []float32, panels int, dst []float32) {
	switch activeISA {
	case avx512:
		packPanelsAVX512(kc, &starts[0], &x[0], panels, &dst[0], kc*32)
	case avx2:
		packPanelsAVX2(kc, &starts[0], &x[0], panels, &dst[0], kc*16)
	default:
		portablePackPanels(kc, starts, x, panels, dst)
	}
}
