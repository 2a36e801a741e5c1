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
// # The way through
//
// A model calls the Builder; Differentiate appends the backward; passes Rewrite graphs; Verify and VerifyPlan hold
// graphs and plans to their rules; Print, PrintPlan, Parse and ParsePlan are the text form; Eval runs a graph.
//
// An operation over rows of which only some exist (a bounded first dim) takes the count as an ordinary operand: the
// offsets of a route, or how many tokens were received. It neither reads nor defines rows past the count; Eval makes
// them NaN, so that whoever reads one shows.
//
// The package imports nothing of moegen and touches nothing but its arguments.
package ir
