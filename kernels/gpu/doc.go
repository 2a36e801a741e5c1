// Package gpu holds the families of kernels for H100, one a file: the math and its floor, Desc (what is asked), Config
// (one kernel: tiles, stages, warps; its Name is the PTX entry), the Configs for a Desc with reasons against the others,
// Cost, Emit, and the Cases that show it right.
//
// A Case is data: buffers with seeded contents, launches with their arguments, and the true value of every element of
// what is written. It serves the printed text that tests pin, the assembler's check, runs in the simulator and on a GPU
// against the truth, and benchmarks. The package touches numbers and text only; package check runs cases.
package gpu
