package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// eachISA runs a test or benchmark once for every path that this machine supports.
func eachISA[T interface {
	Run(string, func(T)) bool
	Cleanup(func())
}](t T, f func(T)) {
	best := activeISA
	t.Cleanup(func() { activeISA = best })
	for _, i := range supportedISAs() {
		t.Run(i.String(), func(t T) {
			activeISA = i
			f(t)
		})
	}
}

// normals returns n seeded normal values.
func normals(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// sum64 is a sum of products in float64, beside the sum of their magnitudes.
type sum64 struct{ value, magnitude float64 }

func (s *sum64) add(a, b float32) {
	s.value += float64(a) * float64(b)
	s.magnitude += math.Abs(float64(a) * float64(b))
}

// checkSums compares a product with its reference. Each of the k+2 roundings of a chain of k multiply-adds, in any
// order, is at most 2^-24 of a partial sum, and that at most the sum of magnitudes: |error| ≤ (k+2)·2^-24·Σ|a||b|.
// Unfused paths round twice a step.
func checkSums(t *testing.T, what string, got []float32, want []sum64, k int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	bound := 2 * float64(k+2) / (1 << 24)
	for i, w := range want {
		if e := math.Abs(float64(got[i]) - w.value); !(e <= bound*w.magnitude) {
			t.Fatalf("%s: element %d is %v, want %v: error %.3g, bound %.3g", what, i, got[i], w.value, e, bound*w.magnitude)
		}
	}
}

// reference sums m×n products over k of a(i, p)·b(p, j), plus d(i, j).
func reference(m, n, k int, a, b, d func(i, j int) float32) []sum64 {
	want := make([]sum64, m*n)
	for i := range m {
		for j := range n {
			s := &want[i*n+j]
			s.add(d(i, j), 1)
			for p := range k {
				s.add(a(i, p), b(p, j))
			}
		}
	}
	return want
}

func none(int, int) float32 { return 0 }

// at addresses a row-major matrix, flip its transpose.
func at(x []float32, ld int) func(i, j int) float32 {
	return func(i, j int) float32 { return x[i*ld+j] }
}

func flip(x []float32, ld int) func(i, j int) float32 {
	return func(i, j int) float32 { return x[j*ld+i] }
}

var linearShapes = [][3]int{ // t, n, k
	{0, 5, 3}, {1, 1, 1}, {3, 2, 7}, {5, 33, 17}, {6, 16, 8}, {14, 32, 9}, {13, 24, 300}, {20, 40, 64},
	{125, 40, 270}, {9, 301, 40}, {3, 8, 0}, {250, 7, 31}, {17, 130, 12},
}

func TestLinear(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		rng := rand.New(rand.NewPCG(1, 2))
		for _, s := range linearShapes {
			T, N, K := s[0], s[1], s[2]
			x, w, bias, residual := normals(rng, T*K), normals(rng, N*K), normals(rng, N), normals(rng, T*N)
			dy := normals(rng, T*N)
			for mode := range 4 {
				var b, r []float32
				if mode&1 != 0 {
					b = bias
				}
				if mode&2 != 0 {
					r = residual
				}
				y := normals(rng, T*N)
				if mode == 3 { // in place
					copy(y, residual)
					r = y
				}
				Linear(p, T, N, K, x, w, b, r, y)
				want := reference(T, N, K, at(x, K), flip(w, K), func(i, j int) float32 {
					if mode&2 != 0 {
						return residual[i*N+j]
					}
					return 0
				})
				for i := range want {
					if b != nil {
						want[i].add(bias[i%N], 1)
					}
				}
				checkSums(t, fmt.Sprint("Linear ", s, mode), y, want, K)

				dx := normals(rng, T*K)
				var rx []float32
				d := none
				if mode&2 != 0 {
					rx = append(rx, dx...)
					d = at(rx, K)
				}
				if mode == 3 {
					LinearDGrad(p, T, N, K, dy, w, dx, dx)
				} else {
					LinearDGrad(p, T, N, K, dy, w, rx, dx)
				}
				checkSums(t, fmt.Sprint("LinearDGrad ", s, mode), dx, reference(T, K, N, at(dy, N), at(w, K), d), N)

				dw, d := normals(rng, N*K), none
				if mode&1 != 0 {
					d = at(append([]float32(nil), dw...), K)
				}
				LinearWGrad(p, T, N, K, dy, x, mode&1 != 0, dw)
				checkSums(t, fmt.Sprint("LinearWGrad ", s, mode), dw, reference(N, K, T, flip(dy, N), at(x, K), d), T)

				db, d := normals(rng, N), none
				if mode&1 != 0 {
					d = at(append([]float32(nil), db...), N)
				}
				BiasGrad(p, T, N, dy, mode&1 != 0, db)
				checkSums(t, fmt.Sprint("BiasGrad ", s, mode), db, reference(1, N, T, func(int, int) float32 { return 1 }, at(dy, N), d), T)
			}
		}
	})
}

// measure runs a benchmark and reports the speed of its fastest run: on a machine that does other work besides, the one
// that says something about the kernel.
func measure(b *testing.B, flops int, run func()) {
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		run()
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(flops)/float64(best), "GFLOP/s")
}

// BenchmarkGEMM is the three products of a linear layer at 1024³, on one core and on two. scripts/peers/gemm_peers.py has the
// same products by other libraries.
func BenchmarkGEMM(b *testing.B) {
	const n = 1024
	rng := rand.New(rand.NewPCG(1, 2))
	x, w, y := normals(rng, n*n), normals(rng, n*n), make([]float32, n*n)
	eachISA(b, func(b *testing.B) {
		for _, workers := range []int{1, 2} {
			p := NewPool(workers)
			for _, op := range []struct {
				name string
				run  func()
			}{
				{"linear", func() { Linear(p, n, n, n, x, w, nil, nil, y) }},
				{"dgrad", func() { LinearDGrad(p, n, n, n, x, w, nil, y) }},
				{"wgrad", func() { LinearWGrad(p, n, n, n, x, w, false, y) }},
			} {
				b.Run(fmt.Sprintf("%s/%dcores", op.name, workers), func(b *testing.B) { measure(b, 2*n*n*n, op.run) })
			}
			p.Close()
		}
	})
}
