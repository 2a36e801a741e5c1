package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Gradient of a bias: db[n] = Σ_t dy[t, n] (+ db[n]) in float32, with one rounding to bf16, also of what is added where a
// gradient accumulates.
//
// 2·(T·N + N) bytes, 2·N more where it accumulates. A block has a strip of 64 columns: eight neighbouring threads read a
// row's 128 bytes of it, as many rows at a time as there are such threads, and the sums of the threads are added in the
// order of lanes and warps. Every row is read once; N/64 blocks keep the memory of an H100 busy from about 8000 columns
// on, at fewer it is a kernel of a few microseconds.

const (
	biasThreads = 512
	biasColumns = 64
	biasRows    = biasThreads / (biasColumns / 8) // at a time
	biasAhead   = 4                               // loads a thread has under way
)

// biasName is the kernel's entry.
func biasName(accumulate bool) string {
	if accumulate {
		return "bias_grad" + Accumulate.String()
	}
	return "bias_grad"
}

// emitBiasGrad writes the kernel: parameters are dy, rows, columns and db, and the step record if it accumulates.
func emitBiasGrad(m *ptx.Module, accumulate bool) {
	k := m.Kernel(biasName(accumulate), biasThreads)
	dy, rows, cols, db := k.ParamPtr("dy"), k.ParamU32("rows"), k.ParamU32("cols"), k.ParamPtr("db")
	var record ptx.Reg
	if accumulate {
		record = k.ParamPtr("record")
	}
	scratch := k.SharedBytes(biasThreads/32*biasColumns*4, 16)
	k.WaitPrerequisites()
	tid := k.Read(ptx.TidX)
	strip := k.Mul(k.Read(ptx.CtaIDX), biasColumns)
	col, row := k.Add(strip, k.Shl(k.And(tid, 7), 3)), k.Shr(tid, 3)
	sums := k.DeclareArray(ptx.F32, "sum", 8)
	for _, s := range sums {
		k.Assign(s, 0)
	}
	pieces := make([][]ptx.Reg, biasAhead)
	for i := range pieces {
		pieces[i] = k.DeclareArray(ptx.B32, "piece", 4)
	}
	inside := k.Lt(col, cols)
	pitch := k.Shl(cols, 1)
	strips := k.Add(dy, k.MulWide(col, 2))
	k.For("first", 0, rows, biasRows*biasAhead, func(first ptx.Reg) {
		for i, piece := range pieces {
			for _, word := range piece {
				k.Assign(word, 0)
			}
			r := k.Add(k.Add(first, row), i*biasRows)
			at := k.Assume(k.MadWide(r, pitch, strips), 16, "rows are multiples of 16 bytes")
			k.When(k.And(inside, k.Lt(r, rows))).LdInto(ptx.Stream, piece, at.At(0))
		}
		for _, piece := range pieces {
			for i, word := range piece {
				low, high := k.UnpackBF16(word)
				k.To(sums[2*i]).Add(sums[2*i], low)
				k.To(sums[2*i+1]).Add(sums[2*i+1], high)
			}
		}
	})

	k.Comment("the four rows of a warp, then the warps")
	total := make([]ptx.Reg, len(sums))
	for i, s := range sums {
		s = k.Add(s, k.ShflXor(s, 8))
		total[i] = k.Add(s, k.ShflXor(s, 16))
	}
	lane := k.And(tid, 31)
	k.If(k.Lt(lane, 8), func() {
		at := k.Add(k.Add(k.Lea(scratch), k.Mul(k.Shr(tid, 5), 4*biasColumns)), k.Shl(lane, 5))
		k.St(ptx.Shared, at.At(0), total[:4]...)
		k.St(ptx.Shared, at.At(16), total[4:]...)
	})
	k.Sync()
	mine := k.Add(strip, k.Shl(tid, 1)) // two columns a thread
	k.If(k.And(k.Lt(tid, biasColumns/2), k.Lt(mine, cols)), func() {
		from := k.Add(k.Lea(scratch), k.Shl(tid, 3))
		x, y := k.Const(ptx.F32, 0), k.Const(ptx.F32, 0)
		for w := range biasThreads / 32 {
			v := k.LdVec(ptx.Shared, ptx.F32, 2, from.At(4*biasColumns*w))
			x, y = k.Add(x, v[0]), k.Add(y, v[1])
		}
		to := k.Add(db, k.MulWide(mine, 2))
		if accumulate {
			before := k.Var(ptx.B32, "before", 0)
			k.When(accumulates(k, record)).To(before).Ld(ptx.Global, ptx.B32, to.At(0))
			low, high := k.UnpackBF16(before)
			x, y = k.Add(x, low), k.Add(y, high)
		}
		k.St(ptx.Global, to.At(0), k.PackBF16(x, y))
	})
	k.LaunchDependents()
	k.Exit()
}

// biasGradStep is the launch for dy [rows, cols], cols a multiple of 8. record is left out, a zero Arg, where nothing is
// added.
func biasGradStep(rows, cols int, dy, db, record Arg) Step {
	accumulate := record.Buffer != ""
	args := []Arg{dy, U32(rows), U32(cols), db}
	if accumulate {
		args = append(args, record)
	}
	return Step{Launch{Entry: biasName(accumulate), Grid: ceil(cols, biasColumns), Dependent: true, Args: args},
		func(m *ptx.Module) { emitBiasGrad(m, accumulate) }}
}

var biasGrad = &Kernel{
	Name: "bias_grad", Op: "bias_grad",
	Shares: [][2]int{{0, 1}},
	Covers: func(n *ir.Node) bool { return n.Out[0].Type.DType == ir.BF16 && n.Out[0].Type.Dim(0)%8 == 0 },
	Steps: func(l *ir.Launch) []Step {
		var record Arg
		if l.In[1] != nil {
			record = Place(In(2))
		}
		dy := l.In[0].Type
		return []Step{biasGradStep(dy.Dim(0), dy.Dim(1), Place(In(0)), Place(Out(0)), record)}
	},
}

var biasGradFamily = Family{Name: "bias_grad", Cases: func() []Case {
	return []Case{
		biasGradCase(300, 72, nil),
		biasGradCase(1, 8, nil),
		biasGradCase(64, 136, &[]float64{0}[0]),
		biasGradCase(257, 64, &[]float64{1}[0]),
		large(biasGradCase(4096, 5120, &[]float64{1}[0])),
	}
}}

// biasGradCase accumulates where the step record holds a number, which is flag.
func biasGradCase(rows, cols int, flag *float64) Case {
	dy, before := normal(41, 1), normal(42, 3)
	name, db, record := fmt.Sprintf("%dx%d", rows, cols), Buffer{"db", ptx.BF16, cols, nil}, Arg{}
	buffers := []Buffer{{"dy", ptx.BF16, rows * cols, dy}}
	bytes := 2 * int64(rows*cols+cols)
	if flag != nil {
		name += fmt.Sprintf("_acc%g", *flag)
		db.At, record = before, Place("record")
		buffers = append(buffers, Buffer{"record", ptx.F32, ir.RecordLen, func(i int) float64 {
			if i == ir.RecordAccumulate {
				return *flag
			}
			return 1
		}})
		bytes += 2 * int64(cols)
	}
	step := biasGradStep(rows, cols, Place("dy"), Place("db"), record)
	return Case{
		Name: name, Emit: step.Emit, Buffers: append(buffers, db), Launches: []Launch{step.Launch},
		Outputs: []Output{{Buffer: "db", Rel: bf16Rel, Acc: 0x1p-24 * float64(ceil(rows, biasRows)+biasThreads/32+4),
			Why: "a rounding to bf16 (2^-8), and one of 2^-24 for every number that a thread adds up and for every sum added to another",
			Want: func(i int) (value, magnitude float64, ok bool) {
				for t := range rows {
					value += dy(t*cols + i)
					magnitude += math.Abs(dy(t*cols + i))
				}
				if flag != nil && *flag != 0 {
					value += before(i)
					magnitude += math.Abs(before(i))
				}
				return value, magnitude, true
			}}},
		Floor: Floor{Bytes: bytes},
	}
}
