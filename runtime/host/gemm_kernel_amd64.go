package host

var microKernels = [isaCount]microKernel{
	portable: {4, portableNR, portableTile},
	avx2:     {6, 16, gemmTileAVX2},
	avx512:   {14, 32, gemmTileAVX512},
}

// transpose8 writes dst[p*ldd+r] = rows[r][p] for r < 8 and p < 8·blocks, blocks ≥ 1; what stands ahead elements
// further is read next.
func transpose8(blocks int, rows *[8]*float32, ahead int, dst *float32, ldd int) {
	if activeISA == portable {
		portableTranspose(blocks, rows, dst, ldd)
	} else {
		transpose8AVX2(blocks, rows, ahead, dst, ldd)
	}
}
