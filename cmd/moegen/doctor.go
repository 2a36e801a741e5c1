package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"moegen/runtime/driver"
	"moegen/runtime/driver/purego"
	"moegen/runtime/health"
)

// kernelCapability is what the kernels of target h100 are written for.
const kernelCapability = 90

// doctorCommand says whether this machine is fit for training.
func doctorCommand() *cobra.Command {
	var folder, save string
	var asJSON, measure bool
	gpus := newFlagGroup("GPUs")
	gpus.flags.BoolVar(&measure, "measure", false, "copy between all GPUs, and from the host to each, and see how fast: takes 256 MiB and a context of each")
	disk := newFlagGroup("Disk")
	disk.flags.StringVar(&folder, "dir", ".", "`folder` whose disk is tried out: where checkpoints will go")
	output := newFlagGroup("Output")
	output.flags.BoolVar(&asJSON, "json", false, "print one JSON object, with all that was read")
	output.flags.StringVar(&save, "save", "", "new `file` that receives the GPUs and what joins them, for --topology of plan and build")
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Say whether this machine is fit for training, and what to do where it is not",
		Long: fmt.Sprintf(`Say whether this machine is fit for training: the driver and its GPUs, what joins them, clocks, power, heat, errors and
what else uses them; processors, memory, limits, and the disk for checkpoints. Where there is no GPU it says so and
looks at the rest. Nothing that runs is disturbed, without --measure; a file of at most 256 MiB is written to try the disk out, and is gone
afterwards. A training binary has a doctor of its own, which knows what the binary takes.

Exit status: 0 all is well, or there are warnings only; %d a check failed.`, health.ExitUnfit),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if save != "" {
				if err := refuseExisting(save); err != nil {
					return err
				}
			}
			found := purego.Inspect(purego.Open, driver.System)
			if measure {
				if err := measureCopies(&found); err != nil {
					return err
				}
			}
			report := health.Examine(health.Machine{System: health.ReadSystem(folder), GPUs: &found}, health.Need{Capability: kernelCapability})
			var err error
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.Print(cmd.OutOrStdout())
			}
			if err != nil {
				return failure{err}
			}
			if save != "" {
				t, ok := found.Topology()
				if !ok {
					return &driver.Error{Kind: driver.NoGPU, Message: "there is no GPU whose topology could be saved; write " + save + " by hand, docs/reliability.md has one to start from"}
				}
				if err := writeTopology(save, t); err != nil {
					return err
				}
			}
			if report.Status == health.Fail {
				return errUnfit
			}
			return nil
		},
	}
	addGroups(cmd, gpus, disk, output)
	return cmd
}

// measureCopies measures what copies to GPUs and between them reach, where programs can use some.
func measureCopies(found *health.GPUs) error {
	if len(found.Usable()) == 0 {
		return nil
	}
	d, err := purego.Open(driver.System)
	if err == nil {
		found.Copies, err = driver.Bandwidths(d)
	}
	if err != nil {
		return fmt.Errorf("--measure: %w", err)
	}
	return nil
}

// errUnfit ends the process with health.ExitUnfit: what is wrong has been printed.
var errUnfit = errors.New("this machine is not fit for training")
