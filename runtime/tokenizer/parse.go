package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// file is a tokenizer.json.
type file struct {
	AddedTokens  []addedTokenJSON `json:"added_tokens"`
	Normalizer   json.RawMessage  `json:"normalizer"`
	PreTokenizer json.RawMessage  `json:"pre_tokenizer"`
	Decoder      json.RawMessage  `json:"decoder"`
	Model        modelJSON        `json:"model"`
}

type addedTokenJSON struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type modelJSON struct {
	Type         string           `json:"type"`
	Dropout      *float64         `json:"dropout"`
	Prefix       string           `json:"continuing_subword_prefix"`
	Suffix       string           `json:"end_of_word_suffix"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       []mergeJSON      `json:"merges"`
}

// mergeJSON is a pair of tokens, written as a list of two or, formerly, as one string with a space between.
type mergeJSON [2]string

func (m *mergeJSON) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		left, right, ok := strings.Cut(s, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("merge %q is not two tokens", s)
		}
		*m = mergeJSON{left, right}
		return nil
	}
	var list []string
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 2 {
		return fmt.Errorf("merge %s is not two tokens", text)
	}
	*m = mergeJSON(list)
	return nil
}

// Parse reads the text of a tokenizer.json.
func Parse(text []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	t := &Tokenizer{endOfText: -1}
	var err error
	if t.normalizer, err = parseNormalizer(f.Normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	byteLevel, err := t.parsePreTokenizer(f.PreTokenizer)
	if err == nil && !byteLevel {
		err = errors.New("ByteLevel is missing; only byte-level tokenizers are supported")
	}
	if err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if kind, err := typeOf(f.Decoder); err != nil || kind != "ByteLevel" {
		return nil, fmt.Errorf("decoder: type %q is not supported, only ByteLevel is", kind)
	}
	if err := t.parseModel(&f.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	next := int32(len(f.Model.Vocab)) // the id that a new token gets
	for _, a := range f.AddedTokens {
		id, known := f.Model.Vocab[a.Content]
		if !known {
			id = next
		}
		next = max(next, id+1)
		if err := t.parseAdded(a, id); err != nil {
			return nil, fmt.Errorf("added_tokens: %q: %w", a.Content, err)
		}
	}
	for _, name := range endOfTextNames {
		if t.endOfText < 0 {
			t.endOfText = t.id(name)
		}
	}
	return t, nil
}

// typeOf is the field type of an object, "" for null.
func typeOf(text json.RawMessage) (string, error) {
	var object struct{ Type string }
	if len(text) == 0 {
		return "", nil
	}
	err := json.Unmarshal(text, &object)
	return object.Type, err
}

func parseNormalizer(text json.RawMessage) (func([]byte) []byte, error) {
	kind, err := typeOf(text)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "":
		return nil, nil
	case "NFC":
		return nfc, nil
	case "Sequence":
		var sequence struct{ Normalizers []json.RawMessage }
		if err := json.Unmarshal(text, &sequence); err != nil {
			return nil, err
		}
		if len(sequence.Normalizers) == 0 {
			return nil, nil
		}
		if len(sequence.Normalizers) == 1 {
			return parseNormalizer(sequence.Normalizers[0])
		}
		return nil, errors.New("a Sequence of several is not supported")
	}
	return nil, fmt.Errorf("type %q is not supported, only NFC is", kind)
}

// parsePreTokenizer appends the splitters and reports whether a ByteLevel is among the steps, after which there
// may be none.
func (t *Tokenizer) parsePreTokenizer(text json.RawMessage) (byteLevel bool, err error) {
	var object struct {
		Type          string
		PreTokenizers []json.RawMessage
		Pattern       struct{ Regex *string }
		Behavior      string
		Invert        bool
		AddPrefix     bool  `json:"add_prefix_space"`
		UseRegex      *bool `json:"use_regex"`
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &object); err != nil {
			return false, err
		}
	}
	switch object.Type {
	case "Sequence":
		for _, step := range object.PreTokenizers {
			if byteLevel {
				return false, errors.New("steps after ByteLevel are not supported")
			}
			if byteLevel, err = t.parsePreTokenizer(step); err != nil {
				return false, err
			}
		}
		return byteLevel, nil
	case "ByteLevel":
		if object.AddPrefix {
			return false, errors.New("add_prefix_space is not supported")
		}
		if object.UseRegex == nil || *object.UseRegex {
			t.splits, t.loneSpace = append(t.splits, gpt2), true
		}
		return true, nil
	case "Split":
		if object.Behavior != "Isolated" || object.Invert || object.Pattern.Regex == nil {
			return false, errors.New("a Split is supported with a Regex pattern, behavior Isolated and without invert only")
		}
		for _, p := range patterns {
			if p.regex == *object.Pattern.Regex {
				t.splits = append(t.splits, p.split)
				t.loneSpace = t.loneSpace || p.regex == gpt2Regex
				return false, nil
			}
		}
		return false, fmt.Errorf("the pattern %q is not one that is supported", *object.Pattern.Regex)
	}
	return false, fmt.Errorf("type %q is not supported, only Split and ByteLevel are", object.Type)
}

// parseModel fills the vocabulary and the merges. Tokens are stored as the bytes that they stand for.
func (t *Tokenizer) parseModel(m *modelJSON) error {
	switch {
	case m.Type != "BPE" && m.Type != "":
		return fmt.Errorf("type %q is not supported, only BPE is", m.Type)
	case m.Dropout != nil && *m.Dropout != 0:
		return errors.New("dropout is not supported")
	case m.Prefix != "" || m.Suffix != "":
		return errors.New("continuing_subword_prefix and end_of_word_suffix are not supported")
	case m.ByteFallback:
		return errors.New("byte_fallback is not supported")
	}
	t.model = model{vocab: make(map[string]int32, len(m.Vocab)), merges: make(map[pair]merge, len(m.Merges)), wholeWords: m.IgnoreMerges}
	size := 0
	for content, id := range m.Vocab {
		if id < 0 || int(id) > maxVocab {
			return fmt.Errorf("token %q has the id %d", content, id)
		}
		size = max(size, int(id)+1)
	}
	t.tokens = make([][]byte, size)
	for content, id := range m.Vocab {
		if t.tokens[id] != nil {
			return fmt.Errorf("two tokens have the id %d", id)
		}
		text, ok := fromAlphabet(content)
		if !ok {
			text = []byte(content) // not from the byte alphabet: an added token that is listed here as well
		} else {
			t.model.vocab[string(text)] = id
		}
		t.tokens[id] = text
	}
	for b := range t.model.byteID {
		id, ok := m.Vocab[string(alphabet[b])]
		if !ok {
			return fmt.Errorf("the vocabulary has no token for the byte %#02x", b)
		}
		t.model.byteID[b] = id
	}
	for rank, parts := range m.Merges {
		left, ok1 := m.Vocab[parts[0]]
		right, ok2 := m.Vocab[parts[1]]
		joined, ok3 := m.Vocab[parts[0]+parts[1]]
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("merge %d (%q, %q) is of tokens that are not in the vocabulary", rank, parts[0], parts[1])
		}
		t.model.merges[pair{left, right}] = merge{int32(rank), joined}
	}
	return nil
}

// maxVocab bounds ids, so that a damaged file does not ask for the memory of 2^31 tokens.
const maxVocab = 1 << 24

// parseAdded takes in an added token. Hugging Face gives it the id it has in the vocabulary or the next free one,
// whatever the file says; files where the two differ are refused.
func (t *Tokenizer) parseAdded(a addedTokenJSON, id int32) error {
	switch {
	case a.Content == "":
		return errors.New("the content is empty")
	case a.ID != id:
		return fmt.Errorf("the id is %d where %d was expected", a.ID, id)
	case a.SingleWord || a.LStrip || a.RStrip:
		return errors.New("single_word, lstrip and rstrip are not supported")
	}
	if int(id) >= len(t.tokens) {
		t.tokens = append(t.tokens, make([][]byte, int(id)+1-len(t.tokens))...)
	}
	t.tokens[id] = []byte(a.Content)
	if a.Normalized {
		if t.normalizer != nil {
			a.Content = string(t.normalizer([]byte(a.Content)))
		}
		t.normalized.add(addedToken{a.Content, id})
	} else {
		t.raw.add(addedToken{a.Content, id})
	}
	return nil
}

// alphabet is the character that stands for each byte in a tokenizer.json, as GPT-2 introduced it: printable
// characters of Latin-1 for themselves, the others, in order, as U+0100 and on.
var alphabet = func() (a [256]rune) {
	next := rune(0x100)
	for b := range rune(256) {
		if '!' <= b && b <= '~' || 0xa1 <= b && b <= 0xac || 0xae <= b && b <= 0xff {
			a[b] = b
		} else {
			a[b] = next
			next++
		}
	}
	return a
}()

// byteOf is the inverse of alphabet.
var byteOf = func() map[rune]byte {
	m := map[rune]byte{}
	for b, r := range alphabet {
		m[r] = byte(b)
	}
	return m
}()

// fromAlphabet is the bytes that a token stands for, false if it has other characters.
func fromAlphabet(token string) ([]byte, bool) {
	text := make([]byte, 0, utf8.RuneCountInString(token))
	for _, r := range token {
		b, ok := byteOf[r]
		if !ok {
			return nil, false
		}
		text = append(text, b)
	}
	return text, true
}
