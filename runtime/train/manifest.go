package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ManifestMark stands in a binary in front of its manifest: the mark, the length of the JSON in decimal, a
// line feed, the JSON. A program's manifest is one string constant, so that it can be found without running
// the program.
const ManifestMark = "\x00moegen manifest\x00"

// maxManifest is the size in bytes of the largest manifest, its length in front. Configs have some thousand.
const maxManifest = 1 << 24

// ErrNoManifest says that a file is no training binary.
var ErrNoManifest = errors.New("not a training binary made by moegen")

// MadeBy names the tools that made the binary.
func (m *Manifest) MadeBy() string {
	tools := fmt.Sprintf("moegen %s, %s", m.Version, m.GoVersion)
	switch {
	case m.PTXAS != "":
		tools += ", ptxas " + m.PTXAS
	case m.Target == "h100":
		tools += ", no ptxas"
	}
	return tools
}

// MustManifest returns the manifest of a marked text, the constant of a generated program.
func MustManifest(marked string) Manifest {
	m, err := FindManifest(strings.NewReader(marked))
	if err != nil {
		panic("BUG: manifest: " + err.Error())
	}
	return m
}

// FindManifest returns the manifest of a binary, or ErrNoManifest.
func FindManifest(binary io.Reader) (Manifest, error) {
	mark := []byte(ManifestMark)
	r := bufio.NewReaderSize(binary, maxManifest)
	for {
		window, err := r.Peek(maxManifest)
		at := bytes.Index(window, mark)
		switch {
		case at >= 0: // the mark also stands alone in a binary, as a constant of this package
			discard(r, at+len(mark))
			if m, ok := manifestAt(r); ok {
				return m, nil
			}
		case errors.Is(err, io.EOF):
			return Manifest{}, ErrNoManifest
		case err != nil:
			return Manifest{}, err
		default: // the window may end inside a mark
			discard(r, len(window)-len(mark)+1)
		}
	}
}

// discard skips bytes that have been peeked at.
func discard(r *bufio.Reader, n int) {
	if _, err := r.Discard(n); err != nil {
		panic("BUG: " + err.Error())
	}
}

// manifestAt parses what follows a mark.
func manifestAt(r *bufio.Reader) (m Manifest, ok bool) {
	window, _ := r.Peek(maxManifest) // less at the end of the file
	digits, rest, found := bytes.Cut(window, []byte("\n"))
	n, err := strconv.Atoi(string(digits))
	if !found || err != nil || n < 0 || n > len(rest) {
		return Manifest{}, false
	}
	return m, json.Unmarshal(rest[:n], &m) == nil
}
