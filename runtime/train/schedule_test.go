package train

import (
	"math"
	"strings"
	"testing"
)

// Transformers' values: get_linear_schedule_with_warmup and its siblings multiply the peak by these factors,
// the scheduler's step being ours less one.
func TestScheduleIsTransformers(t *testing.T) {
	const peak = 3e-4
	for _, c := range []struct {
		kind          string
		warmup, steps int
		factors       map[int]float64 // by step, from 1
	}{
		{"constant", 0, 10, map[int]float64{1: 1, 10: 1}},
		{"constant", 4, 10, map[int]float64{1: 0, 2: 0.25, 4: 0.75, 5: 1, 10: 1}},
		{"linear", 0, 10, map[int]float64{1: 1, 2: 0.9, 6: 0.5, 10: 0.1}},
		{"linear", 2, 10, map[int]float64{1: 0, 2: 0.5, 3: 1, 4: 7.0 / 8, 10: 1.0 / 8}},
		{"cosine", 0, 8, map[int]float64{1: 1, 3: (1 + math.Sqrt2/2) / 2, 5: 0.5, 7: (1 - math.Sqrt2/2) / 2}},
		{"cosine", 2, 10, map[int]float64{2: 0.5, 3: 1, 7: 0.5}},
		{"linear", 10, 10, map[int]float64{1: 0, 10: 0.9}},
	} {
		s := schedule{kind: c.kind, peak: peak, warmup: c.warmup, steps: c.steps}
		floored := s
		floored.floor = 1e-4
		for step, factor := range c.factors {
			// A few roundings of float64.
			if got, want := s.rate(step), peak*factor; math.Abs(got-want) > 4e-16*peak {
				t.Errorf("%s, warmup %d: rate of step %d is %g, want %g", c.kind, c.warmup, step, got, want)
			}
			if step <= c.warmup || c.kind == "constant" {
				continue
			}
			if got, want := floored.rate(step), 1e-4+2e-4*factor; math.Abs(got-want) > 4e-16*peak {
				t.Errorf("%s with a floor: rate of step %d is %g, want %g", c.kind, step, got, want)
			}
		}
	}
}

func TestScheduleRefuses(t *testing.T) {
	for _, c := range []struct {
		schedule schedule
		want     string
	}{
		{schedule{kind: "step", peak: 1, steps: 1}, "--schedule step is none of constant, cosine, linear"},
		{schedule{kind: "linear", peak: 1, floor: 2, steps: 1}, "--min-lr 2 is above --lr 1"},
		{schedule{kind: "linear", peak: 1, warmup: 5, steps: 4}, "--warmup 5"},
		{schedule{kind: "linear", peak: 1, warmup: -1, steps: 4}, "--warmup -1"},
	} {
		if err := c.schedule.check(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %s...", err, c.want)
		}
	}
}
