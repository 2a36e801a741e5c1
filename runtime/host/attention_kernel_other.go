//go:build !amd64

package host

var attentionKernels = [isaCount]attentionOps{
	portable: {portableProduct, portableRowMax, portableRowExp, portableRowExpGrad, portableRowScale},
}
