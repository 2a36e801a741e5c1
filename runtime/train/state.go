package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"moegen/runtime/checkpoint"
)

// state is what a run keeps beside the parameters and the optimizer's moments, so that it can go on to the
// bit. Everything random is a function of the seed and the step.
type state struct {
	Step       int               `json:"step"`       // optimizer steps done
	Options    map[string]string `json:"options"`    // flags by name
	Checkpoint string            `json:"checkpoint"` // that the run started from
	Data       string            `json:"data"`       // fingerprint of the training data
	Plan       plan              `json:"plan"`
}

// plan is what of a binary a run's bits depend on.
type plan struct {
	Seq        int    `json:"seq"`
	MicroBatch int    `json:"micro_batch"`
	Ranks      int    `json:"gpus"`
	EP         int    `json:"ep"`
	DType      string `json:"dtype"`
	Optimizer  string `json:"optimizer"`
	Target     string `json:"target"`
	Hash       string `json:"plan_hash"`
}

func planOf(m Manifest) plan {
	return plan{m.Seq, m.MicroBatch, m.Ranks, m.EP, m.DType, m.Optimizer, m.Target, m.PlanHash}
}

// readState reads the state that a checkpoint folder was saved with.
func readState(dir string, c *checkpoint.Checkpoint) (*state, error) {
	text, err := c.State()
	if err != nil {
		return nil, err
	}
	if text == nil {
		return nil, fmt.Errorf("%s holds no training state, so there is no run to resume: start a new one with --checkpoint %s", dir, dir)
	}
	s := new(state)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: training state: %w", dir, err)
	}
	return s, nil
}

// match says in what a binary differs from the one that saved the state in dir.
func (s *state) match(m Manifest, dir string) error {
	was, is := s.Plan, planOf(m)
	for _, field := range []struct {
		name    string
		was, is any
	}{
		{"--seq", was.Seq, is.Seq},
		{"--micro-batch", was.MicroBatch, is.MicroBatch},
		{"--gpus", was.Ranks, is.Ranks},
		{"--ep", was.EP, is.EP},
		{"--dtype", was.DType, is.DType},
		{"--optimizer", was.Optimizer, is.Optimizer},
		{"--target", was.Target, is.Target},
		{"plan", was.Hash, is.Hash},
	} {
		if field.was != field.is {
			return fmt.Errorf("%s was saved by a binary built with %s %v, this one has %v and would give another result: resume with that binary, or start a new run with --checkpoint %s",
				dir, field.name, field.was, field.is, dir)
		}
	}
	return nil
}

// stepPrefix begins the names of checkpoint folders in the output folder; the step follows.
const stepPrefix = "step-"

func stepDir(out string, step int) string { return filepath.Join(out, stepPrefix+strconv.Itoa(step)) }

// lastStep returns the last step whose checkpoint is in the output folder; false if there is none.
func lastStep(out string) (step int, found bool, err error) {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	for _, e := range entries {
		digits, isStep := strings.CutPrefix(e.Name(), stepPrefix)
		if n, err := strconv.Atoi(digits); isStep && err == nil && e.IsDir() && (!found || n > step) {
			step, found = n, true
		}
	}
	return step, found, nil
}

// resumeDir returns the checkpoint folder that --resume means, and whether it is one of the output folder's. If
// so, it is the last one there.
func resumeDir(o *options) (dir string, inside bool, err error) {
	last, found, err := lastStep(o.out)
	if err != nil {
		return "", false, err
	}
	own := stepDir(o.out, last)
	switch {
	case o.resume == latest && !found:
		return "", false, fmt.Errorf("%s holds no checkpoint to resume from: start without --resume in another --out", o.out)
	case o.resume == latest || found && sameFile(o.resume, own):
		return own, true, nil
	case found:
		return "", false, fmt.Errorf("%s holds %s, which going on from %s would overwrite: choose another --out, or --resume without a folder to go on from it",
			o.out, own, o.resume)
	}
	return o.resume, false, nil
}

func sameFile(a, b string) bool {
	left, err := os.Stat(a)
	if err != nil {
		return false
	}
	right, err := os.Stat(b)
	return err == nil && os.SameFile(left, right)
}
