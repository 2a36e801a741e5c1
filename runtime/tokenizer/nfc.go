package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Hangul syllables compose by arithmetic (Unicode Standard, section 3.12).
const (
	hangulBase               = 0xac00
	hangulL, hangulV         = 0x1100, 0x1161
	hangulT                  = 0x11a7
	hangulLs, hangulVs       = 19, 21
	hangulTs, hangulSyllable = 28, 19 * 21 * 28
)

// composition is the tables of normalisation form C.
type composition struct {
	parts map[rune][2]rune // canonical decomposition, one step; the second is 0 for singletons
	whole map[[2]rune]rune
	class map[rune]uint8 // combining class, where it is not 0
	// unsettled is the set of characters that normalised text never has, or not always.
	unsettled [0x110000 / 64]uint64
}

// tables are made on first use: most texts need them only if they leave Latin-1.
var tables = sync.OnceValue(func() *composition {
	c := &composition{parts: map[rune][2]rune{}, whole: map[[2]rune]rune{}, class: map[rune]uint8{}}
	skip := map[rune]bool{}
	for _, n := range numbers(excluded) {
		skip[n[0]] = true
	}
	for _, n := range numbers(decompositions) {
		c.parts[n[0]] = [2]rune{n[1], n[2]}
		if n[2] != 0 && !skip[n[0]] {
			c.whole[[2]rune{n[1], n[2]}] = n[0]
		}
	}
	for _, n := range numbers(combiningClasses) {
		for r := n[0]; r <= n[1]; r++ {
			c.class[r] = uint8(n[2])
		}
	}
	mark := func(r rune) { c.unsettled[r/64] |= 1 << (r % 64) }
	for r, p := range c.parts {
		if p[1] == 0 || skip[r] {
			mark(r) // never in normalised text
		}
	}
	for p := range c.whole {
		mark(p[1]) // may join what stands before it
	}
	for r := range c.class {
		mark(r)
	}
	for r := rune(hangulV); r < hangulT+hangulTs; r++ {
		mark(r)
	}
	return c
})

// numbers reads a table.
func numbers(table string) [][]rune {
	var rows [][]rune
	for _, row := range strings.Fields(table) {
		var n []rune
		for _, s := range strings.Split(row, ",") {
			x, err := strconv.ParseInt(s, 36, 32)
			if err != nil {
				panic(fmt.Sprint("BUG: table of characters: ", err))
			}
			n = append(n, rune(x))
		}
		rows = append(rows, n)
	}
	return rows
}

// nfc is normalisation form C of a text (Unicode Standard Annex 15). A text that has it already is returned as
// it is.
func nfc(text []byte) []byte {
	start := -1
	for i, b := range text {
		if b >= 0xcc { // the lead byte of U+0300, below which nothing changes
			start = i
			break
		}
	}
	if start < 0 {
		return text
	}
	c := tables()
	for i := start; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if c.unsettled[r/64]>>(r%64)&1 != 0 {
			return c.normalize(text)
		}
		i += size
	}
	return text
}

// normalize decomposes, orders marks by their class, and composes.
func (c *composition) normalize(text []byte) []byte {
	var runes []rune
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		runes = c.decompose(runes, r)
		i += size
	}
	for i := 0; i < len(runes); i++ {
		end := i
		for end < len(runes) && c.class[runes[end]] != 0 {
			end++
		}
		if end > i {
			slices.SortStableFunc(runes[i:end], func(a, b rune) int { return int(c.class[a]) - int(c.class[b]) })
			i = end
		}
	}
	out := make([]byte, 0, len(text))
	for _, r := range c.compose(runes) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

func (c *composition) decompose(dst []rune, r rune) []rune {
	if s := r - hangulBase; 0 <= s && s < hangulSyllable {
		dst = append(dst, hangulL+s/(hangulVs*hangulTs), hangulV+s/hangulTs%hangulVs)
		if t := s % hangulTs; t > 0 {
			dst = append(dst, hangulT+t)
		}
		return dst
	}
	p, ok := c.parts[r]
	if !ok {
		return append(dst, r)
	}
	dst = c.decompose(dst, p[0])
	if p[1] != 0 {
		dst = c.decompose(dst, p[1])
	}
	return dst
}

// compose joins every character with the last starter before it, if the two have a composite and no character
// between them blocks it: one of class 0, or of the same or a higher class. It works in place.
func (c *composition) compose(runes []rune) []rune {
	out := runes[:0]
	starter := -1
	var last uint8 // class of the character before, among those kept after the starter
	for _, r := range runes {
		class := c.class[r]
		if starter >= 0 && (starter == len(out)-1 || last != 0 && last < class) {
			if whole, ok := c.join(out[starter], r); ok {
				out[starter] = whole
				continue
			}
		}
		out = append(out, r)
		last = class
		if class == 0 {
			starter = len(out) - 1
		}
	}
	return out
}

// join is the composite of two characters.
func (c *composition) join(a, b rune) (rune, bool) {
	if l, v := a-hangulL, b-hangulV; 0 <= l && l < hangulLs && 0 <= v && v < hangulVs {
		return hangulBase + (l*hangulVs+v)*hangulTs, true
	}
	if s, t := a-hangulBase, b-hangulT; 0 <= s && s < hangulSyllable && s%hangulTs == 0 && 0 < t && t < hangulTs {
		return a + t, true
	}
	whole, ok := c.whole[[2]rune{a, b}]
	return whole, ok
}
