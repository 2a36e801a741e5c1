// Package models turns a Hugging Face config.json into the graphs of a training step.
//
// An architecture is one file, which reads its configs and builds their graphs, and one line in the registry.
// A named model is a config in configs and a line in the other registry. The package touches the text of a
// config and the graph builder, no files.
package models

import (
	"embed"
	"fmt"
	"strings"

	"moegen/ir"
)

// architectures is the registry, sorted by model_type. read reports what is wrong through the config.
var architectures = []struct {
	modelType string
	read      func(*config) *Model
}{
	{"qwen3_moe", readQwen3MoE},
}

// named is the registry of models known by name, sorted.
var named = []struct {
	name      string
	published bool // weights and tokenizer are on the Hugging Face hub
}{
	{"qwen3-235b-a22b", true},
	{"qwen3-30b-a3b", true},
	{"small-qwen3-moe", false},
	{"tiny-qwen3-moe", false},
}

//go:embed configs
var configs embed.FS

// Model is what a config describes.
type Model struct {
	Name      string // registered name, or what Parse was given
	Config    []byte // config.json, verbatim
	Published bool   // a registered model whose weights and tokenizer are on the Hugging Face hub
	Facts     Facts
	Ignored   []Ignored // fields of the config on which training does not depend, sorted

	seqLimit string // the field that limits the sequence length
	build    func(Shape) *Graphs
}

// Ignored is a field of a config that was not used, and why.
type Ignored struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// Names returns the models known by name, sorted.
func Names() []string {
	var names []string
	for _, m := range named {
		names = append(names, m.name)
	}
	return names
}

// Lookup returns the model known by that name.
func Lookup(name string) (*Model, bool) {
	for _, n := range named {
		if n.name != name {
			continue
		}
		text, err := configs.ReadFile("configs/" + name + ".json")
		if err != nil {
			panic("BUG: " + err.Error())
		}
		m, err := Parse(name, name+".json", text)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		m.Published = n.published
		return m, true
	}
	return nil, false
}

// Parse reads the text of a config.json. file is what errors call it; an error holds everything that is wrong,
// one sentence a line.
func Parse(name, file string, text []byte) (*Model, error) {
	c, err := readConfig(file, text)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, a := range architectures {
		known = append(known, a.modelType)
	}
	modelType, _ := c.get("model_type").(string)
	for _, a := range architectures {
		if a.modelType != modelType {
			continue
		}
		m := a.read(c)
		m.Name, m.Config = name, text
		m.Facts.Architecture = modelType
		if m.Ignored, err = c.finish(); err != nil {
			return nil, err
		}
		m.Facts.count(m.build(Shape{Seq: 1, Rows: 1}).Forward)
		return m, nil
	}
	what := "is missing"
	if value := c.fields["model_type"]; value != nil {
		what = "is " + show(value)
	}
	return nil, fmt.Errorf("%s: field model_type %s; moegen knows %s", file, what, strings.Join(known, ", "))
}

// Shape is what a build fixes beside the model.
type Shape struct {
	Seq   int      // tokens of a row
	Rows  int      // rows of a rank's micro-batch
	DType ir.DType // of weights, activations and tables
}

// Tokens returns T, the tokens of a rank's micro-batch.
func (s Shape) Tokens() int { return s.Seq * s.Rows }

// Graphs are the programs of one rank before any pass. T = Rows·Seq tokens.
//
// Setup takes nothing and leaves the constants rope_cos and rope_sin f32[Seq, P/2].
//
// Forward takes tokens_T, targets_T (the token to predict, negative: none), positions_T (below Seq) and
// starts_T (first index in its row that a token sees), all i32[T], and the step record. It leaves the results
// loss f32[1], aux_loss f32[1] where the config asks for that loss, and final_TD, the normalised hidden states.
//
// Head takes final_TD and head_row i32[1] and leaves logits_CV f32[HeadRows, V] of the rows from there on.
type Graphs struct {
	Setup, Forward, Head *ir.Graph
	HeadRows             int // rows that one run of Head computes
}

// Build returns the graphs, or an error when the model has no positions for such a sequence.
func (m *Model) Build(s Shape) (*Graphs, error) {
	if s.Seq < 1 || s.Rows < 1 {
		return nil, fmt.Errorf("a micro-batch of %d rows of %d tokens is empty; give both at least 1", s.Rows, s.Seq)
	}
	if s.Seq > m.Facts.MaxSeq {
		return nil, fmt.Errorf("sequences of %d tokens are longer than the %d of %s in the config of %s; choose a shorter sequence",
			s.Seq, m.Facts.MaxSeq, m.seqLimit, m.Name)
	}
	return m.build(s), nil
}

// headBytes is how much memory the logits of one run of Head may take.
const headBytes = 16 << 20

// headRows returns how many rows of float32 logits a run of Head computes.
func headRows(tokens, vocab int) int {
	return min(tokens, max(1, headBytes/(4*vocab)))
}
