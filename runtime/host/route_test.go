package host

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// routing is a random choice of experts and what Route makes of it.
type routing struct {
	t, k, l               int
	idx                   []int32
	offsets, pairs, slots []int32
	w                     []float32
}

// newRouting chooses among l local experts and, where elsewhere, experts that are not here (−1).
func newRouting(p *Pool, t, k, l int, expert func(r *rand.Rand) int32) routing {
	r := rand.New(rand.NewPCG(uint64(t), uint64(k)))
	x := routing{t: t, k: k, l: l, idx: make([]int32, t*k), offsets: make([]int32, l+1), pairs: make([]int32, t*k),
		slots: make([]int32, t*k), w: normal(5, t*k)}
	for i := range x.idx {
		x.idx[i] = expert(r)
	}
	Route(p, t, k, l, x.idx, x.offsets, x.pairs, x.slots)
	return x
}

func (x routing) rows() int { return int(x.offsets[x.l]) }

// routings has one pair, pairs all here, some elsewhere, all for one expert, none here.
func routings(p *Pool) []routing {
	return []routing{
		newRouting(p, 1, 1, 1, func(*rand.Rand) int32 { return 0 }),
		newRouting(p, 7, 2, 3, func(r *rand.Rand) int32 { return r.Int32N(3) }),
		newRouting(p, 50, 4, 8, func(r *rand.Rand) int32 { return r.Int32N(12) - 4 }),
		newRouting(p, 9, 2, 4, func(*rand.Rand) int32 { return 2 }),
		newRouting(p, 5, 2, 4, func(*rand.Rand) int32 { return -1 }),
	}
}

func TestRoute(t *testing.T) {
	for _, x := range routings(onePool(t)) {
		// The definition: experts in order, each with its pairs in order.
		var pairs []int32
		offsets, slots := []int32{0}, slices.Repeat([]int32{-1}, len(x.idx))
		for e := range x.l {
			for pair, chosen := range x.idx {
				if int(chosen) == e {
					slots[pair] = int32(len(pairs))
					pairs = append(pairs, int32(pair))
				}
			}
			offsets = append(offsets, int32(len(pairs)))
		}
		if !slices.Equal(x.offsets, offsets) || !slices.Equal(x.pairs[:len(pairs)], pairs) || !slices.Equal(x.slots, slots) {
			t.Errorf("t=%d k=%d l=%d: offsets %v pairs %v slots %v, want %v %v %v", x.t, x.k, x.l, x.offsets, x.pairs, x.slots,
				offsets, pairs, slots)
		}
	}
}

func TestPermuteAndUnpermute(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, x := range routings(onePool(t)) {
			for _, d := range []int{1, 19, 256} {
				testPermute(t, x, d)
				testUnpermute(t, x, d)
			}
		}
	})
}

// testPermute checks the gather and that Unpermute without weights is its transpose.
func testPermute(t *testing.T, x routing, d int) {
	in := normal(1, x.t*d)
	onAnyCores(t, func(p *Pool) []float32 {
		y := poison(x.t * x.k * d)
		Permute(p, x.k, d, x.offsets, x.pairs, in, y)
		for i := range x.rows() {
			wantBits(t, "permuted row", y[i*d:(i+1)*d], in[int(x.pairs[i])/x.k*d:][:d])
		}
		dy := poison(len(y))
		copy(dy, normal(2, x.rows()*d))
		dx := poison(len(in))
		Unpermute(p, x.t, x.k, d, nil, x.slots, nil, dy, nil, dx)
		left := inner(double(y[:x.rows()*d]), double(dy[:x.rows()*d]))
		right := inner(double(in), double(dx))
		if math.Abs(left-right) > 1e-6*float64(1+x.rows()*d) {
			t.Errorf("⟨permute(x), y⟩ = %v, ⟨x, permuteᵀ(y)⟩ = %v", left, right)
		}
		return dx
	})
}

func testUnpermute(t *testing.T, x routing, d int) {
	in, residual := poison(x.t*x.k*d), normal(3, x.t*d)
	copy(in, normal(1, x.rows()*d))
	dy := normal(4, x.t*d)
	wantY := double(residual)
	wantDx, wantDw := make([]float64, x.rows()*d), make([]float64, x.t*x.k)
	for pair, row := range x.slots {
		if row < 0 {
			continue
		}
		for j := range d {
			v, w, g := float64(in[int(row)*d+j]), float64(x.w[pair]), float64(dy[pair/x.k*d+j])
			wantY[pair/x.k*d+j] += w * v
			wantDx[int(row)*d+j] = w * g
			wantDw[pair] += v * g
		}
	}
	onAnyCores(t, func(p *Pool) []float32 {
		y := poison(x.t * d)
		Unpermute(p, x.t, x.k, d, nil, x.slots, x.w, in, residual, y)
		wantClose(t, "y", y, wantY, 3e-7)
		inPlace := slices.Clone(residual)
		Unpermute(p, x.t, x.k, d, nil, x.slots, x.w, in, inPlace, inPlace)
		wantBits(t, "y in place", inPlace, y)

		first := int32(x.t / 2)
		part := filled(x.t*d, 8)
		Unpermute(p, x.t, x.k, d, []int32{first}, x.slots, x.w, in, residual, part)
		wantBits(t, "the first rows", part[:int(first)*d], y[:int(first)*d])
		wantBits(t, "the others", part[int(first)*d:], filled((x.t-int(first))*d, 8))

		dx, dw := poison(len(in)), poison(x.t*x.k)
		UnpermuteGrad(p, x.t, x.k, d, x.offsets, x.pairs, x.w, dy, dx)
		wantClose(t, "dx", dx[:x.rows()*d], wantDx, 1e-7)
		plain, permuted := poison(len(in)), poison(len(in))
		UnpermuteGrad(p, x.t, x.k, d, x.offsets, x.pairs, nil, dy, plain)
		Permute(p, x.k, d, x.offsets, x.pairs, dy, permuted)
		wantBits(t, "dx without weights", plain[:x.rows()*d], permuted[:x.rows()*d])
		UnpermuteWGrad(p, x.t, x.k, d, x.offsets, x.pairs, dy, in, dw)
		wantClose(t, "dw", dw, wantDw, 5e-7)
		return slices.Concat(y, dx[:x.rows()*d], dw)
	})
}
