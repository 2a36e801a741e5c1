package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// suicide is a training state that kills its process when it is written: as soon as the file of weights, which is written at the
// same time, is there, and before the checkpoint has its name.
type suicide struct{ dir string }

func (s suicide) MarshalJSON() ([]byte, error) {
	weights := filepath.Join(filepath.Dir(s.dir), "."+filepath.Base(s.dir)+".moegen-incomplete", "model.safetensors")
	for {
		if _, err := os.Stat(weights); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

const killedTarget = "CHECKPOINT_TEST_TARGET"

// TestMain lets the test binary play the process that dies while it saves.
func TestMain(m *testing.M) {
	dir := os.Getenv(killedTarget)
	if dir == "" {
		os.Exit(m.Run())
	}
	params := qwen(true)
	memory, _ := machine(params, 1, 1)
	c, err := Open("testdata/tied-f32")
	if err == nil {
		err = c.Save(dir, params, memory, suicide{dir})
	}
	fmt.Println("still alive:", err)
	os.Exit(1)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// A process killed before the rename leaves only a hidden temporary; the next save beside it removes that, and
// leaves alone what a living process is writing.
func TestKilledWhileSaving(t *testing.T) {
	parent := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedTarget+"="+filepath.Join(parent, "step-1"))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the saving process ended with %v: %s", err, out)
	}
	left := filepath.Join(parent, ".step-1.moegen-incomplete")
	if got := names(t, parent); !slices.Equal(got, []string{filepath.Base(left)}) {
		t.Fatalf("the killed process left %v", got)
	}
	if _, err := os.Stat(filepath.Join(left, "model.safetensors")); err != nil {
		t.Fatalf("the process died too early: %v", err)
	}

	live := filepath.Join(parent, ".step-9.moegen-incomplete")
	lock, err := begin(parent, live)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); !slices.Equal(got, []string{filepath.Base(live)}) {
		t.Errorf("after the next save began: %v", got)
	}
	params := qwen(true)
	memory, _ := machine(params, 1, 1)
	c := openCheckpoint(t, "testdata/tied-f32")
	if err := c.Save(filepath.Join(parent, "step-2"), params, memory, 0); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); !slices.Equal(got, []string{filepath.Base(live), "step-2"}) {
		t.Errorf("after the save: %v", got)
	}
	err = c.Save(filepath.Join(parent, "step-9"), params, memory, 0)
	want := live + " is being written by another process; if there is none, remove it"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	lock.Close()
}

func TestNothingIsOverwritten(t *testing.T) {
	params := qwen(true)
	memory, _ := machine(params, 1, 1)
	c := openCheckpoint(t, "testdata/tied-f32")
	dir := t.TempDir()
	err := c.Save(dir, params, memory, nil)
	want := dir + " exists already and is not overwritten; choose another name or remove it"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if err := c.SaveRandom(dir, params, 1); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	// A folder of the same name made while the checkpoint is written.
	dir = filepath.Join(dir, "late")
	err = publish(dir, func(string) error { return os.Mkdir(dir, 0o777) })
	if !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v, want that it exists", err)
	}
	if got := names(t, filepath.Dir(dir)); !slices.Equal(got, []string{"late"}) {
		t.Errorf("left: %v", got)
	}
}

// broken is an arena with places that cannot be read.
type broken struct {
	Arena
	places []int64
}

func (b broken) Read(rank int, to []byte, off int64) error {
	if slices.Contains(b.places, off) {
		return fmt.Errorf("no reading at %d", off)
	}
	return b.Arena.Read(rank, to, off)
}

// A save that fails in one of the files that are written at the same time leaves nothing of any; of several errors the one
// of the weights comes first, then those of the optimizer's states in their order.
func TestFailedFiles(t *testing.T) {
	parent := t.TempDir()
	params := qwen(true)
	memory, _ := machine(params, 1, 1)
	arena := memory.Arena
	c := openCheckpoint(t, "testdata/tied-f32")
	weights := params[0].Value.At
	first, second := params[0].State[0].At+4*int64(params[0].First), params[0].State[1].At+4*int64(params[0].First)
	for _, places := range [][]int64{{weights}, {first}, {second}, {first, second}, {weights, first, second}} {
		memory.Arena = broken{arena, places}
		want := fmt.Sprintf("no reading at %d", places[0])
		if err := c.Save(filepath.Join(parent, "a"), params, memory, 1); err == nil || err.Error() != want {
			t.Errorf("%v cannot be read: error %v, want %s", places, err, want)
		}
		if got := names(t, parent); len(got) != 0 {
			t.Errorf("%v cannot be read: left %v", places, got)
		}
	}
}

// A save that fails leaves nothing and names the cause.
func TestFailedSave(t *testing.T) {
	parent := t.TempDir()
	params := qwen(true)
	memory, _ := machine(params, 1, 1)
	c := openCheckpoint(t, "testdata/tied-f32")
	err := c.Save(filepath.Join(parent, "a"), params, memory, func() {})
	if err == nil || !strings.HasPrefix(err.Error(), "training state: ") {
		t.Errorf("error %v", err)
	}
	if got := names(t, parent); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if err := c.Save(filepath.Join(parent, "b"), qwen(false), memory, nil); err == nil || !strings.Contains(err.Error(), `"lm_head.weight" is missing`) {
		t.Errorf("error %v", err)
	}
}
