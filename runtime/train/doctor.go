package train

import (
	"fmt"

	"github.com/spf13/cobra"

	"moegen/runtime/checkpoint"
	"moegen/runtime/health"
)

// newDoctor builds the command that says whether this machine is fit for this binary.
func newDoctor(program Program) *cobra.Command {
	disk := newGroup("Disk")
	folder := disk.flags.String("dir", ".", "`folder` whose disk is tried out: where checkpoints will go")
	output := newGroup("Output")
	asJSON := output.flags.Bool("json", false, "print one JSON object, with all that was read")
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say whether this machine is fit to run this binary, and what to do where it is not",
		Long: fmt.Sprintf(`Say whether this machine is fit to run this binary: processors, memory, limits, the disk for checkpoints and, where
it runs on GPUs, the driver, the GPUs, what joins them, and their errors. Nothing that runs is disturbed; a file of at
most 256 MiB is written to try the disk out, and is gone afterwards.

Exit status: 0 all is well, or there are warnings only; %d a check failed.`, health.ExitUnfit),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			form, err := checkpoint.New([]byte(program.Manifest.Config), program.Params)
			if err != nil {
				return failed(err)
			}
			gpus, need := program.Target.Inspect(&program)
			if need.CheckpointBytes, err = form.Bytes(program.Params); err != nil {
				return failed(err)
			}
			report := health.Examine(health.Machine{System: health.ReadSystem(*folder), GPUs: gpus}, need)
			if *asJSON {
				err = printJSON(cmd, report)
			} else {
				err = failed(report.Print(cmd.OutOrStdout()))
			}
			if err == nil && report.Status == health.Fail {
				return &status{code: health.ExitUnfit}
			}
			return err
		},
	}
	addGroups(cmd, disk, output)
	return cmd
}
