package host

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// swiglu64 is the definition, on rows of width 2f.
func swiglu64(f int, gu []float64) []float64 {
	a := make([]float64, len(gu)/2)
	for i := range a {
		row, col := i/f, i%f
		g, u := gu[2*row*f+col], gu[2*row*f+f+col]
		a[i] = g / (1 + math.Exp(-g)) * u
	}
	return a
}

func TestSwiGLU(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, s := range []struct{ rows, f int }{{0, 4}, {1, 1}, {3, 13}, {9, 768}} {
			gu, da := normal(1, 2*s.rows*s.f), normal(2, s.rows*s.f)
			wantA := swiglu64(s.f, double(gu))
			var wantGrad []float64
			for row := range s.rows { // row by row: differences take the square of what they are given
				if s.f > 100 && row > 0 {
					break
				}
				wantGrad = append(wantGrad, slope(func(gu []float64) float64 {
					return inner(double(da[row*s.f:(row+1)*s.f]), swiglu64(s.f, gu))
				}, double(gu[2*row*s.f:2*(row+1)*s.f]))...)
			}
			for _, offsets := range [][]int32{nil, {0, int32(s.rows / 2), int32(s.rows)}} {
				onAnyCores(t, func(p *Pool) []float32 {
					what := fmt.Sprint(s, offsets)
					a, dgu := poison(s.rows*s.f), poison(len(gu))
					SwiGLU(p, s.f, offsets, gu, a)
					wantClose(t, what, a, wantA, 3e-7)
					SwiGLUGrad(p, s.f, offsets, gu, da, dgu)
					wantClose(t, what+" grad", dgu[:len(wantGrad)], wantGrad, 5e-7)
					inPlace := slices.Clone(gu)
					SwiGLUGrad(p, s.f, offsets, inPlace, da, inPlace)
					wantBits(t, what+" grad in place", inPlace, dgu)
					return append(a, dgu...)
				})
			}
		}
	})
}

// The fused gradient is that of y = Unpermute(down(SwiGLU(gu))), which ends in da = dy·W_down: here W_down is the identity.
func TestSwiGLUUnpermuteGrad(t *testing.T) {
	const f = 5
	onEveryISA(t, func(t *testing.T) {
		for _, x := range routings(onePool(t)) {
			rows := x.rows()
			gu, dy := poison(2*x.t*x.k*f), normal(2, x.t*f)
			copy(gu, normal(1, 2*rows*f))
			da := poison(x.t * x.k * f)
			Permute(onePool(t), x.k, f, x.offsets, x.pairs, dy, da)
			loss := func(gu, w []float64) float64 {
				a, sum := swiglu64(f, gu), 0.0
				for i := range rows {
					c := int(x.pairs[i])
					sum += w[c] * inner(a[i*f:(i+1)*f], double(dy[c/x.k*f:][:f]))
				}
				return sum
			}
			G, W := double(gu[:2*rows*f]), double(x.w)
			wantGrad := slope(func(gu []float64) float64 { return loss(gu, W) }, G)
			wantW := slope(func(w []float64) float64 { return loss(G, w) }, W)
			wantA := swiglu64(f, G)
			for i := range wantA {
				wantA[i] *= W[x.pairs[i/f]]
			}
			onAnyCores(t, func(p *Pool) []float32 {
				dgu, aw, dw := poison(len(gu)), poison(len(da)), poison(len(x.w))
				SwiGLUUnpermuteGrad(p, x.t, x.k, f, x.offsets, x.pairs, x.w, gu, da, dgu, aw, dw)
				dgu, aw = dgu[:2*rows*f], aw[:rows*f]
				wantClose(t, "dgu", dgu, wantGrad, 5e-7)
				wantClose(t, "aw", aw, wantA, 3e-7)
				wantClose(t, "dw", dw, wantW, 5e-7)
				gu, da := slices.Clone(gu), slices.Clone(da)
				SwiGLUUnpermuteGrad(p, x.t, x.k, f, x.offsets, x.pairs, x.w, gu, da, gu, da, dw)
				wantBits(t, "dgu in place", gu, dgu)
				wantBits(t, "aw in place", da, aw)
				return slices.Concat(dgu, aw, dw)
			})
		}
	})
}
