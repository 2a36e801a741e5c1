package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"moegen/runtime/host/asm/interp"
)

// TestBlockProduct compares blocks of every sequence of tiles with the chain of fused multiply-adds that each element is
// defined as, bit by bit, on operands exactly as long as the product needs.
func TestBlockProduct(t *testing.T) {
	m := interpreter(t, "attention")
	rng := rand.New(rand.NewPCG(5, 6))
	for _, s := range []isa{avx2, avx512} {
		for trial, size := range [][3]int{{16, 16, 1}, {16, 32, 3}, {32, 48, 4}, {48, 64, 5}, {64, 16, 8}, {80, 32, 9}, {96, 48, 2}} {
			rows, cols, k := size[0], size[1], size[2]
			ars, aks := k+3, 1
			if trial%2 == 1 {
				ars, aks = 1, rows+5
			}
			brs, bps, crs := cols+16, lane, cols+7
			if trial%3 == 1 {
				brs, bps = lane, k*lane+5
			}
			a, b := normals(rng, (rows-1)*ars+(k-1)*aks+1), normals(rng, (k-1)*brs+(cols/lane-1)*bps+lane)
			c := normals(rng, (rows-1)*crs+cols)
			for _, accumulate := range []bool{false, true} {
				want := slices.Clone(c)
				for i := range rows {
					for j := range cols {
						sum := float32(0)
						for p := range k {
							sum = interp.FMA(a[i*ars+p*aks], b[p*brs+j/lane*bps+j%lane], sum)
						}
						if accumulate {
							sum += c[i*crs+j]
						}
						want[i*crs+j] = sum
					}
				}
				call(t, m, "blockProduct"+s.name, rows, cols, k, a, ars, aks, b, brs, bps, c, crs, accumulate)
				if !slices.Equal(c, want) {
					t.Fatalf("%s, %d×%d over %d, accumulate %v: wrong", s.name, rows, cols, k, accumulate)
				}
			}
		}
	}
}

// TestRowKernels checks the row-wise loops. A power of two is good to its three last roundings and the polynomial's 9e-9: 2e-7; an
// argument of size x, rounded once, adds ln2·x·2^-24. Sums and products of these lose a few roundings more.
func TestRowKernels(t *testing.T) {
	m := interpreter(t, "attention")
	rng := rand.New(rand.NewPCG(7, 8))
	const rows, step = 8, 70
	near := func(what string, got float32, want, tolerance float64) {
		t.Helper()
		if !(math.Abs(float64(got)-want) <= tolerance) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	for _, s := range []isa{avx2, avx512} {
		for _, n := range []int{16, 32, 64} {
			x, y := normals(rng, (rows-1)*step+n), normals(rng, (rows-1)*step+n)
			shift, delta, out := normals(rng, rows), normals(rng, rows), make([]float32, rows)
			x[0], x[step+n-1] = -math.MaxFloat32, -90
			call(t, m, "rowMax"+s.name, rows, n, x, step, out)
			for r := range rows {
				near(s.name+" rowMax", out[r], float64(slices.Max(x[r*step:][:n])), 0)
			}

			p, ds := slices.Clone(x), slices.Clone(y)
			call(t, m, "rowExp"+s.name, rows, n, p, step, shift, out)
			call(t, m, "rowExpGrad"+s.name, rows, n, slices.Clone(x), ds, step, shift, delta)
			if p[0] != 0 || ds[0] != 0 {
				t.Fatalf("%s: what is masked has probability %v, gradient %v", s.name, p[0], ds[0])
			}
			for r := range rows {
				var sum float64
				for i := r * step; i < r*step+n; i++ {
					if i == 0 {
						continue
					}
					want := math.Exp2(float64(x[i]) + float64(shift[r]))
					sum += want
					tolerance := (2e-7 + math.Abs(math.Log2(want))/(1<<24)) * want
					near(s.name+" rowExp", p[i], want, tolerance)
					slope := float64(y[i]) + float64(delta[r])
					near(s.name+" rowExpGrad", ds[i], want*slope, tolerance*math.Abs(slope)+4e-7*want)
				}
				near(s.name+" sum", out[r], sum, 1e-6*sum)
			}

			z := slices.Clone(y)
			call(t, m, "rowScale"+s.name, rows, n, z, step, shift)
			for i := range z {
				want := y[i]
				if i%step < n {
					want *= shift[i/step]
				}
				near(s.name+" rowScale", z[i], float64(want), 0)
			}
		}
	}
}
