package sim

import (
	"strings"
)

// A token is a word (names, directives, opcodes with their modifiers), a number, a string or one punctuation byte.
type token struct {
	kind byte // 'w' word, 'n' number, 's' string, 0 end, otherwise the punctuation itself
	text string
	line int
	pos  int // of its first byte
}

type lexer struct {
	src  string
	pos  int
	line int
}

func isWordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c == '%'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordByte(c byte) bool { return isWordStart(c) && c != '%' || isDigit(c) }

// space skips blanks and comments.
func (l *lexer) space() *Error {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == '\n':
			l.line++
			l.pos++
		case c == ' ' || c == '\t' || c == '\r':
			l.pos++
		case strings.HasPrefix(l.src[l.pos:], "//"):
			for l.pos < len(l.src) && l.src[l.pos] != '\n' {
				l.pos++
			}
		case strings.HasPrefix(l.src[l.pos:], "/*"):
			end := strings.Index(l.src[l.pos+2:], "*/")
			if end < 0 {
				return syntaxError(l.line, "comment is not closed")
			}
			l.line += strings.Count(l.src[l.pos:l.pos+2+end], "\n")
			l.pos += end + 4
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) next() (token, *Error) {
	if err := l.space(); err != nil {
		return token{}, err
	}
	t := token{line: l.line, pos: l.pos}
	if l.pos >= len(l.src) {
		return t, nil
	}
	start := l.pos
	switch c := l.src[l.pos]; {
	case isWordStart(c) || c == '.' && l.pos+1 < len(l.src) && isWordStart(l.src[l.pos+1]):
		t.kind = 'w'
		l.pos++
		l.word()
	case isDigit(c):
		t.kind = 'n'
		l.number()
	case c == '"':
		t.kind = 's'
		end := strings.IndexByte(l.src[l.pos+1:], '"')
		if end < 0 {
			return t, syntaxError(l.line, "string is not closed")
		}
		l.pos += end + 2
	default:
		t.kind = c
		l.pos++
	}
	t.text = l.src[start:l.pos]
	return t, nil
}

// word advances over name bytes and over "." and "::" that a name byte follows, so an opcode is one token.
func (l *lexer) word() {
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		if isWordByte(c) {
			l.pos++
			continue
		}
		n := 0
		if c == '.' {
			n = 1
		} else if strings.HasPrefix(l.src[l.pos:], "::") {
			n = 2
		}
		if n == 0 || l.pos+n >= len(l.src) || !isWordByte(l.src[l.pos+n]) {
			return
		}
		l.pos += n
	}
}

// number advances over integers (decimal, octal, 0x, 0b, suffix U), hexadecimal floats (0f, 0d) and decimal floats.
func (l *lexer) number() {
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		sign := (c == '+' || c == '-') && l.pos > 0 && (l.src[l.pos-1] == 'e' || l.src[l.pos-1] == 'E') && l.decimalSoFar()
		if !isWordByte(c) && c != '.' && !sign {
			return
		}
		l.pos++
	}
}

// decimalSoFar tells whether the number before pos is a decimal float awaiting its exponent, not a hexadecimal one.
func (l *lexer) decimalSoFar() bool {
	i := l.pos - 1
	for i > 0 && (isWordByte(l.src[i-1]) || l.src[i-1] == '.') {
		i--
	}
	return !(l.src[i] == '0' && i+1 < l.pos && strings.ContainsRune("xXfFdDbB", rune(l.src[i+1])))
}

// tokens splits the whole text; the last token is the end.
func tokens(src string) ([]token, *Error) {
	for i := range len(src) {
		if src[i] >= 0x80 {
			return nil, syntaxError(1+strings.Count(src[:i], "\n"), "byte %#x is not ASCII; PTX is ASCII only, comments included", src[i])
		}
	}
	l := &lexer{src: src, line: 1}
	out := make([]token, 0, len(src)/3)
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		if t.kind == 0 {
			return out, nil
		}
	}
}
