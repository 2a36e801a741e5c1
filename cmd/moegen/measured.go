package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"moegen/gen"
)

// measurement is what bench measured of the binary whose plan is shown, beside what was predicted.
type measurement struct {
	Model        string             `json:"model"`
	Target       string             `json:"target"`
	Seq          int                `json:"seq"`
	MicroBatch   int                `json:"micro_batch"`
	Ranks        int                `json:"gpus"`
	Rehearsed    bool               `json:"rehearsed"`     // one of the ranks ran, alone
	Router       string             `json:"router"`        // what chose experts: learned, where it is not said
	PlannedBytes int64              `json:"planned_bytes"` // of all ranks that ran
	StepMS       float64            `json:"step_ms"`
	GradMS       float64            `json:"forward_backward_ms"`
	UpdateMS     float64            `json:"update_ms"`
	KernelMS     map[string]float64 `json:"kernel_ms"`
	Misses       []miss             `json:"largest_misses"`

	families *timeline
	times    parts // as predicted
	other    bool  // the binary took another size than that of the plan
}

// miss is a family whose prediction is off.
type miss struct {
	Family      string  `json:"family"`
	MS          float64 `json:"ms"`
	MeasuredMS  float64 `json:"measured_ms"`
	PartOfStep  float64 `json:"part_of_step"` // predicted less measured, as a part of the measured step
	TFLOPS      float64 `json:"tflop_per_second"`
	GBPerSecond float64 `json:"gb_per_second"`
}

// speed is how fast the family was, as far as that is known.
func (e miss) speed() string {
	switch {
	case e.TFLOPS > 0:
		return fmt.Sprintf("; it ran at %.0f TFLOP/s and %.2f TB/s", e.TFLOPS, e.GBPerSecond/1e3)
	case e.GBPerSecond > 0:
		return fmt.Sprintf("; it ran at %.2f TB/s", e.GBPerSecond/1e3)
	}
	return ""
}

// misses is how many of the largest are told.
const misses = 3

// readMeasurement reads what bench wrote of the binary of a plan, of which a rank takes peak bytes.
func readMeasurement(file string, planned *gen.Planned, peak int64) (*measurement, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w; --measured wants what a binary's bench --json printed", err)
	}
	m := &measurement{}
	if err := json.Unmarshal(text, m); err != nil || len(m.KernelMS) == 0 || m.StepMS <= 0 {
		return nil, fmt.Errorf("%s is not what a binary's bench --json prints: it has no kernel_ms; run bench --json on a GPU", file)
	}
	r := planned.Request
	for _, f := range []struct {
		what          string
		measured, own any
	}{
		{"model", m.Model, r.Model.Name}, {"target", m.Target, r.Target}, {"seq", m.Seq, r.Seq}, {"micro_batch", m.MicroBatch, r.MicroBatch}, {"gpus", m.Ranks, r.GPUs},
	} {
		if f.measured != f.own {
			return nil, fmt.Errorf("%s measured %s %v, and the plan has %v: give plan what the binary was built with", file, f.what, f.measured, f.own)
		}
	}
	running := r.GPUs
	if m.Rehearsed {
		running = 1
	}
	m.other = m.PlannedBytes != peak*int64(running)
	return m, nil
}

// beside puts a measurement beside the timeline of its plan: without a wire, where one rank ran alone.
func (m *measurement) beside(t *timeline) {
	m.times, m.families = parts{t.StepMS, t.GradMS, t.UpdateMS}, t
	if m.Rehearsed {
		m.times = t.NoWire
	}
	t.Measured = m
	m.pair()
}

// pair finds the measured time of every family, and the largest misses.
func (m *measurement) pair() {
	t := m.families
	found := map[string]bool{}
	for i, f := range t.Families {
		if ms, ok := m.KernelMS[f.Family]; ok {
			t.Families[i].MeasuredMS, found[f.Family] = &ms, true
		}
	}
	for _, family := range slices.Sorted(maps.Keys(m.KernelMS)) {
		if ms := m.KernelMS[family]; !found[family] {
			t.Families = append(t.Families, familyRow{Family: family, MeasuredMS: &ms})
		}
	}
	for _, f := range t.Families {
		var ms float64 // 0 where it was not met
		if f.MeasuredMS != nil {
			ms = *f.MeasuredMS
		}
		e := miss{Family: f.Family, MS: f.MS, MeasuredMS: ms, PartOfStep: (f.MS - ms) / m.StepMS}
		if ms > 0 {
			e.TFLOPS, e.GBPerSecond = float64(f.FLOPs)/ms/1e9, float64(f.Bytes)/ms/1e6
		}
		m.Misses = append(m.Misses, e)
	}
	slices.SortStableFunc(m.Misses, func(a, b miss) int { return cmp.Compare(math.Abs(b.PartOfStep), math.Abs(a.PartOfStep)) })
	m.Misses = m.Misses[:min(misses, len(m.Misses))]
}

// print writes what was measured beside what was predicted.
func (m *measurement) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nms\tpredicted\tmeasured\toff by")
	for _, part := range []struct {
		name                string
		predicted, measured float64
	}{
		{"forward and backward", m.times.GradMS, m.GradMS},
		{"update", m.times.UpdateMS, m.UpdateMS},
		{"step", m.times.StepMS, m.StepMS},
	} {
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%+.1f%%\n", part.name, part.predicted, part.measured, 100*(part.predicted/part.measured-1))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var list []string
	for _, e := range m.Misses {
		list = append(list, fmt.Sprintf("  %s: %.3f ms predicted, %.3f measured, %+.1f%% of the step%s", e.Family, e.MS, e.MeasuredMS, 100*e.PartOfStep, e.speed()))
	}
	if m.other {
		list = append(list, "  the binary's memory is not this plan's: it was built with other flags, or by another version")
	}
	_, err := fmt.Fprintf(w, "largest misses\n%s\n", strings.Join(list, "\n"))
	return err
}
