package host

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAttentionProduct(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		ops := &attentionKernels[activeISA]
		rng := rand.New(rand.NewPCG(9, 1))
		for _, s := range [][3]int{{16, 16, 1}, {16, 48, 7}, {32, 32, 64}, {64, 128, 33}, {112, 16, 128}} {
			m, n, k := s[0], s[1], s[2]
			for _, across := range []bool{false, true} {
				ars, aks, brs, crs := k+2, 1, n+16, n+3
				if across {
					ars, aks = 1, m+2
				}
				a, b := normals(rng, (m-1)*ars+(k-1)*aks+1), normals(rng, (k-1)*brs+n)
				for _, accumulate := range []bool{false, true} {
					c := normals(rng, (m-1)*crs+n)
					before := slices.Clone(c)
					ops.product(m, n, k, a, ars, aks, rowMajor(b, brs), c, crs, accumulate)
					inPanels := slices.Clone(before)
					ops.product(m, n, k, a, ars, aks, packed(k, n, b, brs), inPanels, crs, accumulate)
					wantBits(t, "from panels", inPanels, c)
					want := reference(m, n, k, func(i, p int) float32 { return a[i*ars+p*aks] }, at(b, brs), func(i, j int) float32 {
						if accumulate {
							return before[i*crs+j]
						}
						return 0
					})
					var got []float32
					for i := range m {
						got = append(got, c[i*crs:][:n]...)
						if i < m-1 && !slices.Equal(c[i*crs+n:(i+1)*crs], before[i*crs+n:(i+1)*crs]) {
							t.Fatalf("%v: wrote past row %d", s, i)
						}
					}
					checkSums(t, "product", got, want, k)
				}
			}
		}
	})
}

// packed is a copy of k rows of n elements in panels, with something else between them.
func packed(k, n int, x []float32, stride int) panels {
	p := panels{filled((k*attentionLane+3)*n/attentionLane, 99), attentionLane, k*attentionLane + 3}
	p.pack(k, n, x, stride, k)
	return p
}

// TestAttentionPowers walks through the range of the exponential, to its ends: good to three roundings and the polynomial's 9e-9
// (2e-7), zero where float32 ends, and a NaN stays one.
func TestAttentionPowers(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		ops := &attentionKernels[activeISA]
		const n, rows = 31 * 64, 4 // every sixteenth, four rows of whole lanes, the last with what is below
		x := make([]float32, n)
		for i := range x {
			x[i] = -float32(i) / 16
		}
		got, sum, shift := slices.Clone(x), make([]float32, rows), []float32{0, 2, 0, -2}
		ops.rowExp(rows, n/rows, got, n/rows, shift, sum)
		total := make([]float64, rows)
		for i, v := range got {
			r := i / (n / rows)
			want := math.Exp2(float64(x[i]) + float64(shift[r]))
			total[r] += want
			if !(math.Abs(float64(v)-want) <= 2e-7*want) {
				t.Fatalf("2^%v = %v, want %v", x[i], v, want)
			}
		}
		wantClose(t, "sum", sum, total, 1e-6)

		ends := filled(16*rows, -127)
		ends[1], ends[2], ends[3], ends[4] = -1e9, attentionMasked, float32(math.Inf(-1)), float32(math.NaN())
		ops.rowExp(rows, 16, ends, 16, make([]float32, rows), sum)
		for i, v := range ends {
			if i == 4 && v == v || i != 4 && v != 0 {
				t.Errorf("element %d is %v", i, v)
			}
		}
		if sum[0] == sum[0] {
			t.Errorf("a sum with NaN is %v", sum[0])
		}
		if sum[1] != 0 {
			t.Errorf("a sum of zeroes is %v", sum[1])
		}
	})
}
