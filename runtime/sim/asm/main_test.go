package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The committed assembly is what the generator writes.
func TestGeneratedFilesAreFresh(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lanes_amd64.s", "lanes_stubs_amd64.go"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(filepath.Join("..", name)); err != nil || string(have) != string(want) {
			t.Errorf("%s is not what the generator writes: run go generate in package sim (%v)", name, err)
		}
	}
}
