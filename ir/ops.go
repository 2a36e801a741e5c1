package ir

// ops is the registry, sorted by name.
var ops = []*Op{
	biasGrad,
	linear,
	linearDGrad,
	linearWGrad,
	rmsNorm,
	rmsNormGrad,
	tap,
}
