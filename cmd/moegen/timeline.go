package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"text/tabwriter"

	"moegen/gen"
	"moegen/ir"
	"moegen/kernels"
	"moegen/kernels/tuned"
)

// timeline is a step of one micro-batch, launch by launch, with predicted times. Its names are those of a binary's bench.
type timeline struct {
	StepMS              float64         `json:"step_ms"`
	GradMS              float64         `json:"forward_backward_ms"`
	UpdateMS            float64         `json:"update_ms"`
	NoWire              parts           `json:"no_wire"` // the same if nothing took time between GPUs, as when one rank is rehearsed
	LinkBytes           int64           `json:"link_bytes"`
	NetworkBytes        int64           `json:"network_bytes"`
	LinkSpeed           float64         `json:"link_bytes_per_second"`
	NetworkSpeed        float64         `json:"network_bytes_per_second"`
	TokensPerSecond     float64         `json:"tokens_per_second_per_gpu"` // of whole steps
	GradTokensPerSecond float64         `json:"forward_backward_tokens_per_second_per_gpu"`
	CeilingFLOPs        float64         `json:"ceiling_flops_per_second"`
	CeilingBytes        float64         `json:"ceiling_bytes_per_second"`
	Families            []familyRow     `json:"families"` // the slowest first
	Launches            []kernels.Timed `json:"launches"`
	Measured            *measurement    `json:"measured,omitempty"`
}

// parts are the times of a step.
type parts struct {
	StepMS   float64 `json:"step_ms"`
	GradMS   float64 `json:"forward_backward_ms"`
	UpdateMS float64 `json:"update_ms"`
}

// familyRow is all launches of a family of kernels.
type familyRow struct {
	Family     string   `json:"family"`
	Launches   int      `json:"launches"`
	FLOPs      int64    `json:"flops"`
	Bytes      int64    `json:"bytes"`
	MS         float64  `json:"ms"`         // if all were in the GPU's own memory
	WireMS     float64  `json:"wire_ms"`    // that what is fetched from others is under way
	CeilingMS  float64  `json:"ceiling_ms"` // at the ceilings themselves
	Calibrated bool     `json:"calibrated"`
	MeasuredMS *float64 `json:"measured_ms,omitempty"`
}

// newTimeline predicts the step of a plan whose ranks are joined so.
func newTimeline(planned *gen.Planned, plan *ir.Plan, wire kernels.Wire) (*timeline, error) {
	t := &timeline{CeilingFLOPs: tuned.H100FLOPs, CeilingBytes: tuned.H100Bytes, LinkSpeed: wire.Link, NetworkSpeed: wire.Network}
	var err error
	if t.Launches, err = kernels.Timeline(plan, wire); err != nil {
		return nil, err
	}
	t.NoWire = partsOf(kernels.Wireless(t.Launches))
	together := partsOf(t.Launches)
	t.StepMS, t.GradMS, t.UpdateMS = together.StepMS, together.GradMS, together.UpdateMS
	families := map[string]*familyRow{}
	for _, l := range t.Launches {
		f := families[l.Family]
		if f == nil {
			f = &familyRow{Family: l.Family, Calibrated: l.Measured}
			families[l.Family] = f
		}
		f.Launches++
		f.FLOPs += l.FLOPs
		f.Bytes += l.Bytes
		f.MS += l.Micros / 1e3
		f.WireMS += l.Wire / 1e3
		f.CeilingMS += l.Ceiling / 1e3
		t.LinkBytes += l.Link
		t.NetworkBytes += l.Network
	}
	for _, name := range slices.Sorted(maps.Keys(families)) {
		t.Families = append(t.Families, *families[name])
	}
	slices.SortStableFunc(t.Families, func(a, b familyRow) int { return cmp.Compare(b.MS, a.MS) })
	tokens := float64(planned.Request.Seq * planned.Request.MicroBatch)
	t.TokensPerSecond, t.GradTokensPerSecond = tokens/t.StepMS*1e3, tokens/t.GradMS*1e3
	return t, nil
}

func partsOf(list []kernels.Timed) parts {
	p := parts{GradMS: kernels.SpanOf(list, "micro_batch").Micros() / 1e3, UpdateMS: kernels.SpanOf(list, "update").Micros() / 1e3}
	p.StepMS = p.GradMS + p.UpdateMS
	return p
}

// print writes the timeline as tables.
func (t *timeline) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\npredicted step\t%.2f ms: %.2f forward and backward, %.2f update\n", t.StepMS, t.GradMS, t.UpdateMS)
	fmt.Fprintf(table, "predicted tokens/s a GPU\t%s of forward and backward, %s of whole steps\n", grouped(int64(t.GradTokensPerSecond)), grouped(int64(t.TokensPerSecond)))
	if t.LinkBytes+t.NetworkBytes > 0 {
		fmt.Fprintf(table, "without a wire\t%.2f ms: %.2f forward and backward, %.2f update\n", t.NoWire.StepMS, t.NoWire.GradMS, t.NoWire.UpdateMS)
		fmt.Fprintf(table, "fetched by a GPU\t%.2f GB from its node at %.0f GB/s, %.2f GB from others at %.0f GB/s; speeds as stated, not measured\n",
			float64(t.LinkBytes)/1e9, t.LinkSpeed/1e9, float64(t.NetworkBytes)/1e9, t.NetworkSpeed/1e9)
	}
	fmt.Fprintf(table, "ceilings\t%.0f TFLOP/s in the tensor cores, %.2f TB/s of memory; %s\n", t.CeilingFLOPs/1e12, t.CeilingBytes/1e12, tuned.H100Measured)
	if err := table.Flush(); err != nil {
		return err
	}
	if err := t.printFamilies(w); err != nil {
		return err
	}
	if t.Measured != nil {
		if err := t.Measured.print(w); err != nil {
			return err
		}
	}
	return t.printLaunches(w)
}

func (t *timeline) printFamilies(w io.Writer) error {
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := "ms\t"
	if t.Measured != nil {
		columns += "measured\toff by\t"
	}
	wired := t.LinkBytes+t.NetworkBytes > 0
	if wired {
		columns += "wire ms\t"
	}
	fmt.Fprintln(table, columns+"at ceilings\tlaunches\tTFLOP\tGB\t  family")
	guessed := false
	for _, f := range t.Families {
		fmt.Fprintf(table, "%.3f\t", f.MS)
		if t.Measured != nil {
			if f.MeasuredMS != nil {
				fmt.Fprintf(table, "%.3f\t%+.0f%%\t", *f.MeasuredMS, 100*(f.MS / *f.MeasuredMS - 1))
			} else {
				fmt.Fprint(table, "-\t-\t")
			}
		}
		if wired {
			fmt.Fprintf(table, "%.3f\t", f.WireMS)
		}
		mark := ""
		if !f.Calibrated {
			mark, guessed = " *", true
		}
		fmt.Fprintf(table, "%.3f\t%d\t%.3f\t%.3f\t  %s%s\n", f.CeilingMS, f.Launches, float64(f.FLOPs)/1e12, float64(f.Bytes)/1e9, f.Family, mark)
	}
	if err := table.Flush(); err != nil || !guessed {
		return err
	}
	_, err := fmt.Fprintf(w, "* never measured: taken to be like the family that its name begins with, or to reach %.0f %% of the ceilings\n", 100*tuned.H100Share)
	return err
}

var number = regexp.MustCompile(`\d+`)

// printLaunches lists the launches; those of layers that are alike make one line.
func (t *timeline) printLaunches(w io.Writer) error {
	type alike struct {
		program, section, kernel string
		grid                     int
		flops, bytes, fetched    int64
	}
	type row struct {
		kernels.Timed
		times int
	}
	var rows []*row
	index := map[alike]*row{}
	for _, l := range t.Launches {
		l.Section = number.ReplaceAllString(l.Section, "*")
		key := alike{l.Program, l.Section, l.Kernel, l.Grid, l.FLOPs, l.Bytes, l.Link + l.Network}
		r := index[key]
		if r == nil {
			r = &row{Timed: l}
			index[key], rows = r, append(rows, r)
		}
		r.times++
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "ms\ttimes\tµs each\tblocks\tGFLOP\tMB\t  section: kernel")
	for _, r := range rows {
		section := cmp.Or(r.Section, r.Program)
		fmt.Fprintf(table, "%.3f\t%d\t%.1f\t%d\t%.2f\t%.2f\t  %s: %s\n", float64(r.times)*r.Micros/1e3, r.times, r.Micros, r.Grid,
			float64(r.FLOPs)/1e9, float64(r.Bytes)/1e6, section, r.Kernel)
	}
	return table.Flush()
}
