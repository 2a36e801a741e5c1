package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// endOfTextToken ends a document where the vocabulary of a byte tokenizer has room for it.
const endOfTextToken = "<|endoftext|>"

// Bytes is the tokenizer of small models: id b is the byte b, and id 256 ends a text if vocabSize is more than
// 256. It is an error if vocabSize is less than 256.
func Bytes(vocabSize int) (*Tokenizer, error) {
	if vocabSize < 256 {
		return nil, fmt.Errorf("a vocabulary of %d tokens is too small for bytes: it needs 256", vocabSize)
	}
	text, _ := BytesFiles(vocabSize)
	t, err := Parse(text)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return t, nil
}

// BytesFiles is the tokenizer of Bytes(vocabSize) as the files tokenizer.json and tokenizer_config.json, which
// Transformers' AutoTokenizer reads.
func BytesFiles(vocabSize int) (tokenizer, config []byte) {
	type object = map[string]any
	vocab := object{}
	for b, r := range alphabet {
		vocab[string(r)] = b
	}
	added := []any{}
	settings := object{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false}
	if vocabSize > 256 {
		added = append(added, object{
			"id": 256, "content": endOfTextToken, "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
		})
		settings["eos_token"] = endOfTextToken
	}
	byteLevel := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
	tokenizer = format(object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": nil, "pre_tokenizer": byteLevel, "post_processor": nil, "decoder": byteLevel,
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": []any{},
		},
	})
	return tokenizer, format(settings)
}

// format prints JSON, keys in order.
func format(x any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(x); err != nil {
		panic("BUG: " + err.Error())
	}
	return b.Bytes()
}
