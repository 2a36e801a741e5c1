package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"moegen/check"
	"moegen/kernels/gpu"
	"moegen/runtime/driver"
	"moegen/runtime/driver/purego"
)

// benchRanksCommand measures what several ranks exchange.
func benchRanksCommand() *cobra.Command {
	var b benchRanks
	var asJSON bool
	flags := newFlagGroup("Flags")
	flags.flags.IntSliceVar(&b.devices, "devices", nil, "GPU of each rank by `NUMBER`, 0,1,...; one that is named several times plays several ranks\n(default: all GPUs)")
	flags.flags.IntVar(&b.rounds, "rounds", 1_000_000, "how often numbers are passed round")
	flags.flags.IntVar(&b.tokens, "tokens", 4096, "tokens of a rank")
	flags.flags.IntVar(&b.elements, "elements", 1<<28, "elements of the array that all ranks hold, and as many bf16 as are copied")
	flags.flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd := &cobra.Command{
		Use:   "bench-ranks [flags]",
		Short: "Time what ranks on several GPUs exchange",
		Long: `Time what ranks on the GPUs of this machine exchange: copies from each to each; the protocol by which they wait for each
other, a number passed round, which must be right in the end; dispatch and combine as a layer of Qwen3-30B-A3B has them,
with a balanced router, a uniform one, and one that chooses the same experts for all tokens, and again with eight tokens, to
see what they take at least; sums over replicas, and what follows them. What is left is checked before it is timed.
GB/s are of a rank: what it cannot do without reading and writing, its own memory's part included.

Exit status: 0 all was right; 1 something was not; 2 the command line is not usable; 3 there are no usable GPUs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := purego.Open(driver.System)
			if err != nil {
				return err
			}
			r, err := b.run(cmd.Context(), d)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), r)
			} else {
				err = r.print(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			return r.verdict()
		},
	}
	addGroups(cmd, flags)
	return cmd
}

// benchRanks is what is asked.
type benchRanks struct {
	devices          []int
	rounds           int
	tokens, elements int
}

// ranksReport is what was measured, and the JSON that is printed.
type ranksReport struct {
	GPU       string            `json:"gpu"` // of rank 0
	Devices   []int             `json:"devices"`
	Links     []check.Link      `json:"links"`
	Relay     *check.Relay      `json:"relay"`
	Exchanges []*check.Exchange `json:"exchanges"`
}

func (b *benchRanks) run(ctx context.Context, d driver.Driver) (*ranksReport, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if b.devices == nil {
		for gpu := range d.Devices() {
			b.devices = append(b.devices, gpu)
		}
	}
	if n := len(b.devices); n < 2 || n > gpu.MostRanks || b.rounds < 2 || b.tokens < 1 || b.elements < 1 {
		return nil, fmt.Errorf("%d ranks, %d rounds, %d tokens, %d elements: two ranks are the least, %d the most; name a GPU several times with --devices to have it play several",
			n, b.rounds, b.tokens, b.elements, gpu.MostRanks)
	}
	numbers := slices.Compact(slices.Sorted(slices.Values(b.devices)))
	opened, err := driver.Acquire(d, driver.Need{GPUs: len(numbers), On: numbers, Capability: 90, Memory: 1 << 20, Peers: len(numbers) > 1})
	if err != nil {
		return nil, err
	}
	var devices []driver.Device // of each rank
	for _, number := range b.devices {
		devices = append(devices, opened[slices.Index(numbers, number)])
	}
	r := &ranksReport{GPU: check.GPUName(d, devices[0]), Devices: b.devices}
	if r.Links, err = check.Links(devices, 2*int64(b.elements)); err != nil {
		return nil, err
	}
	if r.Relay, err = check.PassRound(devices, len(devices), b.rounds); err != nil {
		return nil, err
	}
	for _, families := range [][]gpu.Family{gpu.ExchangeCases(len(devices), b.tokens), gpu.ExchangeCases(len(devices), 8), gpu.SharedCases(len(devices), b.elements)} {
		for _, f := range families {
			for _, c := range f.Cases() {
				if err := ctx.Err(); err != nil {
					return nil, failure{err}
				}
				e, err := check.Together(devices, check.Item{Kernel: f.Name, Case: c}, 20e3)
				if err != nil {
					return nil, err
				}
				r.Exchanges = append(r.Exchanges, e)
			}
		}
	}
	return r, nil
}

func (r *ranksReport) verdict() error {
	wrong := 0
	for _, e := range r.Exchanges {
		if e.Failure != nil {
			wrong++
		}
	}
	if r.Relay.Failure != nil || wrong > 0 {
		return failure{fmt.Errorf("%d of %d exchanges were wrong, numbers passed round: %v", wrong, len(r.Exchanges), r.Relay.Failure == nil)}
	}
	return nil
}

func (r *ranksReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%s; ranks on GPUs %v\n", r.GPU, r.Devices)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "copy\tGB/s\tlatency µs\t")
	for _, l := range r.Links {
		fmt.Fprintf(t, "%d to %d\t%.0f\t%.1f\t\n", l.From, l.To, l.GBs, l.LatencyUS)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d rounds of a number, %.2f µs each: %s\n", r.Relay.Rounds, r.Relay.US, verdictOf(r.Relay.Failure))
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "exchange\tcase\tµs\tGB/s\t")
	for _, e := range r.Exchanges {
		if e.Failure != nil {
			fmt.Fprintf(t, "%s\t%s\t%s\t\t\n", e.Kernel, e.Case, verdictOf(e.Failure))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%.0f\t\n", e.Kernel, e.Case, e.US, e.GBs)
	}
	return t.Flush()
}

func verdictOf(f *check.Failure) string {
	if f == nil {
		return "right"
	}
	return f.Check + ": " + f.Message
}
