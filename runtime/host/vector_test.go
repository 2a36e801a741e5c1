package host

import (
	"fmt"
	"math"
	"testing"
)

// rowLengths has every tail of the vector loops, several rounds of them, and lengths of real models.
func rowLengths() []int {
	var lengths []int
	for n := range 70 {
		lengths = append(lengths, n)
	}
	return append(lengths, 96, 127, 128, 129, 255, 300, 511, 768, 1000)
}

// On the elementwise primitives every operation rounds once: a few times 2⁻²⁴ = 6e-8.
const elementTolerance = 2.5e-7

func TestVectorElementwise(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, n := range rowLengths() {
			// One element off, so that nothing is aligned.
			a, b, c := normal(1, n+1)[1:], normal(2, n+1)[1:], normal(3, n+1)[1:]
			y, want := poison(n), make([]float64, n)
			check := func(what string, f func(i int) float64) {
				t.Helper()
				for i := range want {
					want[i] = f(i)
				}
				wantClose(t, fmt.Sprint(what, " of ", n), y, want, elementTolerance)
			}
			A, B, C := double(a), double(b), double(c)

			add(a, b, y)
			check("add", func(i int) float64 { return A[i] + B[i] })
			scale(0.3, a, y)
			check("scale", func(i int) float64 { return float64(float32(0.3)) * A[i] })
			copy(y, b)
			axpy(-1.7, a, y)
			check("axpy", func(i int) float64 { return B[i] - float64(float32(1.7))*A[i] })
			mulScaled(0.7, a, b, y)
			check("mulScaled", func(i int) float64 { return B[i] * float64(float32(0.7)) * A[i] })

			y2, cos, sin := poison(n), normal(4, n), normal(5, n)
			Cos, Sin := double(cos), double(sin)
			rotate(a, b, cos, sin, y, y2)
			check("rotate", func(i int) float64 { return A[i]*Cos[i] - B[i]*Sin[i] })
			copy(y, y2)
			check("rotate, second half", func(i int) float64 { return B[i]*Cos[i] + A[i]*Sin[i] })
			rotateBack(a, b, cos, sin, y, y2)
			check("rotateBack", func(i int) float64 { return A[i]*Cos[i] + B[i]*Sin[i] })
			copy(y, y2)
			check("rotateBack, second half", func(i int) float64 { return B[i]*Cos[i] - A[i]*Sin[i] })

			for _, residual := range [][]float32{nil, c} {
				dw := filled(n, 1)
				rmsNormGradRow(0.7, 0.2, a, b, c, residual, y, dw)
				check("rmsNormGradRow", func(i int) float64 {
					d := float64(float32(0.7))*C[i]*A[i] - float64(float32(0.2))*B[i]
					if residual != nil {
						d += C[i]
					}
					return d
				})
				copy(y, dw)
				check("rmsNormGradRow, dw", func(i int) float64 { return 1 + A[i]*float64(float32(0.7))*B[i] })
			}

			sums := make([]float64, n)
			for i := range sums {
				sums[i] = float64(i)
			}
			addDouble(a, sums)
			for i, s := range sums {
				if s != float64(i)+A[i] {
					t.Fatalf("addDouble of %d: element %d is %v, want %v", n, i, s, float64(i)+A[i])
				}
			}
		}
	})
}

func TestVectorReductions(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, n := range rowLengths() {
			a, b, c := normal(1, n+1)[1:], normal(2, n+1)[1:], normal(3, n+1)[1:]
			A, B, C := double(a), double(b), double(c)
			var dot2, abs2, dots3, abs3, squares float64
			top := math.Inf(-1)
			for i := range n {
				dot2 += A[i] * B[i]
				abs2 += math.Abs(A[i] * B[i])
				dots3 += A[i] * B[i] * C[i]
				abs3 += math.Abs(A[i] * B[i] * C[i])
				squares += A[i] * A[i]
				top = max(top, A[i])
			}
			// n additions in at least 4 chains: an error of up to n/4 roundings of the absolute sum, in truth about √n.
			bound := 6e-8 * (3 + math.Sqrt(float64(n)))
			if d := math.Abs(float64(dot(a, b)) - dot2); d > bound*abs2 {
				t.Errorf("dot of %d: off by %g", n, d)
			}
			if d := math.Abs(float64(dot3(a, b, c)) - dots3); d > bound*abs3 {
				t.Errorf("dot3 of %d: off by %g", n, d)
			}
			if d := math.Abs(sumSquares(a) - squares); d > 1e-14*squares {
				t.Errorf("sumSquares of %d: off by %g", n, d)
			}
			if got := maximum(a); float64(got) != top {
				t.Errorf("maximum of %d: %v, want %v", n, got, top)
			}
		}
	})
}

// ulps is the distance of got from want in units of want's last place as a float32.
func ulps(got float32, want float64) float64 {
	_, exponent := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(exponent, -125)-24)
}

func TestExpShiftedAccuracy(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		const shift = 0.75
		var worst float64
		src, dst := make([]float32, 1003), make([]float32, 1003)
		for start := float32(-87); start < 88; start += 0.5 {
			for i := range src {
				src[i] = start + shift + 0.5*float32(i)/1003
			}
			sum := expShifted(dst, src, shift)
			var want float64
			for i, x := range src {
				e := math.Exp(float64(x - shift))
				want += e
				worst = max(worst, ulps(dst[i], e))
			}
			if want < math.MaxFloat32 && math.Abs(float64(sum)-want) > 3e-7*want {
				t.Errorf("sum from %v on: %v, want %v", start, sum, want)
			}
		}
		t.Logf("worst error %.3f ulp", worst)
		if worst > 1.1 {
			t.Errorf("worst error %.3f ulp, want at most 1.1", worst)
		}
	})
}

func TestExpShiftedEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	onEveryISA(t, func(t *testing.T) {
		for _, n := range rowLengths()[1:] {
			for _, edge := range []struct{ x, want float32 }{
				{-inf, 0}, {-1e30, 0}, {-104, 0}, {0, 1}, {nan, nan}, {-math.SmallestNonzeroFloat32, 1},
			} {
				src, dst := filled(n, -1), poison(n)
				src[n-1] = edge.x
				sum := expShifted(dst, src, 0)
				if got := dst[n-1]; got != edge.want && !(got != got && edge.want != edge.want) {
					t.Fatalf("exp(%v) = %v, want %v", edge.x, got, edge.want)
				}
				if want := float64(n-1)*math.Exp(-1) + float64(edge.want); math.Abs(float64(sum)-want) > 3e-7*want ||
					(sum != sum) != (want != want) {
					t.Fatalf("%d elements with %v: sum %v, want %v", n, edge.x, sum, want)
				}
			}
		}
		if got := maximum(filled(37, -inf)); got != -inf {
			t.Errorf("maximum of -Inf: %v", got)
		}
	})
}

func TestSwigluRows(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, n := range rowLengths()[1:] {
			gate, up, da := normal(1, n+1)[1:], normal(2, n), normal(3, n)
			for i := range gate {
				gate[i] *= 8 // saturated on both sides
			}
			if n > 3 {
				gate[0], gate[1], gate[2], gate[3] = 90, -90, 1e30, -1e30
			}
			a, want := poison(n), make([]float64, n)
			dgate, dup := make([]float64, n), make([]float64, n)
			const s = 0.625
			var ds, sumAbs float64
			for i := range n {
				g, u, d := float64(gate[i]), float64(up[i]), float64(da[i])
				σ := 1 / (1 + math.Exp(-g))
				want[i] = g * σ * u
				dgate[i] = s * d * u * (σ + g*σ*(1-σ))
				dup[i] = s * d * g * σ
				ds += want[i] * d
				sumAbs += math.Abs(want[i] * d)
			}
			// exp and the division add to the roundings of the products.
			const tolerance = 4e-7
			swiglu(gate, up, a)
			for i := range want { // a norm would see the extremes only
				if math.Abs(float64(a[i])-want[i]) > tolerance*math.Abs(want[i])+1e-36 {
					t.Errorf("swiglu of %v, %v: %v, want %v", gate[i], up[i], a[i], want[i])
				}
			}
			gotGate, gotUp, aw := poison(n), poison(n), poison(n)
			got := swigluGradRow(s, gate, up, da, gotGate, gotUp, aw)
			for i := range dup {
				if math.Abs(float64(gotUp[i])-dup[i]) > tolerance*math.Abs(dup[i])+1e-36 {
					t.Errorf("dup of %v: %v, want %v", gate[i], gotUp[i], dup[i])
				}
			}
			if math.Abs(float64(got)-ds) > 1e-6*sumAbs {
				t.Errorf("ds of %d: %v, want %v", n, got, ds)
			}
			for i := range want {
				if math.Abs(float64(gotGate[i])-dgate[i]) > 1e-6*math.Abs(s*float64(da[i]*up[i])) {
					t.Errorf("dgate of %v: %v, want %v", gate[i], gotGate[i], dgate[i])
				}
				if aw[i] != s*a[i] && math.Abs(float64(aw[i])-s*want[i]) > tolerance*math.Abs(s*want[i])+1e-36 {
					t.Errorf("aw of %v: %v, want %v", gate[i], aw[i], s*want[i])
				}
			}
		}
	})
}
