package gpu

// families is the registry, sorted by name.
var families = []Family{
	attentionGradFamily,
	gemm,
	groupedGEMM,
	rmsNorm,
	rmsNormGradFamily,
}
