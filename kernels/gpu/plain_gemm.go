package gpu

import (
	"fmt"

	"moegen/kernels/ptx"
)

// Plain GEMM does what GEMM does for matrices that the copy engine cannot read, because their rows are no multiples of 16
// bytes: any sizes, any places, float32 multiply-adds in the order of k, tiles of 32 by 32 in shared memory. It is for odd
// vocabularies and small models, a hundred times slower than the tensor cores.

const (
	plainTile    = 32
	plainThreads = 256
	plainPitch   = plainTile + 1 // in shared memory, so that neither rows nor columns meet in a bank
)

// plainName is the kernel's entry.
func plainName(d GEMMDesc) string {
	name := fmt.Sprintf("plain_gemm_%s", d.Form)
	if d.Bias {
		name += "_bias"
	}
	return name + d.Add.String()
}

// plainStep is the launch of a product.
func (p product) plainStep() Step {
	args := append([]Arg{p.a, p.b, p.c, U32(p.M), U32(p.N), U32(p.K)}, p.added()...)
	return Step{Launch{Entry: plainName(p.GEMMDesc), Grid: ceil(p.M, plainTile) * ceil(p.N, plainTile), Dependent: true, Args: args, Floor: p.floor()},
		func(m *ptx.Module) { emitPlainGEMM(m, p.GEMMDesc) }}
}

// emitPlainGEMM writes the kernel: parameters are A, B, C, M, N and K, and the vector, the matrix and the step record that
// are added.
func emitPlainGEMM(m *ptx.Module, d GEMMDesc) {
	k := m.Kernel(plainName(d), plainThreads)
	a, b, c := k.ParamPtr("a"), k.ParamPtr("b"), k.ParamPtr("c")
	rows, cols, depth := k.ParamU32("m"), k.ParamU32("n"), k.ParamU32("k")
	adds := additions{k: k, d: d}
	adds.declare()
	const bytes = plainTile * plainPitch * 4
	tileA, tileB := k.SharedBytes(bytes, 16), k.SharedBytes(bytes, 16)
	k.WaitPrerequisites()
	tid, block := k.Read(ptx.TidX), k.Read(ptx.CtaIDX)
	inner, outer := k.And(tid, plainTile-1), k.Shr(tid, 5)
	tilesN := k.Shr(k.Add(cols, plainTile-1), 5)
	line := k.Div(block, tilesN)
	row0, col0 := k.Mul(line, plainTile), k.Mul(k.Sub(block, k.Mul(line, tilesN)), plainTile)
	const perThread = plainTile * plainTile / plainThreads
	sums := k.DeclareArray(ptx.F32, "sum", perThread)
	for _, s := range sums {
		k.Assign(s, 0)
	}
	majorA, majorB := d.Form.majors()
	k.For("slot", 0, depth, plainTile, func(k0 ptx.Reg) {
		plainLoad(k, a, tileA, majorA, row0, rows, k0, depth, inner, outer)
		plainLoad(k, b, tileB, majorB, col0, cols, k0, depth, inner, outer)
		k.Sync()
		fromA := k.Add(k.Lea(tileA), k.Mul(outer, 4*plainPitch))
		fromB := k.Add(k.Lea(tileB), k.Mul(inner, 4*plainPitch))
		for kk := range plainTile {
			y := k.Ld(ptx.Shared, ptx.F32, fromB.At(4*kk))
			for i, s := range sums {
				x := k.Ld(ptx.Shared, ptx.F32, fromA.At(4*(8*i*plainPitch+kk)))
				k.To(s).Fma(x, y, s)
			}
		}
		k.Sync()
	})
	col := k.Add(col0, inner)
	k.If(k.Lt(col, cols), func() {
		for i, s := range sums {
			row := k.Add(row0, k.Add(outer, 8*i))
			k.If(k.Lt(row, rows), func() {
				at := k.Add(k.MulWide(row, k.Shl(cols, 1)), k.MulWide(col, 2))
				if d.Bias {
					k.To(s).Add(s, k.Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, k.MadWide(col, 2, adds.bias).At(0))))
				}
				if d.Add == Residual {
					k.Assign(s, k.Convert(ptx.F32, k.Convert(ptx.BF16, s)))
				}
				if d.Add != Nothing {
					add := func() {
						k.To(s).Add(s, k.Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, k.Add(adds.matrix, at).At(0))))
					}
					if d.Add == Accumulate {
						k.If(accumulates(k, adds.record), add)
					} else {
						add()
					}
				}
				k.St(ptx.Global, k.Add(c, at).At(0), k.Convert(ptx.BF16, s))
			})
		}
	})
	k.LaunchDependents()
	k.Exit()
}

// plainLoad copies the tile of an operand at (first, k0) to shared memory as float32 [32][k], zeros outside. Neighbouring
// threads read neighbouring elements.
func plainLoad(k *ptx.Kernel, matrix ptx.Reg, to ptx.Addr, major ptx.Major, first, rows, k0, depth, inner, outer ptx.Reg) {
	for i := range plainTile * plainTile / plainThreads {
		row, kk := k.Add(outer, 8*i), inner
		pitch := depth
		if major == ptx.MNMajor {
			row, kk, pitch = inner, row, rows
		}
		r, c := k.Add(first, row), k.Add(k0, kk)
		there := k.And(k.Lt(r, rows), k.Lt(c, depth))
		if major == ptx.MNMajor {
			r, c = c, r
		}
		from := k.Add(k.MadWide(r, k.Shl(pitch, 1), matrix), k.MulWide(c, 2))
		x := k.Var(ptx.B16, "element", 0)
		k.When(there).To(x).Ld(ptx.Global, ptx.B16, from.At(0))
		at := k.Add(k.Lea(to), k.Shl(k.Mad(row, plainPitch, kk), 2))
		k.St(ptx.Shared, at.At(0), k.Convert(ptx.F32, x.As(ptx.BF16)))
	}
}

var plainGEMM = Family{Name: "plain_gemm", Cases: func() []Case {
	var cases []Case
	for _, f := range []Form{NT, NN, TN} {
		cases = append(cases, plainCase(GEMMDesc{Form: f, M: 37, N: 45, K: 67}, false), plainCase(GEMMDesc{Form: f, M: 1, N: 1, K: 1}, false))
	}
	return append(cases,
		plainCase(GEMMDesc{Form: NT, M: 70, N: 33, K: 20, Bias: true, Add: Residual}, true),
		plainCase(GEMMDesc{Form: TN, M: 9, N: 35, K: 40, Add: Accumulate}, true),
		plainCase(GEMMDesc{Form: TN, M: 9, N: 35, K: 40, Add: Accumulate}, false))
}}

func plainCase(d GEMMDesc, on bool) Case {
	out := addedCase(d, gemmSmall, on)
	out.Name = fmt.Sprintf("%dx%dx%d_%s", d.M, d.N, d.K, plainName(d))
	if d.Add == Accumulate && on {
		out.Name += "_on"
	}
	p := addedProduct(d)
	out.run([]Step{p.plainStep()})
	out.Outputs[0].Acc = 0x1p-24 * float64(d.K+2)
	out.Outputs[0].Why = "a rounding to bf16 (2^-8), and one of 2^-24 for each number that is added"
	return out
}
