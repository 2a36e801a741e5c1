package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"moegen/gen"
	"moegen/ir"
	"moegen/kernels"
)

// planCommand shows what a binary will take, without making it.
func planCommand() *cobra.Command {
	request := requestFlags{manyNodes: true}
	var asJSON, every, timed, explain bool
	var measured string
	output := newFlagGroup("Output")
	output.flags.BoolVar(&every, "buffers", false, "list every buffer")
	output.flags.BoolVar(&explain, "explain", false, "list what the planner chose among, with memory and predicted time, and why (target h100)")
	output.flags.BoolVar(&timed, "timeline", false, "predict the time of every launch of a step, by family of kernels (target h100)")
	output.flags.StringVar(&measured, "measured", "", "`FILE` with what the binary's bench --json printed, to set beside the timeline")
	output.flags.BoolVar(&asJSON, "json", false, "print JSON, with every buffer")
	cmd := &cobra.Command{
		Use:   "plan NAME|DIR|config.json [flags]",
		Short: "Show the memory and the work of a training binary before it is built",
		Long: `Show what a training binary will take: parameters, floating-point operations a token, and where every byte of
a rank's memory goes. The peak is exact: it is the size of the one arena in which the program runs. Where a step has one micro-batch,
gradients share memory with activations; a run that adds several up (train --accumulate) takes more, which is told too.

For h100 the planner chooses what is not given, of all that fits into the memory of a GPU what is predicted to be the fastest: how many
ranks share experts, what backward computes again, and, with --global-batch, how rows are cut into micro-batches. What
cannot fit is refused, with the smallest changes that would.

With --timeline also how long a step is to take: for every launch its FLOPs at the speed of the tensor cores and its bytes at that of
memory, each over the share that its family of kernels was measured to reach, and for what is fetched from other GPUs the time on the wire.`,
		Args: oneModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if measured != "" && !timed {
				return errors.New("--measured compares with a timeline; give --timeline too")
			}
			planned, err := request.plan(cmd, args[0])
			if err != nil {
				return err
			}
			report := newPlanReport(request.choice)
			if timed {
				if report.Timeline, err = predict(planned, request.choice.Topology, report.PeakBytesPerGPU, measured); err != nil {
					return err
				}
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return printJSON(out, report)
			}
			if err := report.print(out, every); err != nil {
				return err
			}
			if explain {
				if err := printCandidates(out, request.choice); err != nil {
					return err
				}
			}
			if timed {
				return report.Timeline.print(out)
			}
			return nil
		},
	}
	addGroups(cmd, request.group(), output, request.dumpGroup())
	return cmd
}

// predict returns the timeline of a plan, beside what was measured if there is a file of it.
func predict(planned *gen.Planned, topology gen.Topology, peak int64, file string) (*timeline, error) {
	plan := planned.Plan
	var measured *measurement
	if file != "" {
		var err error
		if measured, err = readMeasurement(file, planned, peak); err != nil {
			return nil, err
		}
		if measured.Router == "balanced" {
			plan = kernels.Balanced(plan)
		}
	}
	t, err := newTimeline(planned, plan, topology.Wire())
	if err == nil && measured != nil {
		measured.beside(t)
	}
	return t, err
}

// planReport is a plan as it is shown.
type planReport struct {
	gen.Manifest
	Nodes       int              `json:"nodes"`
	Recompute   gen.Recompute    `json:"recompute"`
	Accumulate  int              `json:"accumulate"`                        // micro-batches of a step, as asked for
	Room        int64            `json:"arena_room_bytes,omitempty"`        // that a GPU has for the peak
	Context     int64            `json:"context_bytes,omitempty"`           // that a GPU has not: the driver's, beside the arena
	ByOptimizer map[string]int64 `json:"peak_bytes_by_optimizer,omitempty"` // with all else the same, in steps of so many micro-batches
	Launches    map[string]int   `json:"launches"`                          // of each program
	Memory      []memoryGroup    `json:"memory"`                            // adds up to the peak
	Buffers     []bufferRow      `json:"buffers"`
	Candidates  []gen.Candidate  `json:"candidates,omitempty"` // what the planner chose among, the chosen one first
	Timeline    *timeline        `json:"timeline,omitempty"`
}

// memoryGroup is a part of a rank's memory. What lives for good counts in full; what comes and goes, in steps of one micro-batch
// gradients too, counts as it is at the moment when most of it is alive.
type memoryGroup struct {
	Name    string `json:"name"`
	Buffers int    `json:"buffers"`
	Bytes   int64  `json:"bytes"`
}

// bufferRow is one buffer.
type bufferRow struct {
	Name    string `json:"name"`
	Group   string `json:"group"`
	Type    string `json:"type"`
	Offset  int64  `json:"offset"`
	Bytes   int64  `json:"bytes"`
	Program string `json:"program,omitempty"` // of what comes and goes; of gradients the one in which they come, in steps of one micro-batch
	First   int    `json:"first_launch"`
	Last    int    `json:"last_launch"`
}

// The parts of a rank's memory, in the order in which they are shown.
const (
	groupGradients   = "gradients"
	groupActivations = "activations"
	groupExchange    = "exchange"
	groupPool        = "pool of received rows"
	groupWorkspace   = "workspace"
	groupWorld       = "where the other ranks are"
	groupGaps        = "alignment and gaps"
)

var lasting = []struct {
	role ir.Role
	name string
}{
	{ir.Weight, "parameters"},
	{ir.Gradient, groupGradients},
	{ir.State, "optimizer state"},
	{ir.Constant, "constants"},
	{ir.Input, "inputs"},
	{ir.Result, "results"},
}

func newPlanReport(choice *gen.Choice) planReport {
	planned, plan := choice.Planned, choice.Planned.Plan
	r := planReport{Manifest: planned.Manifest(version, testedGo), Nodes: choice.Topology.Nodes, Recompute: planned.Request.Recompute,
		Accumulate: choice.Accumulate(), Candidates: choice.Candidates, Launches: map[string]int{}}
	if planned.Request.Target != "cpu" {
		r.Room, r.Context, r.ByOptimizer = choice.Topology.Arena(), gen.ContextBytes, map[string]int64{}
		for _, o := range gen.Optimizers[planned.Request.Target] {
			r.ByOptimizer[o] = planned.PeakWith(o, r.Accumulate)
		}
	}
	groups := map[*ir.Buffer]string{}
	for _, b := range plan.Buffers {
		for _, l := range lasting {
			if b.Role == l.role {
				groups[b] = l.name
			}
		}
		if b.Role == ir.Activation {
			groups[b] = groupActivations
		}
	}
	for _, p := range plan.Programs {
		r.Launches[p.Name] = len(p.Launches)
		for _, l := range p.Launches {
			if l.Workspace != nil {
				groups[l.Workspace] = groupWorkspace
			}
			for i, b := range l.Out {
				switch {
				case b.Role != ir.Activation:
				case l.Op.Results[i] == "pool":
					groups[b] = groupPool
				case l.Op.Collective():
					groups[b] = groupExchange
				}
			}
		}
	}
	births := gradientRows(plan)
	for _, b := range plan.Buffers {
		if b.IsGroup() {
			continue // its members are there
		}
		row, ok := births[b]
		if !ok {
			row = bufferRow{Program: b.Program, First: b.First, Last: b.Last}
		}
		row.Name, row.Group, row.Type, row.Offset, row.Bytes = b.Name, groups[b], b.Type.String(), b.Offset, b.Bytes()
		r.Buffers = append(r.Buffers, row)
	}
	r.Memory = memory(plan, groups, r.Accumulate > 1)
	if world := r.PeakBytesPerGPU - plan.Bytes; world > 0 {
		r.Memory = append(r.Memory, memoryGroup{groupWorld, 1, world})
	}
	return r
}

// machines says what the plan is for, and how the ranks share the work.
func (r planReport) machines() string {
	text := fmt.Sprintf("%s ×%d, %s, micro-batches of %d×%d tokens a rank", r.Target, r.Ranks, r.DType, r.MicroBatch, r.Seq)
	if r.Accumulate > 1 {
		text += fmt.Sprintf(", %d a step (train --accumulate %d)", r.Accumulate, r.Accumulate)
	}
	if r.Nodes > 1 {
		text = fmt.Sprintf("%d nodes, ", r.Nodes) + text
	}
	switch {
	case r.Ranks > 1 && r.EP == 1:
		text += "; all experts on every rank"
	case r.Ranks > 1:
		text += fmt.Sprintf("; experts over %d ranks", r.EP)
	}
	return text + fmt.Sprintf("; recompute %s", r.Recompute)
}

// peak is what a rank takes in steps of as many micro-batches as asked for.
func (r planReport) peak() int64 {
	if r.Accumulate > 1 {
		return r.AccumulatingBytesPerGPU
	}
	return r.PeakBytesPerGPU
}

// otherwise is the line that says what a rank takes in steps that have several micro-batches, or, if they do, in those that have one.
func (r planReport) otherwise() [2]string {
	if r.Accumulate > 1 {
		return [2]string{"in steps of one micro-batch", grouped(r.PeakBytesPerGPU) + " bytes"}
	}
	text := grouped(r.AccumulatingBytesPerGPU) + " bytes"
	if r.Room > 0 && r.AccumulatingBytesPerGPU > r.Room {
		text += ", which do not fit: plan with --global-batch what is to add up micro-batches"
	}
	return [2]string{"with train --accumulate", text}
}

// others says what a rank would take with other optimizers.
func (r planReport) others() string {
	var list []string
	for _, o := range gen.Optimizers[r.Target] {
		if bytes, ok := r.ByOptimizer[o]; ok && o != r.Optimizer {
			list = append(list, fmt.Sprintf("%s with --optimizer %s", grouped(bytes), o))
		}
	}
	if list == nil {
		return ""
	}
	return fmt.Sprintf(" with --optimizer %s; %s", r.Optimizer, strings.Join(list, ", "))
}

// print writes the report as a table.
func (r planReport) print(w io.Writer, every bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"model", r.Model + " (" + r.Architecture + ")"},
		{"target", r.machines()},
		{"parameters", fmt.Sprintf("%s, %s of them active for a token", grouped(r.Parameters), grouped(r.ActiveParameters))},
		{"FLOPs a token", grouped(r.FLOPsPerToken)},
		{"launches of a micro-batch", grouped(int64(r.Launches["micro_batch"]))},
		{"peak memory a rank", grouped(r.peak()) + " bytes" + r.others()},
		r.otherwise(),
	} {
		fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
	}
	if r.Room > 0 {
		fmt.Fprintf(t, "a GPU has\t%s bytes for it: it fits, and %s are left; another %s are the context's\n", grouped(r.Room), grouped(r.Room-r.peak()),
			grouped(r.Context))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "bytes\tshare\tbuffers\t  memory of a rank\v")
	for _, g := range r.Memory {
		if g.Bytes == 0 && g.Buffers == 0 {
			continue
		}
		fmt.Fprintf(t, "%s\t%.1f%%\t%d\t  %s\v\n", grouped(g.Bytes), 100*float64(g.Bytes)/float64(r.peak()), g.Buffers, g.Name)
	}
	if err := t.Flush(); err != nil || !every {
		return err
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "offset\tbytes\tgroup\talive\ttype\tname")
	for _, b := range r.Buffers {
		alive := "always"
		switch {
		case b.Group == groupGradients && b.Program != "":
			alive = fmt.Sprintf("%s %d-", b.Program, b.First)
		case b.Program != "":
			alive = fmt.Sprintf("%s %d-%d", b.Program, b.First, b.Last)
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\n", b.Offset, b.Bytes, b.Group, alive, b.Type, b.Name)
	}
	return t.Flush()
}
