package train

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFindManifest(t *testing.T) {
	const bad = ManifestMark + "12\n" + `{"model":"m"}` // one byte short
	text := ManifestMark + "13\n" + `{"model":"m"}`
	far := strings.Repeat("x", maxManifest-5) // the mark crosses the end of the first window
	for name, binary := range map[string]string{
		"alone":             text,
		"inside":            "\x7fELF" + text + "more",
		"after a bare mark": ManifestMark + "nothing" + text,
		"after half a mark": ManifestMark[:5] + text,
		"after a bad one":   bad + text,
		"behind a window":   far + text,
	} {
		m, err := FindManifest(strings.NewReader(binary))
		if err != nil || m.Model != "m" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	for name, binary := range map[string]string{
		"empty":     "",
		"no mark":   "\x7fELF and so on",
		"bare mark": "xx" + ManifestMark,
		"cut short": text[:len(text)-1],
		"negative":  ManifestMark + "-1\n{}",
		"endless":   ManifestMark + "99999999999999999999\n{}",
		"no JSON":   ManifestMark + "2\n{x",
	} {
		if m, err := FindManifest(strings.NewReader(binary)); !errors.Is(err, ErrNoManifest) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	broken := errors.New("broken disk")
	if _, err := FindManifest(io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("a reader's error became %v", err)
	}
}
