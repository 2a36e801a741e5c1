package host

import (
	"math/rand/v2"
	"testing"
)

func TestEmbedding(t *testing.T) {
	p := onePool(t)
	const v, d = 11, 5
	table := normal(1, v*d)
	tokens := []int32{3, 0, 10, 3}
	y := poison(len(tokens) * d)
	Embedding(p, len(tokens), d, tokens, table, y)
	for i, token := range tokens {
		wantBits(t, "row", y[i*d:(i+1)*d], table[int(token)*d:][:d])
	}
}

func TestEmbeddingGrad(t *testing.T) {
	cases := []struct {
		name    string
		t, d, v int
		padding int
		token   func(r *rand.Rand, i int) int32
	}{
		{"one token", 1, 3, 4, -1, func(*rand.Rand, int) int32 { return 2 }},
		{"few ids, often", 3000, 7, 5, -1, func(r *rand.Rand, _ int) int32 { return r.Int32N(4) }},
		{"all the same, more than one gathering", 5000, 4, 600, -1, func(*rand.Rand, int) int32 { return 599 }},
		{"many ids, several owners", 700, 300, 1500, -1, func(r *rand.Rand, _ int) int32 { return r.Int32N(1500) }},
		{"padding", 3000, 7, 600, 513, func(r *rand.Rand, _ int) int32 { return 511 + r.Int32N(5) }},
		{"nothing but padding", 5, 3, 4, 0, func(*rand.Rand, int) int32 { return 0 }},
	}
	// Each gathering of up to 1024 occurrences rounds once more, six times at most: 6·2⁻²⁴.
	const tolerance = 3.6e-7
	onEveryISA(t, func(t *testing.T) {
		for _, c := range cases {
			r := rand.New(rand.NewPCG(1, 2))
			tokens, dy := make([]int32, c.t), normal(3, c.t*c.d)
			want := make([]float64, c.v*c.d)
			for i := range tokens {
				tokens[i] = c.token(r, i)
				for j := range c.d {
					if int(tokens[i]) == c.padding {
						continue
					}
					want[int(tokens[i])*c.d+j] += float64(dy[i*c.d+j])
				}
			}
			onAnyCores(t, func(p *Pool) []float32 {
				dtable := poison(len(want))
				EmbeddingGrad(p, c.t, c.d, c.v, c.padding, tokens, dy, false, dtable)
				wantClose(t, c.name, dtable, want, tolerance)
				twice := make([]float64, len(want))
				for i := range twice {
					twice[i] = want[i] + float64(dtable[i])
				}
				result := append([]float32(nil), dtable...)
				EmbeddingGrad(p, c.t, c.d, c.v, c.padding, tokens, dy, true, dtable)
				wantClose(t, c.name+", accumulated", dtable, twice, tolerance)
				return result
			})
		}
	})
}
