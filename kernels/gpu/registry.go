package gpu

// families is the registry, sorted by name.
var families = []Family{
	adamWFamily,
	attentionGradFamily,
	gemm,
	groupedGEMM,
	qkNormRopeFamily,
	qkNormRopeGradFamily,
	rmsNorm,
	rmsNormGradFamily,
	sumSquaresFamily,
}

// kernels is the registry of what computes operations of the IR, sorted by operation, the preferred first.
var kernels = []*Kernel{
	adamWKernel,
	clipScale,
	groupedLinear,
	groupedLinearDGrad,
	linear,
	linearDGrad,
	linearWGrad,
	qkNorm,
	qkNormGrad,
	qkNormRope,
	qkNormRopeGrad,
	rope,
	ropeGrad,
	sumSquares,
}
