package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// splitter is the length of the first word of a text that is not empty.
type splitter func(text []byte) int

// The regular expressions of the families, as they stand in tokenizer.json, and the scanners that divide a text
// as their matches do. Every one of them matches at every position, so matches leave no gaps.
var patterns = []struct {
	regex string
	split splitter
}{
	{gpt2Regex, gpt2},
	{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, func(text []byte) int { return cl100k(text, 3) }},
	{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, func(text []byte) int { return cl100k(text, 1) }},
}

// gpt2Regex is also what the ByteLevel pre-tokenizer stands for by itself.
const gpt2Regex = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

func letter(r rune) bool  { return unicode.IsLetter(r) }
func number(r rune) bool  { return unicode.IsNumber(r) }
func space(r rune) bool   { return unicode.IsSpace(r) }
func newline(r rune) bool { return r == '\r' || r == '\n' }

// other is what is neither white space nor a letter nor a number.
func other(r rune) bool { return !space(r) && !letter(r) && !number(r) }

// run is the length of the longest prefix of at most limit runes of the class.
func run(text []byte, class func(rune) bool, limit int) int {
	n := 0
	for ; n < len(text) && limit > 0; limit-- {
		r, size := utf8.DecodeRune(text[n:])
		if !class(r) {
			break
		}
		n += size
	}
	return n
}

const unlimited = int(^uint(0) >> 1)

// gpt2 follows the alternatives of gpt2Regex.
func gpt2(text []byte) int {
	if n := contraction(text, false); n > 0 {
		return n
	}
	rest, lead := text, 0
	if text[0] == ' ' {
		rest, lead = text[1:], 1
	}
	for _, class := range []func(rune) bool{letter, number, other} {
		if n := run(rest, class, unlimited); n > 0 {
			return lead + n
		}
	}
	return whitespace(text, run(text, space, unlimited))
}

// cl100k follows the alternatives of the expression that Llama 3 (numbers of at most 3 digits) and Qwen (1 digit)
// have in common.
func cl100k(text []byte, digits int) int {
	if n := contraction(text, true); n > 0 {
		return n
	}
	first, lead := utf8.DecodeRune(text)
	if letter(first) {
		return run(text, letter, unlimited)
	}
	if !newline(first) && !number(first) {
		if n := run(text[lead:], letter, unlimited); n > 0 {
			return lead + n
		}
	}
	if n := run(text, number, digits); n > 0 {
		return n
	}
	lead = 0
	if first == ' ' {
		lead = 1
	}
	if n := run(text[lead:], other, unlimited); n > 0 {
		n += lead
		return n + run(text[n:], newline, unlimited)
	}
	spaces := run(text, space, unlimited)
	for n := spaces; n > 0; n-- {
		if newline(rune(text[n-1])) {
			return n
		}
	}
	return whitespace(text, spaces)
}

// whitespace ends a run of n bytes of white space: what follows it keeps the last one, if there is more than one.
func whitespace(text []byte, n int) int {
	if n == len(text) {
		return n
	}
	_, last := utf8.DecodeLastRune(text[:n])
	if n > last {
		return n - last
	}
	return n
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd at the start of a text, 0 if there is none. Where
// case is ignored, the long s (U+017F) counts as an s.
func contraction(text []byte, fold bool) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	if fold && len(text) >= 3 && text[1] == 0xc5 && text[2] == 0xbf {
		return 3
	}
	lower := func(i int) byte {
		if i >= len(text) {
			return 0
		}
		c := text[i]
		if fold && 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	switch a, b := lower(1), lower(2); {
	case a == 's', a == 't', a == 'm', a == 'd':
		return 2
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	}
	return 0
}
