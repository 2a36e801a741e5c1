// Package ir says what a training step computes, never how: a small graph of tensor operations (Graph), and
// what the generator makes of it for one rank (Plan).
//
// Every operation is one file: its meaning as plain loops (Eval), its shapes (Infer), its gradient (Grad) and
// its cost. Eval is the oracle for the passes, for host kernels and for GPU kernels. Graphs and plans have a
// text form that prints and parses.
//
// # Letters
//
// After the last underscore of a value's name one letter stands for one dim:
//
//	T tokens of a rank's micro-batch    S tokens received from all ranks    R rows routed to local experts
//	D hidden    V vocabulary    H query heads    G key/value heads    P head dim    Q packed (H+2G)·P
//	E experts   L local experts    K top-k    F expert width    W two expert widths (gate and up)    N ranks
//
// The package imports nothing of moegen and touches nothing but its arguments.
package ir
