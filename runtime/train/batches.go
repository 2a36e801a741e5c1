package train

import (
	"fmt"
	"slices"

	"moegen/runtime/data"
	"moegen/runtime/safetensors"
)

// probeBatches are the batches of a file: tensors [steps, rows, tokens] of int64.
type probeBatches struct {
	manifest  Manifest
	path      string
	file      *safetensors.Reader
	tokens    *safetensors.Tensor // input_ids
	labels    *safetensors.Tensor // not shifted; -100: none
	positions *safetensors.Tensor // position_ids; nil: from 0 in every row
	documents *safetensors.Tensor // document_ids; nil: a row is a document
}

// openBatches opens a file of at least steps batches of the shape that the program was built for.
func openBatches(path string, m Manifest, steps int) (*probeBatches, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	f := &probeBatches{
		manifest: m, path: path, file: file,
		tokens: file.Tensor("input_ids"), labels: file.Tensor("labels"),
		positions: file.Tensor("position_ids"), documents: file.Tensor("document_ids"),
	}
	if err := f.check(steps); err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

func (f *probeBatches) close() { f.file.Close() }

func (f *probeBatches) check(steps int) error {
	m := f.manifest
	rows := m.Ranks * m.MicroBatch
	for _, t := range []struct {
		name     string
		tensor   *safetensors.Tensor
		optional bool
	}{{"input_ids", f.tokens, false}, {"labels", f.labels, false}, {"position_ids", f.positions, true}, {"document_ids", f.documents, true}} {
		switch {
		case t.tensor == nil && t.optional:
		case t.tensor == nil:
			return fmt.Errorf("%s: tensor %q is missing", f.path, t.name)
		case len(t.tensor.Shape) != 3 || !slices.Equal(t.tensor.Shape[1:], []int{rows, m.Seq}):
			return fmt.Errorf("%s: %s has shape %v, this binary was built for [steps %d %d]: %d rows of %d tokens a step", f.path, t.name, t.tensor.Shape, rows, m.Seq, rows, m.Seq)
		case t.tensor.Shape[0] < steps:
			return fmt.Errorf("%s: %s has %d batches, the case needs %d", f.path, t.name, t.tensor.Shape[0], steps)
		}
	}
	return nil
}

// batch reads the batch of a step, counted from 0.
func (f *probeBatches) batch(step int) (data.Batch, error) {
	m, b := f.manifest, newBatch(f.manifest)
	vocab, seq := int64(m.Vocab), int64(m.Seq)
	if err := f.read(f.tokens, step, 0, vocab, b.Tokens); err != nil {
		return b, err
	}
	labels := make([]int32, len(b.Targets))
	if err := f.read(f.labels, step, -100, vocab, labels); err != nil {
		return b, err
	}
	documents := make([]int32, len(b.Starts))
	if f.documents != nil {
		if err := f.read(f.documents, step, 0, 1<<31, documents); err != nil {
			return b, err
		}
	}
	if f.positions != nil {
		if err := f.read(f.positions, step, 0, seq, b.Positions); err != nil {
			return b, err
		}
	}
	for row := 0; row < len(b.Tokens); row += m.Seq {
		if err := arrange(row, m.Seq, labels, documents, b); err != nil {
			return b, fmt.Errorf("%s: document_ids of batch %d: %w", f.path, step, err)
		}
		for t := range m.Seq {
			if f.positions == nil {
				b.Positions[row+t] = int32(t)
			}
		}
	}
	if targetCount(b) == 0 {
		return b, fmt.Errorf("%s: labels of batch %d score no token, so its loss is the mean of nothing: position t is scored against the label at t+1 of its row, -100 is ignored", f.path, step)
	}
	return b, nil
}

// arrange shifts the labels of a row to the tokens that predict them, and finds where each token's document
// begins. A document is one stretch of a row: programs attend from there on.
func arrange(row, seq int, labels, documents []int32, b data.Batch) error {
	begin := 0
	ended := map[int32]bool{}
	for t := range seq {
		if last := documents[row+begin]; documents[row+t] != last {
			ended[last] = true
			begin = t
		}
		if ended[documents[row+t]] {
			return fmt.Errorf("row %d has document %d in two places, again from token %d on: a document must be one stretch of a row", row/seq, documents[row+t], t)
		}
		b.Starts[row+t] = int32(begin)
		b.Targets[row+t] = -100
		if t+1 < seq {
			b.Targets[row+t] = labels[row+t+1]
		}
	}
	return nil
}

// read reads a step of a tensor, whose values must be at least least and less than limit.
func (f *probeBatches) read(t *safetensors.Tensor, step int, least, limit int64, dst []int32) error {
	values := make([]int64, len(dst))
	if err := t.ReadInt64(step*len(dst), values); err != nil {
		return err
	}
	for i, v := range values {
		if v < least || v >= limit {
			return fmt.Errorf("%s: %s of batch %d, row %d, token %d is %d: this binary takes %d to %d",
				f.path, t.Name, step, i/f.manifest.Seq, i%f.manifest.Seq, v, least, limit-1)
		}
		dst[i] = int32(v)
	}
	return nil
}
