package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

var groupedWGrad = Family{Name: "grouped_wgrad", Cases: func() []Case {
	small := GroupedWGradConfig{BlockM: 128, BlockN: 64, Stages: 3, Keep: 1}
	waits := GroupedWGradConfig{BlockM: 128, BlockN: 192, Stages: 2, Keep: 0}
	wide := GroupedWGradConfig{BlockM: 128, BlockN: 256, Stages: 4, Keep: 1}
	tall := GroupedWGradConfig{BlockM: 256, BlockN: 128, Stages: 3, Keep: 1}
	whole := GroupedWGradConfig{BlockM: 128, BlockN: 192, Stages: 3, Keep: 1, Whole: true}
	wholeTall := GroupedWGradConfig{BlockM: 256, BlockN: 128, Stages: 3, Keep: 1, Whole: true}
	var cases []Case
	for _, topK := range [][2]int{{0, 2}, {2, 0}, {0, 0}, {2, 2}} {
		a, b := topK[0], topK[1]
		cases = append(cases,
			groupedWGradCase("ragged", GroupedWGradDesc{4, 136, 72, a, b, false}, small, []int{130, 0, 64, 1}, false),
			groupedWGradCase("all_to_one", GroupedWGradDesc{3, 64, 200, a, b, true}, waits, []int{0, 0, 160}, true))
	}
	cases = append(cases,
		groupedWGradCase("one", GroupedWGradDesc{3, 8, 8, 0, 1, false}, small, []int{0, 1, 0}, false),
		groupedWGradCase("none", GroupedWGradDesc{2, 72, 64, 0, 1, true}, small, []int{0, 0}, false),
		groupedWGradCase("none", GroupedWGradDesc{2, 72, 64, 2, 0, true}, small, []int{0, 0}, true),
		groupedWGradCase("wide", GroupedWGradDesc{2, 264, 264, 0, 2, true}, wide, []int{64, 70}, true),
		groupedWGradCase("whole", GroupedWGradDesc{2, 136, 264, 0, 2, false}, whole, []int{64, 70}, false),
		groupedWGradCase("whole", GroupedWGradDesc{2, 264, 136, 2, 0, true}, wholeTall, []int{70, 129}, true),
		groupedWGradCase("tall", GroupedWGradDesc{2, 264, 136, 2, 0, true}, tall, []int{3, 129}, false))
	// the experts of Qwen3-30B-A3B on one of eight ranks, up 2048 -> 2·768 and down, and all of them on one GPU
	for _, experts := range []int{16, 128} {
		for _, d := range []GroupedWGradDesc{{experts, 1536, 2048, 0, 8, false}, {experts, 2048, 768, 8, 0, false}, {experts, 2048, 768, 8, 0, true}} {
			best, _ := GroupedWGradConfigs(d, 32768)
			cases = append(cases, large(groupedWGradCase("qwen3", d, best[0], evenRows(experts, 32768/experts), d.Accumulate)))
		}
	}
	return cases
}}

// groupedWGradCase has so many rows for every expert. Where gradients accumulate, on is what the step record says.
func groupedWGradCase(name string, d GroupedWGradDesc, c GroupedWGradConfig, rowsOf []int, on bool) Case {
	r := drawRoute(rowsOf, max(d.TopKA, d.TopKB))
	routeA, routeB := r, r
	if d.TopKA == 0 {
		routeA = drawRoute(rowsOf, 0)
	}
	if d.TopKB == 0 {
		routeB = drawRoute(rowsOf, 0)
	}
	a, b, before := routeA.rowsOf(31, d.M), routeB.rowsOf(32, d.N), normal(33, 3)
	a.Name, b.Name = "a", "b"
	out := Buffer{"c", ptx.BF16, d.Experts * d.M * d.N, nil}
	buffers := append(r.buffers(), a, b)
	if d.Accumulate {
		name += map[bool]string{true: "_on", false: "_off"}[on]
		out.At = before
		buffers = append(buffers, Buffer{"record", ptx.F32, ir.RecordLen, func(i int) float64 {
			if i == ir.RecordAccumulate && !on {
				return 0
			}
			return 1
		}})
	}
	usedA, _ := routeA.used()
	usedB, _ := routeB.used()
	p := weightGradient{d, a.Len / d.M, b.Len / d.N, Place("a"), Place("b"), Place("offsets"), Place("pairs"), Place("pairs"), Place("c"), Place("record")}
	most := 0
	for _, n := range rowsOf {
		most = max(most, n)
	}
	return Case{
		Name:     fmt.Sprintf("%s_%s", name, c.Name(d)),
		Emit:     func(m *ptx.Module) { EmitGroupedWGrad(m, d, c) },
		Buffers:  append(buffers, out),
		Launches: []Launch{p.launch(c)},
		Outputs: []Output{{Buffer: "c", Rel: bf16Rel, Acc: tensorCoreAcc(max(most, 1)), Why: productWhy,
			Want: func(i int) (value, magnitude float64, ok bool) {
				expert, m, n := i/(d.M*d.N), i/d.N%d.M, i%d.N
				for row := r.offsets[expert]; row < r.offsets[expert+1]; row++ {
					v := a.At(routeA.row(row)*d.M+m) * b.At(routeB.row(row)*d.N+n)
					value += v
					magnitude += math.Abs(v)
				}
				if d.Accumulate && on {
					value += before(i)
					magnitude += math.Abs(before(i))
				}
				return value, magnitude, true
			}}},
		Floor: GroupedWGradFloor(d, r.there, usedA, usedB),
	}
}
