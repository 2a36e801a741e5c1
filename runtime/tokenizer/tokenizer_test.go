package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The tokenizers of testdata were trained, and their ids recorded, with Hugging Face's tokenizers 0.23.3; bytes.json
// with AutoTokenizer of transformers 5.23 on the files of BytesFiles.

func load(t testing.TB, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

type recorded struct {
	Extra []string
	IDs   [][]int32
}

func TestEncodesAsHuggingFace(t *testing.T) {
	var texts []string
	load(t, "testdata/strings.json", &texts)
	for _, family := range []string{"gpt2", "llama3", "qwen3"} {
		text, err := os.ReadFile("testdata/" + family + ".json")
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		var want recorded
		load(t, "testdata/"+family+"_ids.json", &want)
		all := append(slices.Clone(texts), want.Extra...)
		for i, s := range all {
			if got := tok.Encode(nil, []byte(s)); !slices.Equal(got, want.IDs[i]) {
				t.Errorf("%s: %q:\n got %v\nwant %v", family, s, got, want.IDs[i])
			}
			decoded := []byte(s)
			if family == "qwen3" {
				decoded = nfc(decoded)
			}
			if got := tok.Decode(want.IDs[i]); !bytes.Equal(got, decoded) && !strings.Contains(s, "A\u030a1") && !strings.Contains(s, "\u212b1") {
				t.Errorf("%s: decoded %q, want %q", family, got, decoded)
			}
		}
		if id, ok := tok.EndOfText(); !ok || string(tok.Decode([]int32{id})) != "<|endoftext|>" {
			t.Errorf("%s: end of text %d %v", family, id, ok)
		}
	}
}

// Parts divided at Cut have the ids of the whole.
func TestCut(t *testing.T) {
	var texts []string
	load(t, "testdata/strings.json", &texts)
	whole := []byte(strings.Join(texts, "\n") + "\nfunc main() {\n\tx := 1\n\n\ny\n}\n")
	for _, family := range []string{"gpt2", "llama3", "qwen3"} {
		text, _ := os.ReadFile("testdata/" + family + ".json")
		tok, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		want := tok.Encode(nil, whole)
		var got []int32
		cuts := 0
		for rest := whole; len(rest) > 0; cuts++ {
			n := tok.Cut(rest[:min(100, len(rest))])
			for window := 200; n == 0 && window < len(rest); window *= 2 {
				n = tok.Cut(rest[:window])
			}
			if n == 0 {
				n = len(rest)
			}
			got = tok.Encode(got, rest[:n])
			rest = rest[n:]
		}
		if cuts < 50 || !slices.Equal(got, want) {
			t.Errorf("%s: %d parts, %d ids; the whole has %d", family, cuts, len(got), len(want))
		}
	}
	for text, want := range map[string]int{"": 0, "abc": 0, "a\n": 0, "a\nb": 2, "a\nb\n": 2, "a\n b": 0, "a\n\nb\n\n": 3, "a\n\u0301": 0} {
		tok, _ := Bytes(257)
		if got := tok.Cut([]byte(text)); got != want {
			t.Errorf("Cut(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestNormalisation(t *testing.T) {
	var cases [][2]string
	load(t, "testdata/nfc.json", &cases)
	for _, c := range cases {
		if got := nfc([]byte(c[0])); string(got) != c[1] {
			t.Errorf("%+q: %+q, want %+q", c[0], got, c[1])
		}
	}
	// Every character between a letter and a mark, as one recorded digest.
	h := sha256.New()
	for r := range rune(0x110000) {
		if r < 0xd800 || r >= 0xe000 {
			h.Write(nfc([]byte("a" + string(r) + "\u0327")))
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != "688bcf4899661823fbd5ea28693b4cdc2e77dfbc9ce9ca88fc74d27518a81959" {
		t.Errorf("digest over all characters is %s", got)
	}
}

func TestBytes(t *testing.T) {
	var texts []string
	load(t, "testdata/strings.json", &texts)
	var want map[string]recorded
	load(t, "testdata/bytes.json", &want)
	for name, size := range map[string]int{"256": 256, "257": 257, "512": 512} {
		tok, err := Bytes(size)
		if err != nil {
			t.Fatal(err)
		}
		record := want[name]
		all := record.Extra
		for i := (len(texts) - 1) / 8 * 8; i >= 0; i -= 8 { // every eighth was recorded
			all = slices.Insert(slices.Clone(all), 0, texts[i])
		}
		for i, s := range all {
			ids := tok.Encode(nil, []byte(s))
			if !slices.Equal(ids, record.IDs[i]) {
				t.Errorf("%s: %q: %v, want %v", name, s, ids, record.IDs[i])
			}
			if got := tok.Decode(ids); string(got) != s {
				t.Errorf("%s: %q came back as %q", name, s, got)
			}
		}
		id, ok := tok.EndOfText()
		if ok != (size > 256) || ok && id != 256 {
			t.Errorf("%s: end of text %d %v", name, id, ok)
		}
		dir := t.TempDir()
		tokenizer, config := BytesFiles(size)
		os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizer, 0o666)
		os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), config, 0o666)
		again, err := Load(dir)
		if err != nil || again.Vocab() != tok.Vocab() {
			t.Errorf("%s: loaded: %v", name, err)
		}
	}
	_, err := Bytes(255)
	if err == nil || err.Error() != "a vocabulary of 255 tokens is too small for bytes: it needs 256" {
		t.Errorf("error %v", err)
	}
}

// The exact sentence of everything that is refused.
func TestRefusals(t *testing.T) {
	good, _ := BytesFiles(257)
	for _, c := range []struct{ old, new, want string }{
		{`"normalizer": null`, `"normalizer": {"type": "NFKC"}`, `normalizer: type "NFKC" is not supported, only NFC is`},
		{`"normalizer": null`, `"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}`,
			`normalizer: a Sequence of several is not supported`},
		{`"add_prefix_space": false`, `"add_prefix_space": true`, `pre_tokenizer: add_prefix_space is not supported`},
		{`"pre_tokenizer": {`, `"pre_tokenizer": {"type": "Metaspace"}, "x": {`, `pre_tokenizer: type "Metaspace" is not supported, only Split and ByteLevel are`},
		{`"pre_tokenizer": {`, `"pre_tokenizer": null, "x": {`, `pre_tokenizer: type "" is not supported, only Split and ByteLevel are`},
		{`"pre_tokenizer": {`, `"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a+"}, "behavior": "Isolated", "invert": false}, "x": {`,
			`pre_tokenizer: the pattern "a+" is not one that is supported`},
		{`"pre_tokenizer": {`, `"pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": false}, "x": {`,
			`pre_tokenizer: a Split is supported with a Regex pattern, behavior Isolated and without invert only`},
		{`"pre_tokenizer": {`, `"pre_tokenizer": {"type": "Sequence", "pretokenizers": []}, "x": {`,
			`pre_tokenizer: ByteLevel is missing; only byte-level tokenizers are supported`},
		{`"decoder": {`, `"decoder": {"type": "WordPiece"}, "x": {`, `decoder: type "WordPiece" is not supported, only ByteLevel is`},
		{`"type": "BPE"`, `"type": "Unigram"`, `model: type "Unigram" is not supported, only BPE is`},
		{`"byte_fallback": false`, `"byte_fallback": true`, `model: byte_fallback is not supported`},
		{`"dropout": null`, `"dropout": 0.1`, `model: dropout is not supported`},
		{`"end_of_word_suffix": null`, `"end_of_word_suffix": "</w>"`, `model: continuing_subword_prefix and end_of_word_suffix are not supported`},
		{`"Ā": 0,`, ``, `model: the vocabulary has no token for the byte 0x00`},
		{`"a": 97,`, `"a": 98,`, `model: two tokens have the id 98`},
		{`"a": 97,`, `"a": -1,`, `model: token "a" has the id -1`},
		{`"merges": []`, `"merges": ["a b"]`, `model: merge 0 ("a", "b") is of tokens that are not in the vocabulary`},
		{`"merges": []`, `"merges": ["a"]`, `merge "a" is not two tokens`},
		{`"merges": []`, `"merges": [["a", "b", "c"]]`, `merge ["a", "b", "c"] is not two tokens`},
		{`"rstrip": false`, `"rstrip": true`, `added_tokens: "<|endoftext|>": single_word, lstrip and rstrip are not supported`},
		{`"content": "<|endoftext|>"`, `"content": ""`, `added_tokens: "": the content is empty`},
		{`"id": 256`, `"id": -7`, `added_tokens: "<|endoftext|>": the id is -7 where 256 was expected`},
	} {
		text := strings.ReplaceAll(string(good), c.old, c.new)
		if text == string(good) {
			t.Fatalf("%s is not in the file", c.old)
		}
		_, err := Parse([]byte(text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.new, err, c.want)
		}
	}
}

func TestEndOfTextFromConfig(t *testing.T) {
	files, _ := BytesFiles(257)
	named := bytes.ReplaceAll(files, []byte("<|endoftext|>"), []byte("<|im_end|>"))
	for config, want := range map[string]string{
		`{"eos_token": "<|im_end|>"}`: "", `{"eos_token": {"content": "<|im_end|>"}}`: "", `{}`: "none", `{"eos_token": null}`: "none",
		`{"eos_token": "x"}`: `tokenizer_config.json: eos_token "x" is not in tokenizer.json`,
		`{`:                  `tokenizer_config.json: unexpected end of JSON input`,
	} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "tokenizer.json"), named, 0o666)
		os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o666)
		tok, err := Load(dir)
		switch {
		case err != nil:
			if want == "" || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s: %v", config, err)
			}
		case want == "":
			if id, ok := tok.EndOfText(); !ok || id != 256 {
				t.Errorf("%s: %d %v", config, id, ok)
			}
		case want == "none":
			if id, ok := tok.EndOfText(); ok {
				t.Errorf("%s: %d", config, id)
			}
		default:
			t.Errorf("%s was accepted", config)
		}
	}
}

// BenchmarkEncode reports bytes of text a second on one core.
func BenchmarkEncode(b *testing.B) {
	text, err := os.ReadFile("split.go")
	if err != nil {
		b.Fatal(err)
	}
	for _, family := range []string{"gpt2", "qwen3"} {
		file, _ := os.ReadFile("testdata/" + family + ".json")
		tok, err := Parse(file)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(family, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			var ids []int32
			for b.Loop() {
				ids = tok.Encode(ids[:0], text)
			}
		})
	}
	b.Run("bytes", func(b *testing.B) {
		tok, _ := Bytes(257)
		b.SetBytes(int64(len(text)))
		var ids []int32
		for b.Loop() {
			ids = tok.Encode(ids[:0], text)
		}
	})
}
