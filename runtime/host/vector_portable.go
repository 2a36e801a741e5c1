package host

import "math"

// The primitives of the row-wise kernels, in plain Go: they say what each one computes, and run where there is nothing better.
// They work on one row, slices of equal length, zero included. Outputs may be the same slice as an input, but must not overlap one in part.

// addPortable writes y = a + b.
func addPortable(a, b, y []float32) {
	for i := range y {
		y[i] = a[i] + b[i]
	}
}

// scalePortable writes y = s·x.
func scalePortable(s float32, x, y []float32) {
	for i := range y {
		y[i] = s * x[i]
	}
}

// axpyPortable adds s·x to y.
func axpyPortable(s float32, x, y []float32) {
	for i := range y {
		y[i] += s * x[i]
	}
}

// dotPortable returns Σ a·b, in several float32 partial sums: here four, so that additions need not wait for each other.
func dotPortable(a, b []float32) float32 {
	var s [4]float32
	n := len(a) &^ 3
	for i := 0; i < n; i += 4 {
		s[0] += a[i] * b[i]
		s[1] += a[i+1] * b[i+1]
		s[2] += a[i+2] * b[i+2]
		s[3] += a[i+3] * b[i+3]
	}
	for i := n; i < len(a); i++ {
		s[0] += a[i] * b[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// dot3Portable returns Σ a·b·c, in several float32 partial sums.
func dot3Portable(a, b, c []float32) float32 {
	var s [4]float32
	n := len(a) &^ 3
	for i := 0; i < n; i += 4 {
		s[0] += a[i] * b[i] * c[i]
		s[1] += a[i+1] * b[i+1] * c[i+1]
		s[2] += a[i+2] * b[i+2] * c[i+2]
		s[3] += a[i+3] * b[i+3] * c[i+3]
	}
	for i := n; i < len(a); i++ {
		s[0] += a[i] * b[i] * c[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// sumSquaresPortable returns Σ x² in float64.
func sumSquaresPortable(x []float32) float64 {
	var s [4]float64
	n := len(x) &^ 3
	for i := 0; i < n; i += 4 {
		a, b, c, d := float64(x[i]), float64(x[i+1]), float64(x[i+2]), float64(x[i+3])
		s[0] += a * a
		s[1] += b * b
		s[2] += c * c
		s[3] += d * d
	}
	for _, v := range x[n:] {
		s[0] += float64(v) * float64(v)
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// addDoublePortable adds x to float64 sums.
func addDoublePortable(x []float32, sum []float64) {
	for i, v := range x {
		sum[i] += float64(v)
	}
}

// maximumPortable returns the largest element, −Inf for an empty row. NaNs may be passed over.
func maximumPortable(x []float32) float32 {
	m := negInf
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// exp is eˣ through float64: reduction to |r| ≤ ln2/2, the Taylor polynomial to r⁸ (the next term is
// 0.35⁹/9! = 2e-10 of the result), and a power of two. Correct to within a thousandth over half a unit in the last place.
func exp(x float32) float32 {
	switch {
	case x < -104: // below half the smallest denormal
		return 0
	case x > 89: // above the largest number
		return float32(math.Inf(1))
	case x != x:
		return x
	}
	n := math.RoundToEven(float64(x) * math.Log2E)
	r := float64(x) - n*math.Ln2
	e := 1 + r*(1+r*(1./2+r*(1./6+r*(1./24+r*(1./120+r*(1./720+r*(1./5040+r*(1./40320))))))))
	return float32(e * math.Float64frombits(uint64(int64(n)+1023)<<52))
}

// expShiftedPortable writes dst = exp(src − shift) and returns the sum of dst. Good to about one unit in the last
// place; −Inf gives 0, NaN gives NaN, results below the smallest normal number may be 0, and
// src − shift must stay below 88.7, where float32 ends.
func expShiftedPortable(dst, src []float32, shift float32) float32 {
	var sum float64
	for i, v := range src {
		e := exp(v - shift)
		dst[i] = e
		sum += float64(e)
	}
	return float32(sum)
}

// mulScaledPortable writes y = w·(s·x).
func mulScaledPortable(s float32, x, w, y []float32) {
	for i := range y {
		y[i] = w[i] * (s * x[i])
	}
}

// rmsNormGradRowPortable is one row of the backward pass of y = w·(s·x): dx = s·w·dy − c·x (+ residual, unless nil),
// dw += dy·(s·x).
func rmsNormGradRowPortable(s, c float32, dy, x, w, residual, dx, dw []float32) {
	for i := range dx {
		g, v := dy[i], x[i]
		d := s*w[i]*g - c*v
		if residual != nil {
			d += residual[i]
		}
		dx[i] = d
		dw[i] += g * (s * v)
	}
}

// rotatePortable writes y1 = x1·cos − x2·sin, y2 = x2·cos + x1·sin. It may run in place (y1 = x1, y2 = x2).
func rotatePortable(x1, x2, cos, sin, y1, y2 []float32) {
	for i := range y1 {
		a, b := x1[i], x2[i]
		y1[i] = a*cos[i] - b*sin[i]
		y2[i] = b*cos[i] + a*sin[i]
	}
}

// rotateBackPortable is the inverse, and the transpose, of rotate: y1 = x1·cos + x2·sin, y2 = x2·cos − x1·sin.
func rotateBackPortable(x1, x2, cos, sin, y1, y2 []float32) {
	for i := range y1 {
		a, b := x1[i], x2[i]
		y1[i] = a*cos[i] + b*sin[i]
		y2[i] = b*cos[i] - a*sin[i]
	}
}

// sigmoid returns σ = 1/(1+e⁻ˣ) and 1−σ, from the exponential of −|x| so that nothing overflows or cancels.
func sigmoid(x float32) (σ, rest float32) {
	e := exp(-max(x, -x))
	large, small := 1/(1+e), e/(1+e)
	if x < 0 {
		return small, large
	}
	return large, small
}

// swigluPortable writes a = silu(gate)·up.
func swigluPortable(gate, up, a []float32) {
	for i, g := range gate {
		σ, _ := sigmoid(g)
		a[i] = g * σ * up[i]
	}
}

// swigluGradRowPortable writes the gradients of a = silu(gate)·up, weighted by s, and the weighted activation, and
// returns the gradient of s: dgate = s·da·up·silu'(gate), dup = s·da·silu(gate), aw = s·a, Σ a·da.
// aw may be nil.
//
// With σ = sigmoid(g): silu = g·σ, silu' = σ + g·σ·(1−σ).
func swigluGradRowPortable(s float32, gate, up, da, dgate, dup, aw []float32) float32 {
	var sum float64
	for i, g := range gate {
		u, d := up[i], da[i]
		σ, rest := sigmoid(g)
		silu := g * σ
		a := silu * u
		sum += float64(a) * float64(d)
		dgate[i] = s * d * u * (σ + silu*rest)
		dup[i] = s * d * silu
		if aw != nil {
			aw[i] = s * a
		}
	}
	return float32(sum)
}

// adamWRowPortable updates one stretch of a parameter; see AdamW.
func adamWRowPortable(c *adamWStep, grad, value, m, v []float32) {
	for i := range value {
		g := grad[i] * c.scale
		m[i] += (g - m[i]) * c.gain1
		v[i] += c.gain2 * (g*g - v[i])
		root := float32(math.Sqrt(float64(v[i])))
		value[i] -= c.decay*value[i] + c.step*m[i]/(root*c.rootBias+c.eps)
	}
}

var negInf = float32(math.Inf(-1))
