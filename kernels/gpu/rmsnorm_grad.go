package gpu

import (
	"fmt"
	"sync"

	"moegen/kernels/ptx"
)

// RMSNorm backward, with n_TD = x·rstd:
//
//	dx_TD = bf16(rstd·(w·dy − n·mean_D(w·dy·n)) (+ residual_TD))     dw_D = bf16(Σ_T dy·n (+ dw_D))
//
// in float32, each rounded once. It reads x, dy and the residual, if any, and writes dx, 6 or 8·T·D bytes; memory decides. Each block adds the weight's gradient over its rows in
// registers and writes one partial sum in float32, 4·D bytes a block; a second small kernel adds the partials. How many
// partials there are is the Config's, so the sum's order does not depend on the grid.

// RMSNormGradDesc is what is asked. The number of rows is an argument.
type RMSNormGradDesc struct {
	Dim        int  // D
	Residual   bool // dx has an addend
	Accumulate bool // dw adds up if the step record says so
}

// RMSNormGradConfig fixes one pair of kernels.
type RMSNormGradConfig struct {
	PerRow   int // warps that share a row
	Groups   int // rows that a block works on at a time
	Partials int // partial sums of dw; a grid of as many blocks does one each
}

// Name is the entry of the first kernel.
func (c RMSNormGradConfig) Name(d RMSNormGradDesc) string {
	return fmt.Sprintf("rmsnorm_grad_d%d%s_r%d_g%d_p%d", d.Dim, mark(d.Residual, "_add"), c.PerRow, c.Groups, c.Partials)
}

// SumName is the entry of the second kernel.
func (c RMSNormGradConfig) SumName(d RMSNormGradDesc) string {
	return fmt.Sprintf("rmsnorm_grad_sum_d%d%s_p%d", d.Dim, mark(d.Accumulate, "_a"), c.Partials)
}

// sumColumns and sumParts shape a block of the second kernel: so many columns, and the partials dealt to so many threads.
const sumColumns, sumParts = 32, 8

// SumGrid is the grid of the second kernel.
func (c RMSNormGradConfig) SumGrid(d RMSNormGradDesc) int {
	return (d.Dim + sumColumns - 1) / sumColumns
}

// RMSNormGradConfigs returns the candidates for a row, the preferred first, and why others are none.
func RMSNormGradConfigs(d RMSNormGradDesc) (out []RMSNormGradConfig, rejected []string) {
	if d.Dim%8 != 0 || d.Dim <= 0 {
		return nil, []string{fmt.Sprintf("rows of %d elements: 16-byte accesses need a multiple of 8", d.Dim)}
	}
	most := 3 // 8 sums, 4 words each of x, dy, the next row's x and dy, and w for every piece, of 128 registers
	if d.Residual {
		most = 2 // 8 words more
	}
	for _, perRow := range []int{4, 2, 1, 8, 16} {
		c := RMSNormGradConfig{PerRow: perRow, Groups: 16 / perRow, Partials: 132}
		switch v := vectors(d.Dim, perRow); {
		case v > most:
			rejected = append(rejected, fmt.Sprintf("%s: %d pieces a lane need more registers than 512 threads have", c.Name(d), v))
		case 4*d.Dim*c.Groups > ptx.SharedLimit:
			rejected = append(rejected, fmt.Sprintf("%s: the sums of %d groups do not fit shared memory", c.Name(d), c.Groups))
		default:
			out = append(out, c)
		}
	}
	return out, rejected
}

// RMSNormGradFloor is what T rows move.
func RMSNormGradFloor(d RMSNormGradDesc, rows int) Floor {
	bytes := 6*rows*d.Dim + 4*d.Dim + 4*rows
	if d.Residual {
		bytes += 2 * rows * d.Dim
	}
	return Floor{Bytes: int64(bytes)}
}

// EmitRMSNormGrad writes the first kernel: parameters dy, x, w, rstd, the residual if there is one, dx, partial
// [Partials·D float32] and the number of rows. dx may be dy or the residual.
func EmitRMSNormGrad(m *ptx.Module, d RMSNormGradDesc, c RMSNormGradConfig) {
	k := m.Kernel(c.Name(d), 32*c.PerRow*c.Groups)
	e := &rmsNormGrad{k: k, d: d, c: c}
	dy, x, w, rstd := k.ParamPtr("dy"), k.ParamPtr("x"), k.ParamPtr("w"), k.ParamPtr("rstd")
	e.from = []ptx.Reg{x, dy}
	if d.Residual {
		e.from = append(e.from, k.ParamPtr("residual"))
	}
	dx, partial, rows := k.ParamPtr("dx"), k.ParamPtr("partial"), k.ParamU32("rows")
	sums := k.SharedBytes(4*d.Dim*c.Groups, 16)
	k.WaitPrerequisites()
	e.g = newRowGroup(k, d.Dim, c.PerRow*c.Groups, c.PerRow)
	e.ws = e.g.load(ptx.Global, w)
	for range e.ws {
		e.dw = append(e.dw, k.DeclareArray(ptx.F32, "dw", 8))
	}
	blocks := k.Read(ptx.NCtaIDX)
	k.For("part", k.Read(ptx.CtaIDX), c.Partials, blocks, func(part ptx.Reg) {
		for _, v := range e.dw {
			for _, r := range v {
				k.Assign(r, 0)
			}
		}
		e.walk(k.Mad(part, c.Groups, e.g.index), rows, rstd, dx)
		e.writePartial(sums, k.Add(partial, k.MulWide(part, 4*d.Dim)))
	})
	k.LaunchDependents()
	k.Exit()
}

type rmsNormGrad struct {
	k    *ptx.Kernel
	d    RMSNormGradDesc
	c    RMSNormGradConfig
	g    *rowGroup
	from []ptx.Reg // x, dy and the residual
	ws   [][]ptx.Reg
	dw   [][]ptx.Reg // float32, 8 a piece
}

// normRow is what a thread holds of a row: its pieces of x, dy and the residual, and rstd.
type normRow struct {
	pieces [][][]ptx.Reg
	rstd   ptx.Reg
}

func (e *rmsNormGrad) hold(rstd string) normRow {
	r := normRow{rstd: e.k.Var(ptx.F32, rstd, 0)}
	for range e.from {
		r.pieces = append(r.pieces, e.g.registers())
	}
	return r
}

// walk goes over the group's rows, every Partials·Groups-th from first. The next row is on its way while one is
// computed.
func (e *rmsNormGrad) walk(first, rows, rstd, dx ptx.Reg) {
	k, step := e.k, e.c.Partials*e.c.Groups
	this, next := e.hold("rstd"), e.hold("rstd_next")
	fetch := func(row, where ptx.Reg, r normRow) {
		at := k.MulWide(row, 2*e.d.Dim)
		for i, from := range e.from {
			e.g.loadIf(once, k.Add(from, at), where, r.pieces[i])
		}
		k.When(where).To(r.rstd).Ld(ptx.Global, ptx.F32, k.Add(rstd, k.MulWide(row, 4)).At(0))
	}
	fetch(first, k.Lt(first, rows), this)
	side := k.Var(ptx.U32, "side", 0) // of the scratch, so that one barrier a row is enough
	k.For("row", first, rows, step, func(row ptx.Reg) {
		after := k.Add(row, step)
		fetch(after, k.Lt(after, rows), next)
		e.row(this, side, k.Add(dx, k.MulWide(row, 2*e.d.Dim)))
		for i, pieces := range this.pieces {
			for j, piece := range pieces {
				for n, r := range piece {
					k.Assign(r, next.pieces[i][j][n])
				}
			}
		}
		k.Assign(this.rstd, next.rstd)
		k.To(side).Xor(side, 4*e.c.PerRow*e.c.Groups)
	})
}

// row computes a row of dx and adds to dw.
func (e *rmsNormGrad) row(row normRow, side, out ptx.Reg) {
	k := e.k
	xs, dys, r := row.pieces[0], row.pieces[1], row.rstd
	k.Comment("c = mean(w dy n), n = x rstd; dw += dy n")
	c := k.Const(ptx.F32, 0)
	e.each(xs, dys, r, func(i, j int, n, dy, w ptx.Reg) {
		c = k.Fma(k.Mul(w, dy), n, c)
		k.To(e.dw[i][j]).Fma(dy, n, e.dw[i][j])
	})
	if e.c.PerRow > 1 {
		c = e.g.sum(c, k.Add(k.Lea(e.g.scratch), side).At(0))
	} else {
		c = e.g.sum(c, ptx.Addr{})
	}
	c = k.Neg(k.Mul(c, 1/float64(e.d.Dim)))
	k.Comment("dx = rstd (w dy - n c)")
	var piece []ptx.Reg
	var low ptx.Reg
	e.each(xs, dys, r, func(i, j int, n, dy, w ptx.Reg) {
		v := k.Fma(n, c, k.Mul(w, dy))
		if e.d.Residual {
			low, high := k.UnpackBF16(row.pieces[2][i][j/2])
			v = k.Fma(r, v, [2]ptx.Reg{low, high}[j%2])
		} else {
			v = k.Mul(r, v)
		}
		if j%2 == 0 {
			low = v
			return
		}
		piece = append(piece, k.PackBF16(low, v))
		if j == 7 {
			e.g.store(out, i, piece)
			piece = nil
		}
	})
}

// each visits the elements of the thread's pieces.
func (e *rmsNormGrad) each(xs, dys [][]ptx.Reg, r ptx.Reg, visit func(i, j int, n, dy, w ptx.Reg)) {
	k := e.k
	for i := range xs {
		for j := range xs[i] {
			x0, x1 := k.UnpackBF16(xs[i][j])
			dy0, dy1 := k.UnpackBF16(dys[i][j])
			w0, w1 := k.UnpackBF16(e.ws[i][j])
			visit(i, 2*j, k.Mul(x0, r), dy0, w0)
			visit(i, 2*j+1, k.Mul(x1, r), dy1, w1)
		}
	}
}

// writePartial adds dw over the block's groups, in their order, and writes it.
func (e *rmsNormGrad) writePartial(sums ptx.Addr, out ptx.Reg) {
	k := e.k
	k.Comment("the block's part of dw: one group after the other")
	mine := k.Add(k.Lea(sums), k.Add(k.Mul(e.g.index, 4*e.d.Dim), k.Shl(e.g.thread, 5)))
	for i, v := range e.dw {
		to := k
		if i == len(e.dw)-1 && e.g.tail.Type() != 0 {
			to = k.When(e.g.tail)
		}
		to.St(ptx.Shared, mine.At(1024*e.c.PerRow*i), v[:4]...)
		to.St(ptx.Shared, mine.At(1024*e.c.PerRow*i+16), v[4:]...)
	}
	k.Sync()
	k.For("four", k.Read(ptx.TidX), e.d.Dim/4, k.Threads(), func(four ptx.Reg) {
		at := k.Add(k.Lea(sums), k.Shl(four, 4))
		total := k.LdVec(ptx.Shared, ptx.F32, 4, at.At(0))
		for g := 1; g < e.c.Groups; g++ {
			for j, v := range k.LdVec(ptx.Shared, ptx.F32, 4, at.At(4*e.d.Dim*g)) {
				total[j] = k.Add(total[j], v)
			}
		}
		k.St(ptx.Global, k.Add(out, k.MulWide(four, 16)).At(0), total...)
	})
	k.Sync()
}

// EmitRMSNormGradSum writes the second kernel: parameters partial, dw, and the step record if dw may add up. Thread (part, column) adds every sumParts-th partial sum, then the first
// thread of a column the parts.
func EmitRMSNormGradSum(m *ptx.Module, d RMSNormGradDesc, c RMSNormGradConfig) {
	k := m.Kernel(c.SumName(d), sumColumns*sumParts)
	partial, dw := k.ParamPtr("partial"), k.ParamPtr("dw")
	var record ptx.Reg
	if d.Accumulate {
		record = k.ParamPtr("record")
	}
	scratch := k.SharedBytes(4*sumColumns*sumParts, 16)
	tid := k.Read(ptx.TidX)
	part, column := k.Shr(tid, log2(sumColumns)), k.And(tid, sumColumns-1)
	column = k.Mad(k.Read(ptx.CtaIDX), sumColumns, column)
	inside := k.Lt(column, d.Dim)
	k.WaitPrerequisites()
	sum := k.Var(ptx.F32, "sum", 0)
	k.If(inside, func() {
		k.Comment("every %d-th partial sum", sumParts)
		at := k.Add(partial, k.Add(k.MulWide(part, 4*d.Dim), k.MulWide(column, 4)))
		var loaded []ptx.Reg
		for p := 0; p < c.Partials; p += sumParts {
			v := k.Var(ptx.F32, "v", 0)
			if p+sumParts <= c.Partials {
				k.To(v).Ld(ptx.Global, ptx.F32, at.At(4*d.Dim*p))
			} else {
				k.When(k.Lt(part, c.Partials-p)).To(v).Ld(ptx.Global, ptx.F32, at.At(4*d.Dim*p))
			}
			loaded = append(loaded, v)
		}
		for _, v := range loaded {
			k.To(sum).Add(sum, v)
		}
	})
	k.St(ptx.Shared, k.Add(k.Lea(scratch), k.Shl(tid, 2)).At(0), sum)
	k.Sync()
	k.If(k.And(inside, k.Eq(part, 0)), func() {
		at := k.Add(k.Lea(scratch), k.Shl(tid, 2))
		for p := 1; p < sumParts; p++ {
			k.To(sum).Add(sum, k.Ld(ptx.Shared, ptx.F32, at.At(4*sumColumns*p)))
		}
		one, to := piece{ptx.BF16, 1}, k.Add(dw, k.MulWide(column, 2)).At(0)
		if d.Accumulate {
			k.To(sum).Add(sum, one.floats(k, one.loadIf(k, accumulates(k, record), ptx.Global, to))[0])
		}
		one.store(k, to, []ptx.Reg{sum})
	})
	k.LaunchDependents()
	k.Exit()
}

var rmsNormGradFamily = Family{Name: "rmsnorm_grad", Cases: func() []Case {
	only, both := RMSNormGradDesc{Dim: 2048}, RMSNormGradDesc{Dim: 2048, Residual: true, Accumulate: true}
	return []Case{
		rmsNormGradCase(70, RMSNormGradDesc{Dim: 256}, RMSNormGradConfig{PerRow: 1, Groups: 2, Partials: 9}, 0),
		rmsNormGradCase(1, RMSNormGradDesc{Dim: 8}, RMSNormGradConfig{PerRow: 1, Groups: 4, Partials: 3}, 0), // groups without a row
		rmsNormGradCase(23, RMSNormGradDesc{Dim: 1000}, RMSNormGradConfig{PerRow: 2, Groups: 2, Partials: 4}, 0),
		rmsNormGradCase(40, only, RMSNormGradConfig{PerRow: 4, Groups: 4, Partials: 4}, 0),
		rmsNormGradCase(23, RMSNormGradDesc{1000, true, true}, RMSNormGradConfig{PerRow: 2, Groups: 2, Partials: 4}, 1),
		rmsNormGradCase(9, RMSNormGradDesc{4104, true, true}, RMSNormGradConfig{PerRow: 16, Groups: 1, Partials: 3}, 0),
		large(rmsNormGradCase(4096, only, RMSNormGradConfig{PerRow: 4, Groups: 4, Partials: 132}, 0)),
		large(rmsNormGradCase(32768, only, RMSNormGradConfig{PerRow: 4, Groups: 4, Partials: 132}, 0)),
		large(rmsNormGradCase(4096, both, RMSNormGradConfig{PerRow: 4, Groups: 4, Partials: 132}, 1)),
	}
}}

// rmsNormGradCase has a step record that says whether dw adds up, where it may.
func rmsNormGradCase(rows int, d RMSNormGradDesc, c RMSNormGradConfig, accumulate float64) Case {
	dim := d.Dim
	x, w, dy, residual, dw := normal(3, 1), normal(4, 1), normal(5, 1), normal(6, 1), zeros
	rstd := rowCache(func(t int) float64 { return rstdOf(x, t, dim, rmsNormEps) })
	given := rowCache(func(t int) float64 { return float64(float32(rstd(t))) })
	mean := rowCache(func(t int) [2]float64 { // of w dy n, and of its magnitudes
		var c [2]float64
		for i := range dim {
			v := w(i) * dy(t*dim+i) * x(t*dim+i) * given(t)
			c[0] += v / float64(dim)
			c[1] += max(v, -v) / float64(dim)
		}
		return c
	})
	all := sync.OnceValue(func() []float64 {
		out := make([]float64, rows)
		for t := range out {
			out[t] = given(t)
		}
		return out
	})
	chain := float64(8*vectors(dim, c.PerRow) + 5 + c.PerRow) // additions behind one mean
	buffers := []Buffer{{"dy", ptx.BF16, rows * dim, dy}, {"x", ptx.BF16, rows * dim, x}, {"w", ptx.BF16, dim, w}, {"rstd", ptx.F32, rows, given}}
	args := []Arg{Place("dy"), Place("x"), Place("w"), Place("rstd")}
	if d.Residual {
		buffers, args = append(buffers, Buffer{"residual", ptx.BF16, rows * dim, residual}), append(args, Place("residual"))
	} else {
		residual = zeros
	}
	buffers = append(buffers, Buffer{"dx", ptx.BF16, rows * dim, nil}, Buffer{"partial", ptx.F32, c.Partials * dim, nil}, Buffer{"dw", ptx.BF16, dim, nil})
	sums := []Arg{Place("partial"), Place("dw")}
	if d.Accumulate {
		if accumulate != 0 {
			dw = normal(7, 1)
			buffers[len(buffers)-1].At = dw
		}
		buffers = append(buffers, recordBuffer(accumulate))
		sums = append(sums, Place("record"))
	}
	return Case{
		Name:    fmt.Sprintf("%dx%d_r%d_g%d_p%d%s%s", rows, dim, c.PerRow, c.Groups, c.Partials, mark(d.Residual, "_add"), mark(accumulate != 0, "_a")),
		Emit:    func(m *ptx.Module) { EmitRMSNormGrad(m, d, c); EmitRMSNormGradSum(m, d, c) },
		Buffers: buffers,
		Launches: []Launch{
			{Entry: c.Name(d), Grid: c.Partials, Persistent: true, Dependent: true, Args: append(args, Place("dx"), Place("partial"), U32(rows))},
			{Entry: c.SumName(d), Grid: c.SumGrid(d), Dependent: true, Args: sums},
		},
		Outputs: []Output{
			{Buffer: "dx", Row: dim, Rel: 1.01 * 0x1p-8, Acc: 0x1p-22, Why: "one rounding to bf16; float32's of four factors and of the additions behind the mean",
				Want: func(i int) (float64, float64, bool) {
					t := i / dim
					n, c := x(i)*given(t), mean(t)
					wdy, r := w(i%dim)*dy(i), residual(i)
					return given(t)*(wdy-n*c[0]) + r, given(t)*(max(wdy, -wdy)+max(n, -n)*c[1]*chain) + max(r, -r), true
				}},
			{Buffer: "dw", Rel: 1.01 * 0x1p-8, Acc: 0x1p-23 + float64(rows/(c.Partials*c.Groups)+c.Groups+c.Partials/sumParts+sumParts+3)*0x1p-24,
				Why: "one rounding to bf16; a chain of float32 additions, 2^-24 of the magnitude each",
				Want: func(i int) (value, magnitude float64, ok bool) {
					value, magnitude = dw(i), max(dw(i), -dw(i))
					for t, rstd := range all() {
						v := dy(t*dim+i) * x(t*dim+i) * rstd
						value += v
						magnitude += max(v, -v)
					}
					return value, magnitude, true
				}},
		},
		Floor: RMSNormGradFloor(d, rows),
	}
}
