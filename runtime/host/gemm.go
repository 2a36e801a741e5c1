package host

const (
	// kBlock is the most steps of p that are summed in one go. A panel of b of that depth (16 KiB with AVX2,
	// 32 KiB with AVX-512) stays in the first-level cache while all rows of a block pass by.
	kBlock = 256
	// mBlock is the most rows of a that are multiplied with one panel of b after the other. They stay in the
	// second-level cache meanwhile.
	mBlock = 264
	// nBlock is how many columns of b a task packs at a time when it packs them for itself. They share the second-level
	// cache, and a worker's scratch, with the rows of a.
	nBlock = 64
	// nTask is the fewest columns of a task, where there are as many; copiedTask where the task has to copy its rows of a: 512
	// multiply-adds for each element copied.
	nTask      = 256
	copiedTask = 512
	// rowPad is the gap between packed rows of a. It keeps them from starting at equal addresses modulo 1 KiB, where
	// the six or more rows that a tile reads at a time would compete for the same cache sets.
	rowPad = 8
	// setsPeriod is the distance of elements that all fall into the same set of a first-level cache (4 KiB).
	setsPeriod = 1024
)

// product is a matrix product c = d + a·b over ranges that its tasks choose.
type product struct {
	a       matrix // [m][k]; across: [k][m], transposed while packing
	across  bool
	b       matrix // [k][n]; bAcross: [n][k], transposed while packing
	bAcross bool
	c       []float32 // [m][n], row length ldc
	ldc     int
	d       []float32 // what the product is added to, row length ldd (0: one row for all); nil: nothing
	ldd     int
}

// Linear computes y_TN = x_TK·w_NKᵀ (+ bias_N) (+ residual_TN). bias and residual may be nil; residual may be y.
func Linear(p *Pool, t, n, k int, x, w, bias, residual, y []float32) {
	const name = "Linear"
	mustLen(name, "x", x, t*k)
	mustLen(name, "w", w, n*k)
	mustLen(name, "y", y, t*n)
	g := product{a: matrix{x: x, ld: k}, b: matrix{x: w, ld: k}, bAcross: true, c: y, ldc: n}
	if bias != nil {
		mustLen(name, "bias", bias, n)
		g.d, g.ldd = bias, 0
	}
	if residual != nil {
		mustLen(name, "residual", residual, t*n)
		g.d, g.ldd = residual, n
		if bias != nil {
			addRows(p, t, n, residual, bias, y)
			g.d = y
		}
	}
	g.dense(p, t, n, k)
}

// addRows writes y_TN = x_TN + row_N.
func addRows(p *Pool, t, n int, x, row, y []float32) {
	forRows(p, t, n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			add(x[i*n:(i+1)*n], row, y[i*n:(i+1)*n])
		}
	})
}

// LinearDGrad computes dx_TK = dy_TN·w_NK (+ residual_TK, which may be nil or dx itself).
func LinearDGrad(p *Pool, t, n, k int, dy, w, residual, dx []float32) {
	const name = "LinearDGrad"
	mustLen(name, "dy", dy, t*n)
	mustLen(name, "w", w, n*k)
	mustLen(name, "dx", dx, t*k)
	if residual != nil {
		mustLen(name, "residual", residual, t*k)
	}
	g := product{a: matrix{x: dy, ld: n}, b: matrix{x: w, ld: k}, c: dx, ldc: k, d: residual, ldd: k}
	g.dense(p, t, k, n)
}

// LinearWGrad computes dw_NK (+)= dy_TNᵀ·x_TK.
func LinearWGrad(p *Pool, t, n, k int, dy, x []float32, accumulate bool, dw []float32) {
	const name = "LinearWGrad"
	mustLen(name, "dy", dy, t*n)
	mustLen(name, "x", x, t*k)
	mustLen(name, "dw", dw, n*k)
	g := product{a: matrix{x: dy, ld: n}, across: true, b: matrix{x: x, ld: k}, c: dw, ldc: k}
	if accumulate {
		g.d, g.ldd = dw, k
	}
	g.dense(p, n, k, t)
}

// BiasGrad computes db_N (+)= the sums of the columns of dy_TN.
func BiasGrad(p *Pool, t, n int, dy []float32, accumulate bool, db []float32) {
	const name = "BiasGrad"
	mustLen(name, "dy", dy, t*n)
	mustLen(name, "db", db, n)
	const columns = 64
	p.For(blockCount(n, columns), func(block int) {
		lo := block * columns
		hi := min(lo+columns, n)
		out := db[lo:hi]
		if !accumulate {
			clear(out)
		}
		for i := range t {
			add(out, dy[i*n+lo:i*n+hi], out)
		}
	})
}

// dense computes all of an m×n product summed over k: as much of b as fits is packed into memory that all workers share,
// then multiplied with all rows, and so on.
func (g *product) dense(p *Pool, m, n, k int) {
	if m == 0 || k == 0 {
		g.empty(0, m, 0, n)
		return
	}
	const deep = 8 * kBlock // shallow enough for twice nTask columns: rows of a are copied half as often
	step := kStep(k)
	span := min(k, deep/step*step)
	columns := min(n, sharedFloats/span/nTask*nTask)
	for n0 := 0; n0 < n; n0 += columns {
		for k0 := 0; k0 < k; k0 += span {
			g.pass(p, m, n0, min(n0+columns, n), k0, min(k0+span, k), step)
		}
	}
}

// kStep is how many steps of p are summed at a time when there are k in all: about equal parts, of whole vectors.
func kStep(k int) int { return roundUp(blockCount(k, blockCount(k, kBlock)), 8) }

// pass computes columns n0..n1 of all m rows, summed over k0..k1.
func (g *product) pass(p *Pool, m, n0, n1, k0, k1, step int) {
	// Many tasks, so that workers end at about the same time; fewer where each block of columns transposes its rows of a.
	const tasks, tasksAcross, rowsAtMost = 48, 16, 126
	kern := kernel()
	width := roundUp(n1-n0, kern.nr)
	packed := func(k, j int) []float32 { // the panels from step k and column j on
		return p.shared[(k-k0)*width+(j-n0)*(min(k+step, k1)-k):]
	}
	across := blockCount(n1-n0, nBlock)
	p.For(blockCount(k1-k0, step)*across, func(i int) {
		k, j := k0+i/across*step, n0+i%across*nBlock
		g.pack(packed(k, j), kern, j, min(j+nBlock, n1), k, min(k+step, k1))
	})
	want := tasks
	if g.across {
		want = tasksAcross
	}
	rows := kern.rowBlock(m, min(max(m*blockCount(n1-n0, nTask)/want, 4*kern.mr), rowsAtMost))
	down := blockCount(m, rows)
	columns := roundUp(max(nTask, blockCount(n1-n0, blockCount(want, down))), kern.nr)
	across = blockCount(n1-n0, columns)
	p.ForWorker(down*across, func(worker, i int) {
		m0, j := i/across*rows, n0+i%across*columns
		m1, scratch := min(m0+rows, m), p.workerScratch(worker)
		for k := k0; k < k1; k += step {
			end := min(k+step, k1)
			a, lda := g.left(scratch, m0, m1, k, end)
			g.multiply(kern, scratch, a, lda, packed(k, j), m0, m1, j, min(j+columns, n1), end-k, k == 0, upcoming{})
		}
	})
}

// rowBlock is how many of m rows to take at a time: about equal parts, of whole tiles and at most `most` rows.
func (kern *microKernel) rowBlock(m, most int) int {
	return roundUp(blockCount(m, blockCount(m, most/kern.mr*kern.mr)), kern.mr)
}

// block computes rows m0..m1, at most mBlock of them, and columns n0..n1, summed over k0..k1. It packs b for itself alone.
func (g *product) block(scratch []float32, m0, m1, n0, n1, k0, k1 int) {
	if k0 == k1 {
		g.empty(m0, m1, n0, n1)
		return
	}
	kern, step := kernel(), kStep(k1-k0)
	bp := scratch[scratchB:]
	for k := k0; k < k1; k += step {
		end := min(k+step, k1)
		a, lda := g.left(scratch, m0, m1, k, end)
		for j := n0; j < n1; j += nBlock {
			right := min(j+nBlock, n1)
			g.pack(bp, kern, j, right, k, end)
			next := upcoming{}
			if right < n1 {
				next = g.upcoming(kern, k, end, right)
			} else if end < k1 {
				next = g.upcoming(kern, end, min(end+step, k1), n0)
			}
			g.multiply(kern, scratch, a, lda, bp, m0, m1, j, right, end-k, k == k0, next)
		}
	}
}

// A worker's scratch: rows of a, packed columns of b, one tile.
const (
	scratchB    = mBlock * (kBlock + rowPad)
	scratchTile = scratchB + nBlock*kBlock
)

// pack packs columns n0..n1 of b.
func (g *product) pack(dst []float32, kern *microKernel, n0, n1, k0, k1 int) {
	if g.bAcross {
		packAcross(dst, kern.nr, &g.b, n0, n1, k0, k1)
	} else {
		packAlong(dst, kern.nr, &g.b, k0, k1, n0, n1)
	}
}

// taskColumns is the fewest columns of a task of a grouped product.
func (g *product) taskColumns() int {
	if g.across || g.a.pairs != nil {
		return copiedTask
	}
	return nTask
}

// left is rows m0..m1 of a, elements k0..k1 of each, and their distance: where they stand, when tiles can read them there
// well, or copied into scratch.
func (g *product) left(scratch []float32, m0, m1, k0, k1 int) (a []float32, lda int) {
	lda = k1 - k0 + rowPad
	switch {
	case g.across:
		copyColumns(scratch, lda, &g.a, m0, m1, k0, k1)
	case g.a.pairs == nil && g.a.ld%setsPeriod != 0:
		return g.a.x[m0*g.a.ld+k0:], g.a.ld
	default:
		copyRows(scratch, lda, &g.a, m0, m1, k0, k1)
	}
	return scratch, lda
}

// multiply adds the product of rows m0..m1 of a and columns n0..n1 of b, kc steps deep, to what is in c, or to d when
// it is the first. a starts at row m0, the panels bp at column n0. Meanwhile it fetches what will be packed next.
func (g *product) multiply(kern *microKernel, scratch, a []float32, lda int, bp []float32, m0, m1, n0, n1, kc int, first bool, next upcoming) {
	d, ldd := g.d, g.ldd
	if !first {
		d, ldd = g.c, g.ldc
	}
	lanes, rows := kern.nr/2, m1-m0
	_ = a[(rows-1)*lda+kc-1]
	for j := n0; j < n1; j += kern.nr {
		b := &bp[(j-n0)*kc]
		cols := min(kern.nr, n1-j)
		vecs := blockCount(cols, lanes)
		c := g.c[m0*g.ldc+j : (m1-1)*g.ldc+j+cols]
		var add []float32
		var addend *float32
		if d != nil {
			add = d[m0*ldd+j : (m1-1)*ldd+j+cols]
			addend = &add[0]
		}
		if cols == vecs*lanes {
			kern.panel(rows, vecs, kc, &a[0], lda, b, &c[0], g.ldc, addend, ldd, next.panel((j-n0)/kern.nr))
			continue
		}
		// Columns that do not fill a vector go through a buffer.
		for i := 0; i < rows; i += kern.mr {
			high := min(kern.mr, rows-i)
			sums := scratch[scratchTile : scratchTile+high*kern.nr]
			kern.panel(high, vecs, kc, &a[i*lda], lda, b, &sums[0], kern.nr, nil, 0, ahead{})
			for r := range high {
				to, sum := c[(i+r)*g.ldc:][:cols], sums[r*kern.nr:]
				for x := range to {
					if d != nil {
						to[x] = add[(i+r)*ldd+x] + sum[x]
					} else {
						to[x] = sum[x]
					}
				}
			}
		}
	}
}

// upcoming is where the block of b stands that is packed next. Its lines are fetched from memory in small portions while tiles are
// computed: as many as a tile has rounds.
type upcoming struct {
	x     []float32
	first int   // element
	step  int   // from what one panel fetches to what the next one fetches
	lines ahead // of a panel, but for the first address
}

// upcoming is the block of nBlock columns from n0 on, steps k0..k1. Rows that are gathered have no fixed distance and are left to the hardware.
func (g *product) upcoming(kern *microKernel, k0, k1, n0 int) upcoming {
	const line = 16
	rounds := max(1, (k1-k0)/kern.unroll)
	switch {
	case g.b.pairs != nil:
		return upcoming{}
	case g.bAcross: // rows are columns of panels: the block's rows, one line of each a round
		tiles := blockCount(k1-k0, line*nBlock/kern.nr)
		return upcoming{g.b.x, n0*g.b.ld + k0, tiles * line, ahead{along: g.b.ld, across: line, tiles: tiles}}
	default: // rows are steps: as many columns of each as a panel has
		return upcoming{g.b.x, k0*g.b.ld + n0, kern.nr, ahead{along: g.b.ld, across: rounds * g.b.ld, tiles: blockCount(k1-k0, rounds)}}
	}
}

// panel is what panel i fetches.
func (u *upcoming) panel(i int) ahead {
	lines, at := u.lines, u.first+i*u.step
	if at >= len(u.x) {
		return ahead{}
	}
	lines.from = &u.x[at]
	return lines
}

// empty is a product summed over nothing: c = d.
func (g *product) empty(m0, m1, n0, n1 int) {
	for i := m0; i < m1; i++ {
		c := g.c[i*g.ldc+n0 : i*g.ldc+n1]
		if g.d == nil {
			clear(c)
		} else {
			copy(c, g.d[i*g.ldd+n0:i*g.ldd+n1])
		}
	}
}
