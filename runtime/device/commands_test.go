package device

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"moegen/runtime/checkpoint"
	"moegen/runtime/driver"
	"moegen/runtime/tokenizer"
)

// command runs a command line of the toy in a process of its own.
func command(t *testing.T, line string, environment ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], strings.Fields(line)...)
	cmd.Env = append(append(os.Environ(), "MOEGEN_TEST_BINARY=1"), environment...)
	var out, errors strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errors
	cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errors.String()
}

func must(t *testing.T, line string) string {
	t.Helper()
	status, stdout, stderr := command(t, line)
	if status != 0 || stderr != "" {
		t.Fatalf("%s: exit status %d, %s", line, status, stderr)
	}
	return stdout
}

// newCheckpoint writes random weights with a byte tokenizer.
func newCheckpoint(t *testing.T) string {
	t.Helper()
	p := toyProgram(toyParts(), simulated)
	text, config := tokenizer.BytesFiles(toyVocab)
	form, err := checkpoint.New([]byte(p.Manifest.Config), p.Params,
		checkpoint.File{Name: "tokenizer.json", Data: text}, checkpoint.File{Name: "tokenizer_config.json", Data: config})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "checkpoint")
	if err := form.SaveRandom(dir, p.Params, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The commands of a binary run in the simulator: a run that is taken up again has the bits of one that was not, also under
// another order of events.
func TestCommands(t *testing.T) {
	dir, text := newCheckpoint(t), filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("a text of some length. ", 20)), 0o666); err != nil {
		t.Fatal(err)
	}
	line := "train --checkpoint " + dir + " --data " + text + " --steps 4 --accumulate 2 --lr 0.01 --val-fraction 0 --save-every 2 --device sim --out "
	whole, half := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "half")
	must(t, line+whole)
	must(t, strings.Replace(line, "--device sim", "--device sim:9", 1)+half+" --resume "+filepath.Join(whole, "step-2"))
	for _, file := range []string{"model.safetensors", "training_state/exp_avg.safetensors"} {
		a, err := os.ReadFile(filepath.Join(whole, "step-4", file))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(half, "step-4", file)); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs after resuming (%v)", file, err)
		}
	}
	var report struct {
		Loss      []float64          `json:"loss"`
		Shares    map[string]float64 `json:"shares"`
		KernelMS  map[string]float64 `json:"kernel_ms"`
		Allocated int64              `json:"allocated_bytes"`
		GPU       string             `json:"gpu_name"`
	}
	if err := json.Unmarshal([]byte(must(t, "bench --device sim --steps 2 --warmup 1 --json")), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Loss) != 3 || report.Shares["gather"] <= 0 || report.KernelMS["sgd"] != 1e-3 || report.Allocated != toyBytes || report.GPU != "simulated H100" {
		t.Errorf("bench says %+v", report)
	}
	for line, want := range map[string]string{
		"bench --device sim --steps 1": "GPU memory",
		"info":                         "give --device to look for GPUs",
		"info --device sim":            "simulated H100",
		"eval --help":                  "--device name",
		"generate --device sim --greedy --tokens 2 --prompt ab --checkpoint " + dir: "\n",
		"eval --device sim --batches 1 --checkpoint " + dir + " --data " + text:     "perplexity",
	} {
		if got := must(t, line); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%s", line, want, got)
		}
	}
}

// A machine that lets a run down ends it with its own exit status, and nothing half-written is left.
func TestLostGPU(t *testing.T) {
	dir, text, out := newCheckpoint(t), filepath.Join(t.TempDir(), "text"), filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(text, []byte(strings.Repeat("words ", 40)), 0o666); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := command(t, "train --device sim --steps 1 --checkpoint "+dir+" --data "+text+" --out "+out, "MOEGEN_TEST_FAULT=1")
	if status != driver.ExitUnusable || !strings.Contains(stderr, "simulated GPUs stopped") || strings.Contains(stderr, "report it") {
		t.Errorf("exit status %d, %s", status, stderr)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 1 || left[0].Name() != "events.jsonl" {
		t.Errorf("the run left %v (%v)", left, err)
	}
	if status, _, stderr := command(t, "bench --device tpu"); status != 2 || !strings.Contains(stderr, "there are gpu, sim and sim:N") {
		t.Errorf("exit status %d, %s", status, stderr)
	}
}
