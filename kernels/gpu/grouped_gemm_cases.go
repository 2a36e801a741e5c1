package gpu

import (
	"fmt"
	"math"

	"moegen/kernels/ptx"
)

var groupedGEMM = Family{Name: "grouped_gemm", Cases: func() []Case {
	small := GroupedGEMMConfig{BlockM: 128, BlockN: 64, Stages: 3, Keep: 1}
	waits := GroupedGEMMConfig{BlockM: 128, BlockN: 192, Stages: 2, Keep: 0}
	wide := GroupedGEMMConfig{BlockM: 128, BlockN: 256, Stages: 4, Keep: 1}
	tall := GroupedGEMMConfig{BlockM: 256, BlockN: 128, Stages: 3, Keep: 1}
	var cases []Case
	for _, f := range []Form{NT, NN} {
		for _, topK := range []int{2, 0} {
			cases = append(cases,
				groupedGEMMCase("ragged", GroupedGEMMDesc{f, 4, 136, 136, topK}, small, []int{130, 0, 1, 17}),
				groupedGEMMCase("one", GroupedGEMMDesc{f, 3, 64, 64, topK}, small, []int{0, 1, 0}),
				groupedGEMMCase("all_to_one", GroupedGEMMDesc{f, 3, 200, 72, topK}, waits, []int{0, 0, 160}),
				groupedGEMMCase("none", GroupedGEMMDesc{f, 2, 8, 8, topK}, small, []int{0, 0}))
		}
		cases = append(cases,
			groupedGEMMCase("wide", GroupedGEMMDesc{f, 2, 264, 128, 1}, wide, []int{64, 70}),
			groupedGEMMCase("tall", GroupedGEMMDesc{f, 2, 136, 72, 0}, tall, []int{270, 200}))
	}
	for _, d := range groupedGEMMBenchmarks {
		best, _ := GroupedGEMMConfigs(d, 32768)
		cases = append(cases, large(groupedGEMMCase("qwen3", d, best[0], evenRows(d.Experts, 32768/d.Experts))))
	}
	return cases
}}

// groupedGEMMBenchmarks are the experts of Qwen3-30B-A3B on one of eight ranks, up 2048 -> 2·768 and down, forward and
// input gradient, and all of them on one GPU.
var groupedGEMMBenchmarks = []GroupedGEMMDesc{
	{NT, 16, 1536, 2048, 8}, {NT, 16, 2048, 768, 0}, {NN, 16, 768, 2048, 0}, {NN, 16, 768, 2048, 8}, {NN, 16, 2048, 1536, 0},
	{NT, 128, 2048, 768, 0}, {NN, 128, 2048, 1536, 0},
}

// drawnRoute is where the rows of a case come from: experts with so many rows each, of tokens that are drawn; rows is how
// many there may be at most, some more than there are.
type drawnRoute struct {
	offsets, expert []int
	rows, there     int
	tokens          int // that pairs name, where rows are gathered
	topK            int
}

func drawRoute(rowsOf []int, topK int) drawnRoute {
	r := drawnRoute{offsets: []int{0}, topK: topK}
	for e, n := range rowsOf {
		r.offsets = append(r.offsets, r.offsets[e]+n)
		for range n {
			r.expert = append(r.expert, e)
		}
	}
	r.there = len(r.expert)
	r.rows = r.there + 5
	r.tokens = r.rows
	if topK > 0 {
		r.tokens = ceil(r.rows, topK)
	}
	return r
}

// pair is the pair of a row.
func (r drawnRoute) pair(i int) int {
	return int(mix(uint64(i)+77) % uint64(r.tokens*max(r.topK, 1)))
}

// row is where row i lies in a matrix whose rows are gathered, or not.
func (r drawnRoute) row(i int) int {
	if r.topK == 0 {
		return i
	}
	return r.pair(i) / r.topK
}

// used returns how many rows of the matrix are read, and how many experts have rows.
func (r drawnRoute) used() (rows, reached int) {
	seen := map[int]bool{}
	for i := range r.there {
		seen[r.row(i)] = true
	}
	for e := range len(r.offsets) - 1 {
		if r.offsets[e] < r.offsets[e+1] {
			reached++
		}
	}
	return len(seen), reached
}

// buffers are offsets and, where rows are gathered, pairs. What lies behind the last row must not be used.
func (r drawnRoute) buffers() []Buffer {
	out := []Buffer{{"offsets", ptx.S32, len(r.offsets), numbers(r.offsets)}}
	if r.topK > 0 {
		out = append(out, Buffer{"pairs", ptx.S32, r.rows, func(i int) float64 {
			if i >= r.there {
				return 1 << 30
			}
			return float64(r.pair(i))
		}})
	}
	return out
}

// rowsOf is the contents of a matrix with a row for every routed row, or every token: NaN behind the last row.
func (r drawnRoute) rowsOf(seed uint64, cols int) Buffer {
	rows, there := r.rows, r.there
	if r.topK > 0 {
		rows, there = r.tokens, r.tokens
	}
	f := normal(seed, 1)
	return Buffer{Elem: ptx.BF16, Len: rows * cols, At: func(i int) float64 {
		if i >= there*cols {
			return math.NaN()
		}
		return f(i)
	}}
}

func groupedGEMMCase(name string, d GroupedGEMMDesc, c GroupedGEMMConfig, rowsOf []int) Case {
	r := drawRoute(rowsOf, d.TopK)
	a, b := r.rowsOf(21, d.K), normal(22, 1)
	a.Name = "a"
	atB := func(e, n, k int) float64 { return b((e*d.N+n)*d.K + k) }
	if d.Form == NN {
		atB = func(e, n, k int) float64 { return b((e*d.K+k)*d.N + n) }
	}
	read, reached := r.used()
	p := groupedProduct{d, r.rows, Place("a"), Place("offsets"), Place("pairs"), Place("b"), Place("c")}
	return Case{
		Name:     fmt.Sprintf("%s_%s", name, c.Name(d)),
		Emit:     func(m *ptx.Module) { EmitGroupedGEMM(m, d, c) },
		Buffers:  append(r.buffers(), a, Buffer{"b", ptx.BF16, d.Experts * d.N * d.K, b}, Buffer{"c", ptx.BF16, r.rows * d.N, nil}),
		Launches: []Launch{p.launch(c)},
		Outputs: []Output{{Buffer: "c", Rel: bf16Rel, Acc: tensorCoreAcc(d.K), Why: productWhy,
			Want: func(i int) (value, magnitude float64, ok bool) {
				row, n := i/d.N, i%d.N
				if row >= r.there {
					return 0, 0, false
				}
				for k := range d.K {
					v := a.At(r.row(row)*d.K+k) * atB(r.expert[row], n, k)
					value += v
					magnitude += math.Abs(v)
				}
				return value, magnitude, true
			}}},
		Floor: GroupedGEMMFloor(d, r.there, read, reached),
	}
}
