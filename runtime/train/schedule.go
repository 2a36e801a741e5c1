package train

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Schedules are the ways in which the learning rate goes from its peak to its end, named as in Transformers.
var schedules = []string{"constant", "cosine", "linear"}

// schedule is a learning rate as a function of the step. It is Transformers' get_linear_schedule_with_warmup
// and its siblings, with a floor.
type schedule struct {
	kind   string
	peak   float64 // after warm-up
	floor  float64 // linear and cosine end here
	warmup int     // steps of linear rise from 0; the first of them has rate 0, as in Transformers
	steps  int     // of the whole run
}

// check says what is wrong with a schedule, in terms of the flags that it came from.
func (s schedule) check() error {
	switch {
	case !slices.Contains(schedules, s.kind):
		return fmt.Errorf("--schedule %s is none of %s", s.kind, strings.Join(schedules, ", "))
	case s.floor > s.peak:
		return fmt.Errorf("--min-lr %g is above --lr %g", s.floor, s.peak)
	case s.warmup < 0 || s.warmup > s.steps:
		return fmt.Errorf("--warmup %d is not between 0 and --steps %d", s.warmup, s.steps)
	}
	return nil
}

// rate returns the learning rate of a step, counted from 1.
func (s schedule) rate(step int) float64 {
	done := step - 1
	if done < s.warmup {
		return s.peak * float64(done) / float64(s.warmup)
	}
	gone := float64(done-s.warmup) / float64(max(1, s.steps-s.warmup)) // 0 after warm-up, 1 one step past the end
	share := 1.0
	switch s.kind {
	case "linear":
		share = 1 - gone
	case "cosine":
		share = (1 + math.Cos(math.Pi*gone)) / 2
	}
	return s.floor + (s.peak-s.floor)*share
}
