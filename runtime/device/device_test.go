package device

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"moegen/runtime/checkpoint"
	"moegen/runtime/driver"
	"moegen/runtime/driver/purego"
	"moegen/runtime/host"
	"moegen/runtime/safetensors"
	"moegen/runtime/train"
)

// TestMain makes the test binary a training binary, for the tests of commands.
func TestMain(m *testing.M) {
	if os.Getenv("MOEGEN_TEST_BINARY") != "" {
		parts := toyParts()
		if os.Getenv("MOEGEN_TEST_FAULT") != "" {
			parts.Update = func(r *Rank) {
				r.Launch(&toyRoot, 1, At(toyGrad), U64(64), U32(toyN)) // 64 is no address
			}
		}
		train.Main(toyProgram(parts, choice{}))
	}
	os.Exit(m.Run())
}

var simulated = choice{simulated: true}

// devices are what there is here to run on: the simulator, under two orders of events, and a GPU if there is one.
func devices() map[string]choice {
	list := map[string]choice{"sim": simulated, "sim:5": {simulated: true, seed: 5}}
	if d, err := (&choice{}).open(purego.Open, 1); err == nil && d.Devices() > 0 {
		if info, err := d.Describe(0); err == nil && info.Capability == capability {
			list["gpu"] = choice{}
		}
	}
	return list
}

// toyMachine opens the toy with random weights, and returns what plain loops make of the same.
func toyMachine(t *testing.T, parts train.Parts[Rank], c choice) (*machine, *toyModel) {
	t.Helper()
	return openToy(t, toyProgram(parts, c))
}

func openToy(t *testing.T, p train.Program) (*machine, *toyModel) {
	t.Helper()
	opened, err := p.Target.Open(&p)
	if err != nil {
		t.Fatal(err)
	}
	m := opened.(*machine)
	t.Cleanup(m.Close)
	memory := checkpoint.Memory{Ranks: 1, EP: 1, Arena: m}
	if err := errors.Join(m.Run(train.Setup), checkpoint.Fill(p.Params, memory, 7)); err != nil {
		t.Fatal(err)
	}
	model := &toyModel{w: values(t, m, toyW, toyN), m: make([]float32, toyN), grad: make([]float32, toyN)}
	return m, model
}

// values reads n values in bf16.
func values(t *testing.T, m *machine, off int64, n int) []float32 {
	t.Helper()
	raw, x := make([]byte, 2*n), make([]float32, n)
	if err := m.Read(0, raw, off); err != nil {
		t.Fatal(err)
	}
	safetensors.Decode(safetensors.BF16, raw, x)
	return x
}

// number reads a float32.
func number(t *testing.T, m *machine, off int64) float32 {
	t.Helper()
	var x [1]float32
	if err := m.Read(0, safetensors.Bytes(x[:]), off); err != nil {
		t.Fatal(err)
	}
	return x[0]
}

// feed writes the inputs of micro-batch i, of which it returns tokens and targets, and a record.
func feed(t *testing.T, m *machine, i int, record []float32) (tokens, targets []int32) {
	t.Helper()
	for j := range toyTokens {
		tokens = append(tokens, int32((7*i+11*j*j+3)%toyVocab))
		targets = append(targets, int32(j%3-1)) // a third has none
	}
	zeros := make([]int32, toyTokens)
	err := errors.Join(
		m.Write(0, toyTokensAt, safetensors.Bytes(tokens)), m.Write(0, toyTargets, safetensors.Bytes(targets)),
		m.Write(0, toyPositions, safetensors.Bytes(zeros)), m.Write(0, toyStarts, safetensors.Bytes(zeros)),
		m.Write(0, toyRecord, safetensors.Bytes(record)))
	if err != nil {
		t.Fatal(err)
	}
	return tokens, targets
}

func record(norm, accumulate float32) []float32 {
	r := make([]float32, host.RecordLen)
	r[host.RecordLR], r[host.RecordBeta1], r[host.RecordGain1] = 0.5, 0.75, 0.25
	r[host.RecordLossNorm], r[host.RecordAccumulate] = norm, accumulate
	return r
}

func run(t *testing.T, m *machine, parts ...train.Part) {
	t.Helper()
	for _, p := range parts {
		if err := m.Run(p); err != nil {
			t.Fatal(err)
		}
	}
}

// Steps of two micro-batches each: losses, gradients, norms, weights and state are those of plain loops, whether the
// parts are replayed as graphs, are tapped, or are timed, and whatever the order of events.
func TestPartsComputeWhatTheirKernelsSay(t *testing.T) {
	for name, c := range devices() {
		for _, way := range []string{"graph", "tapped", "timed"} {
			t.Run(name+" "+way, func(t *testing.T) {
				m, model := toyMachine(t, toyParts(), c)
				switch way {
				case "tapped":
					m.SetTap(&taps{})
				case "timed":
					m.timed = true
				}
				for step := range 2 {
					for i := range 2 {
						r := record(0.25, float32(i))
						tokens, targets := feed(t, m, 2*step+i, r)
						run(t, m, train.MicroBatch)
						model.backward(tokens, targets, 0.25, i > 0)
						if got, want := number(t, m, toyLoss), model.loss(tokens, targets, 0.25); got != want {
							t.Errorf("step %d: loss %v, want %v", step, got, want)
						}
						if err := want("gradient", values(t, m, toyGrad, toyN), model.grad); err != nil {
							t.Errorf("step %d: %v", step, err)
						}
					}
					run(t, m, train.Update)
					if got, want := number(t, m, toyNorm), model.update(record(0.25, 1)); got != want {
						t.Errorf("step %d: norm %v, want %v", step, got, want)
					}
					if err := errors.Join(want("w", values(t, m, toyW, toyN), model.w), want("exp_avg", values(t, m, toyM, toyN), model.m)); err != nil {
						t.Errorf("step %d: %v", step, err)
					}
				}
				tokens, targets := feed(t, m, 9, record(1, 0))
				run(t, m, train.Eval)
				if got, want := number(t, m, toyLoss), model.loss(tokens, targets, 1); got != want {
					t.Errorf("loss %v, want %v", got, want)
				}
				if err := m.Write(0, toyHeadRow, safetensors.Bytes([]int32{13})); err != nil {
					t.Fatal(err)
				}
				run(t, m, train.Head)
				var logits []float32
				for row := 13; row < toyTokens; row++ {
					for v := range toyVocab {
						logits = append(logits, model.x(tokens)[toyHidden*row+v%toyHidden])
					}
				}
				if err := want("logits", values(t, m, toyLogits, len(logits)), logits); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// taps keeps what is named.
type taps struct {
	floats []float32
	ints   []int32
	names  []string
}

func (t *taps) F32(rank int, name string, layer int, x []float32) {
	t.floats, t.names = slices.Clone(x), append(t.names, fmt.Sprintf("%s.%d of %d", name, layer, rank))
}

func (t *taps) I32(rank int, name string, layer int, x []int32) {
	t.ints, t.names = slices.Clone(x), append(t.names, fmt.Sprintf("%s.%d of %d", name, layer, rank))
}

func TestTap(t *testing.T) {
	for name, c := range devices() {
		t.Run(name, func(t *testing.T) { testTap(t, c) })
	}
}

func testTap(t *testing.T, c choice) {
	m, model := toyMachine(t, toyParts(), c)
	seen := &taps{}
	tokens, _ := feed(t, m, 1, record(1, 0))
	if err := m.Write(0, toyHeadRow, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	run(t, m, train.Eval)
	m.SetTap(seen)
	run(t, m, train.Eval, train.Head)
	m.SetTap(nil)
	run(t, m, train.Eval)
	if got, want := strings.Join(seen.names, ", "), "hidden.0 of 0, topk.0 of 0"; got != want {
		t.Errorf("named: %s, want %s", got, want)
	}
	if err := want("hidden", seen.floats, model.x(tokens)); err != nil {
		t.Error(err)
	}
	if !slices.Equal(seen.ints, tokens) {
		t.Errorf("topk is %v, want %v", seen.ints, tokens)
	}
}

// The tables are host.RopeTable's in bf16, the optimizer's state is zero, a part's function is called once.
func TestSetup(t *testing.T) {
	parts, calls := toyParts(), 0
	eval := parts.Eval
	parts.Eval = func(r *Rank) {
		calls++
		if r.ID != 0 || r.Ranks != 1 {
			t.Errorf("rank %d of %d", r.ID, r.Ranks)
		}
		eval(r)
	}
	m, _ := toyMachine(t, parts, simulated)
	n := toySeq * 2
	cos, sin := make([]float32, n), make([]float32, n)
	host.RopeTable(toySeq, 4, []float64{1, 0.1}, 1, cos, sin)
	for i := range n {
		cos[i], sin[i] = bf16(cos[i]), bf16(sin[i])
	}
	if err := errors.Join(want("cos", values(t, m, toyCos, n), cos), want("sin", values(t, m, toySin, n), sin), want("exp_avg", values(t, m, toyM, toyN), make([]float32, toyN))); err != nil {
		t.Error(err)
	}
	feed(t, m, 0, record(1, 0))
	run(t, m, train.Eval, train.Eval)
	m.SetTap(&taps{})
	run(t, m, train.Eval)
	if calls != 1 {
		t.Errorf("the function of a part was called %d times", calls)
	}
}

// Ranks have GPUs of their own, and run at the same time.
func TestTwoRanks(t *testing.T) {
	p := toyProgram(toyParts(), simulated)
	p.Manifest.Ranks, p.Manifest.PeakBytesPerGPU = 2, toyBytes+512
	m, err := p.Target.Open(&p)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var weights [2][]byte
	for rank := range 2 {
		w := make([]float32, toyN)
		for i := range w {
			w[i] = float32(rank + 1)
		}
		weights[rank] = make([]byte, 2*toyN)
		safetensors.Encode(safetensors.BF16, w, weights[rank])
		err := errors.Join(m.Write(rank, toyW, weights[rank]), m.Write(rank, toyTokensAt, make([]byte, 4*toyTokens)),
			m.Write(rank, toyTargets, make([]byte, 4*toyTokens)), m.Write(rank, toyRecord, safetensors.Bytes(record(float32(rank+1), 0))))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(m.Run(train.Setup), m.Run(train.MicroBatch), m.Run(train.MicroBatch)); err != nil {
		t.Fatal(err)
	}
	for rank := range 2 {
		var loss [1]float32
		got := make([]byte, 2*toyN)
		if err := errors.Join(m.Read(rank, safetensors.Bytes(loss[:]), toyLoss), m.Read(rank, got, toyW)); err != nil {
			t.Fatal(err)
		}
		if want := float32((rank + 1) * (rank + 1) * toyX); loss[0] != want || !bytes.Equal(got, weights[rank]) {
			t.Errorf("rank %d: loss %v, want %v", rank, loss[0], want)
		}
	}
}

// Any number of bytes goes to any place and comes back, from several goroutines.
func TestWriteAndRead(t *testing.T) {
	for name, c := range devices() {
		t.Run(name, func(t *testing.T) { testWriteAndRead(t, c) })
	}
}

func testWriteAndRead(t *testing.T, c choice) {
	p := toyProgram(toyParts(), c)
	const more = 3*pieceBytes + 100
	p.Manifest.ArenaBytes += 4 * more
	p.Manifest.PeakBytesPerGPU = p.Manifest.ArenaBytes
	opened, err := p.Target.Open(&p)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			sent, got := make([]byte, more), make([]byte, more)
			for j := range sent {
				sent[j] = byte(j*j>>9 + i + j)
			}
			at := toyBytes + int64(i)*more
			if errs[i] = errors.Join(opened.Write(0, at, sent), opened.Read(0, got, at)); errs[i] == nil && !bytes.Equal(sent, got) {
				errs[i] = fmt.Errorf("part %d came back changed", i)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// What is wrong with a launch comes back from the part's run, as the user's exit status says.
func TestRunReturnsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, text string
		status     int
		update     func(r *Rank)
	}{
		{"no kernel", "no kernel absent", 1, func(r *Rank) {
			r.Launch(&Kernel{Name: "absent", Threads: 32}, 1)
			r.Launch(&toyRoot, 1)
		}},
		{"parameters", "kernel norm_n2080 has 20 bytes of parameters and the launch gives 8", 1, func(r *Rank) { r.Launch(&toyRoot, 1, At(toyGrad)) }},
		{"tensor map", "not a multiple of 16", 1, func(r *Rank) {
			r.Launch(&toyTile, 1, Map(toyXAt+8, &toyBox, []int64{8, 16}, []int64{16}), At(toyFinal))
		}},
		{"fault", "simulated GPUs stopped", 3, func(r *Rank) { r.Launch(&toyRoot, 1, At(toyGrad), U64(64), U32(toyN)) }},
		{"undefined", "undefined", 3, func(r *Rank) { r.Launch(&toyRoot, 1, At(toyX), At(toyNorm), U32(toyN)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts := toyParts()
			parts.Update = c.update
			m, _ := toyMachine(t, parts, simulated)
			err := m.Run(train.Update)
			var e *driver.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.text) || e.ExitStatus() != c.status {
				t.Errorf("got %v, want %s and exit status %d", err, c.text, c.status)
			}
			if c.status == 3 {
				if err := m.Read(0, make([]byte, 4), toyW); err == nil {
					t.Error("a lost GPU reads on")
				}
			}
		})
	}
}

func TestTooLittleMemory(t *testing.T) {
	p := toyProgram(toyParts(), simulated)
	p.Manifest.ArenaBytes, p.Manifest.PeakBytesPerGPU = 80<<30, 80<<30
	_, err := p.Target.Open(&p)
	if e := (*driver.Error)(nil); !errors.As(err, &e) || e.Kind != driver.NoMemory {
		t.Errorf("got %v, want an error for too little memory", err)
	}
}

// A place outside the arena is a fault of the plan, and ends in the caller's goroutine with the rank's stack.
func TestPlacesAreInTheArena(t *testing.T) {
	for _, arg := range []Arg{At(-1), At(toyBytes + toyGradBytes), Map(toyBytes-2*toyX+16, &toyBox, []int64{8, 16}, []int64{16})} {
		parts := toyParts()
		parts.Update = func(r *Rank) { r.Launch(&toyRoot, 1, arg) }
		m, _ := toyMachine(t, parts, simulated)
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, "rank 0: BUG: device:") || !strings.Contains(text, "TestPlacesAreInTheArena") {
					t.Errorf("%+v: panic %q", arg, text)
				}
			}()
			m.Run(train.Update)
		}()
	}
}

func TestProfileAndObserve(t *testing.T) {
	m, _ := toyMachine(t, toyParts(), simulated)
	feed(t, m, 0, record(1, 0))
	families, total, err := m.Profile(func() error {
		return errors.Join(m.Run(train.MicroBatch), m.Run(train.Update), m.Run(train.MicroBatch))
	})
	if err != nil {
		t.Fatal(err)
	}
	// In the simulator every operation takes a microsecond.
	for name, launches := range map[string]int{"gather": 2, "loss": 2, "scatter": 2, "norm": 1, "sgd": 1} {
		if got := families[name].Seconds() * 1e6; math.Abs(got-float64(launches)) > 1e-6 {
			t.Errorf("%s took %v µs, want %d", name, got, launches)
		}
	}
	if len(families) != 5 || total <= 0 {
		t.Errorf("families %v of %v", families, total)
	}
	o, err := m.Observe(func() error { return m.Run(train.MicroBatch) })
	if err != nil {
		t.Fatal(err)
	}
	if o.AllocatedBytes != toyBytes || o.DeviceBytes < toyBytes || o.HostMS <= 0 || o.Joules != 0 || o.Watts != 0 {
		t.Errorf("observed %+v", o)
	}
	if m.timed {
		t.Error("kernels are timed after the profile")
	}
}

func TestFamily(t *testing.T) {
	for name, want := range map[string]string{
		"gemm_nt_128x256_s4": "gemm_nt", "rmsnorm": "rmsnorm", "rmsnorm_grad_4096": "rmsnorm_grad", "adamw_bf16_n0": "adamw", "x": "x",
	} {
		if got := family(name); got != want {
			t.Errorf("%s is of family %s, want %s", name, got, want)
		}
	}
}

func TestChoice(t *testing.T) {
	for text, want := range map[string]choice{"gpu": {}, "sim": simulated, "sim:0": simulated, "sim:12": {true, 12}} {
		var c choice
		if err := c.Set(text); err != nil || c != want {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
	for _, text := range []string{"", "tpu", "gpu:1", "sim:", "sim:x", "simulator"} {
		c := choice{true, 3}
		if err := c.Set(text); err == nil || c.String() != "sim:3" {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
}
