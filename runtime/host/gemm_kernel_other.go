//go:build !amd64

package host

var microKernels = [isaCount]microKernel{
	portable: {4, portableNR, portableTile, portableTranspose},
}
