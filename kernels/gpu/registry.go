package gpu

// families is the registry, sorted by name.
var families = []Family{
	gemm,
	groupedGEMM,
	rmsNorm,
	rmsNormGradFamily,
}
