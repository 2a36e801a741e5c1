package main

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"moegen/runtime/train"
)

// buildTiny runs moegen build of a tiny model on two ranks.
func buildTiny(t *testing.T, out string, more ...string) (status int, stderr string) {
	t.Helper()
	var messages bytes.Buffer
	args := append([]string{"build", "tiny-qwen3-moe", "--target", "cpu", "--seq", "16", "--gpus", "2", "-o", out}, more...)
	status = run(args, &messages, &messages)
	return status, messages.String()
}

// One build, looked at from all sides: static, its manifest readable without running it and the one that it
// prints, replaced only when asked; and a second from another folder, with another cache and a hostile
// environment, without network: the same bytes.
func TestBuild(t *testing.T) {
	t.Setenv("GOCACHE", buildCache(t))
	t.Setenv("GOPROXY", "off")
	bin := filepath.Join(t.TempDir(), "train")
	if status, message := buildTiny(t, bin); status != 0 || message != "" {
		t.Fatalf("exit status %d: %s", status, message)
	}

	t.Run("static", func(t *testing.T) {
		file, err := elf.Open(bin)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
			t.Errorf("needs %v (%v)", libraries, err)
		}
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP {
				t.Error("asks for a dynamic linker")
			}
		}
	})

	t.Run("manifest", func(t *testing.T) {
		m, err := inspect(bin)
		if err != nil {
			t.Fatal(err)
		}
		if m.Model != "tiny-qwen3-moe" || m.Ranks != 2 || m.Seq != 16 || m.PeakBytesPerGPU <= 0 || len(m.PlanHash) != 64 {
			t.Errorf("manifest %+v", m)
		}
		text, err := exec.Command(bin, "info", "--json").Output()
		if err != nil {
			t.Fatal(err)
		}
		var printed train.Manifest
		if err := json.Unmarshal(text, &printed); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(printed, m) {
			t.Errorf("info prints %+v, the binary holds %+v", printed, m)
		}
	})

	t.Run("replaced only when asked", func(t *testing.T) {
		want := "moegen: " + bin + " exists; name another, or give --force to replace it\n"
		if status, message := buildTiny(t, bin); status != exitInput || message != want {
			t.Errorf("exit status %d, %q, want %q", status, message, want)
		}
	})

	t.Run("the same elsewhere", func(t *testing.T) {
		before := digest(t, bin)
		for name, value := range map[string]string{
			"GOCACHE": t.TempDir(), "GOFLAGS": "-mod=mod", "GOAMD64": "v3", "CGO_ENABLED": "1", "GOOS": "plan9", "GOEXPERIMENT": "none",
			"HOME": t.TempDir(), "TMPDIR": t.TempDir(), "GOPATH": "",
		} {
			t.Setenv(name, value)
		}
		t.Chdir(t.TempDir())
		if err := os.WriteFile("train", []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, message := buildTiny(t, "train", "--force"); status != 0 || message != "" {
			t.Fatalf("exit status %d: %s", status, message)
		}
		if digest(t, "train") != before {
			t.Error("other bytes")
		}
		entries, err := os.ReadDir(".")
		if err != nil || len(entries) != 1 {
			t.Errorf("left behind: %v (%v)", entries, err)
		}
	})
}

// Whoever has no home that can be written to builds with a cache for that build alone.
func TestBuildWithoutHome(t *testing.T) {
	home, scratch := filepath.Join(t.TempDir(), "home"), t.TempDir()
	if err := os.WriteFile(home, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	for _, value := range []string{"", home} {
		t.Setenv("HOME", value)
		if got := buildEnvironment(nil, scratch, ""); !slices.Contains(got, "GOCACHE="+filepath.Join(scratch, "go-build")) {
			t.Errorf("HOME=%q: built in %v", value, got)
		}
	}
}

func digest(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}
