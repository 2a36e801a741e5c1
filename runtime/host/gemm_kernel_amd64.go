package host

var microKernels = [isaCount]microKernel{
	portable: {4, portableNR, portableTile, portableTranspose},
	avx2:     {6, 16, gemmTileAVX2, transpose8AVX2},
	avx512:   {14, 32, gemmTileAVX512, transpose8AVX2},
}
