package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The example in sim's help does what it says: it runs, and without the line that it points at it does not.
func TestSimExample(t *testing.T) {
	_, example, ok := strings.Cut(simHelp, "<<'END'\n")
	if !ok {
		t.Fatal("no PTX in the help")
	}
	text, rest, ok := strings.Cut(example, "END\n")
	if !ok {
		t.Fatal("no end of the PTX in the help")
	}
	_, command, ok := strings.Cut(strings.ReplaceAll(rest, "\\\n", " "), "moegen ")
	if !ok {
		t.Fatal("no command in the help")
	}
	t.Chdir(t.TempDir())
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("x.bin", make([]byte, 4000))
	write("y.bin", make([]byte, 4000))
	for _, want := range []int{0, exitFailed} {
		write("saxpy.ptx", []byte(text))
		var out bytes.Buffer
		if status := run(strings.Fields(command), &out, &out); status != want {
			t.Errorf("exit status %d, want %d\n%s", status, want, &out)
		}
		var kept []string
		for line := range strings.Lines(text) {
			if !strings.Contains(line, "without this line") {
				kept = append(kept, line)
			}
		}
		text = strings.Join(kept, "")
	}
	if data, err := os.ReadFile("result.bin"); err != nil || len(data) != 4000 {
		t.Errorf("%d bytes of results, %v", len(data), err)
	}
}
