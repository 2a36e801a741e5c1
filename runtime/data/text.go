// Package data turns text files into the rows of tokens that a training program reads. Which row comes when is a
// function of the seed and a count alone, so a run that is taken up again needs no state but its step.
package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"moegen/runtime/tokenizer"
)

// Options says how text is read.
type Options struct {
	Tokenizer  *tokenizer.Tokenizer
	Vocab      int      // of the model: a token beyond it is an error
	Extensions []string // of the files that are read from a folder, as ".go"; none: all files
}

// Text is the tokens of a corpus. They lie in a temporary file without a name, which the system removes with
// the process, so a corpus of any size needs little memory.
type Text struct {
	spool     spool
	documents []span
	skipped   int
	path      string
}

// span is a part of the token stream: the tokens [begin, end).
type span struct{ begin, end int64 }

// Open reads the text file, or all text files below the folder, at path. Every file is a document; in a folder
// they follow in the order of their paths, hidden files are left out, and what is not UTF-8 text is skipped.
// The tokenizer's end-of-text token, if it has one, ends every document.
func Open(path string, o Options) (*Text, error) {
	files, err := list(path, o.Extensions)
	if err != nil {
		return nil, err
	}
	t := &Text{path: path, skipped: files.skipped}
	if err := t.spool.create(o.Vocab); err != nil {
		return nil, err
	}
	if err := t.read(files, o); err != nil {
		t.Close()
		return nil, err
	}
	if len(t.documents) == 0 {
		t.Close()
		return nil, nothing(path, t.skipped, o.Extensions)
	}
	return t, nil
}

// nothing is the error for data without a single document.
func nothing(path string, skipped int, extensions []string) error {
	kind := "text"
	if len(extensions) > 0 {
		kind = strings.Join(extensions, ", ")
	}
	if skipped > 0 {
		return fmt.Errorf("%s holds no %s to train on: it is empty, or binary or not UTF-8 (files skipped: %d)", path, kind, skipped)
	}
	return fmt.Errorf("%s holds no %s to train on", path, kind)
}

// Close frees the tokens.
func (t *Text) Close() error { return t.spool.close() }

// Documents is the number of documents.
func (t *Text) Documents() int { return len(t.documents) }

// Skipped is the number of files that were not UTF-8 text.
func (t *Text) Skipped() int { return t.skipped }

// Tokens is the number of tokens, end-of-text tokens included.
func (t *Text) Tokens() int64 { return t.spool.n }

// Fingerprint is a hash of all tokens and of where documents end.
func (t *Text) Fingerprint() string { return t.spool.fingerprint(t.documents) }

// read tokenises the files into the spool.
func (t *Text) read(files *listing, o Options) error {
	end, separated := o.Tokenizer.EndOfText()
	pieces := pieces{files: files, cut: o.Tokenizer.Cut}
	defer pieces.close()
	var begin int64
	for {
		group, err := pieces.next()
		if err != nil {
			return err
		}
		if len(group) == 0 {
			t.skipped = files.skipped
			return t.spool.finish()
		}
		for i, ids := range encode(o.Tokenizer, group) {
			if separated && group[i].last {
				ids = append(ids, end)
			}
			if err := t.spool.append(ids); err != nil {
				return within(group[i].path, err)
			}
			if group[i].last && t.spool.n > begin {
				t.documents = append(t.documents, span{begin, t.spool.n})
				begin = t.spool.n
			}
		}
	}
}

func within(path string, err error) error {
	var beyond *beyondVocab
	if errors.As(err, &beyond) {
		return fmt.Errorf("%s: token %d is beyond the %d tokens of the model's vocabulary: the tokenizer belongs to another model", path, beyond.id, beyond.vocab)
	}
	return err
}

// Split divides the documents into those to train on and, if fraction is more than 0, those to validate with,
// chosen by the seed until they have that share of the tokens. Documents longer than an eighth of the share are
// divided for this. seq is the length of a row.
func (t *Text) Split(seq int, fraction float64, seed uint64) (train, validation *Rows, err error) {
	if fraction == 0 {
		return newRows(t, t.documents, seq), newRows(t, nil, seq), nil
	}
	share := int64(fraction * float64(t.Tokens()))
	parts := divide(t.documents, max(int64(seq)+1, share/8))
	var chosen, rest []span
	var n int64
	order := Order{Rows: len(parts), Seed: seed ^ splitSeed}
	held := make([]bool, len(parts))
	for i := 0; n < share && i < len(parts); i++ {
		p := order.At(i)
		held[p] = true
		n += parts[p].end - parts[p].begin
	}
	for i, p := range parts {
		if held[i] {
			chosen = append(chosen, p)
		} else {
			rest = append(rest, p)
		}
	}
	if len(chosen) == 0 || len(rest) == 0 {
		return nil, nil, fmt.Errorf("%s has %d tokens, too few to keep a share of %v for validation in rows of %d tokens", t.path, t.Tokens(), fraction, seq)
	}
	return newRows(t, rest, seq), newRows(t, chosen, seq), nil
}

// splitSeed keeps the choice of validation documents apart from the order of training rows.
const splitSeed = 0x5bd1e9955bd1e995

// divide cuts spans into parts of at most limit tokens.
func divide(spans []span, limit int64) []span {
	var parts []span
	for _, s := range spans {
		for ; s.end-s.begin > limit; s.begin += limit {
			parts = append(parts, span{s.begin, s.begin + limit})
		}
		parts = append(parts, s)
	}
	return slices.Clip(parts)
}
