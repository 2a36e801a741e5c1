package train

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// binary prepares a process of its own that runs a command line of testProgram(0.01).
func binary(line string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], strings.Fields(line)...)
	cmd.Env = append(os.Environ(), "MOEGEN_TEST_BINARY=1")
	return cmd
}

// cutShort starts a command line, sends the process a signal once it has printed a line with the given text, and
// returns how it ended and what it wrote to stderr.
func cutShort(t *testing.T, line, text string, signal syscall.Signal) (syscall.WaitStatus, string) {
	t.Helper()
	cmd := binary(line)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if !sent && strings.Contains(lines.Text(), text) {
			sent = true
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !sent {
		t.Errorf("%s never printed %q; stderr %q", line, text, stderr.String())
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) {
		t.Fatalf("%s ran to its end: %v", line, err)
	}
	return ended.Sys().(syscall.WaitStatus), stderr.String()
}

// A run that is interrupted, killed, or killed while it saves, and taken up again in a new process, ends with the bits
// of a run that nothing happened to.
func TestInterruptedRunsEndWithTheSameBits(t *testing.T) {
	program := testProgram(0.01)
	dir, text := newCheckpoint(t, program), corpus(t)
	// Enough steps that a signal sent at the first comes before the last, whatever the machine does meanwhile.
	line := "train --checkpoint " + dir + " --data " + text + " --steps 90 --accumulate 4 --save-every 20 --lr 0.01 --val-fraction 0.2 --out "
	whole := filepath.Join(t.TempDir(), "whole")
	must(t, program, line+whole)

	for _, c := range []struct {
		name    string
		text    string
		signal  syscall.Signal
		code    int // exit status; 0: killed
		message bool
	}{
		{"SIGTERM before the first step", "data: ", syscall.SIGTERM, 143, true},
		{"SIGTERM", "step 5/90", syscall.SIGTERM, 143, true},
		{"Ctrl-C", "step 50/90", syscall.SIGINT, 130, true},
		{"kill -9 after a checkpoint", "step 25/90", syscall.SIGKILL, 0, false},
		{"kill -9 about when a checkpoint is written", "step 40/90", syscall.SIGKILL, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "run")
			status, stderr := cutShort(t, line+out, c.text, c.signal)
			if c.code == 0 && status.Signal() != syscall.SIGKILL || c.code != 0 && status.ExitStatus() != c.code {
				t.Errorf("ended with status %#x, want exit status %d", status, c.code)
			}
			if c.message != strings.HasPrefix(stderr, "interrupted: ") || strings.Count(stderr, "\n") > 1 {
				t.Errorf("stderr %q", stderr)
			}
			if left := steps(t, out); !c.message && strings.Contains(left, "step-90") || !strings.Contains(left, "step-") {
				t.Fatalf("the run left %s", left)
			}
			if all, err := binary("train --resume --out " + out).CombinedOutput(); err != nil {
				t.Fatalf("resuming: %v\n%s", err, all)
			}
			sameFiles(t, filepath.Join(out, "step-90"), filepath.Join(whole, "step-90"))
			if got, want := format(events(t, out)), format(events(t, whole)); got != want {
				t.Errorf("the log of the resumed run is not that of the whole one:\n%s", got)
			}
		})
	}
}

// The process needs the arenas of its plan and a constant: the Go runtime, the binary's pages and the buffers through
// which files go.
func TestPeakMemoryIsThePlan(t *testing.T) {
	program := testProgram(0.01)
	for _, accumulate := range []int{1, 3} {
		out := filepath.Join(t.TempDir(), "run")
		line := fmt.Sprintf("train --steps 20 --accumulate %d --save-every 5 --val-fraction 0.1 --checkpoint %s --data %s --out %s", accumulate, newCheckpoint(t, program), corpus(t), out)
		if all, err := binary(line).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, all)
		}
		log, err := os.ReadFile(filepath.Join(out, "events.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		var last struct {
			Peak int64 `json:"peak_rss_bytes"`
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-2]), &last); err != nil { // behind it comes the validation
			t.Fatal(err)
		}
		const constant = 40 << 20
		program.Accumulates = accumulate > 1
		planned := program.PeakBytes() * int64(program.Manifest.Ranks)
		if last.Peak <= planned || last.Peak > planned+constant {
			t.Errorf("accumulate %d: peak of %d bytes, planned %d and at most %d more", accumulate, last.Peak, planned, constant)
		}
		t.Logf("%.1f MiB beside the arenas", float64(last.Peak-planned)/(1<<20))
	}
}

// A second interrupt does not wait for the step.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	cmd := binary("train --steps 2 --checkpoint " + newCheckpoint(t, testProgram(0.01)) + " --data " + corpus(t) + " --out " + out)
	cmd.Env = append(cmd.Env, "MOEGEN_TEST_UPDATE=hang")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, output := range []io.Reader{stdout, stderr} { // the run begins; the first interrupt is acknowledged
		if !bufio.NewScanner(output).Scan() {
			t.Fatal("no output")
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit status %d, want 130", code)
	}
	if got := steps(t, out); got != "events.jsonl" {
		t.Errorf("output folder holds %s", got)
	}
}

// A fault of ours is no bad input: it has a status of its own, and says where it was.
func TestFaultIsReported(t *testing.T) {
	cmd := binary("bench --steps 1")
	cmd.Env = append(cmd.Env, "MOEGEN_TEST_UPDATE=panic")
	stderr := new(strings.Builder)
	cmd.Stderr = stderr
	cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "please report it: rank 1: BUG: a test's") {
		t.Errorf("exit status %d, stderr %q", code, stderr.String())
	}
}
