package host

import "slices"

// tokenSums adds the rows of a grouped product up, token by token, in the order of the rows: y[t] = residual[t] +
// Σ weights[c]·(a·b)[i] over the rows i whose pair c = pairs[i] is of token t = c/topk. Rows of an expert are in the
// order of their tokens, as Route makes them.
type tokenSums struct {
	product            // c and d stay empty
	t, l, n, k     int // tokens, experts, columns of y, terms of a product
	offsets, pairs []int32
	topk           int

	weights, residual, y []float32 // weights and residual may be nil
}

const (
	// sumColumns and sumRows are the most columns and rows of a product that stand in a worker's scratch before they are
	// added up, behind as many rows of a.
	sumColumns = 256
	sumRows    = 96
	scratchSum = sumRows * (kBlock + rowPad)
	// sumRowsAimed is how many rows of each expert a task has, on average, where there are as many.
	sumRowsAimed = 48
)

// GroupedLinearUnpermute computes y_TN[t] = residual_TN[t] + Σ weights_TK[c]·(x_RK[i]·w_LNK[e]ᵀ) over the rows i of token t, in
// the order of the rows: c = pairs[i], t = c/topk, e the expert that has row i. The rows of an expert are in the order of
// their tokens. weights nil: weights of 1; residual nil: none, or y itself. count nil: all t tokens, else only the first
// count[0] are computed.
func GroupedLinearUnpermute(p *Pool, t, topk, l, n, k int, count, offsets, pairs []int32, x, w, weights, residual, y []float32) {
	const name = "GroupedLinearUnpermute"
	if weights != nil {
		mustLen(name, "weights", weights, t*topk)
	}
	s := tokenSums{
		product: product{a: matrix{x: x, ld: k}, b: matrix{x: w, ld: k}, bAcross: true},
		t:       t, l: l, n: n, k: k,
		offsets: offsets, pairs: pairs, topk: topk, weights: weights, residual: residual, y: y,
	}
	s.run(p, name, count)
}

// GroupedLinearDGradUnpermute computes dx_TK[t] = residual_TK[t] + Σ dy_RN[i]·w_LNK[e] over the rows i of token t, in the
// order of the rows: the gradient of tokens that experts gathered. pairs, residual and count are as in
// GroupedLinearUnpermute.
func GroupedLinearDGradUnpermute(p *Pool, t, topk, l, n, k int, count, offsets, pairs []int32, dy, w, residual, dx []float32) {
	s := tokenSums{
		product: product{a: matrix{x: dy, ld: n}, b: matrix{x: w, ld: k}},
		t:       t, l: l, n: k, k: n,
		offsets: offsets, pairs: pairs, topk: topk, residual: residual, y: dx,
	}
	s.run(p, "GroupedLinearDGradUnpermute", count)
}

// run packs the weights of as many experts as fit, or as many columns and terms of one expert, into memory that all
// workers share, adds their products up, and so on. A task has a block of tokens and columns of y to itself.
func (s *tokenSums) run(p *Pool, name string, count []int32) {
	rows := mustBeGrouped(name, s.l, s.offsets)
	mustHold(name, "pairs", s.pairs, rows)
	mustHold(name, "x", s.a.x, rows*s.k)
	mustLen(name, "w", s.b.x, s.l*s.n*s.k)
	mustLen(name, "y", s.y, s.t*s.n)
	if s.residual != nil {
		mustLen(name, "residual", s.residual, s.t*s.n)
	}
	if count != nil {
		s.t = int(count[0])
	}
	s.start(p)
	step := kStep(s.k)
	span := min(s.k, 16*kBlock/step*step)
	columns := min(s.n, sharedFloats/span/sumColumns*sumColumns)
	experts := 1
	if span == s.k && columns == s.n {
		experts = min(s.l, sharedFloats/(roundUp(s.n, kernel().nr)*s.k))
	}
	for e := 0; e < s.l; e += experts {
		for n0 := 0; n0 < s.n; n0 += columns {
			for k0 := 0; k0 < s.k; k0 += span {
				s.pass(p, e, min(e+experts, s.l), n0, min(n0+columns, s.n), k0, min(k0+span, s.k), step)
			}
		}
	}
}

// start writes what the sums start from.
func (s *tokenSums) start(p *Pool) {
	forRows(p, s.t, s.n, func(lo, hi int) {
		if to := s.y[lo*s.n : hi*s.n]; s.residual == nil {
			clear(to)
		} else {
			copy(to, s.residual[lo*s.n:hi*s.n])
		}
	})
}

// pass adds the products of experts e0..e1, columns n0..n1, summed over k0..k1, to their tokens.
func (s *tokenSums) pass(p *Pool, e0, e1, n0, n1, k0, k1, step int) {
	kern := kernel()
	width := roundUp(n1-n0, kern.nr)
	packed := func(e, k, j int) []float32 { // the panels of expert e from step k and column j on
		return p.shared[((e-e0)*(k1-k0)+k-k0)*width+(j-n0)*(min(k+step, k1)-k):]
	}
	down, across := blockCount(k1-k0, step), blockCount(n1-n0, nBlock)
	p.For((e1-e0)*down*across, func(i int) {
		e, k, j := e0+i/across/down, k0+i/across%down*step, n0+i%across*nBlock
		s.of(e).pack(packed(e, k, j), kern, j, min(j+nBlock, n1), k, min(k+step, k1))
	})
	rows := int(s.offsets[e1] - s.offsets[e0])
	tokens := max(1, blockCount(s.t, max(1, rows/(e1-e0)/sumRowsAimed)))
	across = blockCount(n1-n0, sumColumns)
	p.ForWorker(blockCount(s.t, tokens)*across, func(worker, i int) {
		t0, j := i/across*tokens, n0+i%across*sumColumns
		cols, scratch := min(sumColumns, n1-j), p.workerScratch(worker)
		for e := e0; e < e1; e++ {
			s.eachBlock(kern, e, t0, min(t0+tokens, s.t), func(m0, m1 int) {
				g := s.of(e)
				g.a.x, g.c, g.ldc = g.a.x[m0*s.k:], scratch[scratchSum:scratchTile], cols
				for k := k0; k < k1; k += step {
					end := min(k+step, k1)
					a, lda := g.left(scratch, 0, m1-m0, k, end)
					g.multiply(kern, scratch, a, lda, packed(e, k, j), 0, m1-m0, 0, cols, end-k, k == k0)
				}
				s.add(g.c, m0, m1, j, cols)
			})
		}
	})
}

// of is the product with the weights of expert e.
func (s *tokenSums) of(e int) *product {
	g := s.product
	g.b.x = g.b.x[e*s.n*s.k : (e+1)*s.n*s.k]
	return &g
}

// eachBlock calls f for the rows of expert e that are of tokens t0..t1, at most sumRows at a time.
func (s *tokenSums) eachBlock(kern *microKernel, e, t0, t1 int, f func(m0, m1 int)) {
	first := int(s.offsets[e])
	rows := s.pairs[first:s.offsets[e+1]]
	lo, _ := slices.BinarySearch(rows, int32(t0*s.topk))
	hi, _ := slices.BinarySearch(rows, int32(t1*s.topk))
	if lo == hi {
		return
	}
	size := kern.rowBlock(hi-lo, sumRows)
	for ; lo < hi; lo += size {
		f(first+lo, first+min(lo+size, hi))
	}
}

// add adds sums, rows m0..m1 of the product from column n0 on, to the tokens that they are of.
func (s *tokenSums) add(sums []float32, m0, m1, n0, cols int) {
	for i, c := range s.pairs[m0:m1] {
		weight := float32(1)
		if s.weights != nil {
			weight = s.weights[c]
		}
		at := int(c)/s.topk*s.n + n0
		axpy(weight, sums[i*cols:(i+1)*cols], s.y[at:at+cols])
	}
}
