package gpu

import (
	"fmt"
	"math"

	"moegen/kernels/ptx"
)

var groupedSwiGLUFamily = Family{Name: "grouped_swiglu", Cases: func() []Case {
	small := GroupedSwiGLUConfig{BlockM: 128, BlockN: 128, Stages: 3, Keep: 1}
	waits := GroupedSwiGLUConfig{BlockM: 128, BlockN: 128, Stages: 2, Keep: 0}
	wide := GroupedSwiGLUConfig{BlockM: 128, BlockN: 256, Stages: 4, Keep: 1, Lag: 1}
	tall := GroupedSwiGLUConfig{BlockM: 256, BlockN: 128, Stages: 3, Keep: 1}
	var cases []Case
	for _, kept := range []bool{true, false} {
		cases = append(cases,
			groupedSwiGLUCase("ragged", GroupedSwiGLUDesc{4, 72, 136, 2, kept}, small, []int{130, 0, 1, 17}),
			groupedSwiGLUCase("one", GroupedSwiGLUDesc{3, 64, 64, 0, kept}, small, []int{0, 1, 0}),
			groupedSwiGLUCase("all_to_one", GroupedSwiGLUDesc{3, 104, 72, 8, kept}, waits, []int{0, 0, 160}),
			groupedSwiGLUCase("none", GroupedSwiGLUDesc{2, 8, 8, 1, kept}, small, []int{0, 0}),
			groupedSwiGLUCase("wide", GroupedSwiGLUDesc{2, 136, 128, 1, kept}, wide, []int{64, 70}),
			groupedSwiGLUCase("tall", GroupedSwiGLUDesc{2, 72, 72, 0, kept}, tall, []int{270, 200}))
	}
	for _, d := range []GroupedSwiGLUDesc{{16, 768, 2048, 8, false}, {16, 768, 2048, 8, true}, {128, 768, 2048, 8, true}} {
		best, _ := GroupedSwiGLUConfigs(d, 32768)
		cases = append(cases, large(groupedSwiGLUCase("qwen3", d, best[0], evenRows(d.Experts, 32768/d.Experts))))
	}
	return cases
}}

// evenRows is as many rows for each expert.
func evenRows(experts, rows int) []int {
	out := make([]int, experts)
	for e := range out {
		out[e] = rows
	}
	return out
}

func groupedSwiGLUCase(name string, d GroupedSwiGLUDesc, c GroupedSwiGLUConfig, rowsOf []int) Case {
	r := drawRoute(rowsOf, d.TopK)
	x, w := r.rowsOf(21, d.K), normal(22, 2/math.Sqrt(float64(d.K)))
	x.Name = "x"
	// dot is an element of gu, and the sum of its terms' magnitudes.
	dot := func(row, n int) (value, magnitude float64) {
		for k := range d.K {
			v := x.At(r.row(row)*d.K+k) * w((r.expert[row]*2*d.Half+n)*d.K+k)
			value += v
			magnitude += math.Abs(v)
		}
		return value, magnitude
	}
	read, reached := r.used()
	p := groupedSwiGLU{d, r.rows, Place("x"), Place("offsets"), Place("pairs"), Place("w"), Place("gu"), Place("a")}
	out := Case{
		Name:     fmt.Sprintf("%s_%s", name, c.Name(d)),
		Emit:     func(m *ptx.Module) { EmitGroupedSwiGLU(m, d, c) },
		Buffers:  append(r.buffers(), x, Buffer{"w", ptx.BF16, d.Experts * 2 * d.Half * d.K, w}, Buffer{"a", ptx.BF16, r.rows * d.Half, nil}),
		Launches: []Launch{p.launch(c)},
		Outputs: []Output{{Buffer: "a", Rel: 1.01 * 0x1p-8, Acc: 1, Why: "one rounding to bf16; what the roundings of gate and up move",
			Want: func(i int) (value, magnitude float64, ok bool) {
				row, col := i/d.Half, i%d.Half
				if row >= r.there {
					return 0, 0, false
				}
				gate, gateSum := dot(row, col)
				up, upSum := dot(row, d.Half+col)
				value, magnitude = roundedSwiGLU(gate, up, bf16Rel*math.Abs(gate)+tensorCoreAcc(d.K)*gateSum, bf16Rel*math.Abs(up)+tensorCoreAcc(d.K)*upSum)
				return value, magnitude, true
			}}},
		Floor: GroupedSwiGLUFloor(d, r.there, read, reached),
	}
	if d.Kept {
		out.Buffers = append(out.Buffers, Buffer{"gu", ptx.BF16, r.rows * 2 * d.Half, nil})
		out.Outputs = append(out.Outputs, Output{Buffer: "gu", Rel: bf16Rel, Acc: tensorCoreAcc(d.K), Why: productWhy,
			Want: func(i int) (value, magnitude float64, ok bool) {
				if i/(2*d.Half) >= r.there {
					return 0, 0, false
				}
				value, magnitude = dot(i/(2*d.Half), i%(2*d.Half))
				return value, magnitude, true
			}})
	}
	return out
}

// roundedSwiGLU is silu(gate)·up, and how far it can be off where gate and up are off by so much: silu's slope is 1.1 at most.
func roundedSwiGLU(gate, up, gateOff, upOff float64) (value, off float64) {
	silu := gate / (1 + math.Exp(-gate))
	return silu * up, 1.1*gateOff*(math.Abs(up)+upOff) + math.Abs(silu)*upOff
}
