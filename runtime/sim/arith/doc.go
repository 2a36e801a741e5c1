// Package arith is the arithmetic of an H100 as pure functions over bit patterns: what the simulator's instructions
// compute, bit for bit.
//
//   - round.go: the formats and the one place where a value is rounded to one of them
//   - f32.go, f64.go, half.go, minmax.go: add, mul, fma, division, square root, min, max, classes
//   - convert.go, fp8.go: conversions among floats and integers
//   - approx.go, mufu.go, mufu_tables.go: the special function unit (ex2, lg2, rcp, rsqrt, sqrt, tanh, sin, cos)
//   - tensor.go, tensor_dot.go: dot products of the tensor core (wgmma, mma.sync)
//
// Values travel as the bits a register holds: float32 and bf16x2 in a uint32, f16 and bf16 in a uint16. An operation that
// yields NaN yields the hardware's: 7FFFFFFF in float32, 7FFF in f16 and bf16, an operand's in float64 (f64.go).
//
// The general method, for every format narrower than float64: widen the operands (exact), compute in float64 with
// the last bit made odd where the result is not exact, round once to the target. A product of two float32 is exact in
// float64, and a value of 53 bits rounded to odd still rounds correctly to 24 bits or fewer in every mode, because it
// has at least two bits more (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
//
// Atomics and reductions are these operations, to nearest. atom.add.f32 and red.add.f32 (also .v2, .v4) flush subnormals in
// global memory and keep them in shared memory; bulk and tensor reductions keep them.
//
// Sources: PTX ISA 9.1 for what it fixes; the results of an H100 where it leaves the result open. Recorded results of
// the hardware are in testdata and are reproduced in every bit.
package arith
