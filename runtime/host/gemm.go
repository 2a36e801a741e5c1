package host

const (
	// kBlock is the most steps of p that are summed in one go. A panel of b of that depth (16 KiB with AVX2,
	// 32 KiB with AVX-512) stays in the first-level cache while all rows of a pass by.
	kBlock = 256
	// nBlock columns of b and mBlock rows of a are packed at a time. Together they fill a worker's scratch, which
	// stays in its second-level cache.
	nBlock = 128
	mBlock = 112
	// rowPad is the gap between packed rows of a. It keeps them from starting at equal addresses modulo 1 KiB, where
	// the six or more rows that a tile reads at a time would compete for the same cache sets.
	rowPad = 16
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

// dense computes all of an m×n product summed over k.
func (g *product) dense(p *Pool, m, n, k int) {
	rows := taskRows(m, n)
	across := blockCount(n, nBlock)
	p.ForWorker(blockCount(m, rows)*across, func(worker, i int) {
		m0, n0 := i/across*rows, i%across*nBlock
		g.block(p.workerScratch(worker), m0, min(m0+rows, m), n0, min(n0+nBlock, n), 0, k)
	})
}

// taskRows is how many rows of an m×n product one task takes. More rows share the work of packing b; fewer let more
// cores help: up to 64 tasks, but never fewer than mBlock rows each.
func taskRows(m, n int) int {
	const tasks = 64
	blocks := max(1, tasks/max(1, blockCount(n, nBlock)))
	return max(mBlock, roundUp(blockCount(m, blocks), mBlock))
}

// block computes rows m0..m1 and columns n0..n1, at most nBlock of them, summed over k0..k1 in steps of kBlock.
func (g *product) block(scratch []float32, m0, m1, n0, n1, k0, k1 int) {
	if k0 == k1 {
		g.empty(m0, m1, n0, n1)
		return
	}
	kern := kernel()
	bp, ap := scratch[:kBlock*nBlock], scratch[kBlock*nBlock:]
	d, ldd := g.d, g.ldd
	steps := blockCount(k1-k0, blockCount(k1-k0, kBlock))
	for ; k0 < k1; k0 += steps {
		kc := min(steps, k1-k0)
		if g.bAcross {
			packAcross(bp, kern.nr, &g.b, n0, n1, k0, k0+kc)
		} else {
			packAlong(bp, kern.nr, &g.b, k0, k0+kc, n0, n1)
		}
		for i := m0; i < m1; i += mBlock {
			g.rows(kern, ap, bp, i, min(i+mBlock, m1), n0, n1, k0, k0+kc, d, ldd)
		}
		d, ldd = g.c, g.ldc
	}
}

// rows multiplies at most mBlock rows of a with packed columns of b.
func (g *product) rows(kern *microKernel, ap, bp []float32, m0, m1, n0, n1, k0, k1 int, d []float32, ldd int) {
	kc := k1 - k0
	a, ld := ap, kc+rowPad
	switch {
	case g.across:
		copyColumns(ap, ld, &g.a, m0, m1, k0, k1)
	case g.a.pairs == nil && g.a.ld <= kBlock && g.a.ld%256 != 0:
		a, ld = g.a.x[m0*g.a.ld+k0:], g.a.ld
	default:
		copyRows(ap, ld, &g.a, m0, m1, k0, k1)
	}
	for j := n0; j < n1; j += kern.nr {
		for i := m0; i < m1; i += kern.mr {
			t := tile{rows: min(kern.mr, m1-i), cols: min(kern.nr, n1-j), kc: kc, ars: ld, aks: 1, c: g.c[i*g.ldc+j:], ldc: g.ldc}
			if d != nil {
				t.d, t.ldd = d[i*ldd+j:], ldd
			}
			t.a, t.b = a[(i-m0)*ld:], bp[(j-n0)*kc:]
			t.run(kern, ap[(kBlock+rowPad)*mBlock:])
		}
	}
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

// tile is one call of a micro-kernel, with any number of columns up to nr.
type tile struct {
	rows, cols, kc int
	a              []float32
	ars, aks       int
	b              []float32
	c              []float32
	ldc            int
	d              []float32
	ldd            int
}

// run computes the tile. Columns that do not fill a vector go through the buffer, of at least mr·nr elements.
func (t *tile) run(kern *microKernel, buffer []float32) {
	lanes := kern.nr / 2
	vecs := blockCount(t.cols, lanes)
	var d *float32
	if t.d != nil {
		d = &t.d[0]
	}
	if t.cols == vecs*lanes {
		kern.tile(t.rows, vecs, t.kc, &t.a[0], t.ars, t.aks, &t.b[0], &t.c[0], t.ldc, d, t.ldd)
		return
	}
	kern.tile(t.rows, vecs, t.kc, &t.a[0], t.ars, t.aks, &t.b[0], &buffer[0], kern.nr, nil, 0)
	for i := range t.rows {
		c, sum := t.c[i*t.ldc:i*t.ldc+t.cols], buffer[i*kern.nr:]
		for j := range c {
			if t.d != nil {
				c[j] = t.d[i*t.ldd+j] + sum[j]
			} else {
				c[j] = sum[j]
			}
		}
	}
}
