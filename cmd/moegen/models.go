package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"moegen/models"
)

// modelsCommand lists the models known by name, or shows what is known of one.
func modelsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "models [NAME | DIR | config.json]",
		Short: "List the models known by name, or show the facts of one",
		Long: `Without an argument: the models known by name, a line each. With one: sizes, parameters, floating-point
operations and checkpoint size of a model, and which fields of its config training does not depend on.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("models takes at most one model, but was given %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) == 1 {
				m, err := loadModel(args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(out, inform(m))
				}
				return printFacts(out, inform(m))
			}
			list := make([]modelInfo, 0, len(models.Names()))
			for _, name := range models.Names() {
				m, _ := models.Lookup(name)
				list = append(list, inform(m))
			}
			if asJSON {
				return printJSON(out, list)
			}
			return printModels(out, list)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// loadLayers is loadModel, cut off behind the first layers if there are to be less than all; 0: all.
func loadLayers(arg string, layers int) (*models.Model, error) {
	m, err := loadModel(arg)
	if err != nil || layers == 0 {
		return m, err
	}
	return m.FirstLayers(layers)
}

// loadModel returns the model that an argument names: a model known by name, a checkpoint folder, or a
// config.json. A name with a path separator is never one of the first.
func loadModel(arg string) (*models.Model, error) {
	if m, ok := models.Lookup(arg); ok {
		return m, nil
	}
	path := arg
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is neither a model that moegen knows (%s) nor a checkpoint folder or config.json that exists",
			arg, strings.Join(models.Names(), ", "))
	}
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		path = filepath.Join(path, "config.json")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no config.json; give a checkpoint folder in Hugging Face's form", arg)
	}
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(filepath.Dir(absolute))
	if base := filepath.Base(absolute); base != "config.json" {
		name = strings.TrimSuffix(base, ".json")
	}
	return models.Parse(name, path, text)
}

// modelInfo is a model as it is shown.
type modelInfo struct {
	Name string `json:"name"`
	models.Facts
	FLOPs   []flopsAt        `json:"flops"`
	Ignored []models.Ignored `json:"ignored_fields"`
}

// flopsAt is the work of training on one token of a sequence, forward and backward.
type flopsAt struct {
	Seq      int   `json:"seq"`
	PerToken int64 `json:"flops_per_token"`
}

func inform(m *models.Model) modelInfo {
	info := modelInfo{Name: m.Name, Facts: m.Facts, FLOPs: []flopsAt{}, Ignored: m.Ignored}
	for _, seq := range []int{512, 2048, 4096} {
		if seq <= m.Facts.MaxSeq {
			info.FLOPs = append(info.FLOPs, flopsAt{seq, m.Facts.FLOPsPerToken(seq)})
		}
	}
	return info
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printModels prints a line for each model.
func printModels(w io.Writer, list []modelInfo) error {
	width := 0
	for _, m := range list {
		width = max(width, len(m.Name))
	}
	fmt.Fprintf(w, "%-*s %16s %15s %7s %8s %6s %7s %11s\n", width,
		"name", "parameters", "active", "layers", "experts", "top-k", "hidden", "vocabulary")
	for _, m := range list {
		if _, err := fmt.Fprintf(w, "%-*s %16s %15s %7d %8d %6d %7d %11d\n", width, m.Name, grouped(m.Parameters),
			grouped(m.ActiveParameters), m.Layers, m.Experts, m.TopK, m.Hidden, m.Vocab); err != nil {
			return err
		}
	}
	return nil
}

// printFacts prints all that is known of a model.
func printFacts(w io.Writer, m modelInfo) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("name", "%s", m.Name)
	line("architecture", "%s", m.Architecture)
	line("parameters", "%s", grouped(m.Parameters))
	line("active parameters", "%s", grouped(m.ActiveParameters))
	for _, f := range m.FLOPs {
		line(fmt.Sprintf("FLOPs a token, seq %d", f.Seq), "%s", grouped(f.PerToken))
	}
	line("checkpoint", "%s bytes in %s", grouped(m.CheckpointBytes), m.DType)
	line("layers", "%d, %d of them mixtures of experts", m.Layers, m.MoELayers)
	line("experts", "%d of width %d, top-%d", m.Experts, m.ExpertWidth, m.TopK)
	line("attention", "%d heads of %d on %d key/value heads", m.Heads, m.HeadDim, m.KVHeads)
	line("hidden, vocabulary", "%d, %d", m.Hidden, m.Vocab)
	line("longest sequence", "%d", m.MaxSeq)
	aux := "off"
	if m.AuxCoef != 0 {
		aux = strconv.FormatFloat(m.AuxCoef, 'g', -1, 64)
	}
	line("auxiliary loss", "%s", aux)
	var reasons []string
	fields := map[string][]string{}
	for _, i := range m.Ignored {
		if !slices.Contains(reasons, i.Reason) {
			reasons = append(reasons, i.Reason)
		}
		fields[i.Reason] = append(fields[i.Reason], i.Field)
	}
	label := "fields not used"
	for _, reason := range reasons {
		line(label, "%s: %s", strings.Join(fields[reason], ", "), reason)
		label = ""
	}
	return t.Flush()
}

// grouped prints an integer with its thousands separated: 30,532,122,624.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
