package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"moegen/check"
	"moegen/runtime/driver"
	"moegen/runtime/driver/purego"
)

// benchKernelsCommand times kernel cases.
func benchKernelsCommand() *cobra.Command {
	var device string
	var cases []string
	var asJSON bool
	var sms int
	flags := newFlagGroup("Flags")
	flags.flags.StringVar(&device, "device", "gpu", "where: gpu, the first GPU of this machine")
	flags.flags.IntVar(&sms, "sms", 0, "multiprocessors that kernels may take whose blocks share the work (default: all)")
	flags.flags.StringSliceVar(&cases, "case", nil, casesUsage)
	flags.flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd := &cobra.Command{
		Use:   "bench-kernels [KERNEL]... [flags]",
		Short: "Time GPU kernels at the shapes of real models",
		Long: `Time the large cases of kernels on the first GPU of this machine, every candidate of those that have several. A time is
the median of nine bursts of some 20 ms, launched from graphs as in a step; least and most are the fastest and the slowest
burst. The runs of a burst go round copies of the buffers, of which they touch three times as much as the L2 cache holds, so
that none finds its inputs there. TFLOP/s and TB/s count what the computation cannot do without, not what the kernel does.
Where memory decides, two copies of as many bytes are timed in the same way, a plain kernel's (copy) and the driver's
(memcpy), each with what the case reaches of it; share is of what this kind of GPU was measured to reach, in matrix
products or in the largest copies, whichever bounds the case.

Exit status: 0 all were timed; 1 the GPU refused a kernel; 2 the command line is not usable; 3 there is no usable GPU.`,
		RunE: func(cmd *cobra.Command, kernels []string) error {
			if device != "gpu" {
				return fmt.Errorf("--device %s: only a gpu has times; the simulator has none", device)
			}
			if sms < 0 {
				return fmt.Errorf("--sms %d: one multiprocessor is the least", sms)
			}
			items, err := largeCases(kernels, cases)
			if err != nil {
				return err
			}
			return onGPU(func(d driver.Driver, g driver.Device) error {
				report := &benchReport{GPU: check.GPUName(d, g)}
				if c, ok := check.CeilingOf(g.Info().Name); ok {
					report.Ceiling = &c
				}
				bench := &check.Bench{Device: g, Burst: 20e3, SMs: sms}
				for _, item := range items {
					if err := cmd.Context().Err(); err != nil {
						return failure{err}
					}
					t, err := bench.Time(item)
					if err != nil {
						return err
					}
					report.Timings = append(report.Timings, t)
				}
				if asJSON {
					err = printJSON(cmd.OutOrStdout(), report)
				} else {
					err = report.print(cmd.OutOrStdout())
				}
				if err != nil {
					return failure{err}
				}
				return report.verdict()
			})
		},
	}
	addGroups(cmd, flags)
	return cmd
}

// largeCases are those at the shapes of real models, and small ones that are named.
func largeCases(kernels, cases []string) ([]check.Item, error) {
	all, err := check.Select(kernels, cases, true)
	if err != nil {
		return nil, err
	}
	var items []check.Item
	for _, item := range all {
		if item.Case.Large || slices.Contains(cases, item.Case.Name) {
			items = append(items, item)
		}
	}
	return items, nil
}

// onGPU opens the first GPU of this machine and runs f on a thread that is bound to it.
func onGPU(f func(driver.Driver, driver.Device) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d, err := purego.Open(driver.System)
	if err != nil {
		return err
	}
	devices, err := driver.Acquire(d, driver.Need{GPUs: 1, Capability: 90, Memory: 8 << 30})
	if err != nil {
		return err
	}
	defer devices[0].Close()
	return f(d, devices[0])
}

// benchReport is what moegen bench-kernels measured, and the JSON that it prints.
type benchReport struct {
	GPU     string          `json:"gpu"`
	Ceiling *check.Ceiling  `json:"ceiling,omitempty"`
	Timings []*check.Timing `json:"timings"`
}

func (r *benchReport) verdict() error {
	n := 0
	for _, t := range r.Timings {
		if t.Failure != nil {
			n++
		}
	}
	if n > 0 {
		return failure{fmt.Errorf("%d of %d cases could not be timed", n, len(r.Timings))}
	}
	return nil
}

func (r *benchReport) print(w io.Writer) error {
	fmt.Fprintln(w, r.GPU)
	if r.Ceiling != nil {
		fmt.Fprintf(w, "ceilings: %.0f TFLOP/s, %.2f TB/s\n", r.Ceiling.TFLOPs, r.Ceiling.TBs)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "kernel\tcase\tµs\tleast\tmost\tTFLOP/s\tTB/s\tcopy\tof it\tmemcpy\tof it\tshare\t")
	for _, x := range r.Timings {
		if x.Failure != nil {
			fmt.Fprintf(t, "%s\t%s\tFAILED\t\t\t\t\t\t\t\t\t\t\n", x.Kernel, x.Case)
			continue
		}
		flops, copied, share := "-", "-\t-\t-\t-", "-"
		if x.TFLOPs > 0 {
			flops = fmt.Sprintf("%.0f", x.TFLOPs)
		}
		if c := x.Beside; c != nil {
			copied = fmt.Sprintf("%.3f\t%.0f %%\t%.3f\t%.0f %%", c.Kernel, 100*c.ShareKernel, c.Driver, 100*c.ShareDriver)
		}
		if x.Share > 0 {
			share = fmt.Sprintf("%.1f %%", 100*x.Share)
		}
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%.2f\t%.2f\t%s\t%.3f\t%s\t%s\t\n", x.Kernel, x.Case, x.Median, x.Least, x.Most, flops, x.TBs, copied, share)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range r.Timings {
		if x.Failure != nil {
			fmt.Fprintf(w, "\n%s %s: %s: %s\n", x.Kernel, x.Case, x.Failure.Check, x.Failure.Message)
		}
	}
	return nil
}
