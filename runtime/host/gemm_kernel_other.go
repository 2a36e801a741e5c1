//go:build !amd64

package host

var microKernels = [isaCount]microKernel{
	portable: {4, portableNR, 1, portablePanel},
}

// transpose8 writes dst[p*ldd+r] = rows[r][p] for r < 8 and p < 8·blocks, blocks ≥ 1.
func transpose8(blocks int, rows *[8]*float32, dst *float32, ldd int) {
	portableTranspose(blocks, rows, dst, ldd)
}

// packPanel writes dst[p*nr+j] = x[starts[p]+j] for every start and j < nr, the kernel's.
func packPanel(starts []int, x, dst []float32) { portablePackPanel(starts, x, dst) }
