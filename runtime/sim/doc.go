// Package sim runs PTX on a machine without a GPU. It takes the text that a driver would take, refuses what its
// instruction table does not hold, and executes grids, clusters and several GPUs with the arithmetic of an H100, bit for
// bit, while checkers watch for what hardware does not tell: races, missing fences, undefined values, misuse of barriers.
//
// The way of a kernel through the package: Parse reads text into a Module (lex.go, parse.go), every instruction is held
// against the table of forms (table*.go, validate.go), control flow is analysed (flow.go) and each instruction becomes one
// closure over a warp of 32 lanes (lower.go and one file per instruction group). A Machine (machine.go) owns device memory
// and runs launches as resumable warps (warp.go, schedule.go), one at a time in a seeded order; what the ISA calls
// asynchronous takes effect late, in random order (async.go). The happens-before checker is in clocks.go and shadow.go.
//
// Sources: PTX ISA 9.1 for syntax and meaning; where it leaves results open (tensor cores, approximate functions, alignment
// faults of tensor copies) what an H100 answered.
package sim
