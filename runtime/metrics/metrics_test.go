package metrics

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func float(x float64) *float64 { return &x }

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEventsAreCutOffAndContinued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	events, err := OpenEvents(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 4 {
		if err := events.Add(Event{Step: step, Loss: float(1.5), Targets: 7}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenEvents(path, 0); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second writer: got %v", err)
	}
	if err := events.Close(); err != nil {
		t.Fatal(err)
	}
	torn, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	torn.WriteString(`{"step":1,"lo`)
	torn.Close()

	const line = `{"step":%d,"loss":1.5,"targets":7}` + "\n"
	for _, c := range []struct {
		step int
		want string
	}{
		{9, fmt.Sprintf(line+line+line+line, 0, 1, 2, 3)}, // the torn line goes
		{1, fmt.Sprintf(line+line, 0, 1)},
	} {
		events, err = OpenEvents(path, c.step)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != c.want {
			t.Errorf("taken back to step %d:\n%s, want\n%s", c.step, got, c.want)
		}
		if c.step == 1 {
			if err := events.Add(Event{Step: 2, ValLoss: float(0)}); err != nil {
				t.Fatal(err)
			}
		}
		events.Close()
	}
	want := fmt.Sprintf(line+line, 0, 1) + `{"step":2,"val_loss":0}` + "\n"
	if got := read(t, path); got != want {
		t.Errorf("continued:\n%s, want\n%s", got, want)
	}
}

func TestPeakRSSGrowsWithMemoryInUse(t *testing.T) {
	before := PeakRSS()
	const size = 64 << 20
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < size; i += 4096 {
		memory[i] = 1
	}
	// Pages of the heap may go back meanwhile: a quarter of the new ones is allowed for that.
	if grown := PeakRSS() - before; before <= 0 || grown < size*3/4 {
		t.Errorf("%d bytes before, %d more after touching %d", before, grown, size)
	}
	unix.Munmap(memory)
	if PeakRSS() < before+size*3/4 {
		t.Error("the peak went down")
	}
}

func TestNumbersForPeople(t *testing.T) {
	for want, got := range map[string]string{
		"0 B": Bytes(0), "1023 B": Bytes(1023), "1.00 KiB": Bytes(1024), "12.5 MiB": Bytes(25 << 19),
		"812 MiB": Bytes(812 << 20), "1.50 TiB": Bytes(3 << 39), "4096 TiB": Bytes(4 << 50),
		"7": Count(7), "123": Count(123), "1,234": Count(1234), "12,345,678": Count(12345678), "-123": Count(-123), "-1,234": Count(-1234),
		"0s": duration(0), "59s": duration(59 * time.Second), "1m05s": duration(65 * time.Second),
		"1h00m": duration(time.Hour), "49h30m": duration(49*time.Hour + 30*time.Minute),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestReplayedLayersAreShown(t *testing.T) {
	for _, c := range []struct {
		replayed int
		end      string
	}{{0, "  eta 2s\n"}, {1234, "  eta 2s  replayed 1,234 layers\n"}} {
		var out bytes.Buffer
		NewProgress(&out, 7, 1).Show(Step{Step: 5, Replayed: c.replayed, Left: 2 * time.Second})
		if !strings.HasSuffix(out.String(), c.end) {
			t.Errorf("line %q, want ...%q", out.String(), c.end)
		}
	}
}

func TestPipeGetsLines(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out, 7, 3)
	for step := 1; step <= 7; step++ {
		p.Show(Step{Step: step, Loss: 2.5, GradNorm: 0.125, LR: 5e-5, TokensPerSecond: 1234.4, Left: time.Duration(7-step) * time.Second})
	}
	p.Say("saved %s", "x")
	p.Done()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	var steps []string
	for _, line := range lines {
		step, rest, _ := strings.Cut(line, "  ")
		steps = append(steps, step)
		if strings.HasPrefix(step, "step 3") {
			const head, tail = "loss 2.5000  grad-norm 0.125  lr 5e-05  1,234 tokens/s  peak ", "  eta 4s"
			if !strings.HasPrefix(rest, head) || !strings.HasSuffix(rest, tail) {
				t.Errorf("line %q, want %q...%q", rest, head, tail)
			}
		}
	}
	if got, want := strings.Join(steps, ","), "step 1/7,step 3/7,step 6/7,step 7/7,saved x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// terminal returns both ends of a pseudo-terminal of so many columns.
func terminal(t *testing.T, columns uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestTerminalGetsABar(t *testing.T) {
	master, slave := terminal(t, 60)
	p := NewProgress(slave, 4, 100)
	p.Show(Step{Step: 1, Loss: 2})
	p.Say("saved")
	p.Show(Step{Step: 4, Loss: 1})
	p.Done()
	slave.WriteString("end\n")

	var got strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(got.String(), "end") {
		n, err := master.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(buffer[:n])
	}
	text := got.String()
	for _, want := range []string{
		"\r[#####...............] step 1/4  loss 2.0000", "\r[####################] step 4/4  loss 1.0000",
		"\r" + strings.Repeat(" ", 59) + "\rsaved\r\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("terminal got %q, which lacks %q", text, want)
		}
	}
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if len(line) > 59 {
			t.Errorf("%q would wrap a terminal of 60 columns", line)
		}
	}
}
