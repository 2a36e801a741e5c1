package gen

import (
	"fmt"
	"go/token"
	"go/types"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// scope hands out identifiers, each once.
type scope map[string]bool

// newScope knows what is declared whatever the plan: imported packages, parameters of functions, and what
// program.go refers to.
func newScope() scope {
	s := scope{}
	for _, name := range []string{
		"host", "device", "driver", "train", "checkpoint", "safetensors", "r", "p", "o", "i", "init", "kernels", "assembled",
		"main", "program", "manifest", "params", "setup", "microBatch", "update", "eval", "head",
	} {
		s[name] = true
	}
	return s
}

// inner returns a copy, in which names do not hide those outside.
func (s scope) inner() scope {
	c := scope{}
	for name := range s {
		c[name] = true
	}
	return c
}

// fresh takes name or, if it is gone, the name with the first number that makes it unique. The number stands
// before the shape letters: h_TD, h2_TD.
func (s scope) fresh(name string) string {
	base, letters := cutLetters(name)
	unique := name
	for i := 2; s[unique] || token.IsKeyword(unique) || types.Universe.Lookup(unique) != nil; i++ {
		unique = fmt.Sprintf("%s%d%s", base, i, letters)
	}
	s[unique] = true
	return unique
}

// goName turns a name of the plan into Go's: layers.3.attn_norm.d.qkv_TQ becomes attnNormDQkv_TQ. Layer numbers are left
// out, shape letters kept.
func goName(name string) string {
	var words []string
	letters := ""
	for _, part := range unnumbered(name) {
		base, l := cutLetters(part)
		if l != "" {
			letters = l
		}
		words = append(words, strings.Split(base, "_")...)
	}
	return camel(words) + letters
}

// camel joins words: micro, batch becomes microBatch.
func camel(words []string) string {
	var b strings.Builder
	for _, w := range words {
		first, size := utf8.DecodeRuneInString(w)
		switch {
		case size == 0:
			continue
		case b.Len() > 0:
			first = unicode.ToUpper(first)
		default:
			first = unicode.ToLower(first)
		}
		b.WriteRune(first)
		for _, c := range w[size:] {
			if c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) {
				b.WriteRune(c)
			}
		}
	}
	return b.String()
}

// cutLetters splits the shape letters off a name: qkv_TQ into qkv and _TQ.
func cutLetters(name string) (base, letters string) {
	i := strings.LastIndexByte(name, '_')
	if i < 0 || i == len(name)-1 || strings.ToUpper(name[i:]) != name[i:] || strings.ContainsAny(name[i:], "0123456789") {
		return name, ""
	}
	return name[:i], name[i:]
}

// unnumbered returns the parts of a dotted name without its layer: "layers.3.norm" gives "norm". Other numbers
// stay with the part before them.
func unnumbered(name string) []string {
	var parts []string
	all := strings.Split(name, ".")
	for i := 0; i < len(all); i++ {
		if i+1 < len(all) && isNumber(all[i+1]) && all[i] == layers {
			i++
			continue
		}
		if isNumber(all[i]) && len(parts) > 0 {
			base, letters := cutLetters(parts[len(parts)-1])
			parts[len(parts)-1] = base + all[i] + letters
			continue
		}
		parts = append(parts, all[i])
	}
	return parts
}

// layers is the part of a name that stands before a layer's number.
const layers = "layers"

// numbered reports whether a name belongs to a layer.
func numbered(name string) bool { _, ok := layerOf(name); return ok }

// layerOf returns the layer that a name belongs to.
func layerOf(name string) (int, bool) {
	parts := strings.Split(name, ".")
	for i := range parts[1:] {
		if parts[i] == layers && isNumber(parts[i+1]) {
			n, _ := strconv.Atoi(parts[i+1])
			return n, true
		}
	}
	return 0, false
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// sectionKind is what the sections of a kind have in common, as a name: attention for layers.3.attention.
func sectionKind(section string) string {
	words := unnumbered(section)
	switch {
	case section == "":
		return "common"
	case len(words) == 0:
		return "layer"
	}
	return goName(strings.Join(words, "."))
}
