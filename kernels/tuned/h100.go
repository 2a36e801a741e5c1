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

// H100Products were chosen on an H100 80GB HBM3 at 700 W, driver 580.159.04, on 2026-11-23, among 12 to 24 kernels a product:
// the median of nine rounds in alternation with cuBLAS (CUDA 13.0), seven for those of more than 0.5 TFLOP; in comments the
// time that cuBLAS took over the kernel's, and the second best. A product of as many tiles of 128 by 128 and slots along K is
// the same work.
var H100Products = []Product{
	{"nt", 8192, 8192, 8192, 128, 256, 4, 2, 1, 1, 1},   // 1.043; 1.036 in groups of 8, split in 3
	{"nt", 4096, 5120, 2048, 128, 128, 6, 2, 8, 1, 1},   // 1.069; 1.056 by 128×256 in groups of 6
	{"nn", 4096, 2048, 5120, 256, 128, 4, 1, 8, 1, 1},   // 1.020; 1.009 by 128×128
	{"tn", 5120, 2048, 4096, 128, 128, 6, 2, 8, 1, 1},   // 0.979; 0.973 by 256×128 without pairs, split in 2
	{"nt", 4096, 2048, 4096, 128, 128, 6, 2, 8, 1, 1},   // 1.037; 1.033 by 128×256 in groups of 12 or 4
	{"nn", 4096, 4096, 2048, 128, 128, 6, 2, 8, 1, 1},   // 1.060; 1.052 by 128×256 in groups of 4
	{"tn", 2048, 4096, 4096, 128, 128, 6, 2, 8, 1, 1},   // 1.020; 1.009 by 256×128 without pairs
	{"nt", 4096, 151936, 2048, 128, 256, 4, 2, 4, 1, 1}, // 1.043; 1.035 by 256×128 in groups of 2
	{"nn", 4096, 2048, 151936, 128, 256, 4, 2, 2, 1, 1}, // 1.001; 1.001 in groups of 12
	{"tn", 151936, 2048, 4096, 128, 256, 4, 2, 4, 1, 1}, // 1.025; 1.025 in groups of 1
}
