package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// wantLoss is the loss and its gradients by the definition, in float64.
func wantLoss(t, d, v int, x, w []float32, targets []int32, norm float32) (loss float64, dx, dw []float64) {
	dx, dw = make([]float64, t*d), make([]float64, v*d)
	for i, target := range targets {
		if target < 0 {
			continue
		}
		p := make([]float64, v)
		for j := range p {
			p[j] = inner(double(x[i*d:][:d]), double(w[j*d:][:d]))
		}
		largest := slices.Max(p)
		logit := p[target]
		var sum float64
		for j := range p {
			p[j] = math.Exp(p[j] - largest)
			sum += p[j]
		}
		loss += float64(norm) * (largest + math.Log(sum) - logit)
		for j := range p {
			g := float64(norm) * p[j] / sum
			if j == int(target) {
				g -= float64(norm)
			}
			for k := range d {
				dx[i*d+k] += g * float64(w[j*d+k])
				dw[j*d+k] += g * float64(x[i*d+k])
			}
		}
	}
	return loss, dx, dw
}

// lossCase draws operands; a share of the targets, in stretches, is −100.
func lossCase(seed uint64, t, d, v int, holes float64) (x, w []float32, targets []int32) {
	rng := rand.New(rand.NewPCG(seed, 11))
	x, w = normals(rng, t*d), normals(rng, v*d)
	for i := range w {
		w[i] /= float32(math.Sqrt(float64(d)))
	}
	targets = make([]int32, t)
	for i := range targets {
		targets[i] = int32(rng.IntN(v))
		if rng.Float64() < holes {
			targets[i] = -100
		}
	}
	return x, w, targets
}

// lossTolerance is eight roundings, as of logits of size 4 (whose error is a relative one of the probabilities).
const lossTolerance = 8 * 4.0 / (1 << 24)

func TestLinearCrossEntropy(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p := onePool(t)
		// Up to several chunks: 1024 rows are the most, 64 the least with a vocabulary of 40000.
		for i, s := range [][3]int{{1, 1, 1}, {1, 3, 2}, {5, 16, 33}, {70, 24, 100}, {2100, 3, 5}, {150, 2, 40000}} {
			for _, holes := range []float64{0, 0.4, 1} {
				t.Run(fmt.Sprint(s, holes), func(t *testing.T) {
					T, D, V := s[0], s[1], s[2]
					x, w, targets := lossCase(uint64(i), T, D, V, holes)
					const norm = 0.125
					wantL, wantDX, wantDW := wantLoss(T, D, V, x, w, targets, norm)
					loss, dx, dw := poison(1), poison(T*D), poison(V*D)
					ws := poison(LinearCrossEntropyWorkspace(T, D, V))
					LinearCrossEntropy(p, T, D, V, x, w, targets, norm, false, loss, dx, dw, ws)
					wantClose(t, "loss", loss, []float64{wantL}, lossTolerance)
					wantClose(t, "dx", dx, wantDX, lossTolerance)
					wantClose(t, "dw", dw, wantDW, lossTolerance)

					eval := poison(1)
					LinearCrossEntropyEval(p, T, D, V, x, w, targets, norm, eval, poison(len(ws)))
					wantBits(t, "loss of the evaluation", eval, loss)

					// Twice onto 1: what the gradient was is still in it.
					sum := filled(V*D, 1)
					for range 2 {
						LinearCrossEntropy(p, T, D, V, x, w, targets, norm, true, loss, dx, sum, ws)
					}
					for j := range wantDW {
						wantDW[j] = 1 + 2*wantDW[j]
					}
					wantClose(t, "dw, accumulated", sum, wantDW, lossTolerance)
				})
			}
		}
	})
}

// TestLinearCrossEntropyExtreme has logits of several hundred: the loss is exact to a rounding of those, and a row whose
// target holds all the probability has none left to give.
func TestLinearCrossEntropyExtreme(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p := onePool(t)
		T, D, V := 40, 16, 50
		x, w, targets := lossCase(3, T, D, V, 0)
		for i := range x {
			x[i] *= 300
		}
		wantL, wantDX, wantDW := wantLoss(T, D, V, x, w, targets, 1)
		loss, dx, dw := poison(1), poison(T*D), poison(V*D)
		LinearCrossEntropy(p, T, D, V, x, w, targets, 1, false, loss, dx, dw, poison(LinearCrossEntropyWorkspace(T, D, V)))
		wantClose(t, "loss", loss, []float64{wantL}, 1e-6)
		wantClose(t, "dx", dx, wantDX, 8*1000.0/(1<<24))
		wantClose(t, "dw", dw, wantDW, 8*1000.0/(1<<24))
	})
}

func TestLinearCrossEntropyBits(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		T, D, V := 300, 20, 9000
		x, w, targets := lossCase(4, T, D, V, 0.3)
		onAnyCores(t, func(p *Pool) []float32 {
			loss, dx, dw := poison(1), poison(T*D), poison(V*D)
			LinearCrossEntropy(p, T, D, V, x, w, targets, 0.1, false, loss, dx, dw, poison(LinearCrossEntropyWorkspace(T, D, V)))
			return append(append(loss, dx...), dw...)
		})
	})
}

func BenchmarkLinearCrossEntropy(b *testing.B) {
	for _, s := range [][3]int{{2048, 512, 4096}, {2048, 128, 512}, {512, 256, 32768}} {
		T, D, V := s[0], s[1], s[2]
		x, w, targets := lossCase(1, T, D, V, 0)
		loss, dx, dw, ws := poison(1), poison(T*D), poison(V*D), poison(LinearCrossEntropyWorkspace(T, D, V))
		p := NewPool(2)
		for _, pass := range []struct {
			name     string
			run      func()
			products float64
		}{
			{"train", func() { LinearCrossEntropy(p, T, D, V, x, w, targets, 1, false, loss, dx, dw, ws) }, 3},
			{"eval", func() { LinearCrossEntropyEval(p, T, D, V, x, w, targets, 1, loss, ws) }, 1},
		} {
			b.Run(fmt.Sprintf("%v/%s", s, pass.name), func(b *testing.B) {
				for b.Loop() {
					pass.run()
				}
				b.ReportMetric(pass.products*2*float64(T)*float64(D)*float64(V)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
		p.Close()
	}
}
