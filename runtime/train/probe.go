package train

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"moegen/runtime/checkpoint"
	"moegen/runtime/data"
	"moegen/runtime/safetensors"
)

// newProbe builds the command that shows the exact numbers of a training run.
func newProbe(program Program) *cobra.Command {
	input := newGroup("Input")
	dir := input.flags.String("checkpoint", "", "Hugging Face `DIR` to start from")
	batches := input.flags.String("batch", "", "safetensors `FILE` with input_ids and labels, [steps, rows, tokens] int64, labels not shifted;\nposition_ids and document_ids if rows are packed")
	setting := input.flags.String("case", "", "JSON `FILE`: steps, optimizer {lr, betas, eps, weight_decay}, max_grad_norm, router_aux_loss_coef")
	if program.rehearses() {
		input.flags.BoolVar(&program.Rehearsed, "rehearse", false, rehearseUsage)
	}
	output := newGroup("Output")
	out := output.flags.String("out", "", "safetensors `FILE` to write")
	cmd := &cobra.Command{
		Use:   "probe --checkpoint DIR --batch FILE --case FILE --out FILE",
		Short: "Write exact logits, gradients and parameters, to compare with another framework",
		Long: `Write exact logits, gradients and parameters, to compare with another framework.

Of the first batch: logits, loss, aux_loss, grad.NAME (before clipping), hidden.LAYER,
router.LAYER and topk.LAYER. Of every step: losses and grad_norms. After the last of
N steps: paramN.NAME. NAME is that of the tensor in the checkpoint.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "checkpoint", "batch", "case", "out"); err != nil {
				return err
			}
			return probe(program, *dir, *batches, *setting, *out)
		},
	}
	addGroups(cmd, input, program.device(), output)
	return cmd
}

// probeCase is a case file: how to train on the batches.
type probeCase struct {
	Steps     int `json:"steps"`
	Optimizer struct {
		LR    float64    `json:"lr"`
		Betas [2]float64 `json:"betas"`
		Eps   float64    `json:"eps"`
		Decay float64    `json:"weight_decay"`
	} `json:"optimizer"`
	MaxNorm float64 `json:"max_grad_norm"`
	AuxCoef float64 `json:"router_aux_loss_coef"`
}

func readCase(path string, m Manifest) (c probeCase, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
			err = fmt.Errorf("%s is a %s, which it cannot be", wrong.Field, wrong.Value)
		}
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.check(text); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if c.AuxCoef != 0 && m.AuxCoef == 0 {
		return c, fmt.Errorf("%s: router_aux_loss_coef is %g, but this binary was built without the auxiliary loss: build it from a config with output_router_logits", path, c.AuxCoef)
	}
	return c, nil
}

// check says what is wrong with a case. What decides the numbers must be written down in its text, nothing is guessed.
func (c *probeCase) check(text []byte) error {
	var object struct {
		Optimizer map[string]any `json:"optimizer"`
	}
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	if c.Steps < 1 {
		return fmt.Errorf("steps is %d: it must be at least 1", c.Steps)
	}
	for _, field := range []string{"lr", "betas", "eps", "weight_decay"} {
		if object.Optimizer[field] == nil {
			return fmt.Errorf("optimizer.%s is missing: a case says how to train", field)
		}
	}
	if name := object.Optimizer["name"]; name != nil && name != "adamw" {
		return fmt.Errorf("optimizer.name is %v: this binary trains with adamw", name)
	}
	o := c.Optimizer
	for _, beta := range o.Betas {
		if !(beta >= 0 && beta < 1) {
			return fmt.Errorf("optimizer.betas are %v: they must be at least 0 and less than 1", o.Betas)
		}
	}
	if !(o.LR >= 0 && o.Eps >= 0 && o.Decay >= 0 && c.MaxNorm >= 0) {
		return errors.New("optimizer.lr, eps, weight_decay and max_grad_norm must be at least 0")
	}
	return nil
}

// record returns the record of a step, counted from 1.
func (c *probeCase) record(step int, b data.Batch) record {
	o := optimizer{beta1: c.Optimizer.Betas[0], beta2: c.Optimizer.Betas[1], eps: c.Optimizer.Eps, decay: c.Optimizer.Decay, clip: c.MaxNorm}
	return o.record(step, c.Optimizer.LR, targetCount(b), 1, c.AuxCoef)
}

// probe trains on given batches and writes what happens to the file out, whole or not at all.
func probe(program Program, dir, batches, setting, out string) error {
	m := program.Manifest
	c, err := readCase(setting, m)
	if err != nil {
		return err
	}
	feed, err := openBatches(batches, m, c.Steps)
	if err != nil {
		return err
	}
	defer feed.close()
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s exists already and is not overwritten: choose another --out or remove it", out)
	}
	for step := range c.Steps { // a mistake in the last batch is known before the first has run
		if _, err := feed.batch(step); err != nil {
			return err
		}
	}
	e, err := startFrom(program, dir, 0)
	if err != nil {
		return err
	}
	defer e.close()
	first, err := feed.batch(0)
	if err != nil {
		return err
	}
	taps := newTaps(e.tokens)
	e.machine.SetTap(taps)
	if _, _, err := e.microBatch(first, c.record(1, first)); err != nil {
		return err
	}
	if _, err := e.eval(first); err != nil {
		return err
	}
	e.machine.SetTap(nil)

	w, err := safetensors.Create(filepath.Dir(out), probeLayout(program, &c, taps, filepath.Base(out)))
	if err != nil {
		return err
	}
	err = writeProbe(e, w, &c, feed, taps)
	if err != nil {
		w.Abort()
		return failed(err)
	}
	return failed(w.Commit())
}

// probeLayout lists the tensors of a probe file.
func probeLayout(program Program, c *probeCase, taps *taps, file string) safetensors.Layout {
	m := program.Manifest
	rows := []int{m.Ranks * m.MicroBatch, m.Seq}
	list := []safetensors.Info{
		{Name: "logits", DType: safetensors.F32, Shape: append(slices.Clone(rows), m.Vocab)},
		{Name: "loss", DType: safetensors.F32, Shape: []int{}},
		{Name: "losses", DType: safetensors.F32, Shape: []int{c.Steps}},
		{Name: "grad_norms", DType: safetensors.F32, Shape: []int{c.Steps}},
	}
	if c.AuxCoef != 0 {
		list = append(list, safetensors.Info{Name: "aux_loss", DType: safetensors.F32, Shape: []int{}})
	}
	list = append(list, taps.infos(rows)...)
	for _, t := range checkpoint.Tensors(program.Params) {
		list = append(list,
			safetensors.Info{Name: "grad." + t.Name, DType: safetensors.F32, Shape: t.Shape},
			safetensors.Info{Name: c.after() + t.Name, DType: safetensors.F32, Shape: t.Shape})
	}
	slices.SortFunc(list, func(a, b safetensors.Info) int { return cmp.Compare(a.Name, b.Name) })
	return safetensors.Layout{Shards: []safetensors.Shard{{File: file, Tensors: list}}}
}

// after is the prefix of the parameters after the last step.
func (c *probeCase) after() string { return fmt.Sprintf("param%d.", c.Steps) }

// writeProbe runs the case and writes every tensor of its layout. The last that the engine did is the forward
// pass of the first batch.
func writeProbe(e *engine, w *safetensors.Writer, c *probeCase, feed *probeBatches, taps *taps) error {
	if err := writeLogits(e, w); err != nil {
		return err
	}
	if err := taps.write(w); err != nil {
		return err
	}
	var losses, norms []float32
	for i := range c.Steps {
		b, err := feed.batch(i)
		if err != nil {
			return err
		}
		r := c.record(i+1, b)
		loss, aux, err := e.microBatch(b, r)
		if err != nil {
			return err
		}
		loss += c.AuxCoef * aux
		if i == 0 {
			if err := writeFirst(e, w, c, loss, aux); err != nil {
				return err
			}
		}
		norm, err := e.update(r)
		if err != nil {
			return err
		}
		losses, norms = append(losses, float32(loss)), append(norms, float32(norm))
	}
	if err := w.WriteFloat32("losses", 0, losses); err != nil {
		return err
	}
	if err := w.WriteFloat32("grad_norms", 0, norms); err != nil {
		return err
	}
	return checkpoint.EachValue(e.program.Params, e.memory(), func(name string, first int, values []float32) error {
		return w.WriteFloat32(c.after()+name, first, values)
	})
}

// writeFirst writes the loss and the gradients of the first batch, before the update.
func writeFirst(e *engine, w *safetensors.Writer, c *probeCase, loss, aux float64) error {
	if err := w.WriteFloat32("loss", 0, []float32{float32(loss)}); err != nil {
		return err
	}
	if c.AuxCoef != 0 {
		if err := w.WriteFloat32("aux_loss", 0, []float32{float32(aux)}); err != nil {
			return err
		}
	}
	return checkpoint.EachGrad(e.program.Params, e.memory(), func(name string, first int, values []float32) error {
		return w.WriteFloat32("grad."+name, first, values)
	})
}

// writeLogits writes the logits of all rows of the last forward pass.
func writeLogits(e *engine, w *safetensors.Writer) error {
	rows, vocab := e.program.Layout.HeadRows, e.program.Manifest.Vocab
	for first := 0; first < e.tokens; first += rows {
		err := e.logits(first, rows, func(rank int, logits []float32) error {
			return w.WriteFloat32("logits", (rank*e.tokens+first)*vocab, logits)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
