package gpu

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"moegen/kernels/ptx"
)

// RMSNorm forward:
//
//	rstd_T = 1/sqrt(mean_D(x²) + eps)     y_TD = bf16(w_D · bf16(x_TD · rstd_T))
//
// in float32 from bf16 x and w, with Transformers' two roundings (Qwen3MoeRMSNorm). Every byte moves once, 2·T·D in and
// 2·T·D out: memory decides, and the kernel is a stream. A row is held in registers by one or more warps, 16 bytes a
// lane and load; its sum of squares goes over the lanes by exchange, over warps through shared memory, always in one
// order. Every row asks for w as well, 2·D bytes that stay in the first-level cache: the simulator, which counts what is asked for,
// shows 1.5 times the floor, of which a third never leaves the multiprocessor.
//
// What a small grid loses is the time in which memory has nothing to do: while it starts and while it ends. So blocks let
// the next launch in as soon as they have waited for the one in front, and w, which no operation writes, is on its way
// before that (behind the wait ptxas would load it after the sum). Plain loads are the quickest: hints to fetch 256 bytes or
// to pass by the first-level cache cost 3 %.

// RMSNormDesc is what is asked: the width of a row. The number of rows and eps are arguments.
type RMSNormDesc struct {
	Dim int // D
}

// RMSNormConfig fixes one kernel.
type RMSNormConfig struct {
	Warps  int // of a block
	PerRow int // warps that share a row
}

// Name is the kernel's entry.
func (c RMSNormConfig) Name(d RMSNormDesc) string {
	return fmt.Sprintf("rmsnorm_d%d_w%d_r%d", d.Dim, c.Warps, c.PerRow)
}

// Rows returns the rows of a block.
func (c RMSNormConfig) Rows() int { return c.Warps / c.PerRow }

// vectors returns the 16-byte loads of a lane.
func vectors(dim, perRow int) int { return (dim/8 + 32*perRow - 1) / (32 * perRow) }

// RMSNormConfigs returns the candidates for a row, the preferred first, and why others are none.
func RMSNormConfigs(d RMSNormDesc) (out []RMSNormConfig, rejected []string) {
	if d.Dim%8 != 0 || d.Dim <= 0 {
		return nil, []string{fmt.Sprintf("rows of %d elements: 16-byte accesses need a multiple of 8", d.Dim)}
	}
	few := 0 // candidates of up to four loads a lane, fewest warps first: at D = 2048 two warps beat one by 5 %, four by 20 %
	for _, perRow := range []int{1, 2, 4, 8} {
		c := RMSNormConfig{Warps: max(4, perRow), PerRow: perRow}
		switch v := vectors(d.Dim, perRow); {
		case v > 8:
			rejected = append(rejected, fmt.Sprintf("%s: %d loads a lane are more than 64 registers of a row", c.Name(d), v))
		case perRow > 1 && v < 2:
			rejected = append(rejected, fmt.Sprintf("%s: less than two loads a lane hide no latency", c.Name(d)))
		case v > 4:
			out = append(out, c)
		default:
			out = slices.Insert(out, few, c)
			few++
		}
	}
	return out, rejected
}

// RMSNormFloor is what T rows move.
func RMSNormFloor(d RMSNormDesc, rows int) Floor {
	return Floor{Bytes: int64(4*rows*d.Dim + 2*d.Dim + 4*rows)}
}

// EmitRMSNorm writes the kernel: parameters x, w, y, rstd, the number of rows and eps; a block for every Rows rows. The
// launch in front must not write w.
func EmitRMSNorm(m *ptx.Module, d RMSNormDesc, c RMSNormConfig) {
	k := m.Kernel(c.Name(d), 32*c.Warps)
	k.NoSpills()
	x, w, y, rstd := k.ParamPtr("x"), k.ParamPtr("w"), k.ParamPtr("y"), k.ParamPtr("rstd")
	rows, eps := k.ParamU32("rows"), k.ParamF32("eps")
	g := newRowGroup(k, d.Dim, c.Warps, c.PerRow)
	ws := g.load(ptx.Global, w)
	k.WaitPrerequisites()
	k.LaunchDependents()
	k.Comment("row of this group of warps; rows past the end are nobody's")
	row := k.Mad(k.Read(ptx.CtaIDX), c.Rows(), g.index)
	k.If(k.Lt(row, rows), func() {
		at := k.MulWide(row, 2*d.Dim)
		xs := g.load(ptx.Global, k.Add(x, at))
		k.Comment("rstd = 1/sqrt(mean(x^2) + eps)")
		sum := k.Const(ptx.F32, 0)
		for _, v := range xs {
			for _, pair := range v {
				lo, hi := k.UnpackBF16(pair)
				sum = k.Fma(hi, hi, k.Fma(lo, lo, sum))
			}
		}
		sum = g.sum(sum, g.scratch)
		r := k.RsqrtApprox(k.Fma(sum, 1/float64(d.Dim), eps))
		k.When(k.Eq(g.thread, 0)).St(ptx.Global, k.Add(rstd, k.MulWide(row, 4)).At(0), r)
		k.Comment("y = bf16(w * bf16(x * rstd))")
		out := k.Add(y, at)
		for i, v := range xs {
			ys := make([]ptx.Reg, len(v))
			for j, pair := range v {
				lo, hi := k.UnpackBF16(pair)
				ys[j] = k.Mul(ws[i][j].As(ptx.BF16x2), k.PackBF16(k.Mul(lo, r), k.Mul(hi, r)))
			}
			g.store(out, i, ys)
		}
	})
	k.Exit()
}

// launch is the launch over so many rows.
func (c RMSNormConfig) launch(d RMSNormDesc, rows int, x, w, y, rstd, eps Arg) Launch {
	return Launch{Entry: c.Name(d), Grid: ceil(rows, c.Rows()), Dependent: true, Args: []Arg{x, w, y, rstd, U32(rows), eps}}
}

// rowGroup is a group of warps that share rows: thread i of it holds the 16-byte pieces i, i + threads, ... of a row.
type rowGroup struct {
	k       *ptx.Kernel
	dim     int
	perRow  int     // warps
	index   ptx.Reg // of the group in the block
	thread  ptx.Reg // in the group
	offset  ptx.Reg // bytes of the thread's first piece in a row
	tail    ptx.Reg // whether the thread has a piece in the last round; none: all have
	scratch ptx.Addr
}

func newRowGroup(k *ptx.Kernel, dim, warps, perRow int) *rowGroup {
	g := &rowGroup{k: k, dim: dim, perRow: perRow}
	tid := k.Read(ptx.TidX)
	if perRow > 1 {
		g.scratch = k.SharedBytes(2*4*warps, 16)
	}
	g.index = k.Div(tid, 32*perRow)
	g.thread = k.Rem(tid, 32*perRow)
	g.offset = k.MulWide(g.thread, 16)
	if rest := dim / 8 % (32 * perRow); rest != 0 {
		g.tail = k.Lt(g.thread, rest)
	}
	return g
}

// load reads the thread's pieces of a row, four registers of two bf16 each; pieces that do not exist are zero.
func (g *rowGroup) load(a ptx.Access, row ptx.Reg) [][]ptx.Reg {
	return g.loadIf(a, row, ptx.Reg{}, nil)
}

// loadIf is load into registers that exist, where the predicate holds.
func (g *rowGroup) loadIf(a ptx.Access, row, where ptx.Reg, into [][]ptx.Reg) [][]ptx.Reg {
	k := g.k
	at := k.Add(row, g.offset)
	n := vectors(g.dim, g.perRow)
	if into == nil {
		into = g.registers()
	}
	for i := range n {
		guard := where
		if i == n-1 && g.tail.Type() != 0 {
			guard = g.tail
			if where.Type() != 0 {
				guard = k.And(where, g.tail)
			}
		}
		access := k
		if guard.Type() != 0 {
			access = k.When(guard)
		}
		access.LdInto(a, into[i], at.At(512*g.perRow*i))
	}
	return into
}

// registers returns registers for the thread's pieces of a row, zero where a piece may be missing.
func (g *rowGroup) registers() [][]ptx.Reg {
	out := make([][]ptx.Reg, vectors(g.dim, g.perRow))
	for i := range out {
		out[i] = g.k.DeclareArray(ptx.B32, "piece", 4)
		if i == len(out)-1 && g.tail.Type() != 0 {
			for _, r := range out[i] {
				g.k.Assign(r, 0)
			}
		}
	}
	return out
}

// store writes piece i of a row.
func (g *rowGroup) store(row ptx.Reg, i int, v []ptx.Reg) {
	k := g.k
	if i == vectors(g.dim, g.perRow)-1 && g.tail.Type() != 0 {
		k = k.When(g.tail)
	}
	k.St(ptx.Global, g.k.Add(row, g.offset).At(512*g.perRow*i), v...)
}

// sum adds v over the threads of the group: over lanes by exchange, then warp after warp through scratch, 4 bytes a
// warp of the block, which nobody may use again before a barrier of the group.
func (g *rowGroup) sum(v ptx.Reg, scratch ptx.Addr) ptx.Reg {
	k := g.k
	v = k.SumLanes(v, 32)
	if g.perRow == 1 {
		return v
	}
	mine := k.Add(k.Lea(scratch), k.Mul(g.index, 4*g.perRow))
	k.When(k.Eq(k.Read(ptx.LaneID), 0)).St(ptx.Shared, k.Add(mine, k.Shl(k.Shr(g.thread, 5), 2)).At(0), v)
	k.SyncNamed(k.Add(g.index, 1), 32*g.perRow)
	v = k.Const(ptx.F32, 0)
	for i := range g.perRow {
		v = k.Add(v, k.Ld(ptx.Shared, ptx.F32, mine.At(4*i)))
	}
	return v
}

var rmsNorm = Family{Name: "rmsnorm", Cases: func() []Case {
	best := func(rows, dim int) Case {
		configs, _ := RMSNormConfigs(RMSNormDesc{dim})
		return rmsNormCase(rows, dim, configs[0])
	}
	return []Case{
		best(5, 2048),
		rmsNormCase(3, 2048, RMSNormConfig{4, 1}),
		rmsNormCase(1, 8, RMSNormConfig{4, 1}),    // one row of one piece
		rmsNormCase(7, 1000, RMSNormConfig{4, 2}), // lanes without a last piece; a half-empty block
		rmsNormCase(3, 4096, RMSNormConfig{8, 4}),
		rmsNormTwice(7, 264, RMSNormConfig{4, 1}),
		large(best(4096, 2048)),
		large(best(32768, 2048)),
	}
}}

func large(c Case) Case {
	c.Large = true
	return c
}

func rmsNormCase(rows, dim int, c RMSNormConfig) Case {
	d := RMSNormDesc{Dim: dim}
	x, w := normal(1, 1), normal(2, 1)
	rstd := rowCache(func(t int) float64 { return rstdOf(x, t, dim, rmsNormEps) })
	return Case{
		Name: fmt.Sprintf("%dx%d_w%d_r%d", rows, dim, c.Warps, c.PerRow),
		Emit: func(m *ptx.Module) { EmitRMSNorm(m, d, c) },
		Buffers: []Buffer{{"x", ptx.BF16, rows * dim, x}, {"w", ptx.BF16, dim, w},
			{"y", ptx.BF16, rows * dim, nil}, {"rstd", ptx.F32, rows, nil}},
		Launches: []Launch{c.launch(d, rows, Place("x"), Place("w"), Place("y"), Place("rstd"), F32(rmsNormEps))},
		Outputs: []Output{
			{Buffer: "y", Row: dim, Rel: 1.01 * 0x1p-7, Why: "two roundings to bf16, 2^-8 each; float32's are 2^-14 of that",
				Want: func(i int) (float64, float64, bool) { return w(i%dim) * x(i) * rstd(i/dim), 0, true }},
			{Buffer: "rstd", Rel: rstdRel(dim), Why: "rsqrt.approx 2^-22.9, half the relative error of a sum of D squares, each addition 2^-24",
				Want: func(i int) (float64, float64, bool) { return rstd(i), 0, true }},
		},
		Floor: RMSNormFloor(d, rows),
	}
}

// rmsNormTwice normalises what a launch has normalised that has not ended when the second begins.
func rmsNormTwice(rows, dim int, c RMSNormConfig) Case {
	out := rmsNormCase(rows, dim, c)
	d, x, w, again := RMSNormDesc{dim}, normal(1, 1), normal(2, 1), Place("again")
	first := rowCache(func(t int) float64 { return rstdOf(x, t, dim, rmsNormEps) })
	middle := func(i int) float64 { return w(i%dim) * x(i) * first(i/dim) }
	second := rowCache(func(t int) float64 { return rstdOf(middle, t, dim, rmsNormEps) })
	out.Name += "_twice"
	out.Buffers = append(out.Buffers, Buffer{again.Buffer, ptx.BF16, rows * dim, nil})
	out.Launches = append(out.Launches, c.launch(d, rows, Place("y"), Place("w"), again, Place("rstd"), F32(rmsNormEps)))
	out.Outputs = []Output{{Buffer: again.Buffer, Row: dim, Rel: 3.03 * 0x1p-7, Why: "two roundings to bf16 each time, and those of the first time in the second rstd",
		Want: func(i int) (float64, float64, bool) { return w(i%dim) * middle(i) * second(i/dim), 0, true }}}
	return out
}

// rstdRel bounds the relative error of rstd: the squares of a row are added along a chain of at most dim terms.
func rstdRel(dim int) float64 { return 0x1p-22 + float64(dim)/2*0x1p-24 }

// rmsNormEps is the eps of cases.
const rmsNormEps = 1e-6

func rstdOf(x func(int) float64, row, dim int, eps float64) float64 {
	sum := 0.0
	for i := range dim {
		v := x(row*dim + i)
		sum += v * v
	}
	return 1 / math.Sqrt(sum/float64(dim)+eps)
}

// rowCache remembers values of a function of rows: elements are asked for row by row, by several goroutines.
func rowCache[T any](f func(row int) T) func(row int) T {
	type entry struct {
		row   int
		value T
	}
	var slots [64]atomic.Pointer[entry]
	return func(row int) T {
		slot := &slots[row%len(slots)]
		e := slot.Load()
		if e == nil || e.row != row {
			e = &entry{row, f(row)}
			slot.Store(e)
		}
		return e.value
	}
}
