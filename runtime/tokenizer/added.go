package tokenizer

import (
	"slices"
	"strings"
)

// addedToken is a token that is recognised in the text before anything else.
type addedToken struct {
	content string
	id      int32
}

// addedTokens finds tokens in a text: always the leftmost, and of several there the longest.
type addedTokens struct {
	tokens    []addedToken // in decreasing length
	first     [256]bool    // bytes that one of the tokens starts with
	multiline bool         // one of the tokens contains a line feed
}

// add puts a token into its place.
func (a *addedTokens) add(token addedToken) {
	i := 0
	for i < len(a.tokens) && len(a.tokens[i].content) >= len(token.content) {
		i++
	}
	a.tokens = slices.Insert(a.tokens, i, token)
	a.first[token.content[0]] = true
	a.multiline = a.multiline || strings.Contains(token.content, "\n")
}

// split calls f with the parts of the text between tokens, and with nil and the id for each token.
func (a *addedTokens) split(text []byte, f func(part []byte, id int32)) {
	for len(text) > 0 {
		at, token := a.find(text)
		if at > 0 {
			f(text[:at:at], 0)
		}
		if token == nil {
			return
		}
		f(nil, token.id)
		text = text[at+len(token.content):]
	}
}

// find is the first token of the text and where it is; nil and the length of the text if there is none.
func (a *addedTokens) find(text []byte) (int, *addedToken) {
	if len(a.tokens) == 0 {
		return len(text), nil
	}
	for at := 0; at < len(text); at++ {
		if !a.first[text[at]] {
			continue
		}
		for i := range a.tokens {
			if token := &a.tokens[i]; len(text)-at >= len(token.content) && string(text[at:at+len(token.content)]) == token.content {
				return at, token
			}
		}
	}
	return len(text), nil
}
