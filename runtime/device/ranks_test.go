package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"moegen/ir"
	kernels "moegen/kernels/gpu"
	"moegen/kernels/ptx"
	"moegen/runtime/driver"
	"moegen/runtime/host"
	"moegen/runtime/safetensors"
	"moegen/runtime/train"
)

// A circle is a program of ranks that exchange numbers: a micro-batch adds up their records, so many times one after the other.
type circle struct {
	ranks, rounds int
	on            []int // GPUs
	rehearsed     bool
	absent        int // rank that leaves out the last exchange; -1: none
	seed          uint64
}

// steps are the launches of a sum over the ranks, barriers around it, as kernels/gpu has them.
func (c *circle) steps() []kernels.Step {
	list := kernels.Kernels()
	k := list[slices.IndexFunc(list, func(k *kernels.Kernel) bool { return k.Op == "all_reduce" })]
	value := &ir.Buffer{Type: ir.Fixed(ir.F32, host.RecordLen)}
	return k.Steps(&ir.Launch{Attrs: ir.Attrs{{Key: "ranks", Value: c.ranks}}, In: []*ir.Buffer{value}, Out: []*ir.Buffer{value}})
}

func (c *circle) open(t *testing.T) *machine {
	t.Helper()
	m, text := ptx.NewModule(), map[string]bool{}
	for _, s := range c.steps() {
		if !text[s.Entry] {
			text[s.Entry] = true
			s.Emit(m)
		}
	}
	code, err := m.Text()
	if err != nil {
		t.Fatal(err)
	}
	p := toyProgram(toyParts(), choice{simulated: true, seed: c.seed})
	own := p.Target.(*target)
	own.code, own.devices, own.parts = Code{PTX: code}, c.on, train.Parts[Rank]{Setup: func(*Rank) {}, Update: func(*Rank) {}, MicroBatch: c.microBatch}
	p.Manifest.Ranks, p.Manifest.PeakBytesPerGPU, p.Rehearsed = c.ranks, toyBytes+kernels.WorldBytes, c.rehearsed
	opened, err := p.Target.Open(&p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return opened.(*machine)
}

func (c *circle) microBatch(r *Rank) {
	for round := range c.rounds {
		if round == c.rounds-1 && r.ID == c.absent {
			return
		}
		for i, s := range c.steps() {
			k := &Kernel{Name: s.Entry, Threads: kernels.MostRanks}
			if i != 1 {
				r.Launch(k, s.Grid, World())
				continue
			}
			k.Threads, k.Persistent, k.Dependent = 512, s.Persistent, s.Dependent
			r.Launch(k, s.Grid, World(), At(toyRecord), At(toyXAt), U32(uint32(s.Args[3].Bits)))
		}
		r.Tap("sums", round, toyXAt, safetensors.F32, host.RecordLen)
	}
}

// feed gives every rank its record; sum is what a micro-batch makes of them.
func (c *circle) feed(t *testing.T, m *machine) (sum []float32) {
	t.Helper()
	sum = make([]float32, host.RecordLen)
	for rank := range c.ranks {
		x := make([]float32, host.RecordLen)
		for i := range x {
			x[i] = float32(rank*100 + i)
			if c.rehearsed {
				x[i] = float32(i)
			}
			sum[i] += x[i]
		}
		zeros := make([]byte, 4*toyTokens)
		err := m.Write(rank, toyRecord, safetensors.Bytes(x))
		for _, at := range []int64{toyLoss, toyTokensAt, toyTargets, toyPositions, toyStarts} {
			err = errors.Join(err, m.Write(rank, at, zeros))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return sum
}

// What a program's ranks know of each other is what the kernels expect.
func TestWorldIsTheKernels(t *testing.T) {
	if worldRanks != kernels.MostRanks || worldBytes != kernels.WorldBytes {
		t.Errorf("%d ranks in %d bytes; the kernels have %d in %d", worldRanks, worldBytes, kernels.MostRanks, kernels.WorldBytes)
	}
}

// Ranks exchange whether each has a GPU, all have the same one, or some share one, as graphs, tapped and timed; one that is rehearsed
// stands for all.
func TestRanksExchange(t *testing.T) {
	for i, c := range []circle{
		{ranks: 2}, {ranks: 4, on: []int{0, 0, 0, 0}}, {ranks: 5, on: []int{1, 0, 1, 2, 0}}, {ranks: 8, rehearsed: true}, {ranks: 3, rehearsed: true, on: []int{1}},
	} {
		c.rounds, c.absent, c.seed = 3, -1, uint64(i)
		for _, way := range []string{"graph", "tapped", "timed"} {
			t.Run(fmt.Sprintf("%d on %v %s", c.ranks, c.on, way), func(t *testing.T) {
				m := c.open(t)
				switch way {
				case "tapped":
					m.SetTap(&silent{})
				case "timed":
					m.timed = true
				}
				sum := c.feed(t, m)
				run(t, m, train.Setup, train.MicroBatch, train.MicroBatch)
				for rank := range c.ranks {
					got := make([]float32, host.RecordLen)
					if err := m.Read(rank, safetensors.Bytes(got), toyXAt); err != nil {
						t.Fatal(err)
					}
					if err := want("sums", got, sum); err != nil {
						t.Errorf("rank %d: %v", rank, err)
					}
				}
			})
		}
	}
}

// silent is told by several ranks at a time, and keeps nothing.
type silent struct{}

func (silent) F32(int, string, int, []float32) {}
func (silent) I32(int, string, int, []int32)   {}

// A rank that does not come leaves the others waiting, until the time is up: then all are stopped, and the error says where they stand.
func TestRanksThatHang(t *testing.T) {
	for _, on := range [][]int{nil, {0, 0, 0}} {
		c := circle{ranks: 3, rounds: 2, on: on, absent: 1}
		m := c.open(t)
		c.feed(t, m)
		run(t, m, train.Setup)
		m.limit = 300 * time.Millisecond
		err := m.Run(train.MicroBatch)
		var e *driver.Error
		const stands = "rank 0 waits at exchange 3, rank 1 has ended behind exchange 2, rank 2 waits at exchange 3"
		if !errors.As(err, &e) || e.Kind != driver.Lost || !strings.Contains(err.Error(), stands) {
			t.Errorf("on %v: got %v, want %s", on, err, stands)
		}
		for _, w := range m.workers {
			if !w.last.ended() {
				t.Errorf("on %v: rank %d still waits", on, w.ID)
			}
		}
	}
}

// A rank that fails while others wait for it ends them, and the run ends with what it failed with.
func TestRanksThatFail(t *testing.T) {
	c := circle{ranks: 2, rounds: 1, on: []int{0, 0}, absent: -1}
	m := c.open(t)
	c.feed(t, m)
	run(t, m, train.Setup)
	broken := errors.New("the rank is broken")
	if err := m.all(func(w *worker) error { return w.prepare(train.MicroBatch, nil, false) }); err != nil {
		t.Fatal(err)
	}
	err := m.all(func(w *worker) error {
		if w.ID == 1 {
			time.Sleep(100 * time.Millisecond) // the other waits by then
			return broken
		}
		return errors.Join(w.start(train.MicroBatch, nil, false), w.finish(train.MicroBatch, false))
	})
	if err != broken || !m.workers[0].last.ended() {
		t.Errorf("got %v; the other rank has ended: %v", err, m.workers[0].last.ended())
	}
}

func TestDevicesAreOneARank(t *testing.T) {
	for _, c := range []struct {
		ranks int
		on    []int
		why   string
	}{
		{2, []int{0}, "--devices names 1 GPUs and 2 ranks run"},
		{1, []int{-1}, "-1 is no GPU's number"},
	} {
		p := toyProgram(toyParts(), simulated)
		p.Manifest.Ranks = c.ranks
		p.Target.(*target).devices = c.on
		if _, err := p.Target.Open(&p); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%d ranks on %v: %v, want %s", c.ranks, c.on, err, c.why)
		}
	}
}
