package train

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"moegen/runtime/metrics"
)

// newInfo builds the command that says what a binary was built for.
func newInfo(program Program) *cobra.Command {
	output := newGroup("Output")
	asJSON := output.flags.Bool("json", false, "print one JSON object")
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Print what this binary was built for, and how it will run on this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			here, err := program.Target.Platform(cmd.Flags().Changed("device"))
			if err != nil {
				return failed(err)
			}
			if *asJSON {
				return printJSON(cmd, struct {
					Manifest
					Platform
				}{program.Manifest, here})
			}
			printInfo(cmd, program.Manifest, here)
			return nil
		},
	}
	addGroups(cmd, program.device(), output)
	return cmd
}

func printInfo(cmd *cobra.Command, m Manifest, here Platform) {
	printTable(cmd, [][2]string{
		{"model", m.Model + " (" + m.Architecture + ")"},
		{"parameters", fmt.Sprintf("%s, of which a token uses %s", metrics.Count(m.Parameters), metrics.Count(m.ActiveParameters))},
		{"layers", fmt.Sprintf("%d, %d experts, top %d", m.Layers, m.Experts, m.TopK)},
		{"vocabulary", metrics.Count(int64(m.Vocab))},
		{"built for", fmt.Sprintf("%s, %s, expert parallel over %d", ranks(m.Ranks, m.Target), m.DType, m.EP)},
		{"shape", fmt.Sprintf("%d tokens a sequence, %d sequences a rank and micro-batch", m.Seq, m.MicroBatch)},
		{"planned memory", fmt.Sprintf("%s a rank, %s in all", metrics.Bytes(m.PeakBytesPerGPU), metrics.Bytes(m.PeakBytesPerGPU*int64(m.Ranks)))},
		{"", fmt.Sprintf("%s a rank, %s in all, in steps of several micro-batches (train --accumulate)",
			metrics.Bytes(m.AccumulatingBytesPerGPU), metrics.Bytes(m.AccumulatingBytesPerGPU*int64(m.Ranks)))},
		{"work", metrics.Count(m.FLOPsPerToken) + " FLOPs a token, forward and backward"},
		{"this machine", here.String()},
		{"made by", m.MadeBy()},
		{"plan", m.PlanHash},
	})
}

// printTable prints rows of a name and a value.
func printTable(cmd *cobra.Command, rows [][2]string) {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	for _, row := range rows {
		fmt.Fprintf(cmd.OutOrStdout(), "%-*s  %s\n", width, row[0], row[1])
	}
}

// printJSON prints a value as one indented JSON object.
func printJSON(cmd *cobra.Command, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
	return failed(err)
}
