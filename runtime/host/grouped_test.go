package host

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// offsetsOf has the offsets of experts with the given numbers of rows.
func offsetsOf(counts ...int) []int32 {
	offsets := make([]int32, len(counts)+1)
	for e, c := range counts {
		offsets[e+1] = offsets[e] + int32(c)
	}
	return offsets
}

func TestGrouped(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		rng := rand.New(rand.NewPCG(3, 4))
		for _, s := range []struct {
			n, k   int
			counts []int
		}{
			{16, 8, []int{5, 0, 9}}, {33, 17, []int{0, 0, 70, 0}}, {64, 128, []int{20, 31, 7, 128}},
			{130, 300, []int{3, 0, 1}}, {7, 3, []int{0, 0}}, {24, 40, []int{600}}, {32, 12, []int{300, 2, 257}},
		} {
			const topk, spare = 2, 3
			l, n, k, offsets := len(s.counts), s.n, s.k, offsetsOf(s.counts...)
			r := int(offsets[l])
			tokens := r/topk + 1
			pairs := make([]int32, r+spare)
			for i := range pairs {
				pairs[i] = int32(rng.IntN(tokens * topk))
			}
			identity := make([]int32, r)
			gathered := make([]int32, r)
			expert := make([]int, r)
			for e := range l {
				for i := offsets[e]; i < offsets[e+1]; i++ {
					identity[i], gathered[i], expert[i] = i, pairs[i]/topk, e
				}
			}
			w := normals(rng, l*n*k)
			wantRows := func(rows []int32, x []float32, m, depth int, weight func(e, j, q int) float32) []sum64 {
				want := make([]sum64, r*m)
				for i := range r {
					for j := range m {
						for q := range depth {
							want[i*m+j].add(x[int(rows[i])*depth+q], weight(expert[i], j, q))
						}
					}
				}
				return want
			}
			wantGrad := func(dyRows, xRows []int32, dy, x, add []float32) []sum64 {
				want := make([]sum64, l*n*k)
				for i, v := range add {
					want[i].add(v, 1)
				}
				for i := range r {
					for a := range n {
						for b := range k {
							want[(expert[i]*n+a)*k+b].add(dy[int(dyRows[i])*n+a], x[int(xRows[i])*k+b])
						}
					}
				}
				return want
			}
			for _, gather := range []bool{false, true} {
				what := fmt.Sprint(s, gather)
				rows, given, have := identity, []int32(nil), r+spare
				if gather {
					rows, given, have = gathered, pairs, tokens
				}
				x, dy := normals(rng, have*k), normals(rng, have*n)
				y, dx := normals(rng, (r+spare)*n), normals(rng, (r+spare)*k)
				pastY, pastX := slices.Clone(y[r*n:]), slices.Clone(dx[r*k:])
				GroupedLinear(p, l, n, k, offsets, given, topk, x, w, y)
				checkSums(t, "GroupedLinear "+what, y[:r*n], wantRows(rows, x, n, k, func(e, j, q int) float32 { return w[(e*n+j)*k+q] }), k)
				GroupedLinearDGrad(p, l, n, k, offsets, given, topk, dy, w, dx)
				checkSums(t, "GroupedLinearDGrad "+what, dx[:r*k], wantRows(rows, dy, k, n, func(e, j, q int) float32 { return w[(e*n+q)*k+j] }), n)
				if !slices.Equal(pastY, y[r*n:]) || !slices.Equal(pastX, dx[r*k:]) {
					t.Fatal(what, ": rows past the count were written")
				}
				// The weight gradient takes one operand gathered and one in place.
				plain := normals(rng, (r+spare)*k)
				dw := normals(rng, l*n*k)
				before := slices.Clone(dw)
				GroupedLinearWGrad(p, l, n, k, offsets, given, nil, topk, dy, plain, true, dw)
				checkSums(t, "GroupedLinearWGrad accumulating "+what, dw, wantGrad(rows, identity, dy, plain, before), r)
				plain = normals(rng, (r+spare)*n)
				GroupedLinearWGrad(p, l, n, k, offsets, nil, given, topk, plain, x, false, dw)
				checkSums(t, "GroupedLinearWGrad "+what, dw, wantGrad(identity, rows, plain, x, nil), r)
			}
		}
	})
}

// BenchmarkGrouped is the three products of the experts of two small models, 128 rows an expert give or take a half.
// scripts/peers/gemm_peers.py has the same products by other libraries.
func BenchmarkGrouped(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []struct{ l, n, k int }{{16, 128, 128}, {16, 128, 64}, {32, 512, 512}, {32, 512, 256}} {
		counts := make([]int, s.l)
		for e := range counts {
			counts[e] = 64 + e*128/(s.l-1)
		}
		offsets := offsetsOf(counts...)
		r := int(offsets[s.l])
		x, w, y := normals(rng, r*s.k), normals(rng, s.l*s.n*s.k), normals(rng, r*s.n)
		dx, z, dw := make([]float32, len(x)), make([]float32, len(y)), make([]float32, len(w))
		for _, workers := range []int{1, 2} {
			p := NewPool(workers)
			for _, op := range []struct {
				name string
				run  func()
			}{
				{"linear", func() { GroupedLinear(p, s.l, s.n, s.k, offsets, nil, 1, x, w, z) }},
				{"dgrad", func() { GroupedLinearDGrad(p, s.l, s.n, s.k, offsets, nil, 1, y, w, dx) }},
				{"wgrad", func() { GroupedLinearWGrad(p, s.l, s.n, s.k, offsets, nil, nil, 1, y, x, false, dw) }},
			} {
				b.Run(fmt.Sprintf("l%d_n%d_k%d/%s/%dcores", s.l, s.n, s.k, op.name, workers), func(b *testing.B) {
					measure(b, 2*r*s.n*s.k, op.run)
				})
			}
			p.Close()
		}
	}
}
