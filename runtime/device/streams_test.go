package device

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"moegen/runtime/driver"
	simulator "moegen/runtime/sim"
	"moegen/runtime/train"
)

// twoStreams is the toy on two streams; without names a wait that is left out, counted from 0.
func twoStreams(without int) train.Parts[Rank] {
	parts := toyParts()
	wait := func(r *Rank, number, event int) {
		if number != without {
			r.Wait(event)
		}
	}
	parts.MicroBatch = func(r *Rank) {
		r.Launch(&toyGather, 1, At(toyW), At(toyTokensAt), At(toyXAt))
		r.Mark(0)
		r.On(Communication)
		wait(r, 0, 0)
		r.Launch(&toySum, 1, At(toyXAt), At(toyTargets), At(toyRecord), At(toyLoss))
		r.Mark(0)
		r.On(Compute)
		r.Launch(&toyDW, toyVocab, At(toyTokensAt), At(toyTargets), At(toyRecord), At(toyGrad))
		wait(r, 1, 0)
		r.Zero(toyXAt, 2*toyX) // what the sum has read is free again
	}
	parts.Eval = func(r *Rank) {
		r.On(Communication)
		r.Zero(toyFinal, 2*toyX)
		r.Launch(&toyGather, 1, At(toyW), At(toyTokensAt), At(toyXAt))
		r.Mark(0)
		r.On(Compute)
		wait(r, 2, 0)
		r.Launch(&toyTile, 1, Map(toyXAt, &toyBox, []int64{toyHidden, toyTokens}, []int64{2 * toyHidden}), At(toyFinal))
		r.Mark(0)
		r.On(Communication)
		wait(r, 3, 0)
		r.Launch(&toySum, 1, At(toyFinal), At(toyTargets), At(toyRecord), At(toyLoss))
	}
	return parts
}

const toyWaits = 4

// runStreams runs a step and an eval and compares with plain loops.
func runStreams(t *testing.T, m *machine, model *toyModel) error {
	t.Helper()
	tokens, targets := feed(t, m, 3, record(0.25, 0))
	if err := m.Run(train.MicroBatch); err != nil {
		return err
	}
	model.backward(tokens, targets, 0.25, false)
	err := errors.Join(
		want("gradient", values(t, m, toyGrad, toyN), model.grad),
		want("loss", []float32{number(t, m, toyLoss)}, []float32{model.loss(tokens, targets, 0.25)}),
		m.Run(train.Update))
	model.update(record(0.25, 0))
	tokens, targets = feed(t, m, 5, record(1, 0))
	if err := errors.Join(err, m.Run(train.Eval)); err != nil {
		return err
	}
	return errors.Join(
		want("final", values(t, m, toyFinal, toyX), model.x(tokens)),
		want("loss", []float32{number(t, m, toyLoss)}, []float32{model.loss(tokens, targets, 1)}))
}

// A part on two streams computes what it does on one: in its graph, which runs twice, and where values are tapped or kernels timed,
// one after another.
func TestTwoStreams(t *testing.T) {
	for name, c := range devices() {
		for _, way := range []string{"graph", "tapped", "timed"} {
			t.Run(name+" "+way, func(t *testing.T) {
				m, model := toyMachine(t, twoStreams(-1), c)
				switch way {
				case "tapped":
					m.SetTap(&taps{})
				case "timed":
					m.timed = true
				}
				for range 2 {
					if err := runStreams(t, m, model); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// Without one of its waits the same part is a race that the simulator reports, whatever the order of events.
func TestMissingWaitIsARace(t *testing.T) {
	for without := range toyWaits {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("wait %d seed %d", without, seed), func(t *testing.T) {
				m, model := toyMachine(t, twoStreams(without), choice{simulated: true, seed: seed})
				for _, at := range []int64{toyXAt, toyFinal} { // nothing is undefined
					if err := m.Write(0, at, make([]byte, 2*toyX)); err != nil {
						t.Fatal(err)
					}
				}
				err := runStreams(t, m, model)
				if report := (*simulator.Error)(nil); !errors.As(err, &report) || report.Kind != simulator.Race {
					t.Errorf("%v is no race", err)
				}
			})
		}
	}
}

// Only what was marked on the other stream can be waited for.
func TestWaitForNothing(t *testing.T) {
	for name, part := range map[string]func(*Rank){
		"never marked":       func(r *Rank) { r.Wait(0) },
		"marked by the same": func(r *Rank) { r.Mark(0); r.Wait(0) },
	} {
		t.Run(name, func(t *testing.T) {
			parts := toyParts()
			parts.Head = part
			m, _ := toyMachine(t, parts, simulated)
			defer func() {
				if bug := fmt.Sprint(recover()); !strings.Contains(bug, "BUG: device: a wait for mark 0, which the other stream has not made") {
					t.Error(bug)
				}
			}()
			m.Run(train.Head)
		})
	}
}

// Computation leaves room beside a large exchange until it waits for it, and the exchange takes no more; small ones, and what
// does not fill the GPU, make no difference.
func TestShare(t *testing.T) {
	m, _ := toyMachine(t, toyParts(), simulated)
	r := &m.workers[0].Rank
	sms := r.device.Info().SMs
	room := sms / roomOf
	const perSM = 4 // blocks of 512 threads
	full, left := uint32(perSM*sms), uint32(perSM*(sms-room))
	began, came := &driver.Event{}, &driver.Event{Handle: 1}
	var steps []step
	var grids []uint32
	launch := func(on Stream, grid int, persistent bool, want uint32) {
		l := &driver.Launch{Function: &driver.Function{Registers: 32}, Grid: driver.Dim{min(uint32(grid), full), 1, 1}, Block: driver.Dim{512, 1, 1}}
		steps = append(steps, step{on: on, launch: l, kernel: &Kernel{Persistent: persistent}, grid: grid})
		grids = append(grids, want)
	}
	other := func(s step) { steps, grids = append(steps, s), append(grids, 0) }
	large, small := perSM*sms+1, perSM*room
	launch(Compute, large, true, full)
	other(step{on: Compute, mark: began})
	other(step{on: Communication, wait: began})
	launch(Communication, 1, false, 1)
	launch(Communication, large, true, uint32(small))
	other(step{on: Communication, mark: came})
	launch(Compute, large, true, left)
	launch(Compute, large, false, full) // its blocks come and go
	launch(Compute, small, true, uint32(small))
	other(step{on: Compute, wait: came})
	launch(Compute, large, true, full) // beside a small exchange
	launch(Communication, small, true, uint32(small))
	other(step{on: Compute, mark: began})
	other(step{on: Communication, wait: began})
	launch(Communication, large, true, full) // beside what leaves room anyway
	launch(Compute, small, true, uint32(small))
	for i, s := range r.share(steps) {
		if s.launch != nil && s.launch.Grid[0] != grids[i] {
			t.Errorf("step %d has %d blocks, want %d", i, s.launch.Grid[0], grids[i])
		}
	}
}
