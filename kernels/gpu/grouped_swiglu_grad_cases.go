package gpu

import (
	"fmt"
	"math"

	"moegen/kernels/ptx"
)

var groupedSwiGLUGradFamily = Family{Name: "grouped_swiglu_grad", Cases: func() []Case {
	small := GroupedSwiGLUGradConfig{BlockM: 128, BlockN: 64, Stages: 3, Keep: 1}
	waits := GroupedSwiGLUGradConfig{BlockM: 128, BlockN: 128, Stages: 2, Keep: 0}
	odd := GroupedSwiGLUGradConfig{BlockM: 128, BlockN: 192, Stages: 3, Keep: 1, Lag: 1}
	wide := GroupedSwiGLUGradConfig{BlockM: 128, BlockN: 256, Stages: 3, Keep: 1}
	cases := []Case{
		groupedSwiGLUGradCase("ragged", GroupedSwiGLUGradDesc{4, 136, 136, 2}, small, []int{130, 0, 1, 17}, false),
		groupedSwiGLUGradCase("one", GroupedSwiGLUGradDesc{3, 64, 64, 1}, small, []int{0, 1, 0}, false),
		groupedSwiGLUGradCase("all_to_one", GroupedSwiGLUGradDesc{3, 200, 72, 8}, waits, []int{0, 0, 160}, true),
		groupedSwiGLUGradCase("none", GroupedSwiGLUGradDesc{2, 8, 8, 1}, small, []int{0, 0}, false),
		groupedSwiGLUGradCase("odd", GroupedSwiGLUGradDesc{2, 400, 128, 4}, odd, []int{64, 70}, true),
		groupedSwiGLUGradCase("wide", GroupedSwiGLUGradDesc{2, 264, 72, 3}, wide, []int{129, 40}, true),
	}
	for _, experts := range []int{16, 128} {
		d := GroupedSwiGLUGradDesc{experts, 768, 2048, 8}
		cases = append(cases, large(groupedSwiGLUGradCase("qwen3", d, d.config(32768), evenRows(experts, 32768/experts), true)))
	}
	return cases
}}

// groupedSwiGLUGradCase has dgu in the place of gu or beside it. Every fifth choice has no row.
func groupedSwiGLUGradCase(name string, d GroupedSwiGLUGradDesc, c GroupedSwiGLUGradConfig, rowsOf []int, inPlace bool) Case {
	f, r := d.Half, drawRoute(rowsOf, d.TopK)
	choices := r.tokens * d.TopK
	dy, down, weights := r.rowsOf(61, d.K), normal(62, 1/math.Sqrt(float64(d.K))), normal(63, 0.5)
	dy.Name = "dy"
	normals := normal(64, 2)
	gu := func(i int) float64 { // NaN behind the last row
		if i >= r.there*2*f {
			return math.NaN()
		}
		return normals(i)
	}
	slots := make([]int, choices)
	for i := range slots {
		slots[i] = -1
		if i%5 != 3 && r.there > 0 {
			slots[i] = i * 7919 % r.there
		}
	}
	// dot is an element of da, and the sum of its terms' magnitudes.
	dot := func(row, col int) (value, magnitude float64) {
		for k := range d.K {
			v := dy.At(r.row(row)*d.K+k) * down((r.expert[row]*d.K+k)*f+col)
			value += v
			magnitude += math.Abs(v)
		}
		return value, magnitude
	}
	// at returns what belongs to an element of da: itself, how far its rounding may be off, the router's weight, gate, up and
	// sigmoid(gate).
	at := func(row, col int) (da, off, w, gate, up, s float64) {
		da, sum := dot(row, col)
		gate, up = gu(2*row*f+col), gu((2*row+1)*f+col)
		return da, bf16Rel*math.Abs(da) + tensorCoreAcc(d.K)*sum, weights(r.pair(row)), gate, up, 1 / (1 + math.Exp(-gate))
	}
	p := groupedSwiGLUGrad{d, r.rows, choices, Place("dy"), Place("offsets"), Place("pairs"), Place("slots"),
		Place("down"), Place("gu"), Place("w"), Place("dgu"), Place("aw"), Place("dw"), Place("sums")}
	buffers := append(r.buffers(), dy, Buffer{"down", ptx.BF16, d.Experts * d.K * f, down}, Buffer{"gu", ptx.BF16, r.rows * 2 * f, gu},
		Buffer{"w", ptx.F32, choices, weights}, Buffer{"slots", ptx.S32, choices, numbers(slots)},
		Buffer{"aw", ptx.BF16, r.rows * f, nil}, Buffer{"dw", ptx.F32, choices, nil}, Buffer{"sums", ptx.F32, r.rows * c.tiles(d), nil})
	if inPlace {
		p.dgu = p.gu
	} else {
		buffers = append(buffers, Buffer{"dgu", ptx.BF16, r.rows * 2 * f, nil})
	}
	read, reached := r.used()
	steps := p.steps(c, Floor{})
	return Case{
		Name:    fmt.Sprintf("%s_%s", name, c.Name(d)),
		Emit:    func(m *ptx.Module) { steps[0].Emit(m); steps[1].Emit(m) },
		Buffers: buffers, Launches: []Launch{steps[0].Launch, steps[1].Launch},
		Outputs: []Output{
			{Buffer: p.dgu.Buffer, Rel: 1.01 * 0x1p-8, Acc: 1, Why: "one rounding to bf16, and what da's rounding moves; float32's and the sigmoid's, of both terms where 1 + gate (1 - s) cancels",
				Want: func(i int) (float64, float64, bool) {
					row, col := i/(2*f), i%(2*f)
					if row >= r.there {
						return 0, 0, false
					}
					da, off, w, gate, up, s := at(row, col%f)
					if col < f {
						slope := s * (1 + gate*(1-s))
						return w * da * up * slope, math.Abs(w*up) * (math.Abs(slope)*off + 0x1p-20*math.Abs(da)), true
					}
					return w * da * gate * s, math.Abs(w*gate*s) * off, true
				}},
			{Buffer: "aw", Rel: 1.01 * 0x1p-8, Why: "one rounding to bf16; float32's and the sigmoid's are 2^-13 of that",
				Want: func(i int) (float64, float64, bool) {
					row, col := i/f, i%f
					if row >= r.there {
						return 0, 0, false
					}
					_, _, w, gate, up, s := at(row, col)
					return w * gate * s * up, 0, true
				}},
			{Buffer: "dw", Row: d.TopK, Acc: 1, Why: "what da's roundings move; a chain of float32 products and sums along a thread's columns, over threads and tiles; the sigmoid's 4 units",
				Want: func(i int) (value, magnitude float64, ok bool) {
					if slots[i] < 0 {
						return 0, 0, true
					}
					chain := float64(min(f, c.BlockN)/4+2+c.tiles(d)+8) * 0x1p-24
					for col := range f {
						da, off, _, gate, up, s := at(slots[i], col)
						value += da * gate * s * up
						magnitude += math.Abs(gate*s*up) * (off + chain*math.Abs(da))
					}
					return value, magnitude, true
				}},
		},
		Floor: GroupedSwiGLUGradFloor(d, r.there, read, reached, choices),
	}
}
