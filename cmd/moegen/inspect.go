package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"moegen/runtime/train"
)

// inspectCommand shows the manifest of a training binary without running it.
func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect BIN [--json]",
		Short: "Show what a training binary was built for, without running it",
		Long: `Show the manifest of a training binary: what it was built for, from which config, by which moegen. The binary is
only read. Its own info command prints the same manifest.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("inspect takes one binary, but was given %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := inspect(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), m)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, line := range [][2]string{
				{"model", m.Model + " (" + m.Architecture + ")"},
				{"target", fmt.Sprintf("%s ×%d, expert-parallel axis %d, %s", m.Target, m.Ranks, m.EP, m.DType)},
				{"micro-batch", fmt.Sprintf("%d rows of %d tokens a rank", m.MicroBatch, m.Seq)},
				{"sizes", fmt.Sprintf("%d layers, hidden %d, vocabulary %d, top-%d of %d experts", m.Layers, m.Hidden, m.Vocab, m.TopK, m.Experts)},
				{"parameters", fmt.Sprintf("%s, %s of them active for a token", grouped(m.Parameters), grouped(m.ActiveParameters))},
				{"FLOPs a token", grouped(m.FLOPsPerToken)},
				{"peak memory a rank", grouped(m.PeakBytesPerGPU) + " bytes; " + grouped(m.AccumulatingBytesPerGPU) + " with train --accumulate"},
				{"made by", m.MadeBy()},
				{"plan", m.PlanHash},
			} {
				fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
			}
			return t.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, the config included")
	return cmd
}

// inspect reads the manifest of a binary.
func inspect(path string) (train.Manifest, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return train.Manifest{}, fmt.Errorf("%s does not exist; give inspect a binary that moegen build made", path)
	}
	if err != nil {
		return train.Manifest{}, err
	}
	defer file.Close()
	m, err := train.FindManifest(file)
	if errors.Is(err, train.ErrNoManifest) {
		return m, fmt.Errorf("%s is %w; give inspect the output of moegen build", path, err)
	}
	if err != nil {
		return m, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return m, nil
}
