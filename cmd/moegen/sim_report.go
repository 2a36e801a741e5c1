package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"moegen/runtime/sim"
)

// simReport is what moegen sim found, and the JSON that it prints.
type simReport struct {
	simulation
	Runs    []simRun    `json:"runs"`
	Outputs []simOutput `json:"outputs,omitempty"` // files written
	Varies  bool        `json:"varies"`            // schedules without a finding left different bytes in them
}

// simRun is the kernel under one schedule.
type simRun struct {
	Seed     uint64         `json:"seed"`
	Finding  *sim.Error     `json:"finding,omitempty"`
	Counters []sim.Counters `json:"counters"` // one of each GPU
	outputs  []simOutput
}

// simOutput is a file that holds what a buffer held afterwards.
type simOutput struct {
	Path      string `json:"file"`
	Bytes     int64  `json:"bytes"`
	Undefined *int   `json:"undefined,omitempty"` // first byte that nobody wrote
}

func (r *simReport) findings() int {
	n := 0
	for _, run := range r.Runs {
		if run.Finding != nil {
			n++
		}
	}
	return n
}

// verdict is the error that the command ends with.
func (r *simReport) verdict() error {
	if n := r.findings(); n > 0 {
		return failure{fmt.Errorf("%s failed under %d of %d schedules; no file was written", r.Entry, n, len(r.Runs))}
	}
	return nil
}

// print writes the report for people: findings, equal ones once, then counters and files.
func (r *simReport) print(w io.Writer) error {
	var b strings.Builder
	var seen []string
	for _, run := range r.Runs {
		if run.Finding == nil {
			continue
		}
		text := describe(r.Path, run.Finding)
		known := false
		for _, s := range seen {
			known = known || s == text
		}
		if !known {
			seen = append(seen, text)
			fmt.Fprintf(&b, "%s  first seen under --seed %d\n", text, run.Seed)
		}
	}
	if len(seen) == 0 {
		fmt.Fprintf(&b, "%s: nothing found under %s\n", r.Entry, schedules(r.Runs))
	}
	for gpu, c := range r.Runs[0].Counters {
		if len(r.Runs[0].Counters) > 1 {
			fmt.Fprintf(&b, "GPU %d\n", gpu)
		}
		printCounters(&b, c)
	}
	for _, o := range r.Outputs {
		fmt.Fprintf(&b, "wrote %s, %s bytes", o.Path, grouped(o.Bytes))
		if o.Undefined != nil {
			fmt.Fprintf(&b, "; nothing wrote byte %d (first of those)", *o.Undefined)
		}
		b.WriteString("\n")
	}
	if r.Varies {
		b.WriteString("the schedules left different bytes in the output buffers\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func schedules(runs []simRun) string {
	if len(runs) == 1 {
		return fmt.Sprintf("schedule %d", runs[0].Seed)
	}
	return fmt.Sprintf("schedules %d to %d", runs[0].Seed, runs[len(runs)-1].Seed)
}

// describe gives a finding: place and what is wrong, the instruction, who executed it.
func describe(path string, e *sim.Error) string {
	var b strings.Builder
	b.WriteString(path)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	fmt.Fprintf(&b, ": %s: %s\n", e.Kind, e.Msg)
	if e.Text != "" {
		fmt.Fprintf(&b, "  %s\n", e.Text)
	}
	if e.Kernel != "" {
		fmt.Fprintf(&b, "  in %s, CTA %d,%d,%d", e.Kernel, e.CTA[0], e.CTA[1], e.CTA[2])
		if e.Warp >= 0 {
			fmt.Fprintf(&b, ", warp %d", e.Warp)
		}
		if e.Lane >= 0 {
			fmt.Fprintf(&b, ", lane %d", e.Lane)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// printCounters writes what a launch did, leaving out the spaces that it did not touch.
func printCounters(w io.Writer, c sim.Counters) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintf(t, "  instructions\t%s of warps, %s of lanes\n", grouped(c.Instructions), grouped(c.LaneInstructions))
	traffic := func(name string, x sim.Traffic, more string) {
		if x.Read+x.Written > 0 {
			fmt.Fprintf(t, "  %s\t%s bytes read, %s written%s\n", name, grouped(x.Read), grouped(x.Written), more)
		}
	}
	traffic("global", c.Global, fmt.Sprintf("; %s sectors where %s would do", grouped(c.GlobalSectors), grouped(c.MinimumSectors)))
	traffic("asynchronous", c.Async, "")
	traffic("shared", c.Shared, fmt.Sprintf("; %s bank conflicts", grouped(c.BankConflicts)))
	traffic("local", c.Local, "")
	if c.TensorOps > 0 {
		fmt.Fprintf(t, "  tensor cores\t%s operations\n", grouped(c.TensorOps))
	}
	if c.Atomics > 0 {
		fmt.Fprintf(t, "  atomics\t%s\n", grouped(c.Atomics))
	}
}
