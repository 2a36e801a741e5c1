package host

import "math"

// The primitives below work on one row: slices of equal length, any length including zero. Outputs may be the
// same slice as an input, but must not overlap one in part.

// add writes y = a + b.
func add(a, b, y []float32) { addPortable(a, b, y) }

// scale writes y = s·x.
func scale(s float32, x, y []float32) { scalePortable(s, x, y) }

// axpy adds s·x to y.
func axpy(s float32, x, y []float32) { axpyPortable(s, x, y) }

// dot returns Σ a·b, in several float32 partial sums.
func dot(a, b []float32) float32 { return dotPortable(a, b) }

// dot3 returns Σ a·b·c, in several float32 partial sums.
func dot3(a, b, c []float32) float32 { return dot3Portable(a, b, c) }

// sumSquares returns Σ x² in float64.
func sumSquares(x []float32) float64 { return sumSquaresPortable(x) }

// addDouble adds x to float64 sums.
func addDouble(x []float32, sum []float64) { addDoublePortable(x, sum) }

// maximum returns the largest element, −Inf for an empty row. NaNs may be passed over.
func maximum(x []float32) float32 { return maximumPortable(x) }

// expShifted writes dst = exp(src − shift) and returns the sum of dst. Good to about one unit in the last
// place; −Inf gives 0, NaN gives NaN, results below the smallest normal number may be 0, and
// src − shift must stay below 88.7, where float32 ends.
func expShifted(dst, src []float32, shift float32) float32 {
	return expShiftedPortable(dst, src, shift)
}

// mulScaled writes y = w·(s·x).
func mulScaled(s float32, x, w, y []float32) { mulScaledPortable(s, x, w, y) }

// rmsNormGradRow is one row of the backward pass of y = w·(s·x): dx = s·w·dy − c·x (+ residual, unless nil),
// dw += dy·(s·x).
func rmsNormGradRow(s, c float32, dy, x, w, residual, dx, dw []float32) {
	rmsNormGradRowPortable(s, c, dy, x, w, residual, dx, dw)
}

// rotate writes y1 = x1·cos − x2·sin, y2 = x2·cos + x1·sin. It may run in place (y1 = x1, y2 = x2).
func rotate(x1, x2, cos, sin, y1, y2 []float32) { rotatePortable(x1, x2, cos, sin, y1, y2) }

// rotateBack is the inverse, and the transpose, of rotate: y1 = x1·cos + x2·sin, y2 = x2·cos − x1·sin.
func rotateBack(x1, x2, cos, sin, y1, y2 []float32) { rotateBackPortable(x1, x2, cos, sin, y1, y2) }

// swiglu writes a = silu(gate)·up.
func swiglu(gate, up, a []float32) { swigluPortable(gate, up, a) }

// swigluGradRow writes the gradients of a = silu(gate)·up, weighted by s, and the weighted activation, and
// returns the gradient of s: dgate = s·da·up·silu'(gate), dup = s·da·silu(gate), aw = s·a, Σ a·da.
// aw may be nil.
func swigluGradRow(s float32, gate, up, da, dgate, dup, aw []float32) float32 {
	return swigluGradRowPortable(s, gate, up, da, dgate, dup, aw)
}

// adamWRow updates one stretch of a parameter; see AdamW.
func adamWRow(c *adamWStep, grad, value, m, v []float32) { adamWRowPortable(c, grad, value, m, v) }

var negInf = float32(math.Inf(-1))
