package gpu

// families is the registry, sorted by name.
var families = []Family{
	gemm,
	rmsNorm,
	rmsNormGradFamily,
}
