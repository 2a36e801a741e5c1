package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"moegen/runtime/host/asm/interp"
)

// kernels are the functions of the vector group for one vector extension, interpreted.
type kernels struct {
	t testing.TB
	m *interp.Machine
	isa
}

// onBoth runs f for each vector extension.
func onBoth(t *testing.T, f func(t *testing.T, k kernels)) {
	m := interpreter(t, "vector")
	for _, s := range []isa{avx2, avx512} {
		t.Run(s.name, func(t *testing.T) { f(t, kernels{t, m, s}) })
	}
}

// do runs a kernel and returns its result, if it has one.
func (k kernels) do(name string, args ...any) float64 {
	k.t.Helper()
	result, err := k.m.Call(name+k.name, args...)
	if err != nil {
		k.t.Fatal(err)
	}
	return result
}

// lengths have every rest of a vector, after no, one and several rounds.
func lengths() []int {
	var n []int
	for i := range 36 {
		n = append(n, i)
	}
	return append(n, 63, 64, 65, 80, 100, 128, 143)
}

func normal(seed uint64, n int) []float32 { return normals(rand.New(rand.NewPCG(seed, 11)), n) }

// want fails unless got is f(i), but for a few roundings of numbers of the size of 4.
func (k kernels) want(what string, got []float32, f func(i int) float64) {
	k.t.Helper()
	for i, v := range got {
		if w := f(i); !(math.Abs(float64(v)-w) <= 5e-7*max(4, math.Abs(w))) {
			k.t.Fatalf("%s of %d: element %d is %v, want %v", what, len(got), i, v, w)
		}
	}
}

func (k kernels) wantSum(what string, n int, got, want float64) {
	k.t.Helper()
	if !(math.Abs(got-want) <= 5e-7*max(4, float64(n))) {
		k.t.Fatalf("%s of %d: %v, want %v", what, n, got, want)
	}
}

func TestElementwiseKernels(t *testing.T) {
	onBoth(t, func(t *testing.T, k kernels) {
		for _, n := range lengths() {
			a, b, c := normal(1, n), normal(2, n), normal(3, n)
			at := func(x []float32, i int) float64 { return float64(x[i]) }
			y, z := make([]float32, n), make([]float32, n)
			k.do("add", a, b, y)
			k.want("add", y, func(i int) float64 { return at(a, i) + at(b, i) })
			k.do("scale", float32(0.5), a, y)
			k.want("scale", y, func(i int) float64 { return at(a, i) / 2 })
			copy(y, b)
			k.do("axpy", float32(-1.5), a, y)
			k.want("axpy", y, func(i int) float64 { return at(b, i) - 1.5*at(a, i) })
			k.do("mulScaled", float32(0.5), a, b, y)
			k.want("mulScaled", y, func(i int) float64 { return at(b, i) * at(a, i) / 2 })
			k.do("rotate", a, b, c, a, y, z)
			k.want("rotate", y, func(i int) float64 { return at(a, i)*at(c, i) - at(b, i)*at(a, i) })
			k.want("rotate", z, func(i int) float64 { return at(b, i)*at(c, i) + at(a, i)*at(a, i) })
			k.do("rotateBack", a, b, c, a, y, z)
			k.want("rotateBack", y, func(i int) float64 { return at(a, i)*at(c, i) + at(b, i)*at(a, i) })
			k.want("rotateBack", z, func(i int) float64 { return at(b, i)*at(c, i) - at(a, i)*at(a, i) })
			for _, residual := range [][]float32{nil, slices.Clone(c)} {
				z = slices.Repeat([]float32{1}, n)
				k.do("rmsNormGradRow", float32(0.5), float32(0.25), a, b, c, residual, y, z)
				k.want("rmsNormGradRow", y, func(i int) float64 {
					d := 0.5*at(c, i)*at(a, i) - 0.25*at(b, i)
					if len(residual) > 0 {
						d += at(c, i)
					}
					return d
				})
				k.want("rmsNormGradRow", z, func(i int) float64 { return 1 + at(a, i)*at(b, i)/2 })
			}
			whole := n / k.lanes() * k.lanes()
			sum := make([]float64, whole)
			k.do("addDouble", a[:whole], sum)
			for i, v := range sum {
				if v != float64(a[i]) {
					t.Fatalf("addDouble of %d: element %d is %v, want %v", n, i, v, a[i])
				}
			}
		}
	})
}

func TestReductionKernels(t *testing.T) {
	onBoth(t, func(t *testing.T, k kernels) {
		for _, n := range lengths() {
			a, b, c := normal(1, n), normal(2, n), normal(3, n)
			var two, three, squares float64
			top := math.Inf(-1)
			for i := range n {
				two += float64(a[i]) * float64(b[i])
				three += float64(a[i]) * float64(b[i]) * float64(c[i])
				squares += float64(a[i]) * float64(a[i])
				top = max(top, float64(a[i]))
			}
			k.wantSum("dot", n, k.do("dot", a, b), two)
			k.wantSum("dot3", n, k.do("dot3", a, b, c), three)
			if got := k.do("sumSquares", a); math.Abs(got-squares) > 1e-13*squares {
				t.Fatalf("sumSquares of %d: %v, want %v", n, got, squares)
			}
			if got := k.do("maximum", a); got != top {
				t.Fatalf("maximum of %d: %v, want %v", n, got, top)
			}
			for i := range a {
				a[i] = -a[i] * a[i] // no masked lane may win with its zero
			}
			if got := k.do("maximum", a); n > 0 && got != float64(slices.Max(a)) {
				t.Fatalf("maximum of %d negative numbers: %v", n, got)
			}
		}
	})
}

func TestExponentialKernels(t *testing.T) {
	onBoth(t, func(t *testing.T, k kernels) {
		for _, n := range lengths() {
			src, dst := normal(1, n), make([]float32, n)
			sum := 0.0
			for i := range src {
				src[i] *= 10
				sum += math.Exp(float64(src[i] - 8))
			}
			got := k.do("expShifted", dst, src, float32(8))
			for i, v := range dst {
				if w := math.Exp(float64(src[i] - 8)); math.Abs(float64(v)-w) > 1.2e-7*w {
					t.Fatalf("exp(%v) = %v, want %v", src[i]-8, v, w)
				}
			}
			if math.Abs(got-sum) > 2e-7*sum {
				t.Fatalf("sum of %d: %v, want %v", n, got, sum)
			}
		}
		inf, nan := math.Inf(1), math.NaN()
		for _, c := range []struct{ x, want float64 }{{-inf, 0}, {-1e30, 0}, {-88, 0}, {0, 1}, {nan, nan}} {
			for _, n := range []int{1, 8, 16, 19} {
				dst := make([]float32, n)
				sum := k.do("expShifted", dst, slices.Repeat([]float32{float32(c.x)}, n), float32(0))
				for _, v := range append(dst, float32(sum)/float32(n)) {
					if float64(v) != c.want && !(v != v && c.want != c.want) {
						t.Fatalf("exp(%v) = %v, want %v", c.x, v, c.want)
					}
				}
			}
		}
	})
}

func TestSwigluKernels(t *testing.T) {
	onBoth(t, func(t *testing.T, k kernels) {
		for _, n := range lengths() {
			gate, up, da := normal(1, n), normal(2, n), normal(3, n)
			a, dgate, dup := make([]float32, n), make([]float32, n), make([]float32, n)
			form := func(i int) (a, dgate, dup float64) {
				g, u, d := float64(gate[i]), float64(up[i]), float64(da[i])
				σ := 1 / (1 + math.Exp(-g))
				return g * σ * u, d * u * σ * (1 + g*(1-σ)), d * g * σ
			}
			k.do("swiglu", gate, up, a)
			k.want("swiglu", a, func(i int) float64 { a, _, _ := form(i); return a })
			var ds float64
			for i := range n {
				ds += float64(a[i]) * float64(da[i])
			}
			for _, aw := range [][]float32{nil, make([]float32, n)} {
				k.wantSum("ds", n, k.do("swigluGradRow", float32(0.5), gate, up, da, dgate, dup, aw), ds)
				k.want("dgate", dgate, func(i int) float64 { _, d, _ := form(i); return d / 2 })
				k.want("dup", dup, func(i int) float64 { _, _, d := form(i); return d / 2 })
				k.want("aw", aw, func(i int) float64 { a, _, _ := form(i); return a / 2 })
			}
		}
		extreme := []float32{90, -90, 1e30, -1e30}
		a := make([]float32, 4)
		k.do("swiglu", extreme, []float32{1, 1, 1, 1}, a)
		if want := []float32{90, 0, 1e30, 0}; !slices.Equal(a, want) {
			t.Errorf("silu of %v: %v, want %v", extreme, a, want)
		}
	})
}

func TestAdamWKernels(t *testing.T) {
	onBoth(t, func(t *testing.T, k kernels) {
		for _, n := range lengths() {
			grad, value, m, v := normal(1, n), normal(2, n), normal(3, n), normal(4, n)
			for i := range v {
				v[i] *= v[i]
			}
			x, mean, square := slices.Clone(value), slices.Clone(m), slices.Clone(v)
			k.do("adamWRow", float32(0.5), float32(0.125), float32(0.25), float32(2), float32(1e-3), float32(0.0625),
				float32(0.03125), grad, x, mean, square)
			form := func(i int) (x, mean, square float64) {
				g := float64(grad[i]) / 2
				mean = float64(m[i]) + (g-float64(m[i]))/8
				square = float64(v[i])*0.75 + g*g/4
				x = float64(value[i])*(1-0.0625) - 0.03125*mean/(2*math.Sqrt(square)+float64(float32(1e-3)))
				return x, mean, square
			}
			k.want("value", x, func(i int) float64 { x, _, _ := form(i); return x })
			k.want("m", mean, func(i int) float64 { _, m, _ := form(i); return m })
			k.want("v", square, func(i int) float64 { _, _, v := form(i); return v })
		}
	})
}
