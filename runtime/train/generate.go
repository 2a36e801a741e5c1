package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"moegen/runtime/tokenizer"
)

// generation are the options of the generate command.
type generation struct {
	checkpoint, prompt string
	tokens             int
	temperature, topP  float64
	greedy             bool
	seed               uint64
}

// newGenerate builds the command that lets a model write.
func newGenerate(program Program) *cobra.Command {
	g := new(generation)
	input := newGroup("Input")
	input.flags.StringVar(&g.checkpoint, "checkpoint", "", "Hugging Face `DIR` with weights and tokenizer.json")
	input.flags.StringVar(&g.prompt, "prompt", "", "`TEXT` to go on from")
	length := newGroup("Length")
	length.flags.IntVar(&g.tokens, "tokens", 64, "most tokens to write; an end-of-text token ends the text before")
	choice := newGroup("Choice of the next token")
	choice.flags.Float64Var(&g.temperature, "temperature", 1, "divides the logits; 0 is --greedy")
	choice.flags.Float64Var(&g.topP, "top-p", 1, "choose among the likeliest tokens that together have this probability")
	choice.flags.BoolVar(&g.greedy, "greedy", false, "always take the likeliest token")
	choice.flags.Uint64Var(&g.seed, "seed", 0, "seed of the choice")
	cmd := &cobra.Command{
		Use:   "generate --checkpoint DIR --prompt TEXT",
		Short: "Let a checkpoint go on from a prompt, to see what it has learned",
		Long: fmt.Sprintf(`Let a checkpoint go on from a prompt, to see what it has learned. The continuation
is written to stdout as it grows.

Every token costs a full forward pass of the program (%d tokens): this is a look at a
model, not a way to serve it. A text longer than %d tokens is continued from its last %d.`,
			program.Manifest.Ranks*program.Manifest.MicroBatch*program.Manifest.Seq, program.Manifest.Seq, program.Manifest.Seq),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "checkpoint", "prompt"); err != nil {
				return err
			}
			if err := g.check(cmd); err != nil {
				return err
			}
			return generate(program, g, cmd.OutOrStdout())
		},
	}
	addGroups(cmd, input, length, choice, program.device())
	return cmd
}

func (g *generation) check(cmd *cobra.Command) error {
	switch {
	case g.tokens < 1:
		return fmt.Errorf("--tokens %d: it must be at least 1", g.tokens)
	case !(g.temperature >= 0) || math.IsInf(g.temperature, 0):
		return fmt.Errorf("--temperature %g: it must be at least 0", g.temperature)
	case !(g.topP > 0 && g.topP <= 1):
		return fmt.Errorf("--top-p %g: it must be above 0 and at most 1", g.topP)
	case g.greedy && cmd.Flags().Changed("temperature"):
		return fmt.Errorf("--greedy and --temperature exclude each other")
	}
	if g.greedy {
		g.temperature = 0
	}
	return nil
}

// generate writes the continuation of a prompt.
func generate(program Program, g *generation, out io.Writer) error {
	text, err := loadTokenizer(g.checkpoint, program.Manifest)
	if err != nil {
		return err
	}
	ends, err := endTokens(g.checkpoint, text)
	if err != nil {
		return err
	}
	if !utf8.ValidString(g.prompt) {
		return fmt.Errorf("--prompt is not UTF-8")
	}
	tokens := text.Encode(nil, []byte(g.prompt))
	if len(tokens) == 0 {
		end, found := text.EndOfText()
		if !found {
			return fmt.Errorf("--prompt is empty and the tokenizer has no end-of-text token to begin a text with: give a prompt")
		}
		tokens = append(tokens, end)
	}
	e, err := startFrom(program, g.checkpoint, 0)
	if err != nil {
		return err
	}
	defer e.close()
	w, next := &runeWriter{out: out}, newSampler(g.temperature, g.topP, g.seed)
	for range g.tokens {
		logits, err := e.next(tokens)
		if err != nil {
			return err
		}
		token := next.pick(logits)
		if ends[token] {
			break
		}
		tokens = append(tokens, token)
		if int(token) < text.Vocab() { // a model's vocabulary is often padded
			if err := w.write(text.Decode([]int32{token})); err != nil {
				return failed(err)
			}
		}
	}
	return failed(w.end())
}

// next returns the logits of the token after the given ones, of which the last Seq count.
func (e *engine) next(tokens []int32) ([]float32, error) {
	m := e.program.Manifest
	window := tokens[max(0, len(tokens)-m.Seq):]
	b := newBatch(m)
	copy(b.Tokens, window)
	for i := range b.Tokens {
		b.Targets[i] = -100
		b.Positions[i] = int32(i % m.Seq)
		if i >= len(window) {
			b.Starts[i] = b.Positions[i] // what stands beside the text sees itself only, at no cost
		}
	}
	if _, err := e.eval(b); err != nil {
		return nil, err
	}
	logits := make([]float32, m.Vocab)
	err := e.logits(len(window)-1, 1, func(rank int, computed []float32) error {
		if rank == 0 {
			copy(logits, computed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, x := range logits {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil, failed(fmt.Errorf("the logits of token %d are not finite: the checkpoint's weights are broken", len(tokens)))
		}
	}
	return logits, nil
}

// loadTokenizer loads the tokenizer of a checkpoint folder, whose ids the program must know.
func loadTokenizer(dir string, m Manifest) (*tokenizer.Tokenizer, error) {
	t, err := tokenizer.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no tokenizer.json: text cannot be turned into tokens", dir)
	}
	if err != nil {
		return nil, err
	}
	if t.Vocab() > m.Vocab {
		return nil, fmt.Errorf("%s has a tokenizer of %d tokens, this binary was built for a vocabulary of %d", dir, t.Vocab(), m.Vocab)
	}
	return t, nil
}

// endTokens are the tokens that end a text: those of generation_config.json and config.json, and the tokenizer's own.
func endTokens(dir string, t *tokenizer.Tokenizer) (map[int32]bool, error) {
	ends := map[int32]bool{}
	if end, found := t.EndOfText(); found {
		ends[end] = true
	}
	for _, name := range []string{"generation_config.json", "config.json"} {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var config struct {
			EOS json.RawMessage `json:"eos_token_id"` // a number, a list or null
		}
		if err := json.Unmarshal(text, &config); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var one int32
		var list []int32
		switch {
		case len(config.EOS) == 0 || string(config.EOS) == "null":
		case json.Unmarshal(config.EOS, &one) == nil:
			ends[one] = true
		case json.Unmarshal(config.EOS, &list) == nil:
			for _, id := range list {
				ends[id] = true
			}
		default:
			return nil, fmt.Errorf("%s: eos_token_id is %s: neither a token id nor a list of them", path, config.EOS)
		}
	}
	return ends, nil
}

// runeWriter writes text that comes in pieces of bytes, in pieces of whole characters.
type runeWriter struct {
	out     io.Writer
	pending []byte
}

func (w *runeWriter) write(text []byte) error {
	w.pending = append(w.pending, text...)
	whole := len(w.pending)
	for i := 1; i < utf8.UTFMax && i <= len(w.pending); i++ {
		if tail := w.pending[len(w.pending)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				whole -= i
			}
			break
		}
	}
	_, err := w.out.Write(w.pending[:whole])
	w.pending = w.pending[whole:]
	return err
}

// end writes what is left, and the line feed that a terminal wants.
func (w *runeWriter) end() error {
	_, err := w.out.Write(append(w.pending, '\n'))
	return err
}
