package kernels

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/gpu"
)

// Timed is a launch on a GPU: what it does, with rows whose number is known at run time only at their expected number, and how
// long that takes as predicted from the ceilings of package tuned.
type Timed struct {
	Program  string  `json:"program"`
	Section  string  `json:"section"`
	Op       string  `json:"op"`
	Kernel   string  `json:"kernel"`
	Family   string  `json:"family"`
	Grid     int     `json:"grid"`  // blocks; of a persistent kernel, at most
	FLOPs    int64   `json:"flops"` // of the tensor cores, with what tiles of experts pad
	Bytes    int64   `json:"bytes"` // to and from memory, each once
	Micros   float64 `json:"us"`
	Ceiling  float64 `json:"ceiling_us"` // at the ceilings themselves
	Measured bool    `json:"calibrated"` // whether the family was measured; if not, its share of the ceilings is a guess
}

// Timeline returns the launches of a step, one micro-batch and its update, in order. An error says that nothing is known of the
// target's ceilings.
func Timeline(plan *ir.Plan) ([]Timed, error) {
	if plan.Target != "h100" {
		return nil, fmt.Errorf("target %s has no measured ceilings to predict times from; use --target h100", plan.Target)
	}
	var list []Timed
	for _, p := range plan.Programs {
		if p.Name != "micro_batch" && p.Name != "update" {
			continue
		}
		for _, l := range p.Launches {
			k, ok := Lookup(plan.Target, l.Kernel, l.Op.Name)
			if !ok {
				panic(fmt.Sprintf("BUG: target %s has no kernel %s for %s", plan.Target, l.Kernel, l.Op.Name))
			}
			if k.Steps == nil {
				continue
			}
			for _, s := range k.Steps(l) {
				work := floor(s.Launch, l)
				t := Timed{Program: p.Name, Section: l.Section, Op: l.Op.Name, Kernel: s.Entry, Family: s.Family(), Grid: s.Grid,
					FLOPs: work.FLOPs, Bytes: work.Bytes, Ceiling: s.Ceiling(work)}
				t.Micros, t.Measured = s.Predict(work)
				list = append(list, t)
			}
		}
	}
	return list, nil
}

// floor is what a launch of an operation cannot do without.
func floor(s gpu.Launch, l *ir.Launch) gpu.Floor {
	if s.Floor != (gpu.Floor{}) {
		return s.Floor
	}
	buffers := map[string]*ir.Buffer{}
	for i, b := range l.In {
		buffers[gpu.In(i)] = b
	}
	for i, b := range l.Out {
		buffers[gpu.Out(i)] = b
	}
	var f gpu.Floor
	for _, a := range s.Args {
		if b := buffers[a.Buffer]; b != nil {
			f.Bytes += b.Type.Expected() * b.Type.DType.Size()
			delete(buffers, a.Buffer)
		}
	}
	return f
}
