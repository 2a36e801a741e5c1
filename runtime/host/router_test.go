package host

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

type routerCase struct {
	t, e, k int
	renorm  bool
}

// One expert, all experts, widths that are no multiple of a vector, more experts than one tile holds.
var routerCases = []routerCase{
	{1, 1, 1, true}, {1, 8, 1, true}, {4, 8, 1, false}, {6, 9, 2, true}, {6, 9, 2, false}, {3, 5, 5, true}, {3, 5, 5, false},
	{200, 128, 8, true}, {50, 128, 8, false}, {3, 530, 4, true}, {3, 530, 4, false},
}

func softmax64(z []float64) []float64 {
	top, sum := slices.Max(z), 0.0
	p := make([]float64, len(z))
	for i := range z {
		p[i] = math.Exp(z[i] - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// choose64 sorts all experts by probability, stably, and takes the first k.
func choose64(z []float64, k int) []int {
	order := make([]int, len(z))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case z[a] > z[b]:
			return -1
		case z[a] < z[b]:
			return 1
		}
		return 0
	})
	return order[:k]
}

// weights64 are the router's weights for a choice of experts.
func (c routerCase) weights64(z []float64, chosen []int32) []float64 {
	p := softmax64(z)
	w, sum := make([]float64, len(chosen)), 0.0
	for j, e := range chosen {
		w[j] = p[e]
		sum += p[e]
	}
	for j := range w {
		if c.renorm {
			w[j] /= sum
		}
	}
	return w
}

func TestRouter(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, c := range routerCases {
			logits := normal(1, c.t*c.e)
			for i := range logits {
				logits[i] *= 3
			}
			var wantW []float64
			var wantIdx []int32
			for i := range c.t {
				z := double(logits[i*c.e : (i+1)*c.e])
				for _, e := range choose64(z, c.k) {
					wantIdx = append(wantIdx, int32(e))
				}
				wantW = append(wantW, c.weights64(z, wantIdx[i*c.k:])...)
			}
			onAnyCores(t, func(p *Pool) []float32 {
				idx, w := make([]int32, c.t*c.k), poison(c.t*c.k)
				Router(p, c.t, c.e, c.k, c.renorm, logits, idx, w)
				if !slices.Equal(idx, wantIdx) {
					t.Errorf("%v: chosen %v, want %v", c, idx, wantIdx)
				}
				wantClose(t, fmt.Sprint(c), w, wantW, 3e-7)
				return w
			})
		}
	})
}

func TestRouterTiesAndExtremes(t *testing.T) {
	const e, k = 10, 3
	inf := float32(math.Inf(1))
	cases := []struct {
		name   string
		logits []float32
		idx    []int32
		w      []float32
	}{
		{"all equal", filled(e, 2), []int32{0, 1, 2}, filled(k, 1./3)},
		{"a tie for the last place", []float32{0, 5, 1, 4, 1, 1, 0, 0, 0, 0}, []int32{1, 3, 2}, nil},
		{"a tie for the first place", []float32{0, 0, 7, 0, 7, 0, 0, 0, 6, 7}, []int32{2, 4, 9}, filled(k, 1./3)},
		{"one far above", []float32{0, 0, 0, 3e38, 0, 0, 0, 0, 0, 0}, []int32{3, 0, 1}, []float32{1, 0, 0}},
		{"far apart", []float32{-3e38, -3e38, -1e30, -3e38, -200, 0, -100, 3e38, -3e38, 200}, []int32{7, 9, 5}, []float32{1, 0, 0}},
		{"masked experts", []float32{-inf, -inf, 1, -inf, -inf, 1, -inf, 1, -inf, -inf}, []int32{2, 5, 7}, filled(k, 1./3)},
	}
	onEveryISA(t, func(t *testing.T) {
		p := onePool(t)
		for _, c := range cases {
			idx, w := make([]int32, k), poison(k)
			Router(p, 1, e, k, true, c.logits, idx, w)
			if !slices.Equal(idx, c.idx) {
				t.Errorf("%s: chosen %v, want %v", c.name, idx, c.idx)
			}
			if c.w != nil {
				wantClose(t, c.name, w, double(c.w), 1e-7)
			}
			Router(p, 1, e, k, false, c.logits, idx, w)
			dlogits := poison(e)
			for _, renorm := range []bool{true, false} {
				RouterGrad(p, 1, e, k, renorm, c.logits, idx, []float32{1, -2, 3}, dlogits)
				for i, v := range append(dlogits, w...) {
					if v-v != 0 {
						t.Errorf("%s: value %d of gradient and weights is %v", c.name, i, v)
					}
				}
			}
		}
	})
}

func TestRouterGrad(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, c := range routerCases {
			logits, dw := normal(1, c.t*c.e), normal(2, c.t*c.k)
			idx, w := make([]int32, c.t*c.k), poison(c.t*c.k)
			Router(onePool(t), c.t, c.e, c.k, c.renorm, logits, idx, w)
			var want []float64
			for i := range c.t {
				want = append(want, slope(func(z []float64) float64 {
					return inner(double(dw[i*c.k:(i+1)*c.k]), c.weights64(z, idx[i*c.k:(i+1)*c.k]))
				}, double(logits[i*c.e:(i+1)*c.e]))...)
			}
			onAnyCores(t, func(p *Pool) []float32 {
				dlogits := poison(len(logits))
				RouterGrad(p, c.t, c.e, c.k, c.renorm, logits, idx, dw, dlogits)
				for i := range want {
					if math.Abs(float64(dlogits[i])-want[i]) > 5e-7 {
						t.Fatalf("%v: dlogits[%d] = %v, want %v", c, i, dlogits[i], want[i])
					}
				}
				return dlogits
			})
		}
	})
}

// aux64 is the loss from the logits on, the choices being given.
func aux64(c routerCase, rows float64, logits []float64, idx []int32) float64 {
	counts, sums := make([]float64, c.e), make([]float64, c.e)
	for _, e := range idx {
		counts[e]++
	}
	for i := range c.t {
		for e, p := range softmax64(logits[i*c.e : (i+1)*c.e]) {
			sums[e] += p
		}
	}
	return float64(c.e) * inner(counts, sums) / (rows * rows)
}

func TestAuxLoss(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, c := range []routerCase{{1, 1, 1, true}, {12, 9, 2, true}, {40, 16, 4, true}, {2, 530, 4, true}} {
			logits := normal(1, c.t*c.e)
			idx, w := make([]int32, c.t*c.k), poison(c.t*c.k)
			Router(onePool(t), c.t, c.e, c.k, true, logits, idx, w)
			rows := float64(c.t)
			want := aux64(c, rows, double(logits), idx)
			const norm = 0.5
			slopes := slope(func(z []float64) float64 { return norm * aux64(c, rows, z, idx) }, double(logits))
			onAnyCores(t, func(p *Pool) []float32 {
				stats, aux, dstats, dlogits := poison(2*c.e), poison(1), poison(2*c.e), poison(c.t*c.e)
				RouterStats(p, c.t, c.e, c.k, logits, idx, stats)
				AuxLoss(c.e, float32(rows), stats, aux)
				wantClose(t, fmt.Sprint(c), aux, []float64{want}, 3e-7)
				AuxLossGrad(c.e, float32(rows), norm, stats, dstats)
				RouterStatsGrad(p, c.t, c.e, dstats, logits, dlogits)
				for i := range slopes {
					if math.Abs(float64(dlogits[i])-slopes[i]) > 2e-7 {
						t.Fatalf("%v: dlogits[%d] = %v, want %v", c, i, dlogits[i], slopes[i])
					}
				}
				return slices.Concat(stats, aux, dstats, dlogits)
			})
		}
	})
}

// Uniform routing gives k exactly (models that balance perfectly).
func TestAuxLossUniform(t *testing.T) {
	const e, k = 4, 2
	stats := []float32{6, 6, 6, 6, 3, 3, 3, 3} // 12 rows, each choosing 2 of 4
	aux := poison(1)
	AuxLoss(e, 12, stats, aux)
	if aux[0] != k {
		t.Errorf("aux = %v, want %d", aux[0], k)
	}
}
