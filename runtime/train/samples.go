package train

import (
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"moegen/runtime/data"
	"moegen/runtime/metrics"
	"moegen/runtime/tokenizer"
)

// dataOptions say what text a command reads.
type dataOptions struct {
	path       string
	extensions string // separated by commas
}

func (o *dataOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.path, "data", "", "UTF-8 text: a file, or a folder whose files are documents, at `PATH`")
	flags.StringVar(&o.extensions, "extension", "", "read only these files of a folder, as `.txt,.md`")
}

// open tokenises the text for a program.
func (o *dataOptions) open(t *tokenizer.Tokenizer, m Manifest) (*data.Text, error) {
	var extensions []string
	for _, e := range strings.FieldsFunc(o.extensions, func(r rune) bool { return r == ',' || r == ' ' }) {
		extensions = append(extensions, "."+strings.TrimPrefix(e, "."))
	}
	return data.Open(o.path, data.Options{Tokenizer: t, Vocab: m.Vocab, Extensions: extensions})
}

// samples deals the rows of a text out to steps, micro-batches and ranks. What a step gets depends on the seed and
// the step only.
type samples struct {
	manifest   Manifest
	accumulate int
	text       *data.Text
	train      *data.Rows
	validation *data.Rows
	order      data.Order
	batch      data.Batch // handed out
}

// openSamples reads the data of a run with the tokenizer of a checkpoint folder. The path of the data becomes absolute,
// so that the run can be taken up from another folder.
func openSamples(m Manifest, o *options, dir string) (*samples, error) {
	t, err := loadTokenizer(dir, m)
	if err != nil {
		return nil, err
	}
	text, err := o.data.open(t, m)
	if err != nil {
		return nil, err
	}
	if o.data.path, err = filepath.Abs(o.data.path); err != nil {
		text.Close()
		return nil, err
	}
	train, validation, err := text.Split(m.Seq, o.valFraction, o.seed)
	if err != nil {
		text.Close()
		return nil, err
	}
	return &samples{
		manifest: m, accumulate: o.accumulate, text: text, train: train, validation: validation,
		order: data.Order{Rows: train.Len(), Seed: o.seed}, batch: newBatch(m),
	}, nil
}

func (s *samples) close() { s.text.Close() }

// describe says what there is to train on.
func (s *samples) describe() string {
	text := metrics.Count(s.text.Tokens()) + " tokens in " + metrics.Count(int64(s.text.Documents())) + " documents"
	if n := s.text.Skipped(); n > 0 {
		text += " (files that are not text: " + metrics.Count(int64(n)) + ")"
	}
	return text
}

// row is the row that goes into place j of micro-batch i of a step, counted from 1.
func (s *samples) row(step, i, j int) int {
	rows := s.manifest.Ranks * s.manifest.MicroBatch
	return s.order.At(((step-1)*s.accumulate+i)*rows + j)
}

// targets is the number of target tokens of a step.
func (s *samples) targets(step int) int {
	n := 0
	for i := range s.accumulate {
		for j := range s.manifest.Ranks * s.manifest.MicroBatch {
			n += s.train.Targets(s.row(step, i, j))
		}
	}
	return n
}

// microBatch is micro-batch i of a step. It holds until the next call.
func (s *samples) microBatch(step, i int) (data.Batch, error) {
	for j := range s.manifest.Ranks * s.manifest.MicroBatch {
		if err := s.train.Read(s.row(step, i, j), s.batch, j); err != nil {
			return data.Batch{}, err
		}
	}
	return s.batch, nil
}

// newBatch makes one micro-batch of all ranks: rank r has the rows from r·MicroBatch on.
func newBatch(m Manifest) data.Batch {
	n := m.Ranks * m.MicroBatch * m.Seq
	return data.Batch{Tokens: make([]int32, n), Targets: make([]int32, n), Positions: make([]int32, n), Starts: make([]int32, n)}
}

// targetCount is the number of tokens of a batch that have a target.
func targetCount(b data.Batch) int {
	n := 0
	for _, t := range b.Targets {
		if t >= 0 {
			n++
		}
	}
	return n
}
