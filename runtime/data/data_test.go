package data

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/tokenizer"
)

func bytesTokenizer(t testing.TB, vocab int) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Bytes(vocab)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// folder makes a folder of files.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openText(t testing.TB, path string, vocab int, extensions ...string) *Text {
	t.Helper()
	text, err := Open(path, Options{Tokenizer: bytesTokenizer(t, vocab), Vocab: vocab, Extensions: extensions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { text.Close() })
	return text
}

// stream is all tokens.
func stream(t testing.TB, text *Text) []int32 {
	t.Helper()
	ids := make([]int32, text.Tokens())
	if err := text.spool.read(0, ids); err != nil {
		t.Fatal(err)
	}
	return ids
}

func newBatch(n int) Batch {
	return Batch{make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)}
}

func TestFolder(t *testing.T) {
	dir := folder(t, map[string]string{
		"b.go": "two", "a/z.go": "one", "a.txt": "text", ".hidden": "x", ".git/config": "x", "c.go": "",
		"bin.go": "a\x00b", "latin.go": "caf\xe9", "d/cut.go": "ok then \xe2\x82",
	})
	if err := os.Symlink(filepath.Join(dir, "b.go"), filepath.Join(dir, "e.go")); err != nil {
		t.Fatal(err)
	}
	text := openText(t, dir, 257, ".go")
	want := "one\U00010000two\U00010000two\U00010000"
	var got strings.Builder
	for _, id := range stream(t, text) {
		if id == 256 {
			id = 0x10000
		}
		got.WriteRune(rune(id))
	}
	if got.String() != want || text.Documents() != 3 || text.Skipped() != 3 {
		t.Errorf("%q, %d documents, %d skipped", got.String(), text.Documents(), text.Skipped())
	}
	if all := openText(t, dir, 257); all.Documents() != 4 {
		t.Errorf("%d documents of all kinds", all.Documents())
	}
	if same := openText(t, dir, 257, ".go"); same.Fingerprint() != text.Fingerprint() {
		t.Error("the fingerprint of the same data differs")
	}
	// The same tokens in other documents are other data.
	one := openText(t, folder(t, map[string]string{"a": "xy", "b": "z"}), 256)
	two := openText(t, folder(t, map[string]string{"a": "x", "b": "yz"}), 256)
	if !slices.Equal(stream(t, one), stream(t, two)) || one.Fingerprint() == two.Fingerprint() {
		t.Error("the fingerprint does not tell documents apart")
	}
}

// A document larger than what is read at a time has the tokens of the whole, whether it can be divided or not, and
// with characters across every border.
func TestLongDocuments(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, letters := range map[string][]string{
		"lines": {"word ", "é", "文", "😀", "\n", "x\n"}, "one line": {"word ", "é", "文", "😀"},
	} {
		var b strings.Builder
		for b.Len() < 3*pieceBytes+12345 {
			b.WriteString(letters[rng.IntN(len(letters))])
		}
		path := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		text := openText(t, path, 300)
		ids := stream(t, text)
		if got := bytesTokenizer(t, 300).Decode(ids[:len(ids)-1]); string(got) != b.String() || ids[len(ids)-1] != 256 || text.Documents() != 1 {
			t.Errorf("%s: %d tokens of %d bytes in %d documents", name, len(ids), b.Len(), text.Documents())
		}
	}
}

// Tokens of more than 16 bits.
func TestWideTokens(t *testing.T) {
	var s spool
	if err := s.create(1 << 20); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	want := []int32{0, 65535, 65536, 1<<20 - 1}
	if err := s.append(want); err != nil {
		t.Fatal(err)
	}
	if err := s.finish(); err != nil {
		t.Fatal(err)
	}
	got := make([]int32, 3)
	if err := s.read(1, got); err != nil || !slices.Equal(got, want[1:]) {
		t.Errorf("%v, %v", got, err)
	}
}

// Rows against a plain construction: every token with its document, target and position.
func TestRows(t *testing.T) {
	for _, vocab := range []int{256, 257} {
		files := map[string]string{}
		lengths := []int{1, 2, 7, 8, 9, 40, 3, 1}
		for i, n := range lengths {
			files[fmt.Sprint(i)] = strings.Repeat(string(rune('a'+i)), n)
		}
		text := openText(t, folder(t, files), vocab)
		for _, seq := range []int{1, 4, 8, 100} {
			rows, none, err := text.Split(seq, 0, 1)
			if err != nil || none.Len() != 0 {
				t.Fatal(err, none.Len())
			}
			type token struct{ id, target, doc, at int32 }
			var all []token
			for doc, n := range lengths {
				ids := []int32(nil)
				for range n {
					ids = append(ids, int32('a'+doc))
				}
				if vocab > 256 {
					ids = append(ids, 256)
				}
				for i, id := range ids {
					target := int32(-100)
					if i+1 < len(ids) {
						target = ids[i+1]
					}
					all = append(all, token{id, target, int32(doc), int32(i)})
				}
			}
			want := 0
			for i, token := range all {
				if token.target >= 0 {
					want = i/seq + 1
				}
			}
			if rows.Len() != want {
				t.Fatalf("%d rows, want %d", rows.Len(), want)
			}
			for i := range rows.Len() {
				b := newBatch(3 * seq)
				if err := rows.Read(i, b, 1); err != nil {
					t.Fatal(err)
				}
				if b.Tokens[0] != 0 || b.Tokens[2*seq] != 0 {
					t.Fatal("another row was written")
				}
				b = b.row(1, seq)
				targets := 0
				for j := range seq {
					var want [4]int32
					if k := i*seq + j; k < len(all) {
						start := max(int32(0), int32(j)-all[k].at)
						want = [4]int32{all[k].id, all[k].target, int32(j) - start, start}
					} else {
						want = [4]int32{0, -100, 0, int32(j)}
					}
					if want[1] >= 0 {
						targets++
					}
					if got := [4]int32{b.Tokens[j], b.Targets[j], b.Positions[j], b.Starts[j]}; got != want {
						t.Fatalf("vocab %d, rows of %d: row %d token %d is %v, want %v", vocab, seq, i, j, got, want)
					}
				}
				if got := rows.Targets(i); got != targets {
					t.Errorf("rows of %d: row %d has %d targets, want %d", seq, i, got, targets)
				}
			}
		}
	}
}

// Validation has its share, whole documents where they are short, and nothing is lost or in both.
func TestSplit(t *testing.T) {
	many := map[string]string{}
	for i := range 200 {
		many[fmt.Sprintf("%03d", i)] = strings.Repeat(string(rune(0x20+i%90)), 50+i%37)
	}
	one := map[string]string{"book": strings.Repeat("0123456789", 2000)}
	for name, files := range map[string]map[string]string{"many": many, "one": one} {
		text := openText(t, folder(t, files), 257)
		train, validation, err := text.Split(16, 0.1, 3)
		if err != nil {
			t.Fatal(err)
		}
		share := float64(validation.tokens()) / float64(text.Tokens())
		// Parts are an eighth of the share at most, so it is exceeded by no more than that.
		if share < 0.0999 || share > 0.1*(1+1./8)+0.001 {
			t.Errorf("%s: validation has a share of %v", name, share)
		}
		covered := slices.Concat(train.docs, validation.docs)
		slices.SortFunc(covered, func(a, b span) int { return int(a.begin - b.begin) })
		var at int64
		for _, d := range covered {
			if d.begin != at {
				t.Fatalf("%s: tokens from %d on are lost or twice", name, at)
			}
			at = d.end
			if name == "many" && !slices.Contains(text.documents, d) {
				t.Errorf("document %v was divided", d)
			}
		}
		if at != text.Tokens() {
			t.Errorf("%s: %d of %d tokens", name, at, text.Tokens())
		}
		_, again, _ := text.Split(16, 0.1, 3)
		_, other, _ := text.Split(16, 0.1, 4)
		if !slices.Equal(again.docs, validation.docs) || slices.Equal(other.docs, validation.docs) {
			t.Errorf("%s: the choice is not that of the seed", name)
		}
	}
	text := openText(t, folder(t, map[string]string{"a": "short"}), 257)
	_, _, err := text.Split(16, 0.5, 1)
	want := text.path + " has 6 tokens, too few to keep a share of 0.5 for validation in rows of 16 tokens"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestOrder(t *testing.T) {
	for _, rows := range []int{1, 2, 3, 4, 5, 63, 64, 65, 1000} {
		var epochs [][]int
		for epoch := range 3 {
			var drawn []int
			for i := range rows {
				drawn = append(drawn, Order{rows, 7}.At(epoch*rows+i))
			}
			sorted := slices.Sorted(slices.Values(drawn))
			for i, r := range sorted {
				if r != i {
					t.Fatalf("epoch %d of %d rows draws %v", epoch, rows, sorted)
				}
			}
			epochs = append(epochs, drawn)
		}
		if rows >= 63 && (slices.Equal(epochs[0], epochs[1]) || slices.Equal(epochs[1], epochs[2]) || slices.IsSorted(epochs[0])) {
			t.Errorf("%d rows: epochs are not shuffled anew", rows)
		}
	}
	// Where a row comes is close to uniform: over many seeds each of 10 rows is first about as often. The counts
	// have a standard deviation of 30.
	first := make([]int, 10)
	for seed := range uint64(10000) {
		first[Order{10, seed}.At(0)]++
	}
	for r, n := range first {
		if math.Abs(float64(n)-1000) > 5*30 {
			t.Errorf("row %d is first %d times of 10000", r, n)
		}
	}
}

// The exact sentence of everything that is wrong with data.
func TestErrors(t *testing.T) {
	dir := folder(t, map[string]string{
		"empty.txt": "", "bin": "ab\x00", "latin": "caf\xe9!", "text": "abc", "only/x.bin": "\x00", "none/.hidden": "a", "end": "abc<|endoftext|>",
	})
	for _, c := range []struct {
		path       string
		vocab      int
		extensions []string
		want       string
	}{
		{"missing", 256, nil, `DIR/missing does not exist: name a text file, or a folder of them`},
		{"empty.txt", 256, nil, `DIR/empty.txt holds no text to train on`},
		{"bin", 256, nil, `DIR/bin is binary: byte 2 is zero`},
		{"latin", 256, nil, `DIR/latin is not UTF-8: byte 3`},
		{"only", 256, nil, `DIR/only holds no text to train on: it is empty, or binary or not UTF-8 (files skipped: 1)`},
		{"none", 256, nil, `DIR/none holds no text to train on`},
		{".", 256, []string{".go", ".c"}, `DIR holds no .go, .c to train on`},
		{"text", 99, nil, `DIR/text: token 99 is beyond the 99 tokens of the model's vocabulary: the tokenizer belongs to another model`},
	} {
		path := filepath.Join(dir, c.path)
		text, err := Open(path, Options{Tokenizer: bytesTokenizer(t, 256), Vocab: c.vocab, Extensions: c.extensions})
		if err == nil {
			text.Close()
		}
		if want := strings.ReplaceAll(c.want, "DIR", dir); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", c.path, err, want)
		}
	}
	if text := openText(t, filepath.Join(dir, "end"), 257); text.Tokens() != 5 {
		t.Errorf("%d tokens", text.Tokens())
	}
}

// BenchmarkOpen reads a corpus of 20 MB of files of 10 kB; the rate is of bytes of text.
func BenchmarkOpen(b *testing.B) {
	files := map[string]string{}
	for i := range 2000 {
		files[fmt.Sprintf("%d/%d", i%20, i)] = strings.Repeat("a line of text\n", 667)
	}
	dir := folder(b, files)
	tok := bytesTokenizer(b, 257)
	b.SetBytes(2000 * 667 * 15)
	for b.Loop() {
		text, err := Open(dir, Options{Tokenizer: tok, Vocab: 257})
		if err != nil {
			b.Fatal(err)
		}
		text.Close()
	}
}
