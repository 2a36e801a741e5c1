// Package tokenizer turns text into token ids and back, as the tokenizer.json of a model says: byte-level
// byte-pair encoding with the pre-tokenizers of the GPT-2, Llama 3 and Qwen families. What a tokenizer.json
// asks for beyond that is refused by name, never approximated.
//
// Ids are those that Hugging Face's tokenizers gives without the special tokens that a post-processor adds.
package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"unicode/utf8"
)

const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
)

// Tokenizer encodes and decodes text. Its methods may be called from several goroutines.
type Tokenizer struct {
	model      model
	normalizer func([]byte) []byte // nil: none
	splits     []splitter          // applied one after the other
	loneSpace  bool                // one of them is gpt2
	raw        addedTokens         // found in the text as it stands
	normalized addedTokens         // found in the normalised text
	tokens     [][]byte            // text of every id
	endOfText  int32               // -1: none
	scratch    sync.Pool
}

// Load reads tokenizer.json, and tokenizer_config.json if there is one, of the folder dir.
func Load(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, tokenizerFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	path = filepath.Join(dir, configFile)
	text, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = t.configure(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// endOfTextNames are the tokens that stand between documents in the training data of published models, which
// may differ from the one that ends a turn of a chat.
var endOfTextNames = []string{"<|endoftext|>", "<|end_of_text|>", "<｜end▁of▁sentence｜>", "</s>"}

// configure takes the end-of-text token from tokenizer_config.json, for a tokenizer that has none of the usual
// ones.
func (t *Tokenizer) configure(text []byte) error {
	var config struct {
		EOS json.RawMessage `json:"eos_token"` // a string, or an object with the field content
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	if t.endOfText >= 0 || len(config.EOS) == 0 || string(config.EOS) == "null" {
		return nil
	}
	var object struct{ Content string }
	if json.Unmarshal(config.EOS, &object.Content) != nil {
		if err := json.Unmarshal(config.EOS, &object); err != nil {
			return fmt.Errorf("eos_token: %w", err)
		}
	}
	t.endOfText = t.id(object.Content)
	if t.endOfText < 0 {
		return fmt.Errorf("eos_token %q is not in %s", object.Content, tokenizerFile)
	}
	return nil
}

// id is the id of an added token, -1 if there is none of that content.
func (t *Tokenizer) id(content string) int32 {
	for _, list := range []addedTokens{t.raw, t.normalized} {
		if i := slices.IndexFunc(list.tokens, func(a addedToken) bool { return a.content == content }); i >= 0 {
			return list.tokens[i].id
		}
	}
	return -1
}

// Vocab is one more than the largest id.
func (t *Tokenizer) Vocab() int { return len(t.tokens) }

// EndOfText is the id of the token that separates documents, false if there is none.
func (t *Tokenizer) EndOfText() (int32, bool) { return t.endOfText, t.endOfText >= 0 }

// Encode appends the ids of text, which must be UTF-8, to dst. Added tokens are recognised wherever they stand.
func (t *Tokenizer) Encode(dst []int32, text []byte) []int32 {
	s, _ := t.scratch.Get().(*scratch)
	if s == nil {
		s = &scratch{cache: map[string][]int32{}}
	}
	defer t.scratch.Put(s)
	t.raw.split(text, func(part []byte, id int32) {
		if part == nil {
			dst = append(dst, id)
			return
		}
		if t.normalizer != nil {
			part = t.normalizer(part)
		}
		t.normalized.split(part, func(part []byte, id int32) {
			if part == nil {
				dst = append(dst, id)
				return
			}
			split(t.splits, part, func(word []byte) { dst = t.model.encode(dst, word, s) })
		})
	})
	return dst
}

// split divides text by the splitters in turn and calls f with each word.
func split(splits []splitter, text []byte, f func(word []byte)) {
	if len(splits) == 0 {
		f(text)
		return
	}
	for len(text) > 0 {
		n := splits[0](text)
		split(splits[1:], text[:n], f)
		text = text[n:]
	}
}

// Decode is the text of ids. Its bytes are UTF-8 if the ids are those of a text; the ids must be less than Vocab.
// Ids that the vocabulary leaves out have no text.
func (t *Tokenizer) Decode(ids []int32) []byte {
	var text []byte
	for _, id := range ids {
		text = append(text, t.tokens[id]...)
	}
	return text
}

// Cut is the largest position, at most len(text), at which the text can be divided so that both parts have the
// ids that the whole has; 0 if there is none. More text may follow.
//
// Every pre-tokenizer here divides between a line feed and a printable ASCII character, and no normalisation
// reaches across it. Where GPT-2's expression is used, the line feed must be the only white space there: longer
// white space before a word is divided, at the end of a text it is not.
func (t *Tokenizer) Cut(text []byte) int {
	if t.raw.multiline || t.normalized.multiline || len(t.splits) == 0 && !t.model.bytesOnly() {
		return 0
	}
	for end := len(text); ; {
		i := bytes.LastIndexByte(text[:end], '\n')
		if i < 0 {
			return 0
		}
		before, _ := utf8.DecodeLastRune(text[:i])
		if i+1 < len(text) && text[i+1] > ' ' && text[i+1] < 0x7f && !(t.loneSpace && space(before)) {
			return i + 1
		}
		end = i
	}
}
