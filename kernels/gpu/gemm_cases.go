package gpu

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"moegen/ir"
	"moegen/kernels/ptx"
)

func sortByCost[T any](list []T, cost func(T) int64) {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(cost(a), cost(b)) })
}

// gemmDefault is the Config of a large product.
var gemmDefault = GEMMConfig{BlockM: 128, BlockN: 256, Stages: 4, Cluster: 2, Group: 8, Keep: 1, Split: 1}

// gemmSmall is a Config whose tile the simulator runs quickly.
var gemmSmall = GEMMConfig{BlockM: 128, BlockN: 64, Stages: 3, Cluster: 1, Group: 2, Keep: 1, Split: 1}

var gemm = Family{Name: "gemm", Cases: func() []Case {
	one := gemmDefault
	one.Cluster = 1
	waits := gemmSmall
	waits.Keep, waits.Stages = 0, 2
	tall := GEMMConfig{BlockM: 256, BlockN: 128, Stages: 3, Cluster: 2, Group: 4, Keep: 1, Split: 1}
	split := gemmSmall
	split.Split = 2
	pairs := gemmDefault
	pairs.BlockN, pairs.Split = 128, 3
	cases := []Case{gemmCase(dense(NT, 128, 256, 128), one)}
	for _, f := range []Form{NT, NN, TN} {
		cases = append(cases,
			gemmCase(dense(f, 136, 200, 200), gemmSmall), // ragged along all three, several tiles a block
			gemmCase(dense(f, 264, 272, 72), gemmDefault),
			gemmCase(dense(f, 8, 8, 8), waits),
			gemmCase(dense(f, 520, 136, 136), tall))
	}
	cases = append(cases,
		gemmCase(dense(NT, 257, 64, 64), gemmSmall), // rows need no alignment where K is contiguous
		gemmCase(dense(NT, 1500, 768, 128), split),  // 132 whole tiles, 12 split
		gemmCase(dense(TN, 264, 136, 328), pairs))   // all split in three
	cases = append(cases, addedCases(gemmSmall, tall, pairs)...)
	cases = append(cases,
		addedCase(GEMMDesc{Form: NT, M: 264, N: 272, K: 72, Bias: true, Add: Residual}, gemmDefault, true),
		addedCase(GEMMDesc{Form: TN, M: 264, N: 272, K: 72, Add: Accumulate}, gemmDefault, true))
	for _, c := range gemmBenchmarks {
		best, _ := GEMMConfigs(c)
		cases = append(cases, large(gemmCase(c, best[0])))
	}
	return cases
}}

// gemmBenchmarks are 8192³ and the linear layers of Qwen3-30B-A3B with 4096 tokens: QKV 2048 -> 5120, O 4096 -> 2048,
// router 2048 -> 128, output 2048 -> 151936; forward, input gradient, weight gradient.
var gemmBenchmarks = []GEMMDesc{
	dense(NT, 8192, 8192, 8192),
	dense(NT, 4096, 5120, 2048), dense(NN, 4096, 2048, 5120), dense(TN, 5120, 2048, 4096),
	dense(NT, 4096, 2048, 4096), dense(NN, 4096, 4096, 2048), dense(TN, 2048, 4096, 4096),
	dense(NT, 4096, 128, 2048), dense(NN, 4096, 2048, 128), dense(TN, 128, 2048, 4096),
	dense(NT, 4096, 151936, 2048), dense(NN, 4096, 2048, 151936), dense(TN, 151936, 2048, 4096),
}

// dense is a product to which nothing is added.
func dense(f Form, m, n, k int) GEMMDesc { return GEMMDesc{Form: f, M: m, N: n, K: k} }

func gemmCase(d GEMMDesc, c GEMMConfig) Case {
	a, b := normal(11, 1), normal(12, 1)
	// element (row, k) of an operand as it is stored
	at := func(f func(int) float64, rows int, major ptx.Major) func(row, k int) float64 {
		if major == ptx.KMajor {
			return func(row, k int) float64 { return f(row*d.K + k) }
		}
		return func(row, k int) float64 { return f(k*rows + row) }
	}
	majorA, majorB := d.Form.majors()
	atA, atB := at(a, d.M, majorA), at(b, d.N, majorB)
	p := product{GEMMDesc: d, a: Place("a"), b: Place("b"), c: Place("c"), work: Place(Work)}
	buffers := []Buffer{{"a", ptx.BF16, d.M * d.K, a}, {"b", ptx.BF16, d.N * d.K, b}, {"c", ptx.BF16, d.M * d.N, nil}}
	if _, bytes := c.workspace(d); bytes > 0 {
		buffers = append(buffers, Buffer{Work, ptx.F32, bytes / 4, nil})
	}
	out := Case{
		Name:    fmt.Sprintf("%dx%dx%d_%s", d.M, d.N, d.K, c.Name(d)),
		Buffers: buffers,
		Outputs: []Output{{Buffer: "c", Corners: func() []int { return corners(d.M, d.N, c.BlockM, c.BlockN) },
			Rel: bf16Rel, Acc: tensorCoreAcc(d.K), Why: productWhy,
			Want: func(i int) (value, magnitude float64, ok bool) {
				for k := range d.K {
					v := atA(i/d.N, k) * atB(i%d.N, k)
					value += v
					magnitude += math.Abs(v)
				}
				return value, magnitude, true
			}}},
		Floor: GEMMFloor(d),
	}
	out.run(p.stepsBy(c))
	return out
}

// run makes steps, whose kernels all differ, those of the case.
func (c *Case) run(steps []Step) {
	c.Launches = nil
	for _, s := range steps {
		c.Launches = append(c.Launches, s.Launch)
	}
	c.Emit = func(m *ptx.Module) {
		for _, s := range steps {
			s.Emit(m)
		}
	}
}

// addedCases are products with something added: a vector, a matrix, both, and what a gradient held before, where the step
// record says so.
func addedCases(configs ...GEMMConfig) (cases []Case) {
	for _, c := range configs {
		for _, d := range []GEMMDesc{
			{Form: NT, M: 201, N: 136, K: 200, Bias: true},
			{Form: NT, M: 201, N: 136, K: 200, Bias: true, Add: Residual},
			{Form: NN, M: 201, N: 136, K: 200, Add: Always},
			{Form: TN, M: 264, N: 200, K: 201, Add: Accumulate},
		} {
			cases = append(cases, addedCase(d, c, true))
			if d.Add == Accumulate {
				cases = append(cases, addedCase(d, c, false))
			}
		}
	}
	return cases
}

// addedProduct is a product of a case's buffers; a gradient is added where it is written.
func addedProduct(d GEMMDesc) product {
	p := product{GEMMDesc: d, a: Place("a"), b: Place("b"), c: Place("c"), bias: Place("bias"), addend: Place("addend"), record: Place("record"), work: Place(Work)}
	if d.Add == Accumulate {
		p.addend = p.c
	}
	return p
}

// addedCase adds to a product. The matrix is a buffer of its own, or what C holds before where it is accumulated; on says
// what the record says.
func addedCase(d GEMMDesc, c GEMMConfig, on bool) Case {
	out := gemmCase(d, c)
	bias, addend := normal(13, 3), normal(14, 3)
	p := addedProduct(d)
	if d.Bias {
		out.Buffers = append(out.Buffers, Buffer{"bias", ptx.BF16, d.N, bias})
	}
	switch d.Add {
	case Always, Residual:
		out.Buffers = append(out.Buffers, Buffer{"addend", ptx.BF16, d.M * d.N, addend})
	case Accumulate:
		out.Buffers[2].At = addend
		flag := 0.0
		if on {
			flag = 1
			out.Name += "_on"
		}
		out.Buffers = append(out.Buffers, Buffer{"record", ptx.F32, ir.RecordLen, func(i int) float64 {
			if i == ir.RecordAccumulate {
				return flag
			}
			return 0.5
		}})
	}
	out.run(p.stepsBy(c))
	plain, acc := out.Outputs[0].Want, &out.Outputs[0].Acc
	out.Outputs[0].Want = func(i int) (float64, float64, bool) {
		value, magnitude, ok := plain(i)
		if d.Bias {
			value += bias(i % d.N)
			magnitude += math.Abs(bias(i % d.N))
		}
		if d.Add == Residual {
			magnitude += math.Abs(value) * bf16Rel / *acc // the rounding before
		}
		if d.Add != Nothing && on {
			value += addend(i)
			magnitude += math.Abs(addend(i))
		}
		return value, magnitude, ok
	}
	return out
}

// corners lists the first and the last element of every tile of a row-major matrix.
func corners(m, n, blockM, blockN int) (list []int) {
	for row := 0; row < m; row += blockM {
		for col := 0; col < n; col += blockN {
			list = append(list, row*n+col, (min(row+blockM, m)-1)*n+min(col+blockN, n)-1)
		}
	}
	return list
}

// bf16Rel is a rounding to bf16, half a unit of 8 significant bits, of a value that is itself a little off.
const bf16Rel = 1.01 * 0x1p-8

// tensorCoreAcc bounds the error of a product of depth k as a share of Σ|a·b|. An instruction adds 16 products and the
// accumulator, each cut below 2^-25 of the largest, and cuts the sum to 24 bits: 17·2^-25 + 2^-23 of the largest
// magnitude, which is at most Σ|a·b|.
func tensorCoreAcc(k int) float64 { return float64(ceil(k, 16)) * (17*0x1p-25 + 0x1p-23) }

const productWhy = "a rounding to bf16 (2^-8) and, for every 16 along k, 17 cuts at 2^-25 and one at 2^-23 of the partial sum"
