package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"moegen/ir"
	"moegen/models"
	"moegen/runtime/checkpoint"
)

// initCommand writes a randomly initialised checkpoint.
func initCommand() *cobra.Command {
	var seed uint64
	var dtype string
	var layers int
	cmd := &cobra.Command{
		Use:   "init NAME | DIR | config.json OUTDIR",
		Short: "Write a randomly initialised checkpoint",
		Long: `Write a checkpoint folder in Hugging Face's form with random weights: config.json, safetensors, and a tokenizer.
The tokenizer is that of DIR if there is one. A model with a published vocabulary gets none: copy the publisher's.
Any other gets one whose tokens are the 256 bytes. Equal seeds give equal bytes on every machine.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("init takes a model and the new folder for its checkpoint, but was given %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[1]); err == nil {
				return fmt.Errorf("%s exists already and is not overwritten; choose another folder or remove it", args[1])
			}
			m, err := loadLayers(args[0], layers)
			if err != nil {
				return err
			}
			config, err := withDType(m, dtype)
			if err != nil {
				return err
			}
			files, note, err := tokenizerFiles(m, args[0])
			if err != nil {
				return err
			}
			params, err := checkpointParams(m)
			if err != nil {
				return err
			}
			c, err := checkpoint.New(config, params, files...)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.SaveRandom(args[1], params, seed); err != nil {
				return cannotWrite(args[1], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s parameters of %s from seed %d; %s\n",
				args[1], grouped(m.Facts.Parameters), m.Name, seed, note)
			return nil
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 0, "seed of the random weights")
	cmd.Flags().StringVar(&dtype, "dtype", "", "element type of the weights, f32 or bf16 (default: as the config says)")
	cmd.Flags().IntVar(&layers, "layers", 0, layersUsage)
	return cmd
}

// dtypeField is the field that names the element type, under either of its names.
var dtypeField = regexp.MustCompile(`("(?:torch_)?dtype"\s*:\s*)(?:"[^"]*"|null)`)

// withDType returns the model's config with the element type that the user chose; without a choice, verbatim.
func withDType(m *models.Model, choice string) ([]byte, error) {
	names := map[string]string{"": m.Facts.DType, "bf16": "bfloat16", "f32": "float32"}
	dtype, ok := names[choice]
	if !ok {
		return nil, fmt.Errorf("--dtype %s is not known; give f32 or bf16", choice)
	}
	if dtype == "float16" {
		return nil, fmt.Errorf("the config of %s asks for float16, which moegen does not write; give --dtype f32 or bf16", m.Name)
	}
	if dtype == m.Facts.DType {
		return m.Config, nil
	}
	if dtypeField.Match(m.Config) {
		return dtypeField.ReplaceAll(m.Config, []byte(`${1}"`+dtype+`"`)), nil
	}
	first := regexp.MustCompile(`^\s*\{`)
	return first.ReplaceAll(m.Config, []byte("{\n  \"torch_dtype\": \""+dtype+"\",")), nil
}

// checkpointParams returns the parameters of a model in the runtime's terms.
func checkpointParams(m *models.Model) ([]checkpoint.Param, error) {
	graphs, err := m.Build(models.Shape{Seq: 1, Rows: 1})
	if err != nil {
		return nil, err
	}
	kinds := map[string]checkpoint.InitKind{
		"normal": checkpoint.InitNormal, "ones": checkpoint.InitOnes, "zeros": checkpoint.InitZeros,
	}
	var params []checkpoint.Param
	for _, v := range graphs.Forward.Outside {
		if v.Role != ir.Weight {
			continue
		}
		kind, ok := kinds[v.Param.Init.Kind]
		if !ok {
			panic(fmt.Sprintf("BUG: %s is initialised by %q", v.Name, v.Param.Init.Kind))
		}
		p := checkpoint.Param{
			Name: v.Name, Shape: v.Param.Shape,
			Init: checkpoint.Init{Kind: kind, Std: v.Param.Init.Std, ZeroRows: v.Param.Init.ZeroRows},
		}
		for _, piece := range v.Param.Pieces {
			p.Pieces = append(p.Pieces, checkpoint.Piece(piece))
		}
		params = append(params, p)
	}
	return params, nil
}

// tokenizerNames are the files in which a Hugging Face tokenizer may be.
var tokenizerNames = []string{
	"added_tokens.json", "chat_template.jinja", "generation_config.json", "merges.txt", "special_tokens_map.json",
	"tokenizer.json", "tokenizer_config.json", "vocab.json",
}

// tokenizerFiles returns the tokenizer of a new checkpoint and a remark on where it is from.
func tokenizerFiles(m *models.Model, source string) ([]checkpoint.File, string, error) {
	var files []checkpoint.File
	_, byName := models.Lookup(source)
	if info, err := os.Stat(source); !byName && err == nil && info.IsDir() {
		for _, name := range tokenizerNames {
			data, err := os.ReadFile(filepath.Join(source, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, "", err
			}
			files = append(files, checkpoint.File{Name: name, Data: data})
		}
		if len(files) > 0 {
			return files, "tokenizer of " + source, nil
		}
	}
	for _, name := range models.Names() {
		if known, _ := models.Lookup(name); known.Published && known.Facts.Vocab == m.Facts.Vocab {
			return nil, "no tokenizer: copy the publisher's into the folder", nil
		}
	}
	if m.Facts.Vocab < 256 {
		return nil, fmt.Sprintf("no tokenizer: a vocabulary of %d is too small for bytes", m.Facts.Vocab), nil
	}
	return byteTokenizer(m.Facts), "tokens are bytes", nil
}

// endOfText is the token between documents.
const endOfText = "<|endoftext|>"

// byteTokenizer is a tokenizer whose token b is the byte b and whose token 256, where the vocabulary has one,
// is the end of a document: byte-level BPE without merges.
func byteTokenizer(f models.Facts) []checkpoint.File {
	// In a byte-level vocabulary a byte that is not printable in Latin-1 is written as the next unused character
	// from U+0100 on (Radford et al. 2019, as in Hugging Face tokenizers).
	vocab := map[string]int{}
	next := rune(256)
	for b := range 256 {
		c := rune(b)
		if b <= ' ' || b >= 0x7f && b <= 0xa0 || b == 0xad {
			c = next
			next++
		}
		vocab[string(c)] = b
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
	added := []any{}
	config := map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": f.MaxSeq, "clean_up_tokenization_spaces": false,
	}
	if f.Vocab > 256 {
		added = append(added, map[string]any{"id": 256, "content": endOfText, "single_word": false, "lstrip": false,
			"rstrip": false, "normalized": false, "special": true})
		config["eos_token"] = endOfText
	}
	tokenizer := map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
		"pre_tokenizer": byteLevel, "post_processor": nil, "decoder": byteLevel,
		"model": map[string]any{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": []string{},
		},
	}
	return []checkpoint.File{
		{Name: "tokenizer.json", Data: indented(tokenizer)},
		{Name: "tokenizer_config.json", Data: indented(config)},
	}
}

// indented is the JSON of v, keys sorted.
func indented(v any) []byte {
	var b bytes.Buffer
	if err := printJSON(&b, v); err != nil {
		panic("BUG: " + err.Error())
	}
	return b.Bytes()
}
