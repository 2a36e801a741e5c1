package host

// Each primitive by the best path. The assembly goes by the length of one slice and does not look at the others', so those are cut to
// it here: a shorter one panics.

func add(a, b, y []float32) {
	a, b = a[:len(y)], b[:len(y)]
	switch activeISA {
	case avx512:
		addAVX512(a, b, y)
	case avx2:
		addAVX2(a, b, y)
	default:
		addPortable(a, b, y)
	}
}

func scale(s float32, x, y []float32) {
	x = x[:len(y)]
	switch activeISA {
	case avx512:
		scaleAVX512(s, x, y)
	case avx2:
		scaleAVX2(s, x, y)
	default:
		scalePortable(s, x, y)
	}
}

func axpy(s float32, x, y []float32) {
	x = x[:len(y)]
	switch activeISA {
	case avx512:
		axpyAVX512(s, x, y)
	case avx2:
		axpyAVX2(s, x, y)
	default:
		axpyPortable(s, x, y)
	}
}

func dot(a, b []float32) float32 {
	b = b[:len(a)]
	switch activeISA {
	case avx512:
		return dotAVX512(a, b)
	case avx2:
		return dotAVX2(a, b)
	}
	return dotPortable(a, b)
}

func dot3(a, b, c []float32) float32 {
	b, c = b[:len(a)], c[:len(a)]
	switch activeISA {
	case avx512:
		return dot3AVX512(a, b, c)
	case avx2:
		return dot3AVX2(a, b, c)
	}
	return dot3Portable(a, b, c)
}

func sumSquares(x []float32) float64 {
	switch activeISA {
	case avx512:
		return sumSquaresAVX512(x)
	case avx2:
		return sumSquaresAVX2(x)
	}
	return sumSquaresPortable(x)
}

func addDouble(x []float32, sum []float64) {
	sum = sum[:len(x)]
	whole := 0
	switch activeISA {
	case avx512:
		whole = len(x) &^ 15
		addDoubleAVX512(x[:whole], sum)
	case avx2:
		whole = len(x) &^ 7
		addDoubleAVX2(x[:whole], sum)
	}
	addDoublePortable(x[whole:], sum[whole:])
}

func maximum(x []float32) float32 {
	switch activeISA {
	case avx512:
		return maximumAVX512(x)
	case avx2:
		return maximumAVX2(x)
	}
	return maximumPortable(x)
}

func expShifted(dst, src []float32, shift float32) float32 {
	src = src[:len(dst)]
	switch activeISA {
	case avx512:
		return expShiftedAVX512(dst, src, shift)
	case avx2:
		return expShiftedAVX2(dst, src, shift)
	}
	return expShiftedPortable(dst, src, shift)
}

func mulScaled(s float32, x, w, y []float32) {
	x, w = x[:len(y)], w[:len(y)]
	switch activeISA {
	case avx512:
		mulScaledAVX512(s, x, w, y)
	case avx2:
		mulScaledAVX2(s, x, w, y)
	default:
		mulScaledPortable(s, x, w, y)
	}
}

func rmsNormGradRow(s, c float32, dy, x, w, residual, dx, dw []float32) {
	dy, x, w, dw = dy[:len(dx)], x[:len(dx)], w[:len(dx)], dw[:len(dx)]
	if residual != nil {
		residual = residual[:len(dx)]
	}
	switch activeISA {
	case avx512:
		rmsNormGradRowAVX512(s, c, dy, x, w, residual, dx, dw)
	case avx2:
		rmsNormGradRowAVX2(s, c, dy, x, w, residual, dx, dw)
	default:
		rmsNormGradRowPortable(s, c, dy, x, w, residual, dx, dw)
	}
}

func rotate(x1, x2, cos, sin, y1, y2 []float32) {
	x1, x2, cos, sin, y2 = x1[:len(y1)], x2[:len(y1)], cos[:len(y1)], sin[:len(y1)], y2[:len(y1)]
	switch activeISA {
	case avx512:
		rotateAVX512(x1, x2, cos, sin, y1, y2)
	case avx2:
		rotateAVX2(x1, x2, cos, sin, y1, y2)
	default:
		rotatePortable(x1, x2, cos, sin, y1, y2)
	}
}

func rotateBack(x1, x2, cos, sin, y1, y2 []float32) {
	x1, x2, cos, sin, y2 = x1[:len(y1)], x2[:len(y1)], cos[:len(y1)], sin[:len(y1)], y2[:len(y1)]
	switch activeISA {
	case avx512:
		rotateBackAVX512(x1, x2, cos, sin, y1, y2)
	case avx2:
		rotateBackAVX2(x1, x2, cos, sin, y1, y2)
	default:
		rotateBackPortable(x1, x2, cos, sin, y1, y2)
	}
}

func swiglu(gate, up, a []float32) {
	gate, up = gate[:len(a)], up[:len(a)]
	switch activeISA {
	case avx512:
		swigluAVX512(gate, up, a)
	case avx2:
		swigluAVX2(gate, up, a)
	default:
		swigluPortable(gate, up, a)
	}
}

func swigluGradRow(s float32, gate, up, da, dgate, dup, aw []float32) float32 {
	up, da, dgate, dup = up[:len(gate)], da[:len(gate)], dgate[:len(gate)], dup[:len(gate)]
	if aw != nil {
		aw = aw[:len(gate)]
	}
	switch activeISA {
	case avx512:
		return swigluGradRowAVX512(s, gate, up, da, dgate, dup, aw)
	case avx2:
		return swigluGradRowAVX2(s, gate, up, da, dgate, dup, aw)
	}
	return swigluGradRowPortable(s, gate, up, da, dgate, dup, aw)
}

func adamWRow(c *adamWStep, grad, value, m, v []float32) {
	grad, m, v = grad[:len(value)], m[:len(value)], v[:len(value)]
	switch activeISA {
	case avx512:
		adamWRowAVX512(c.scale, c.gain1, c.gain2, c.rootBias, c.eps, c.decay, c.step, grad, value, m, v)
	case avx2:
		adamWRowAVX2(c.scale, c.gain1, c.gain2, c.rootBias, c.eps, c.decay, c.step, grad, value, m, v)
	default:
		adamWRowPortable(c, grad, value, m, v)
	}
}
