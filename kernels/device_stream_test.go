package kernels_test

var streamOps = []deviceOp{}
