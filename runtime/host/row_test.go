package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// What the tests of the row-wise kernels share.

// normal returns n seeded random numbers of standard deviation 1.
func normal(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 17))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func double(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// poison returns n NaNs: what a kernel must overwrite.
func poison(n int) []float32 { return filled(n, float32(math.NaN())) }

func filled(n int, v float32) []float32 { return slices.Repeat([]float32{v}, n) }

// wantClose fails unless ‖got − want‖ ≤ tolerance·‖want‖.
func wantClose(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - w
		diff += d * d
		norm += w * w
	}
	if !(math.Sqrt(diff) <= tolerance*math.Sqrt(norm)) {
		t.Errorf("%s: relative error %.2g, want at most %.2g\n got %.7v\nwant %.7v", what, math.Sqrt(diff/norm), tolerance,
			got[:min(8, len(got))], want[:min(8, len(want))])
	}
}

// wantBits fails unless two results have the same bits.
func wantBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v, was %v", what, i, got[i], want[i])
		}
	}
}

// slope returns the gradient of f at x by central differences, which are exact to (1e-4)² of f's third derivative: 1e-8 here.
func slope(f func(x []float64) float64, x []float64) []float64 {
	const h = 1e-4
	y := slices.Clone(x)
	grad := make([]float64, len(x))
	for i := range x {
		y[i] = x[i] + h
		up := f(y)
		y[i] = x[i] - h
		grad[i] = (up - f(y)) / (2 * h)
		y[i] = x[i]
	}
	return grad
}

func inner(a, b []float64) float64 {
	var s float64
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

// onEveryISA runs f for each path of the kernels that this machine has.
func onEveryISA(t *testing.T, f func(t *testing.T)) {
	before := activeISA
	defer func() { activeISA = before }()
	for _, activeISA = range supportedISAs() {
		t.Run(activeISA.String(), f)
	}
}

// onAnyCores runs a kernel on pools of several sizes: f returns what it computed, which must have the same bits.
func onAnyCores(t *testing.T, f func(p *Pool) []float32) {
	t.Helper()
	var first []float32
	for _, workers := range []int{1, 2, 5} {
		p := NewPool(workers)
		got := f(p)
		p.Close()
		if first == nil {
			first = got
		}
		wantBits(t, fmt.Sprintf("%d workers", workers), got, first)
	}
}

func onePool(t testing.TB) *Pool {
	p := NewPool(2)
	t.Cleanup(p.Close)
	return p
}
