package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// options are those of the train command.
type options struct {
	checkpoint, out, resume string
	data                    dataOptions

	steps, accumulate int
	seed              uint64

	lr, minLR    float64
	schedule     string
	warmup       int
	beta1, beta2 float64
	eps, decay   float64
	clip         float64

	valFraction            float64
	evalEvery, evalBatches int
	saveEvery, logEvery    int
}

// latest is what --resume means without a value: the last whole checkpoint of --out.
const latest = "latest"

// decisive are the flags on which the parameters after a given number of steps depend, beside the data. A run
// that is taken up again must have them as they were. --steps is among them unless the rate is constant.
var decisive = []string{
	"steps", "accumulate", "seed", "lr", "min-lr", "schedule", "warmup",
	"beta1", "beta2", "eps", "weight-decay", "clip", "val-fraction",
}

// groups declares the flags.
func (o *options) groups() []group {
	files := newGroup("Files")
	files.flags.StringVar(&o.checkpoint, "checkpoint", "", "Hugging Face `DIR` to start from: weights, config, tokenizer")
	o.data.flags(files.flags)
	files.flags.StringVar(&o.out, "out", "", "new `DIR` for checkpoints (step-N) and the event log (events.jsonl)")
	files.flags.StringVar(&o.resume, "resume", "", "go on with the last checkpoint of --out, or with --resume=`DIR`; options not given stay as they were")
	files.flags.Lookup("resume").NoOptDefVal = latest

	length := newGroup("Length and batch")
	length.flags.IntVar(&o.steps, "steps", 0, "optimizer steps in all")
	length.flags.IntVar(&o.accumulate, "accumulate", 1, "micro-batches a step")
	length.flags.Uint64Var(&o.seed, "seed", 0, "seed of the order of the data and of stochastic rounding")

	rate := newGroup("Learning rate")
	rate.flags.Float64Var(&o.lr, "lr", 5e-5, "peak learning rate")
	rate.flags.Float64Var(&o.minLR, "min-lr", 0, "rate at which a linear or cosine schedule ends")
	rate.flags.StringVar(&o.schedule, "schedule", "linear", strings.Join(schedules, ", "))
	rate.flags.IntVar(&o.warmup, "warmup", 0, "steps in which the rate rises from 0 to its peak")

	adam := newGroup("Optimizer (AdamW, as torch.optim.AdamW)")
	adam.flags.Float64Var(&o.beta1, "beta1", 0.9, "decay of the first moment")
	adam.flags.Float64Var(&o.beta2, "beta2", 0.999, "decay of the second moment")
	adam.flags.Float64Var(&o.eps, "eps", 1e-8, "added to the root of the second moment")
	adam.flags.Float64Var(&o.decay, "weight-decay", 0, "decoupled weight decay, of every parameter")
	adam.flags.Float64Var(&o.clip, "clip", 1, "largest norm of the gradient over all parameters; 0: do not clip")

	validation := newGroup("Validation")
	validation.flags.Float64Var(&o.valFraction, "val-fraction", 0, "share of the documents kept for validation; 0: no validation")
	validation.flags.IntVar(&o.evalEvery, "eval-every", 0, "validate every N steps, and at the start and the end; 0: only those")
	validation.flags.IntVar(&o.evalBatches, "eval-batches", 0, "micro-batches a validation; 0: all")

	report := newGroup("Saving and reporting")
	report.flags.IntVar(&o.saveEvery, "save-every", 0, "save a checkpoint every N steps, and at the end; 0: only there")
	report.flags.IntVar(&o.logEvery, "log-every", 1, "print a line every N steps, where there is no terminal for a bar")

	return []group{files, length, rate, adam, validation, report}
}

// check says what is wrong with the options by themselves, before a file is touched.
func (o *options) check() error {
	positive := []struct {
		name  string
		value int
		least int
	}{
		{"steps", o.steps, 1}, {"accumulate", o.accumulate, 1}, {"log-every", o.logEvery, 1},
		{"eval-every", o.evalEvery, 0}, {"eval-batches", o.evalBatches, 0}, {"save-every", o.saveEvery, 0},
	}
	for _, p := range positive {
		if p.value < p.least {
			return fmt.Errorf("--%s %d: it must be at least %d", p.name, p.value, p.least)
		}
	}
	ranges := []struct {
		name     string
		value    float64
		from, to float64 // from ≤ value < to
	}{
		{"lr", o.lr, 0, math.Inf(1)}, {"min-lr", o.minLR, 0, math.Inf(1)},
		{"beta1", o.beta1, 0, 1}, {"beta2", o.beta2, 0, 1},
		{"eps", o.eps, 0, math.Inf(1)}, {"weight-decay", o.decay, 0, math.Inf(1)},
		{"clip", o.clip, 0, math.Inf(1)}, {"val-fraction", o.valFraction, 0, 1},
	}
	for _, r := range ranges {
		if !(r.value >= r.from && r.value < r.to) {
			return fmt.Errorf("--%s %g: it must be at least %g and less than %g", r.name, r.value, r.from, r.to)
		}
	}
	return o.rates().check()
}

func (o *options) rates() schedule {
	return schedule{kind: o.schedule, peak: o.lr, floor: o.minLR, warmup: o.warmup, steps: o.steps}
}

func (o *options) optimizer() optimizer {
	return optimizer{beta1: o.beta1, beta2: o.beta2, eps: o.eps, decay: o.decay, clip: o.clip, seed: o.seed}
}

// kept are the flags whose values a checkpoint carries along: all but the places.
func kept(cmd *cobra.Command) map[string]string {
	values := map[string]string{}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "checkpoint", "out", "resume", "device", "devices", "timeout", "help":
		default:
			values[f.Name] = f.Value.String()
		}
	})
	return values
}

// takeUp sets the flags that a command line leaves open to what they were when from was saved, and refuses
// those that would change the result.
func takeUp(cmd *cobra.Command, saved map[string]string, from string) error {
	for _, name := range decisive {
		f := cmd.Flags().Lookup(name)
		if name == "steps" && saved["schedule"] == "constant" {
			continue // more steps at a constant rate are the same steps, and then some
		}
		if f.Changed && f.Value.String() != saved[name] {
			return fmt.Errorf("--%s %s would change the result: %s was saved with %s; leave the option out, or start a new run with --checkpoint %s",
				name, f.Value, from, saved[name], from)
		}
	}
	var failure error
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		value, known := saved[f.Name]
		if failure != nil || f.Changed || !known {
			return
		}
		if err := f.Value.Set(value); err != nil {
			failure = fmt.Errorf("%s: option %s: %w", from, f.Name, err)
		}
	})
	return failure
}
