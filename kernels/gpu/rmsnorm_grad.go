package gpu

import (
	"fmt"
	"sync"

	"moegen/kernels/ptx"
)

// RMSNorm backward, with n_TD = x·rstd:
//
//	dx_TD = bf16(rstd·(w·dy − n·mean_D(w·dy·n)))     dw_D = bf16(Σ_T dy·n)
//
// It reads x and dy and writes dx, 6·T·D bytes; memory decides. Each block adds the weight's gradient over its rows in
// registers and writes one partial sum in float32, 4·D bytes a block; a second small kernel adds the partials. How many
// partials there are is the Config's, so the sum's order does not depend on the grid.

// RMSNormGradConfig fixes one pair of kernels.
type RMSNormGradConfig struct {
	PerRow   int // warps that share a row
	Groups   int // rows that a block works on at a time
	Partials int // partial sums of dw; a grid of as many blocks does one each
}

// Name is the entry of the first kernel.
func (c RMSNormGradConfig) Name(d RMSNormDesc) string {
	return fmt.Sprintf("rmsnorm_grad_d%d_r%d_g%d_p%d", d.Dim, c.PerRow, c.Groups, c.Partials)
}

// SumName is the entry of the second kernel.
func (c RMSNormGradConfig) SumName(d RMSNormDesc) string {
	return fmt.Sprintf("rmsnorm_grad_sum_d%d_p%d", d.Dim, c.Partials)
}

// sumColumns and sumParts shape a block of the second kernel: so many columns, and the partials dealt to so many threads.
const sumColumns, sumParts = 32, 8

// SumGrid is the grid of the second kernel.
func (c RMSNormGradConfig) SumGrid(d RMSNormDesc) int { return (d.Dim + sumColumns - 1) / sumColumns }

// RMSNormGradConfigs returns the candidates for a row, the preferred first, and why others are none.
func RMSNormGradConfigs(d RMSNormDesc) (out []RMSNormGradConfig, rejected []string) {
	if d.Dim%8 != 0 || d.Dim <= 0 {
		return nil, []string{fmt.Sprintf("rows of %d elements: 16-byte accesses need a multiple of 8", d.Dim)}
	}
	for _, perRow := range []int{4, 2, 1, 8} {
		c := RMSNormGradConfig{PerRow: perRow, Groups: 16 / perRow, Partials: 132}
		switch v := vectors(d.Dim, perRow); {
		case v > 3: // 8 sums, 4 words each of x, dy, the next row's x and dy, and w for every piece, of 128 registers
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
func RMSNormGradFloor(d RMSNormDesc, rows int) Floor {
	return Floor{Bytes: int64(6*rows*d.Dim + 4*d.Dim + 4*rows)}
}

// EmitRMSNormGrad writes both kernels. The first has parameters dy, x, w, rstd, dx, partial [Partials·D float32] and the
// number of rows; the second partial and dw.
func EmitRMSNormGrad(m *ptx.Module, d RMSNormDesc, c RMSNormGradConfig) {
	k := m.Kernel(c.Name(d), 32*c.PerRow*c.Groups)
	e := &rmsNormGrad{k: k, d: d, c: c}
	dy, x, w, rstd := k.ParamPtr("dy"), k.ParamPtr("x"), k.ParamPtr("w"), k.ParamPtr("rstd")
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
		e.walk(k.Mad(part, c.Groups, e.g.index), rows, dy, x, rstd, dx)
		e.writePartial(sums, k.Add(partial, k.MulWide(part, 4*d.Dim)))
	})
	k.LaunchDependents()
	k.Exit()
	emitRMSNormGradSum(m, d, c)
}

type rmsNormGrad struct {
	k  *ptx.Kernel
	d  RMSNormDesc
	c  RMSNormGradConfig
	g  *rowGroup
	ws [][]ptx.Reg
	dw [][]ptx.Reg // float32, 8 a piece
}

// walk goes over the group's rows, every Partials·Groups-th from first. The next row is on its way while one is
// computed.
func (e *rmsNormGrad) walk(first, rows, dy, x, rstd, dx ptx.Reg) {
	k, step := e.k, e.c.Partials*e.c.Groups
	xs, dys, r := e.g.registers(), e.g.registers(), k.Var(ptx.F32, "rstd", 0)
	nextX, nextDY, nextR := e.g.registers(), e.g.registers(), k.Var(ptx.F32, "rstd_next", 0)
	fetch := func(row, where ptx.Reg, xs, dys [][]ptx.Reg, r ptx.Reg) {
		at := k.MulWide(row, 2*e.d.Dim)
		e.g.loadIf(ptx.Stream, k.Add(x, at), where, xs)
		e.g.loadIf(ptx.Stream, k.Add(dy, at), where, dys)
		k.When(where).To(r).Ld(ptx.Global, ptx.F32, k.Add(rstd, k.MulWide(row, 4)).At(0))
	}
	fetch(first, k.Lt(first, rows), xs, dys, r)
	side := k.Var(ptx.U32, "side", 0) // of the scratch, so that one barrier a row is enough
	k.For("row", first, rows, step, func(row ptx.Reg) {
		next := k.Add(row, step)
		fetch(next, k.Lt(next, rows), nextX, nextDY, nextR)
		e.row(xs, dys, r, side, k.Add(dx, k.MulWide(row, 2*e.d.Dim)))
		for i := range xs {
			for j := range xs[i] {
				k.Assign(xs[i][j], nextX[i][j])
				k.Assign(dys[i][j], nextDY[i][j])
			}
		}
		k.Assign(r, nextR)
		k.To(side).Xor(side, 4*e.c.PerRow*e.c.Groups)
	})
}

// row computes a row of dx and adds to dw.
func (e *rmsNormGrad) row(xs, dys [][]ptx.Reg, r, side, out ptx.Reg) {
	k := e.k
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
		v := k.Mul(r, k.Fma(n, c, k.Mul(w, dy)))
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

// emitRMSNormGradSum writes the second kernel: thread (part, column) adds every sumParts-th partial sum, then the first
// thread of a column the parts.
func emitRMSNormGradSum(m *ptx.Module, d RMSNormDesc, c RMSNormGradConfig) {
	k := m.Kernel(c.SumName(d), sumColumns*sumParts)
	partial, dw := k.ParamPtr("partial"), k.ParamPtr("dw")
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
		k.St(ptx.Global, k.Add(dw, k.MulWide(column, 2)).At(0), k.Convert(ptx.BF16, sum))
	})
	k.LaunchDependents()
	k.Exit()
}

var rmsNormGradFamily = Family{Name: "rmsnorm_grad", Cases: func() []Case {
	return []Case{
		rmsNormGradCase(70, 256, RMSNormGradConfig{PerRow: 1, Groups: 2, Partials: 9}),
		rmsNormGradCase(1, 8, RMSNormGradConfig{PerRow: 1, Groups: 4, Partials: 3}), // groups without a row
		rmsNormGradCase(23, 1000, RMSNormGradConfig{PerRow: 2, Groups: 2, Partials: 4}),
		rmsNormGradCase(40, 2048, RMSNormGradConfig{PerRow: 4, Groups: 4, Partials: 4}),
		large(rmsNormGradCase(4096, 2048, RMSNormGradConfig{PerRow: 4, Groups: 4, Partials: 132})),
		large(rmsNormGradCase(32768, 2048, RMSNormGradConfig{PerRow: 4, Groups: 4, Partials: 132})),
	}
}}

func rmsNormGradCase(rows, dim int, c RMSNormGradConfig) Case {
	d := RMSNormDesc{Dim: dim, Eps: 1e-6}
	x, w, dy := normal(3, 1), normal(4, 1), normal(5, 1)
	rstd := rowCache(func(t int) float64 { return rstdOf(x, t, d) })
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
	return Case{
		Name: fmt.Sprintf("%dx%d_r%d_g%d_p%d", rows, dim, c.PerRow, c.Groups, c.Partials),
		Emit: func(m *ptx.Module) { EmitRMSNormGrad(m, d, c) },
		Buffers: []Buffer{{"dy", ptx.BF16, rows * dim, dy}, {"x", ptx.BF16, rows * dim, x}, {"w", ptx.BF16, dim, w},
			{"rstd", ptx.F32, rows, given},
			{"dx", ptx.BF16, rows * dim, nil}, {"partial", ptx.F32, c.Partials * dim, nil}, {"dw", ptx.BF16, dim, nil}},
		Launches: []Launch{
			{Entry: c.Name(d), Grid: c.Partials, Persistent: true,
				Args: []Arg{Place("dy"), Place("x"), Place("w"), Place("rstd"), Place("dx"), Place("partial"), U32(rows)}},
			{Entry: c.SumName(d), Grid: c.SumGrid(d), Dependent: true, Args: []Arg{Place("partial"), Place("dw")}},
		},
		Outputs: []Output{
			{Buffer: "dx", Row: dim, Rel: 1.01 * 0x1p-8, Acc: 0x1p-22, Why: "one rounding to bf16; float32's of four factors and of the additions behind the mean",
				Want: func(i int) (float64, float64, bool) {
					t := i / dim
					n, c := x(i)*given(t), mean(t)
					wdy := w(i%dim) * dy(i)
					return given(t) * (wdy - n*c[0]), given(t) * (max(wdy, -wdy) + max(n, -n)*c[1]*chain), true
				}},
			{Buffer: "dw", Rel: 1.01 * 0x1p-8, Acc: 0x1p-23 + float64(rows/(c.Partials*c.Groups)+c.Groups+c.Partials/sumParts+sumParts+2)*0x1p-24,
				Why: "one rounding to bf16; a chain of float32 additions, 2^-24 of the magnitude each",
				Want: func(i int) (value, magnitude float64, ok bool) {
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
