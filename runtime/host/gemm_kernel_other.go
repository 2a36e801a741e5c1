//go:build !amd64

package host

var microKernels = [isaCount]microKernel{
	portable: {4, portableNR, portableTile},
}

// transpose8 writes dst[p*ldd+r] = rows[r][p] for r < 8 and p < 8·blocks, blocks ≥ 1; what stands ahead elements
// further is read next.
func transpose8(blocks int, rows *[8]*float32, ahead int, dst *float32, ldd int) {
	portableTranspose(blocks, rows, dst, ldd)
}
