package host

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// sumsCases are routes of tokens to experts: rows for several tasks, experts without rows, tokens without rows, one
// expert for all, none here, more terms and columns than are taken at a time.
func sumsCases(p *Pool) []struct {
	routing
	n, k int
} {
	some := func(l int32) func(*rand.Rand) int32 {
		return func(r *rand.Rand) int32 { return r.Int32N(l+2) - 2 }
	}
	return []struct {
		routing
		n, k int
	}{
		{newRouting(p, 1, 1, 1, func(*rand.Rand) int32 { return 0 }), 1, 1},
		{newRouting(p, 7, 2, 3, func(r *rand.Rand) int32 { return r.Int32N(3) }), 19, 5},
		{newRouting(p, 300, 4, 3, some(3)), 33, 17},
		{newRouting(p, 90, 2, 8, some(8)), 600, 24},
		{newRouting(p, 260, 1, 4, func(*rand.Rand) int32 { return 2 }), 70, 300},
		{newRouting(p, 5, 2, 4, func(*rand.Rand) int32 { return -1 }), 8, 8},
	}
}

func TestGroupedUnpermute(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, x := range sumsCases(onePool(t)) {
			for mode := range 8 {
				testTokenSums(t, fmt.Sprintf("t%d n%d k%d mode %d", x.t, x.n, x.k, mode), x.routing, x.n, x.k, mode&1 != 0, mode&2 != 0, mode&4 != 0)
			}
		}
	})
}

// Rows that do not fit into the shared buffer are added up piece by piece.
func TestGroupedUnpermuteInPieces(t *testing.T) {
	const wide = sharedFloats / 16
	r := newRouting(onePool(t), 20, 2, 3, func(r *rand.Rand) int32 { return r.Int32N(3) }) // 40 rows
	testTokenSums(t, "many columns", r, wide, 1, true, true, false)
	testTokenSums(t, "many columns of the gradient", r, 1, wide, true, false, false)
}

// testTokenSums checks a product and its twin, the one with weights, against plain sums in float64.
func testTokenSums(t *testing.T, what string, r routing, n, k int, weighted, residual, part bool) {
	const spare = 3 // rows past the count
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	x, dy := poison((r.rows()+spare)*k), poison((r.rows()+spare)*n)
	copy(x, normals(rng, r.rows()*k))
	copy(dy, normals(rng, r.rows()*n))
	w := normals(rng, r.l*n*k)
	yStart, dxStart := normals(rng, r.t*n), normals(rng, r.t*k)
	var weights []float32
	if weighted {
		weights = r.w
	}
	var count []int32
	tokens := r.t
	if part {
		// Tokens past the count have no rows.
		tokens = r.t / 2
		count = []int32{int32(tokens)}
		idx := append([]int32(nil), r.idx...)
		for c := tokens * r.k; c < len(idx); c++ {
			idx[c] = -1
		}
		p := onePool(t)
		r.offsets, r.pairs, r.slots = make([]int32, r.l+1), make([]int32, r.t*r.k), make([]int32, r.t*r.k)
		Route(p, r.t, r.k, r.l, idx, r.offsets, r.pairs, r.slots)
	}
	wantY, wantDx := make([]sum64, tokens*n), make([]sum64, tokens*k)
	if residual {
		for i := range wantY {
			wantY[i].add(yStart[i], 1)
		}
		for i := range wantDx {
			wantDx[i].add(dxStart[i], 1)
		}
	}
	for e := range r.l {
		for i := int(r.offsets[e]); i < int(r.offsets[e+1]); i++ {
			c := int(r.pairs[i])
			weight := float32(1)
			if weighted {
				weight = weights[c]
			}
			for a := range n {
				for b := range k {
					v := w[(e*n+a)*k+b]
					// Products of three are exact enough beside the bound: one rounding of the weighted term.
					wantY[c/r.k*n+a].add(weight*x[i*k+b], v)
					wantDx[c/r.k*k+b].add(dy[i*n+a], v)
				}
			}
		}
	}
	onAnyCores(t, func(p *Pool) []float32 {
		y, dx := filled(r.t*n, 8), filled(r.t*k, 8)
		var addY, addDx []float32
		if residual { // in place
			copy(y[:tokens*n], yStart)
			copy(dx[:tokens*k], dxStart)
			addY, addDx = y, dx
		}
		GroupedLinearUnpermute(p, r.t, r.k, r.l, n, k, count, r.offsets, r.slots, x, w, weights, addY, y)
		// Each element is at most r.k sums of k terms, one after the other; the weight, the sum of two and the
		// reference's own product round once more a row.
		checkSums(t, "GroupedLinearUnpermute "+what, y[:tokens*n], wantY, r.k*(k+3))
		wantBits(t, "rows past the count", y[tokens*n:], filled((r.t-tokens)*n, 8))
		GroupedLinearDGradUnpermute(p, r.t, r.k, r.l, n, k, count, r.offsets, r.slots, dy, w, addDx, dx)
		checkSums(t, "GroupedLinearDGradUnpermute "+what, dx[:tokens*k], wantDx, r.k*(n+3))
		wantBits(t, "rows past the count", dx[tokens*k:], filled((r.t-tokens)*k, 8))
		if residual { // standing apart
			z := filled(r.t*n, 8)
			GroupedLinearUnpermute(p, r.t, r.k, r.l, n, k, count, r.offsets, r.slots, x, w, weights, yStart, z)
			wantBits(t, "residual apart", z, y)
		}
		return append(y, dx...)
	})
}

// BenchmarkGroupedUnpermute is the down projection of the experts of two small models with the sum over a token's
// experts, at once and in two steps.
func BenchmarkGroupedUnpermute(b *testing.B) {
	for _, s := range []struct{ t, topk, l, n, k int }{{512, 4, 16, 128, 64}, {2048, 4, 32, 512, 256}} {
		one := NewPool(1)
		r := newRouting(one, s.t, s.topk, s.l, func(r *rand.Rand) int32 { return r.Int32N(int32(s.l)) })
		one.Close()
		rng := rand.New(rand.NewPCG(1, 2))
		x, w, residual := normals(rng, r.rows()*s.k), normals(rng, s.l*s.n*s.k), normals(rng, s.t*s.n)
		dy, rows, y := normals(rng, r.rows()*s.n), make([]float32, r.rows()*s.n), make([]float32, s.t*s.n)
		dx, dxRows := make([]float32, s.t*s.k), make([]float32, r.rows()*s.k)
		for _, workers := range []int{1, 2} {
			p := NewPool(workers)
			for _, op := range []struct {
				name string
				run  func()
			}{
				{"at_once", func() {
					GroupedLinearUnpermute(p, s.t, s.topk, s.l, s.n, s.k, nil, r.offsets, r.slots, x, w, r.w, residual, y)
				}},
				{"in_two", func() {
					GroupedLinear(p, s.l, s.n, s.k, r.offsets, nil, s.topk, x, w, rows)
					Unpermute(p, s.t, s.topk, s.n, nil, r.slots, r.w, rows, residual, y)
				}},
				{"grad_at_once", func() {
					GroupedLinearDGradUnpermute(p, s.t, s.topk, s.l, s.n, s.k, nil, r.offsets, r.slots, dy, w, nil, dx)
				}},
				{"grad_in_two", func() {
					GroupedLinearDGrad(p, s.l, s.n, s.k, r.offsets, nil, s.topk, dy, w, dxRows)
					Unpermute(p, s.t, s.topk, s.k, nil, r.slots, nil, dxRows, nil, dx)
				}},
			} {
				b.Run(fmt.Sprintf("t%d_n%d_k%d/%s/%dcores", s.t, s.n, s.k, op.name, workers), func(b *testing.B) {
					measure(b, 2*r.rows()*s.n*s.k, op.run)
				})
			}
			p.Close()
		}
	}
}
