package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Cases of arrays that replicas hold.

// replicaNumbers are what a rank holds.
func replicaNumbers(rank int) func(i int) float64 { return normal(uint64(200+rank), 1) }

// replicaSize is an array that replicas hold.
type replicaSize struct {
	team
	of      ir.Replicas
	n       int
	sampled bool // the case is for a GPU
}

// replicaSizes are those of the cases.
func replicaSizes(of func(c replicaSize) []Case) (cases []Case) {
	for _, c := range []replicaSize{
		{team{2, 1, false}, ir.Replicas{Parts: 2, Stride: 1}, 5000, false}, {team{4, 2, false}, ir.Replicas{Parts: 2, Stride: 2}, 2051, false},
		{team{8, 1, false}, ir.Replicas{Parts: 8, Stride: 1}, 9000, false}, {team{8, 1, true}, ir.Replicas{Parts: 8, Stride: 1}, 9000, false},
		{team{8, 1, true}, ir.Replicas{Parts: 8, Stride: 1}, 1 << 28, true}, {team{2, 1, true}, ir.Replicas{Parts: 2, Stride: 1}, 1 << 28, true},
	} {
		cases = append(cases, of(c)...)
	}
	return cases
}

// replicaCase says what a rank holds beside x, and what it has then.
type replicaCase func(c replicaSize, rank int) ([]Buffer, Output)

// replicaCases are those of a kernel and all its candidates.
func replicaCases(s shared, of replicaCase) (cases []Case) {
	return replicaSizes(func(c replicaSize) (list []Case) {
		configs, _ := s.configs(c.desc())
		for _, config := range cased(configs, c.sampled) {
			list = append(list, c.caseOf(s, config, of))
		}
		return list
	})
}

var reduceScatterFamily = Family{Name: "reduce_scatter", Cases: func() []Case { return replicaCases(reduceScattering, replicaSize.scattered) }}

// scattered is a sum, onto what every other rank has accumulated.
func (c replicaSize) scattered(rank int) ([]Buffer, Output) {
	first, end := c.of.Own(c.of.Number(rank), c.n)
	before, adds := normal(199, 1), rank%2 == 1 && !c.sampled
	y := Buffer{Name: "y", Elem: ptx.BF16, Len: ir.Share(c.n, c.of.Parts)}
	if adds {
		y.At = before
	}
	record := Buffer{"record", ptx.F32, ir.RecordLen, func(i int) float64 {
		if i == ir.RecordAccumulate && adds {
			return 1
		}
		return 0
	}}
	return []Buffer{y, record}, Output{Buffer: "y", Rel: bf16Rel, Acc: 9 * 0x1p-24, Why: "one rounding to bf16; a chain of at most eight sums in float32",
		Want: func(i int) (sum, magnitude float64, ok bool) {
			if first+i >= end {
				return 0, 0, true
			}
			for j := range c.of.Parts {
				peer := c.of.Rank(rank, j)
				if c.alone {
					peer = rank
				}
				x := replicaNumbers(peer)(first + i)
				sum, magnitude = sum+x, magnitude+math.Abs(x)
			}
			if adds {
				sum, magnitude = sum+before(i), magnitude+math.Abs(before(i))
			}
			return sum, magnitude, true
		}}
}

var allGatherFamily = Family{Name: "all_gather", Cases: func() []Case { return replicaCases(allGathering, replicaSize.gathered) }}

// gathered is what a rank has then.
func (c replicaSize) gathered(rank int) ([]Buffer, Output) {
	share := ir.Share(c.n, c.of.Parts)
	return nil, Output{Buffer: "x", Why: "nothing is rounded", Want: func(i int) (float64, float64, bool) {
		if c.alone {
			return replicaNumbers(rank)(i), 0, true
		}
		return replicaNumbers(c.of.Rank(rank, i/share))(i), 0, true
	}}
}

func (c replicaSize) desc() ReplicasDesc {
	return ReplicasDesc{Of: c.of, Elem: ptx.BF16, Elements: c.n}
}

// caseOf is the case of a kernel. Alone, and for a GPU, there are no barriers.
func (c replicaSize) caseOf(s shared, config ExchangeConfig, of replicaCase) Case {
	d, names := c.desc(), []string{"x"}
	besides, _ := of(c, 0)
	for _, b := range besides {
		names = append(names, b.Name)
	}
	steps := []Step{s.step(d, config, names)}
	if !c.sampled || !c.alone {
		steps = exchange(steps...)
	}
	return c.gather(func(rank int) Case {
		besides, out := of(c, rank)
		return Case{Name: fmt.Sprintf("%s_%d_%s", d.name(s.name, config), c.n, c.team), Large: c.sampled, Emit: emitting(steps), Launches: launches(steps),
			Buffers: append([]Buffer{c.world(rank), {"x", ptx.BF16, c.n, replicaNumbers(rank)}}, besides...), Outputs: []Output{out}, Floor: s.floor(d)}
	})
}

// SharedCases are the sum over replicas of so many numbers, and what follows it.
func SharedCases(ranks, elements int) []Family {
	c := replicaSize{team{ranks, 1, false}, ir.Replicas{Parts: ranks, Stride: 1}, elements, true}
	best := func(s shared, of replicaCase) Family {
		configs, _ := s.configs(c.desc())
		return Family{Name: s.name, Cases: func() []Case { return []Case{c.caseOf(s, configs[0], of)} }}
	}
	return []Family{best(reduceScattering, replicaSize.scattered), best(allGathering, replicaSize.gathered)}
}
