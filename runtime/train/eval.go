package train

import (
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"moegen/runtime/data"
	"moegen/runtime/metrics"
	"moegen/runtime/tokenizer"
)

// evalOptions are those of the eval command.
type evalOptions struct {
	checkpoint string
	data       dataOptions
	batches    int
	bigram     bool
}

// evalReport is what eval measured.
type evalReport struct {
	Loss        float64  `json:"loss"`       // cross-entropy, nats a target
	Perplexity  float64  `json:"perplexity"` // exp(loss)
	BitsPerByte float64  `json:"bits_per_byte"`
	BigramBits  *float64 `json:"bigram_bits_per_byte,omitempty"`
	Targets     int      `json:"targets"` // tokens predicted
	Bytes       int      `json:"bytes"`   // of text that they stand for
}

// newEval builds the command that measures a checkpoint's loss.
func newEval(program Program) *cobra.Command {
	var o evalOptions
	input := newGroup("Input")
	input.flags.StringVar(&o.checkpoint, "checkpoint", "", "Hugging Face `DIR` with weights and tokenizer.json")
	o.data.flags(input.flags)
	input.flags.IntVar(&o.batches, "batches", 0, "most micro-batches to measure; 0: all of the data")
	output := newGroup("Output")
	output.flags.BoolVar(&o.bigram, "bigram", false, "for comparison: the best that any model could do which sees one byte of context")
	asJSON := output.flags.Bool("json", false, "print one JSON object")
	cmd := &cobra.Command{
		Use:   "eval --checkpoint DIR --data PATH",
		Short: "Measure the loss, the perplexity and the bits per byte of a checkpoint on text",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "checkpoint", "data"); err != nil {
				return err
			}
			if o.batches < 0 {
				return fmt.Errorf("--batches %d: it must be at least 0", o.batches)
			}
			report, err := eval(program, &o)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd, report)
			}
			report.print(cmd)
			return nil
		},
	}
	addGroups(cmd, input, program.device(), output)
	return cmd
}

// eval measures a checkpoint.
func eval(program Program, o *evalOptions) (*evalReport, error) {
	t, err := loadTokenizer(o.checkpoint, program.Manifest)
	if err != nil {
		return nil, err
	}
	text, err := o.data.open(t, program.Manifest)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	rows, _, err := text.Split(program.Manifest.Seq, 0, 0)
	if err != nil {
		return nil, err
	}
	e, err := startFrom(program, o.checkpoint, 0)
	if err != nil {
		return nil, err
	}
	defer e.close()
	spoken, pairs := textOf(t), bytePairs{}
	size := 0
	m, err := e.measure(rows, o.batches, func(b data.Batch) bool {
		for i, target := range b.Targets {
			if target < 0 {
				continue
			}
			pairs.after(spoken(b.Tokens[i]), spoken(target))
			size += len(spoken(target))
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, fmt.Errorf("%s has no text to predict: every document is a single token", o.data.path)
	}
	loss := m.nats / float64(m.targets)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return nil, failed(fmt.Errorf("the loss is %v: the weights of %s are broken", loss, o.checkpoint))
	}
	report := &evalReport{
		Loss: loss, Perplexity: math.Exp(loss), BitsPerByte: m.nats / math.Ln2 / float64(size),
		Targets: m.targets, Bytes: size,
	}
	if o.bigram {
		bits := pairs.bits()
		report.BigramBits = &bits
	}
	return report, nil
}

// measured is the cross-entropy over some rows: its sum in nats, and the number of targets.
type measured struct {
	nats    float64
	targets int
}

// measure runs the forward pass over rows, at most so many micro-batches of them (0: all), in an order that is always
// the same. Before each micro-batch it asks whether to go on.
func (e *engine) measure(rows *data.Rows, batches int, next func(data.Batch) bool) (measured, error) {
	manifest := e.program.Manifest
	width := manifest.Ranks * manifest.MicroBatch
	all := (rows.Len() + width - 1) / width
	if batches > 0 {
		all = min(all, batches)
	}
	var m measured
	order, b := data.Order{Rows: rows.Len()}, newBatch(manifest)
	for i := range all {
		for j := range width {
			row := rows.Len() // behind the last: a row without targets
			if n := i*width + j; n < rows.Len() {
				row = order.At(n)
			}
			if err := rows.Read(row, b, j); err != nil {
				return m, failed(err)
			}
		}
		if !next(b) {
			break
		}
		nats, err := e.eval(b)
		if err != nil {
			return m, err
		}
		m.nats += nats
		m.targets += targetCount(b)
	}
	return m, nil
}

// textOf returns the bytes of text that a token stands for: none for the token that ends a text, and for those that a
// padded vocabulary has beyond the tokenizer's.
func textOf(t *tokenizer.Tokenizer) func(token int32) []byte {
	end, hasEnd := t.EndOfText()
	return func(token int32) []byte {
		if hasEnd && token == end || int(token) >= t.Vocab() {
			return nil
		}
		return t.Decode([]int32{token})
	}
}

func (r *evalReport) print(cmd *cobra.Command) {
	rows := [][2]string{
		{"loss", fmt.Sprintf("%.4f nats a token, over %s tokens", r.Loss, metrics.Count(int64(r.Targets)))},
		{"perplexity", fmt.Sprintf("%.4g", r.Perplexity)},
		{"bits per byte", fmt.Sprintf("%.4f, over %s bytes", r.BitsPerByte, metrics.Count(int64(r.Bytes)))},
	}
	if r.BigramBits != nil {
		rows = append(rows, [2]string{"bigram", fmt.Sprintf("%.4f bits per byte: the entropy of a byte given the one before", *r.BigramBits)})
	}
	printTable(cmd, rows)
}
