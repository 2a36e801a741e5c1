package host

var attentionKernels = [isaCount]attentionOps{
	portable: {portableProduct, portableRowMax, portableRowExp, portableRowExpGrad, portableRowScale},
	avx2:     vectorOps(blockProductAVX2, rowMaxAVX2, rowExpAVX2, rowExpGradAVX2, rowScaleAVX2),
	avx512:   vectorOps(blockProductAVX512, rowMaxAVX512, rowExpAVX512, rowExpGradAVX512, rowScaleAVX512),
}

// vectorOps puts the bounds checks in front of assembly.
func vectorOps(
	product func(m, n, k int, a *float32, ars, aks int, b *float32, brs, bps int, c *float32, crs int, accumulate bool),
	rowMax func(rows, n int, s *float32, stride int, largest *float32),
	rowExp func(rows, n int, s *float32, stride int, shift, sum *float32),
	rowExpGrad func(rows, n int, s, ds *float32, stride int, shift, delta *float32),
	rowScale func(rows, n int, x *float32, stride int, factor *float32),
) attentionOps {
	return attentionOps{
		product: func(m, n, k int, a []float32, ars, aks int, b panels, c []float32, crs int, accumulate bool) {
			_ = first(b.at(n-attentionLane), k, b.step, attentionLane)
			product(m, n, k, first(a, m, ars, (k-1)*aks+1), ars, aks, &b.x[0], b.step, b.next, first(c, m, crs, n), crs, accumulate)
		},
		rowMax: func(rows, n int, s []float32, stride int, largest []float32) {
			rowMax(rows, n, first(s, rows, stride, n), stride, first(largest, rows, 1, 1))
		},
		rowExp: func(rows, n int, s []float32, stride int, shift, sum []float32) {
			rowExp(rows, n, first(s, rows, stride, n), stride, first(shift, rows, 1, 1), first(sum, rows, 1, 1))
		},
		rowExpGrad: func(rows, n int, s, ds []float32, stride int, shift, delta []float32) {
			rowExpGrad(rows, n, first(s, rows, stride, n), first(ds, rows, stride, n), stride,
				first(shift, rows, 1, 1), first(delta, rows, 1, 1))
		},
		rowScale: func(rows, n int, x []float32, stride int, factor []float32) {
			rowScale(rows, n, first(x, rows, stride, n), stride, first(factor, rows, 1, 1))
		},
	}
}

// first is the address of x, which must hold the given rows of n elements.
func first(x []float32, rows, stride, n int) *float32 {
	_ = x[(rows-1)*stride+n-1]
	return &x[0]
}
