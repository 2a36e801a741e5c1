package gpu

import (
	"moegen/kernels/ptx"
)

// Cases of a pool that has a few rows already, and room for what the first of the ranks that run receives: ranks that receive more
// keep nothing.

const poolTaken = 3 // rows of the pool, before

func poolOf(j *journey) PoolDesc {
	first := 0
	if j.alone {
		first = j.ranks - 1
	}
	return PoolDesc{j.dispatch(), poolTaken + len(j.source[first])}
}

// slot is where a rank's rows are in the pool.
func (d PoolDesc) slot(received int) int {
	if poolTaken+received > d.Rows {
		return -1
	}
	return poolTaken
}

// poolRows are what is in a rank's pool.
func poolRows(rank int) func(i int) float64 { return normal(uint64(500+rank), 1) }

// sentRows are what a rank receives, by element.
func (j *journey) sentRows(rank int) func(i int) float64 {
	return func(i int) float64 {
		from := j.source[rank][i/j.cols]
		return tokenRows(j.from(rank, from/j.tokens))(from%j.tokens*j.cols + i%j.cols)
	}
}

// moved is an output of rows, the first of which are what is moved there.
func moved(buffer string, first, rows, cols int, of, others func(i int) float64) Output {
	return Output{Buffer: buffer, Why: "nothing is rounded", Want: func(i int) (float64, float64, bool) {
		if i >= first*cols && i < (first+rows)*cols {
			return of(i - first*cols), 0, true
		}
		if others == nil {
			return 0, 0, false
		}
		return others(i), 0, true
	}}
}

var dispatchKeepFamily = Family{Name: "dispatch_keep", Cases: func() (cases []Case) {
	for _, j := range journeys() {
		configs, _ := poolOf(j).configs("dispatch_keep")
		for _, c := range cased(configs, j.sampled) {
			cases = append(cases, keepCase(j, c))
		}
	}
	return cases
}}

func keepCase(j *journey, c ExchangeConfig) Case {
	d := poolOf(j)
	return j.gatherCase(d.name("keep", c), []Step{d.keep(c, Floor{}, "x", "source", "received", "y", "pool", "use", "behind", "slot")},
		func(rank int) Floor { return KeepFloor(d, len(j.source[rank])) },
		func(rank int) ([]Buffer, []Output) {
			received, kept, behind := len(j.source[rank]), len(j.source[rank]), []int{poolTaken + len(j.source[rank]), 7}
			if d.slot(received) < 0 {
				kept, behind = 0, []int{poolTaken, 8}
			}
			buffers := append(j.arrivals(rank), Buffer{"pool", ptx.BF16, d.Rows * d.Cols, poolRows(rank)}, Buffer{"use", ptx.S32, 2, numbers([]int{poolTaken, 7})},
				Buffer{"behind", ptx.S32, 2, nil}, Buffer{"slot", ptx.S32, 1, nil})
			return buffers, []Output{moved("y", 0, received, d.Cols, j.sentRows(rank), nil), moved("pool", poolTaken, kept, d.Cols, j.sentRows(rank), poolRows(rank)),
				{Buffer: "behind", Why: "numbers", Want: func(i int) (float64, float64, bool) { return float64(behind[i]), 0, true }},
				{Buffer: "slot", Why: "a number", Want: func(int) (float64, float64, bool) { return float64(d.slot(received)), 0, true }}}
		})
}

var dispatchRestoreFamily = Family{Name: "dispatch_restore", Cases: func() (cases []Case) {
	for _, j := range journeys() {
		configs, _ := poolOf(j).configs("dispatch_restore")
		for _, c := range cased(configs, j.sampled) {
			cases = append(cases, restoreCase(j, c))
		}
	}
	return cases
}}

func restoreCase(j *journey, c ExchangeConfig) Case {
	d := poolOf(j)
	return j.gatherCase(d.name("restore", c), []Step{d.restore(c, Floor{}, "x", "source", "received", "pool", "slot", "y")},
		func(rank int) Floor { return RestoreFloor(d, len(j.source[rank])) },
		func(rank int) ([]Buffer, []Output) {
			received, rows := len(j.source[rank]), j.sentRows(rank)
			if d.slot(received) >= 0 {
				rows = func(i int) float64 { return poolRows(rank)(poolTaken*d.Cols + i) }
			}
			buffers := append(j.arrivals(rank), Buffer{"pool", ptx.BF16, d.Rows * d.Cols, poolRows(rank)}, Buffer{"slot", ptx.S32, 1, numbers([]int{d.slot(received)})})
			return buffers, []Output{moved("y", 0, received, d.Cols, rows, nil)}
		})
}
