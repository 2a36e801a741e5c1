package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The committed assembly is what the generator writes.
func TestGeneratedFilesAreFresh(t *testing.T) {
	dir := t.TempDir()
	for _, g := range groups {
		if err := write(g, dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"*_amd64.s", "*_stubs_amd64.go"} {
		committed, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(committed) != len(groups) {
			t.Errorf("%d files %s for %d groups", len(committed), pattern, len(groups))
		}
		for _, file := range committed {
			have, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := os.ReadFile(filepath.Join(dir, filepath.Base(file))); err != nil || string(have) != string(want) {
				t.Errorf("%s is not what the generator writes: run go generate in package host (%v)", filepath.Base(file), err)
			}
		}
	}
}
