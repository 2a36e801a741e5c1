// Package tuned holds what measurements chose: data, one file for each device.
package tuned

// Product is the kernel that was the quickest for a matrix product, see gpu.GEMMConfig.
type Product struct {
	Form           string // nt, nn or tn
	M, N, K        int
	BlockM, BlockN int
	Stages         int
	Cluster        int
	Group          int
	Keep           int
	Split          int
}

// H100Products were chosen on an H100 80GB HBM3 at 700 W, driver 580.159.04, on 2026-11-23, among 20 to 30 kernels a product in
// three runs: the median of nine rounds in alternation with cuBLAS (CUDA 13.0), seven for those of more than 0.5 TFLOP; in
// comments the time that cuBLAS took over the kernel's in each run that had it. A product of as many tiles of 128 by 128 and
// slots along K is the same work.
var H100Products = []Product{
	{"nt", 8192, 8192, 8192, 128, 256, 4, 2, 1, 1, 1},   // 1.043, 1.027, 1.025
	{"nt", 4096, 5120, 2048, 128, 128, 6, 2, 2, 1, 1},   // 1.037; in groups of 8 1.069, 0.980, 0.987
	{"nn", 4096, 2048, 5120, 256, 128, 4, 1, 8, 1, 1},   // 1.020, 1.006, 1.005
	{"tn", 5120, 2048, 4096, 128, 128, 6, 2, 2, 1, 1},   // 1.011; in groups of 8 0.979, 0.891, 0.983
	{"nt", 4096, 2048, 4096, 128, 256, 4, 1, 4, 1, 1},   // 1.012; 128×128 in groups of 8 1.037, 0.955
	{"nn", 4096, 4096, 2048, 128, 128, 6, 2, 2, 1, 1},   // 1.044; in groups of 8 1.060, 0.997
	{"tn", 2048, 4096, 4096, 256, 128, 4, 1, 4, 1, 1},   // 1.009; 128×128 in groups of 8 1.020, 0.957
	{"nt", 4096, 151936, 2048, 128, 256, 4, 2, 4, 1, 1}, // 1.043, 1.034, 1.034
	{"nn", 4096, 2048, 151936, 128, 256, 4, 2, 2, 1, 1}, // 1.001, 1.000, 0.999
	{"tn", 151936, 2048, 4096, 128, 256, 4, 2, 4, 1, 1}, // 1.025, 1.004, 1.004
}
