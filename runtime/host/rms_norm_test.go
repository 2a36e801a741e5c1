package host

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// Shapes with one row, odd widths, more rows than one block of partial sums, and the width of a real model.
var normShapes = []struct{ t, d int }{{1, 1}, {1, 7}, {3, 33}, {70, 24}, {5, 2048}}

func rmsNorm64(d int, eps float64, x, w []float64) []float64 {
	y := make([]float64, len(x))
	for row := 0; row < len(x); row += d {
		s := 1 / math.Sqrt(inner(x[row:row+d], x[row:row+d])/float64(d)+eps)
		for i := range d {
			y[row+i] = w[i] * x[row+i] * s
		}
	}
	return y
}

func TestRMSNorm(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, s := range normShapes {
			x, w := normal(1, s.t*s.d), normal(2, s.d)
			onAnyCores(t, func(p *Pool) []float32 {
				y, rstd := poison(len(x)), poison(s.t)
				RMSNorm(p, s.t, s.d, 1e-6, x, w, y, rstd)
				wantClose(t, fmt.Sprint(s), y, rmsNorm64(s.d, float64(float32(1e-6)), double(x), double(w)), 1.5e-7)
				return append(y, rstd...)
			})
		}
	})
}

func TestRMSNormGrad(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, s := range normShapes {
			// A large eps keeps the gradient of a single element from vanishing.
			const eps = 0.25
			x, w, dy, residual := normal(1, s.t*s.d), normal(2, s.d), normal(3, s.t*s.d), normal(4, s.t*s.d)
			wantX, wantW := rmsNormGrad64(s.d, eps, double(dy), double(x), double(w))
			for _, mode := range []struct{ accumulate, residual bool }{{false, false}, {true, true}} {
				var r []float32
				if mode.residual {
					r = residual
				}
				what := fmt.Sprint(s, mode)
				onAnyCores(t, func(p *Pool) []float32 {
					y, rstd := poison(len(x)), poison(s.t)
					RMSNorm(p, s.t, s.d, eps, x, w, y, rstd)
					dx, dw, ws := poison(len(x)), filled(s.d, 2), poison(RMSNormGradWorkspace(s.t, s.d))
					RMSNormGrad(p, s.t, s.d, dy, x, w, rstd, r, mode.accumulate, dx, dw, ws)
					wx, ww := slices.Clone(wantX), slices.Clone(wantW)
					for i := range wx {
						if mode.residual {
							wx[i] += float64(residual[i])
						}
					}
					for i := range ww {
						if mode.accumulate {
							ww[i] += 2
						}
					}
					wantClose(t, what+" dx", dx, wx, 3e-7)
					wantClose(t, what+" dw", dw, ww, 3e-7)

					inPlace := slices.Clone(residual)
					if mode.residual {
						RMSNormGrad(p, s.t, s.d, dy, x, w, rstd, inPlace, mode.accumulate, inPlace, filled(s.d, 2), ws)
					} else {
						inPlace = slices.Clone(dy)
						RMSNormGrad(p, s.t, s.d, inPlace, x, w, rstd, nil, mode.accumulate, inPlace, dw, ws)
					}
					wantBits(t, what+" in place", inPlace, dx)
					return append(dx, dw...)
				})
			}
		}
	})
}

// rmsNormGrad64 differentiates Σ dy·rmsNorm64(x, w): by hand, and where it is small enough a second time by differences.
func rmsNormGrad64(d int, eps float64, dy, x, w []float64) (dx, dw []float64) {
	dx, dw = make([]float64, len(x)), make([]float64, d)
	for row := 0; row < len(x); row += d {
		square := inner(x[row:row+d], x[row:row+d])/float64(d) + eps
		var dots float64
		for i := range d {
			dots += dy[row+i] * w[i] * x[row+i]
			dw[i] += dy[row+i] * x[row+i] / math.Sqrt(square)
		}
		for i := range d {
			dx[row+i] = dy[row+i]*w[i]/math.Sqrt(square) - x[row+i]*dots/float64(d)/(square*math.Sqrt(square))
		}
	}
	return dx, dw
}

func TestRMSNormGradReference(t *testing.T) {
	x, w, dy := double(normal(1, 35)), double(normal(2, 7)), double(normal(3, 35))
	dx, dw := rmsNormGrad64(7, 0.25, dy, x, w)
	wantSlope(t, "dx", dx, slope(func(x []float64) float64 { return inner(dy, rmsNorm64(7, 0.25, x, w)) }, x))
	wantSlope(t, "dw", dw, slope(func(w []float64) float64 { return inner(dy, rmsNorm64(7, 0.25, x, w)) }, w))
}

// wantSlope compares a float64 gradient with differences.
func wantSlope(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-7*(1+math.Abs(want[i])) {
			t.Errorf("%s[%d] = %v, by differences %v", what, i, got[i], want[i])
		}
	}
}
