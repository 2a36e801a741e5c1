package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"moegen/gen"
)

// printCandidates writes what the planner chose among.
func printCandidates(w io.Writer, c *gen.Choice) error {
	if len(c.Candidates) == 0 {
		_, err := fmt.Fprintf(w, "\nno candidates: target %s has no predicted times to choose by\n", c.Request.Target)
		return err
	}
	fmt.Fprintf(w, "\n%d candidates; a GPU has room for %.2f GiB beside its context; times are predictions\n", len(c.Candidates), float64(c.Topology.Arena())/(1<<30))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "ep\trecompute\tmicro-batch\ttimes\tGiB a GPU\tms a step\tof it wire\ttokens/s a GPU\t  verdict")
	estimated := false
	for _, x := range c.Candidates {
		fmt.Fprintf(table, "%d\t%s\t%d\t%d\t", x.EP, x.Recompute, x.MicroBatch, x.Accumulate)
		if x.Bytes == 0 {
			fmt.Fprintf(table, "-\t-\t-\t-\t  %s\n", x.Verdict)
			continue
		}
		about := ""
		if !x.Exact {
			about, estimated = "~", true
		}
		fmt.Fprintf(table, "%s%.2f\t%s%.1f\t%.1f\t%s\t  %s\n", about, float64(x.Bytes)/(1<<30), about, x.StepMS, x.WireMS, grouped(int64(x.TokensPerSecond)), x.Verdict)
	}
	if err := table.Flush(); err != nil || !estimated {
		return err
	}
	_, err := fmt.Fprintln(w, "~ from plans of a few layers")
	return err
}
