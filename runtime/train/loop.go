package train

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"moegen/runtime/checkpoint"
	"moegen/runtime/data"
	"moegen/runtime/metrics"
)

// eventLog is the name of the event log in the output folder.
const eventLog = "events.jsonl"

// trainer is a run under way.
type trainer struct {
	options  *options
	engine   *engine
	samples  *samples
	form     *checkpoint.Checkpoint // what saved checkpoints look like
	state    state                  // Step counts the optimizer steps done
	last     string                 // the last checkpoint; "": none
	saved    bool                   // it is in the output folder, and of this step
	events   *metrics.Events
	progress *metrics.Progress
	stop     *interrupt
	pace     float64 // seconds a step takes, smoothed
}

// run trains to the last step. An interrupt ends it after the step at hand, with a checkpoint.
func (t *trainer) run() error {
	defer t.progress.Done()
	if t.state.Step == 0 {
		if err := t.validate(); err != nil {
			return err
		}
	}
	for t.state.Step < t.options.steps {
		if code := t.stop.status(); code != 0 {
			return t.interrupted(code)
		}
		if err := t.advance(); err != nil {
			return err
		}
		last := t.state.Step == t.options.steps
		if last || due(t.state.Step, t.options.evalEvery) {
			if err := t.validate(); err != nil {
				return err
			}
		}
		if last || due(t.state.Step, t.options.saveEvery) {
			if err := t.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// due says whether something that happens every so many steps (0: never) happens after this one.
func due(step, every int) bool { return every > 0 && step%every == 0 }

// advance trains one step.
func (t *trainer) advance() error {
	begin := time.Now()
	step, o, coef := t.state.Step+1, t.options, t.engine.program.Manifest.AuxCoef
	targets := t.samples.targets(step)
	if targets == 0 {
		return failed(fmt.Errorf("the rows of step %d have no token to predict: documents of a single token cannot be trained on", step))
	}
	lr := o.rates().rate(step)
	r := o.optimizer().record(step, lr, targets, o.accumulate, coef)
	loss, aux, replayed := 0.0, 0.0, 0
	for i := range o.accumulate {
		b, err := t.samples.microBatch(step, i)
		if err != nil {
			return failed(err)
		}
		l, a, err := t.engine.microBatch(b, r.accumulate(i > 0))
		if err != nil {
			return err
		}
		layers, err := t.engine.replayed()
		if err != nil {
			return err
		}
		loss, aux, replayed = loss+l, aux+a/float64(o.accumulate), replayed+layers
	}
	loss += coef * aux
	if err := t.check("loss", step, loss); err != nil {
		return err
	}
	norm, err := t.engine.update(r)
	if err != nil {
		return err
	}
	if err := t.check("gradient norm", step, norm); err != nil {
		return err
	}
	t.state.Step, t.saved = step, false
	return t.report(loss, aux, norm, lr, targets, replayed, time.Since(begin))
}

// check stops a run whose numbers have become meaningless.
func (t *trainer) check(what string, step int, value float64) error {
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		return nil
	}
	kept := "there is no checkpoint yet"
	if t.last != "" {
		kept = "the last checkpoint is " + t.last
	}
	return failed(fmt.Errorf("the %s of step %d is %v: stopped, %s; try a lower --lr or more --warmup, or look for bad data", what, step, value, kept))
}

// report logs and shows the step just done.
func (t *trainer) report(loss, aux, norm, lr float64, targets, replayed int, took time.Duration) error {
	tokens := float64(t.options.accumulate * len(t.samples.batch.Tokens))
	event := metrics.Event{
		Step: t.state.Step, Loss: &loss, GradNorm: &norm, LR: &lr, Targets: targets, ReplayedLayers: replayed,
		TokensPerSecond: tokens / took.Seconds(), PeakRSSBytes: metrics.PeakRSS(),
	}
	if t.engine.program.Manifest.AuxCoef != 0 {
		event.AuxLoss = &aux
	}
	const smooth = 0.9
	if t.pace == 0 {
		t.pace = took.Seconds()
	}
	t.pace = smooth*t.pace + (1-smooth)*took.Seconds()
	left := time.Duration(float64(t.options.steps-t.state.Step) * t.pace * float64(time.Second))
	t.progress.Show(metrics.Step{
		Step: t.state.Step, Loss: loss, GradNorm: norm, LR: lr, TokensPerSecond: tokens / t.pace, Replayed: replayed, Left: left,
	})
	return failed(t.events.Add(event))
}

// validate measures the cross-entropy on the validation part of the data, if there is one. An interrupt cuts it short,
// and nothing is reported.
func (t *trainer) validate() error {
	m, err := t.engine.measure(t.samples.validation, t.options.evalBatches, func(data.Batch) bool { return t.stop.status() == 0 })
	if err != nil {
		return err
	}
	if m.targets == 0 || t.stop.status() != 0 {
		return nil
	}
	loss := m.nats / float64(m.targets)
	if err := t.check("validation loss", t.state.Step, loss); err != nil {
		return err
	}
	t.progress.Say("step %d/%d  validation loss %.4f  perplexity %.4g", t.state.Step, t.options.steps, loss, math.Exp(loss))
	return failed(t.events.Add(metrics.Event{Step: t.state.Step, ValLoss: &loss}))
}

// save writes the checkpoint of the step just done.
func (t *trainer) save() error {
	if t.saved {
		return nil
	}
	if err := t.events.Sync(); err != nil {
		return failed(err)
	}
	dir := stepDir(t.options.out, t.state.Step)
	if err := t.form.Save(dir, t.engine.program.Params, t.engine.memory(), t.state); err != nil {
		return failed(err)
	}
	t.last, t.saved = dir, true
	t.progress.Say("saved %s", dir)
	return nil
}

// interrupted saves and ends the run.
func (t *trainer) interrupted(code int) error {
	if err := t.save(); err != nil {
		return err
	}
	t.progress.Say("interrupted after step %d of %d: go on with --resume --out %s", t.state.Step, t.options.steps, t.options.out)
	return &status{code: code}
}

// openEvents opens the event log of the run, cut off after the step that the run begins at. A run that begins at the
// beginning, also for a second time, has an empty log.
func openEvents(out string, step int) (*metrics.Events, error) {
	if step == 0 {
		step = -1
	}
	return metrics.OpenEvents(filepath.Join(out, eventLog), step)
}

// checkSpace refuses a run whose first checkpoint would not fit on the disk: hours later is too late to find out.
func (t *trainer) checkSpace(params []checkpoint.Param) error {
	need, err := t.form.Bytes(params)
	if err != nil {
		return err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(t.options.out, &disk); err != nil || disk.Blocks == 0 {
		return nil // a file system that does not tell
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < need {
		return fmt.Errorf("--out %s has %s left, and a checkpoint takes %s: make room or choose another disk", t.options.out, metrics.Bytes(free), metrics.Bytes(need))
	}
	return nil
}

// prepareOut makes the output folder of a new run, which must not exist or be empty, and says whether it did.
func prepareOut(out string) (made bool, err error) {
	entries, err := os.ReadDir(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(out, 0o777); err != nil {
			return false, fmt.Errorf("--out %s cannot be made: %w", out, err)
		}
		return true, nil
	case errors.Is(err, unix.ENOTDIR):
		return false, fmt.Errorf("--out %s is, or lies below, a file: choose a folder", out)
	case err != nil:
		return false, err
	case len(entries) > 0:
		return false, fmt.Errorf("%s exists and is not empty: choose another --out, or go on with the run in it with --resume", out)
	}
	if err := unix.Access(out, unix.W_OK); err != nil {
		return false, fmt.Errorf("%s cannot be written: %w", out, err)
	}
	return false, nil
}
