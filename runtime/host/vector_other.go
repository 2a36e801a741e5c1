//go:build !amd64

package host

// There is one path.

func add(a, b, y []float32)                { addPortable(a, b, y) }
func scale(s float32, x, y []float32)      { scalePortable(s, x, y) }
func axpy(s float32, x, y []float32)       { axpyPortable(s, x, y) }
func dot(a, b []float32) float32           { return dotPortable(a, b) }
func dot3(a, b, c []float32) float32       { return dot3Portable(a, b, c) }
func sumSquares(x []float32) float64       { return sumSquaresPortable(x) }
func addDouble(x []float32, sum []float64) { addDoublePortable(x, sum) }
func maximum(x []float32) float32          { return maximumPortable(x) }
func expShifted(dst, src []float32, shift float32) float32 {
	return expShiftedPortable(dst, src, shift)
}
func mulScaled(s float32, x, w, y []float32) { mulScaledPortable(s, x, w, y) }
func rmsNormGradRow(s, c float32, dy, x, w, residual, dx, dw []float32) {
	rmsNormGradRowPortable(s, c, dy, x, w, residual, dx, dw)
}
func rotate(x1, x2, cos, sin, y1, y2 []float32)     { rotatePortable(x1, x2, cos, sin, y1, y2) }
func rotateBack(x1, x2, cos, sin, y1, y2 []float32) { rotateBackPortable(x1, x2, cos, sin, y1, y2) }
func swiglu(gate, up, a []float32)                  { swigluPortable(gate, up, a) }
func swigluGradRow(s float32, gate, up, da, dgate, dup, aw []float32) float32 {
	return swigluGradRowPortable(s, gate, up, da, dgate, dup, aw)
}
func adamWRow(c *adamWStep, grad, value, m, v []float32) { adamWRowPortable(c, grad, value, m, v) }
