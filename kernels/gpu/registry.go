package gpu

// families is the registry, sorted by name.
var families = []Family{
	attentionGradFamily,
	gemm,
	groupedGEMM,
	rmsNorm,
	rmsNormGradFamily,
}

// kernels is the registry of what computes operations of the IR, sorted by operation, the preferred first.
var kernels = []*Kernel{
	linear,
	linearDGrad,
	linearWGrad,
}
