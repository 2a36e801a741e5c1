//go:build !amd64

package host

var microKernels = [isaCount]microKernel{
	portable: {4, portableNR, 1, portablePanel},
}

// transpose8 writes dst[p*ldd+r] = rows[r][p] for r < 8 and p < 8·blocks, blocks ≥ 1.
func transpose8(blocks int, rows *[8]*float32, dst *float32, ldd int) {
	portableTranspose(blocks, rows, dst, ldd)
}

// packPanels writes dst[(i*kc+p)*nr+j] = x[starts[p]+i*nr+j] for p < kc, i < panels and j < nr, the kernel's.
func packPanels(kc int, starts *[kBlock + rowsAhead]int, x []float32, panels int, dst []float32) {
	portablePackPanels(kc, starts, x, panels, dst)
}
