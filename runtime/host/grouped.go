package host

import (
	"cmp"
	"fmt"
	"slices"
)

// The grouped products of local experts. Expert e owns rows offsets[e]..offsets[e+1] of every ragged operand; offsets has
// l+1 entries. Weights are stacked by expert. A ragged operand may be gathered: with pairs its row i is row
// pairs[i]/topk of the slice, so that tokens need not be copied once for every expert that takes them.

// GroupedLinear computes y_RN[i] = x[i]·w_LNK[e]ᵀ for the rows i of each expert e; x is gathered when pairs is given.
func GroupedLinear(p *Pool, l, n, k int, offsets, pairs []int32, topk int, x, w, y []float32) {
	const name = "GroupedLinear"
	r := mustBeGrouped(name, l, offsets)
	mustLen(name, "w", w, l*n*k)
	mustHold(name, "y", y, r*n)
	g := product{a: ragged(name, "x", r, k, pairs, topk, x), b: matrix{x: w, ld: k}, bAcross: true, c: y, ldc: n}
	g.grouped(p, offsets, n, k)
}

// GroupedLinearDGrad computes dx_RK[i] = dy[i]·w_LNK[e] for the rows i of each expert e; dy is gathered when pairs is given.
func GroupedLinearDGrad(p *Pool, l, n, k int, offsets, pairs []int32, topk int, dy, w, dx []float32) {
	const name = "GroupedLinearDGrad"
	r := mustBeGrouped(name, l, offsets)
	mustLen(name, "w", w, l*n*k)
	mustHold(name, "dx", dx, r*k)
	g := product{a: ragged(name, "dy", r, n, pairs, topk, dy), b: matrix{x: w, ld: k}, c: dx, ldc: k}
	g.grouped(p, offsets, k, n)
}

// GroupedLinearWGrad computes dw_LNK[e] (+)= Σ dy[i]ᵀ·x[i] over the rows i of each expert e. dy and x are gathered when
// dyPairs and xPairs are given. An expert without rows gets zeros, or keeps what it has when accumulating.
func GroupedLinearWGrad(p *Pool, l, n, k int, offsets []int32, dyPairs, xPairs []int32, topk int, dy, x []float32, accumulate bool, dw []float32) {
	const name = "GroupedLinearWGrad"
	r := mustBeGrouped(name, l, offsets)
	mustLen(name, "dw", dw, l*n*k)
	g := product{a: ragged(name, "dy", r, n, dyPairs, topk, dy), across: true, b: ragged(name, "x", r, k, xPairs, topk, x), ldc: k}
	experts, columns, rows := largestFirst(offsets), g.taskColumns(), kernel().rowBlock(n, mBlock)
	down, across := blockCount(n, rows), blockCount(k, columns)
	p.ForWorker(l*down*across, func(worker, i int) {
		e, m0, n0 := experts[i/(down*across)], i/across%down*rows, i%across*columns
		g := g
		g.c = dw[e*n*k : (e+1)*n*k]
		if accumulate {
			g.d, g.ldd = g.c, k
		}
		g.block(p.workerScratch(worker), m0, min(m0+rows, n), n0, min(n0+columns, k), int(offsets[e]), int(offsets[e+1]))
	})
}

// mustBeGrouped checks the offsets of l experts and returns the number of rows.
func mustBeGrouped(kernel string, l int, offsets []int32) int {
	mustLen(kernel, "offsets", offsets, l+1)
	for e := range l {
		if offsets[e] > offsets[e+1] || offsets[0] != 0 {
			panic(fmt.Sprintf("BUG: host.%s: offsets %v of expert %d", kernel, offsets[e:e+2], e))
		}
	}
	return int(offsets[l])
}

// ragged is an operand of r rows of the given width, gathered when pairs is given.
func ragged(kernel, operand string, r, width int, pairs []int32, topk int, x []float32) matrix {
	if pairs != nil {
		mustHold(kernel, "pairs", pairs, r)
	} else {
		mustHold(kernel, operand, x, r*width)
	}
	return matrix{x: x, ld: width, pairs: pairs, topk: topk}
}

// grouped computes n columns of every expert's rows, summed over k. The weights of one expert are n·k elements of b.
func (g *product) grouped(p *Pool, offsets []int32, n, k int) {
	kern := kernel()
	// split is how the rows of expert e are cut: into blocks of equal size, as far as that goes.
	split := func(e int) (rows, size, blocks int) {
		if rows = int(offsets[e+1] - offsets[e]); rows == 0 {
			return 0, 0, 0
		}
		size = kern.rowBlock(rows, mBlock)
		return rows, size, blockCount(rows, size)
	}
	experts, total := largestFirst(offsets), 0
	for _, e := range experts {
		_, _, blocks := split(e)
		total += blocks
	}
	columns := g.taskColumns()
	across := blockCount(n, columns)
	p.ForWorker(total*across, func(worker, i int) {
		x, block := 0, i/across
		rows, size, blocks := split(experts[x])
		for ; block >= blocks; rows, size, blocks = split(experts[x]) {
			block -= blocks
			x++
		}
		e := experts[x]
		first, m0, n0 := int(offsets[e]), block*size, i%across*columns
		g := *g
		g.b.x = g.b.x[e*n*k : (e+1)*n*k]
		g.block(p.workerScratch(worker), first+m0, first+min(m0+size, rows), n0, min(n0+columns, n), 0, k)
	})
}

// largestFirst lists the experts, those with the most rows first, so that the last tasks to be handed out are the small ones.
func largestFirst(offsets []int32) []int {
	rows := func(e int) int32 { return offsets[e+1] - offsets[e] }
	experts := make([]int, len(offsets)-1)
	for e := range experts {
		experts[e] = e
	}
	slices.SortStableFunc(experts, func(a, b int) int { return cmp.Compare(rows(b), rows(a)) })
	return experts
}
