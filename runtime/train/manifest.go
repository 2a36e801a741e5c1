package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// ManifestMark stands in a binary in front of its manifest: the mark, the length of the JSON in decimal, a
// line feed, the JSON. A program's manifest is one string constant, so that it can be found without running
// the program.
const ManifestMark = "\x00moegen manifest\x00"

// maxManifest bounds what FindManifest takes for a manifest, in bytes. Configs have some thousand.
const maxManifest = 1 << 24

// ErrNoManifest says that a file is no training binary.
var ErrNoManifest = errors.New("not a training binary made by moegen")

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
	data, err := io.ReadAll(binary)
	if err != nil {
		return Manifest{}, err
	}
	for {
		at := bytes.Index(data, []byte(ManifestMark))
		if at < 0 {
			return Manifest{}, ErrNoManifest
		}
		data = data[at+len(ManifestMark):]
		if m, ok := manifestAt(data); ok {
			return m, nil
		}
	}
}

// manifestAt parses what follows a mark.
func manifestAt(data []byte) (m Manifest, ok bool) {
	digits, rest, found := bytes.Cut(data[:min(len(data), maxManifest)], []byte("\n"))
	n, err := strconv.Atoi(string(digits))
	if !found || err != nil || n < 0 || n > len(rest) {
		return Manifest{}, false
	}
	return m, json.Unmarshal(rest[:n], &m) == nil
}
