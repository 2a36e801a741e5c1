package host

// Embedding gathers table rows: y_TD[t] = table_VD[tokens[t]].
func Embedding(p *Pool, t, d int, tokens []int32, table, y []float32) {
	mustLen("Embedding", "tokens", tokens, t)
	mustLen("Embedding", "y", y, t*d)
	forRows(p, t, d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			copy(y[i*d:(i+1)*d], table[int(tokens[i])*d:])
		}
	})
}

const (
	embeddingRows   = 512  // rows of the table that one task of EmbeddingGrad owns
	embeddingTokens = 1024 // tokens it gathers before it adds them up
	embeddingCols   = 256  // columns it adds up at a time
)

// EmbeddingGrad scatters dy_TD into the rows that its tokens name: dtable_VD[v] (+)= Σ_{tokens[t]=v} dy[t].
// Rows of unused tokens, and that of the token padding (−1: none), become zero, unless accumulating. Each task owns a range of the table, so no two write the
// same row; the occurrences of a token are added in their order, in float64 up to embeddingTokens at a time.
func EmbeddingGrad(p *Pool, t, d, v, padding int, tokens []int32, dy []float32, accumulate bool, dtable []float32) {
	mustLen("EmbeddingGrad", "tokens", tokens, t)
	mustLen("EmbeddingGrad", "dy", dy, t*d)
	mustLen("EmbeddingGrad", "dtable", dtable, v*d)
	forBlocks(p, v, embeddingRows, func(_, lo, hi int) {
		if !accumulate {
			clear(dtable[lo*d : hi*d])
		}
		own := tokenRange{lo: int32(lo), hi: int32(hi), padding: int32(padding)}
		for first := 0; first < t; {
			first = own.gather(tokens, first)
			own.addInto(dtable, dy, d)
		}
	})
}

// tokenRange groups the tokens that fall into a range of ids.
type tokenRange struct {
	lo, hi  int32                    // ids
	padding int32                    // id that is left out
	n       int                      // tokens gathered
	found   [embeddingTokens]int32   // their positions, in order
	id      [embeddingTokens]int32   // their ids − lo
	grouped [embeddingTokens]int32   // positions by id, in order within an id
	start   [embeddingRows + 1]int32 // group of id i: grouped[start[i]:start[i+1]]
	sum     [embeddingCols]float64
}

// gather collects the next tokens of the range, from position first on, and groups them by id (a stable
// counting sort). It returns the position to go on from.
func (r *tokenRange) gather(tokens []int32, first int) int {
	r.n = 0
	clear(r.start[:])
	i := first
	for ; i < len(tokens) && r.n < embeddingTokens; i++ {
		if id := tokens[i]; id >= r.lo && id < r.hi && id != r.padding {
			r.found[r.n], r.id[r.n] = int32(i), id-r.lo
			r.start[id-r.lo+1]++
			r.n++
		}
	}
	for j := 1; j <= embeddingRows; j++ {
		r.start[j] += r.start[j-1]
	}
	for j := range r.n {
		id := r.id[j]
		r.grouped[r.start[id]] = r.found[j]
		r.start[id]++
	}
	copy(r.start[1:], r.start[:embeddingRows])
	r.start[0] = 0
	return i
}

func (r *tokenRange) addInto(dtable, dy []float32, d int) {
	for row := range int(r.hi - r.lo) {
		group := r.grouped[r.start[row]:r.start[row+1]]
		if len(group) == 0 {
			continue
		}
		at := (int(r.lo) + row) * d
		for col := 0; col < d; col += embeddingCols {
			n := min(embeddingCols, d-col)
			y, sum := dtable[at+col:at+col+n], r.sum[:n]
			clear(sum)
			addDouble(y, sum)
			for _, t := range group {
				addDouble(dy[int(t)*d+col:][:n], sum)
			}
			for i, v := range sum {
				y[i] = float32(v)
			}
		}
	}
}
