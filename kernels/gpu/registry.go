package gpu

// families is the registry, sorted by name.
var families = []Family{
	adamWFamily,
	attentionGradFamily,
	biasGradFamily,
	gatherFamily,
	gemm,
	groupedGEMM,
	groupedWGrad,
	qkNormRopeFamily,
	qkNormRopeGradFamily,
	rmsNorm,
	rmsNormGradFamily,
	sumSquaresFamily,
	swigluFamily,
	swigluUnpermuteFamily,
	unpermuteFamily,
	unpermuteWGradFamily,
}

// kernels is the registry of what computes operations of the IR, sorted by operation, the preferred first.
var kernels = []*Kernel{
	adamWKernel,
	biasGrad,
	clipScale,
	embedding,
	groupedLinear,
	groupedLinearDGrad,
	groupedLinearWGrad,
	linear,
	linearDGrad,
	linearWGrad,
	permute,
	qkNorm,
	qkNormGrad,
	qkNormRope,
	qkNormRopeGrad,
	rope,
	ropeGrad,
	sumSquares,
	swiglu,
	swigluGrad,
	swigluUnpermuteGrad,
	unpermute,
	unpermuteGrad,
	unpermuteWGrad,
}
