package train

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"moegen/runtime/checkpoint"
	"moegen/runtime/metrics"
)

// newTrain builds the command that trains.
func newTrain(program Program) *cobra.Command {
	o := new(options)
	cmd := &cobra.Command{
		Use:   "train --checkpoint DIR --data PATH --out DIR --steps N",
		Short: "Train a checkpoint on text",
		Long: `Train a checkpoint on text. Checkpoints go to OUT/step-N, in the form of the one
that the run starts from, and appear whole or not at all; OUT/events.jsonl has one JSON
object a step. Ctrl-C or SIGTERM ends the run after the step at hand, with a
checkpoint; --resume goes on from there, and the result is the same to the bit.

The loss of a step is the mean over its target tokens, over all ranks and micro-batches.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				// --resume has an optional value, which flag parsers only see behind "=".
				if o.resume != latest {
					return fmt.Errorf("train takes no argument %q: see %s --help", args[0], cmd.CommandPath())
				}
				o.resume = args[0]
			}
			if o.resume != "" {
				return resume(cmd, program, o)
			}
			return begin(cmd, program, o)
		},
	}
	addGroups(cmd, append(o.groups(), program.device())...)
	return cmd
}

// begin starts a new run.
func begin(cmd *cobra.Command, program Program, o *options) error {
	if err := require(cmd, "checkpoint", "data", "out", "steps"); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	form, err := openCheckpoint(program, o.checkpoint)
	if err != nil {
		return err
	}
	defer form.Close()
	samples, err := openSamples(program.Manifest, o, o.checkpoint)
	if err != nil {
		return err
	}
	defer samples.close()
	from, err := filepath.Abs(o.checkpoint)
	if err != nil {
		return err
	}
	t := &trainer{options: o, samples: samples, form: form, state: state{
		Options: kept(cmd), Checkpoint: from, Data: samples.text.Fingerprint(), Plan: planOf(program.Manifest),
	}}
	return t.startIn(o.out, cmd, program, form.Load)
}

// resume takes a run up again.
func resume(cmd *cobra.Command, program Program, o *options) error {
	if err := require(cmd, "out"); err != nil {
		return err
	}
	dir, inside, err := resumeDir(o)
	if err != nil {
		return err
	}
	form, err := openCheckpoint(program, dir)
	if err != nil {
		return err
	}
	defer form.Close()
	s, err := readState(dir, form)
	if err != nil {
		return err
	}
	if err := s.takeUp(cmd, program.Manifest, o, dir); err != nil {
		return err
	}
	if s.Step == o.steps {
		fmt.Fprintf(cmd.OutOrStdout(), "all %d steps are done: %s\n", o.steps, dir)
		return nil
	}
	samples, err := openSamples(program.Manifest, o, dir)
	if err != nil {
		return err
	}
	defer samples.close()
	if print := samples.text.Fingerprint(); print != s.Data {
		return fmt.Errorf("--data %s is not the data that the run in %s was trained on: resume with that data, or start a new run with --checkpoint %s", o.data.path, dir, dir)
	}
	s.Options = kept(cmd)
	t := &trainer{options: o, samples: samples, form: form, state: *s, last: dir}
	if inside {
		t.saved = true
		return t.start(cmd, program, form.Resume)
	}
	return t.startIn(o.out, cmd, program, form.Resume)
}

// takeUp fills the options in from the state saved in dir and says what would change the result.
func (s *state) takeUp(cmd *cobra.Command, m Manifest, o *options, dir string) error {
	if err := s.match(m, dir); err != nil {
		return err
	}
	if err := takeUp(cmd, s.Options, dir); err != nil {
		return err
	}
	if from, err := filepath.Abs(o.checkpoint); o.checkpoint != "" && (err != nil || from != s.Checkpoint) {
		return fmt.Errorf("--checkpoint %s: the run in %s started from %s; leave the option out to resume", o.checkpoint, dir, s.Checkpoint)
	}
	if err := o.check(); err != nil {
		return err
	}
	if s.Step > o.steps {
		return fmt.Errorf("--steps %d: the run in %s has done %d already", o.steps, dir, s.Step)
	}
	return nil
}

// startIn is start in an output folder that is new or empty. What went wrong before the run began leaves no folder.
func (t *trainer) startIn(out string, cmd *cobra.Command, program Program, load loader) error {
	made, err := prepareOut(out)
	if err != nil {
		return err
	}
	err = t.start(cmd, program, load)
	if err != nil && made {
		os.Remove(out) // does nothing once there is something in it
	}
	return err
}

// loader fills the arenas from a checkpoint.
type loader func([]checkpoint.Param, checkpoint.Memory) error

// start takes the program's memory, fills it and trains.
func (t *trainer) start(cmd *cobra.Command, program Program, load loader) error {
	if err := t.checkSpace(program.Params); err != nil {
		return err
	}
	program.Accumulates = t.options.accumulate > 1
	e, err := start(program)
	if err != nil {
		return err
	}
	defer e.close()
	if err := load(program.Params, e.memory()); err != nil {
		return err
	}
	t.engine = e
	t.events, err = openEvents(t.options.out, t.state.Step)
	if err != nil {
		return err
	}
	defer t.events.Close()
	t.progress = metrics.NewProgress(cmd.OutOrStdout(), t.options.steps, t.options.logEvery)
	t.stop = watch(cmd.ErrOrStderr())
	defer t.stop.done()
	t.progress.Say("data: %s", t.samples.describe())
	for _, name := range t.form.Tied() {
		t.progress.Say("checkpoint: %s is tied to another weight and not written again", name)
	}
	if t.last != "" {
		t.progress.Say("going on after step %d from %s", t.state.Step, t.last)
	}
	return t.run()
}
