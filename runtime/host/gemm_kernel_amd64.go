package host

var microKernels = [isaCount]microKernel{
	portable: {4, portableNR, portableTile},
	avx2:     {6, 16, gemmTileAVX2},
	avx512:   {14, 32, gemmTileAVX512},
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
