package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGroupMemory(t *testing.T) {
	cases := []struct {
		name               string
		limit, taken, stat string
		free               int64
		known              bool
	}{
		{"a limit", "8000\n", "5000\n", "anon 4000\ninactive_file 700\nactive_file 300\n", 3700, true},
		{"no limit", "max\n", "5000\n", "inactive_file 700\n", 0, false},
		{"no group", "", "", "", 0, false},
	}
	for _, c := range cases {
		dir := t.TempDir()
		for file, text := range map[string]string{"memory.max": c.limit, "memory.current": c.taken, "memory.stat": c.stat} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if free, known := groupMemory(dir); known != c.known || known && free != c.free {
			t.Errorf("%s: %d %v, want %d %v", c.name, free, known, c.free, c.known)
		}
	}
}

// Whatever the machine, it is running this test in some memory, and has less than 2⁵⁰ bytes.
func TestFreeMemory(t *testing.T) {
	if free := freeMemory(); free <= 0 || free > 1<<50 {
		t.Errorf("freeMemory() = %d", free)
	}
}
