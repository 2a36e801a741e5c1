// Package metrics is what a run says about itself while it works: the event log that outlives it, the
// progress shown to whoever watches, and the memory it has used.
package metrics

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Event is one line of the log. Fields that a line has nothing to say about are left out.
type Event struct {
	Step            int      `json:"step"`                        // optimizer steps done
	Loss            *float64 `json:"loss,omitempty"`              // mean over the step's targets, auxiliary loss included
	AuxLoss         *float64 `json:"aux_loss,omitempty"`          // before its coefficient, mean over micro-batches
	ValLoss         *float64 `json:"val_loss,omitempty"`          // cross-entropy on the validation part, nats a target
	GradNorm        *float64 `json:"grad_norm,omitempty"`         // before clipping
	LR              *float64 `json:"lr,omitempty"`                // of this step
	Targets         int      `json:"targets,omitempty"`           // tokens that this step's loss is the mean over
	ReplayedLayers  int      `json:"replayed_layers,omitempty"`   // that received more than the pool has room for, over ranks and micro-batches
	TokensPerSecond float64  `json:"tokens_per_second,omitempty"` // all positions of the step / its time
	PeakRSSBytes    int64    `json:"peak_rss_bytes,omitempty"`    // of the process so far
}

// Events is an append-only log, one JSON object a line. It holds a lock: one process writes a log at a time.
type Events struct {
	file *os.File
}

// OpenEvents opens or creates the log at path and cuts off the events after step, so that a run that is taken
// up again at that step continues its log and does not repeat itself. A last line that was torn by a crash
// goes with them.
func OpenEvents(path string, step int) (*Events, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s is being written by another process: wait for it or choose another --out", path)
	}
	end, err := endOf(file, step)
	if err == nil {
		err = file.Truncate(end)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s cannot be taken back to step %d: %w", path, step, err)
	}
	return &Events{file}, nil
}

// endOf returns the length in bytes of a log up to and including a step.
func endOf(log io.Reader, step int) (int64, error) {
	lines, end := bufio.NewReader(log), int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return end, nil // without a newline the line was torn
		}
		if err != nil {
			return 0, err
		}
		var e Event
		if json.Unmarshal(line, &e) != nil || e.Step > step {
			return end, nil
		}
		end += int64(len(line))
	}
}

// Add appends an event.
func (l *Events) Add(e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event of step %d: %w", e.Step, err)
	}
	_, err = l.file.Write(append(line, '\n'))
	return err
}

// Sync returns when everything added is on the disk.
func (l *Events) Sync() error { return l.file.Sync() }

// Close ends the log and gives its lock back.
func (l *Events) Close() error { return l.file.Close() }
