package train

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"moegen/runtime/checkpoint"
	"moegen/runtime/health"
	"moegen/runtime/host"
)

// Part names one of the functions that the generator made of a plan.
type Part int

// The parts of a program.
const (
	// Setup fills what is constant for the life of the process (rope tables). It runs once, before anything else.
	Setup Part = iota
	// MicroBatch runs forward and backward of one micro-batch: reads the inputs and the record, writes the losses,
	// adds to the gradients (or overwrites them when the record says that it is the first).
	MicroBatch
	// Update computes the global gradient norm, clips, and applies AdamW.
	Update
	// Eval runs the forward pass only: reads the inputs, writes the losses and leaves the final hidden states in the
	// arena for Head.
	Eval
	// Head computes the logits of Layout.HeadRows consecutive tokens of the last Eval, starting at the row in
	// Layout.HeadRow.
	Head
)

// Parts are the functions of a program, each run by every rank.
type Parts[Rank any] struct {
	Setup, MicroBatch, Update, Eval, Head func(*Rank)
}

// Of returns the function of a part.
func (p *Parts[Rank]) Of(part Part) func(*Rank) {
	return [...]func(*Rank){p.Setup, p.MicroBatch, p.Update, p.Eval, p.Head}[part]
}

// Target is what programs of one kind run on: processors, or GPUs.
type Target interface {
	// Flags declares the options that say which device it is to be, where there is a choice.
	Flags(*pflag.FlagSet)
	// Rehearses tells whether Open can have one rank run alone, see Program.Rehearsed.
	Rehearses() bool
	// Open takes the memory of a program, all of it. Optimizer state is zero, all else is to be written before it is
	// read. An error with a method ExitStatus says what the process ends with.
	Open(*Program) (Machine, error)
	// Platform describes what a program would run on here. Without a look it is what can be told at no cost.
	Platform(look bool) (Platform, error)
	// Inspect reads what there is to know of the GPUs, nil for programs that run on none, and says what a program asks of
	// a machine, but for its disk.
	Inspect(*Program) (*health.GPUs, health.Need)
}

// Machine is a program's ranks with their arenas, ready to run. Nothing else is called during a Run, and after an error
// nothing but Close.
type Machine interface {
	// Write and Read of a rank's arena can be called by several goroutines at the same time. In a rehearsal what rank 0
	// has is what all have, and what is written to the others is dropped.
	checkpoint.Arena
	// Run runs a part on all ranks and returns when all are done. It sees what was written before, and Read sees what
	// it did.
	Run(Part) error
	// SetTap hands what the program names as it runs to t from now on; nil: to nobody. A program may run slower then.
	SetTap(t host.Tap)
	// Profile calls run, which runs parts, and returns what the kernels took meanwhile, by family, the mean over the
	// ranks, and how long it took in all.
	Profile(run func() error) (families map[string]time.Duration, total time.Duration, err error)
	// Observe calls run, which runs parts, and returns what the machine shows meanwhile.
	Observe(run func() error) (Observation, error)
	// Close gives everything back.
	Close()
}

// Platform is what a run depends on that the binary does not know.
type Platform struct {
	CPUPath string `json:"cpu_path,omitempty"` // instruction set of the kernels
	Cores   int    `json:"cores"`
	GPU     string `json:"gpu_name,omitempty"`
	Driver  string `json:"driver,omitempty"` // its release, and the CUDA version that it serves
}

// String says it for people.
func (p Platform) String() string {
	switch {
	case p.CPUPath != "":
		return fmt.Sprintf("%s kernels on %d cores", p.CPUPath, p.Cores)
	case p.GPU != "":
		return fmt.Sprintf("%s, driver %s, %d cores", p.GPU, p.Driver, p.Cores)
	}
	return fmt.Sprintf("%d cores; give --device to look for GPUs", p.Cores)
}

// Observation is what GPUs show while a program runs; nothing where there are none.
type Observation struct {
	AllocatedBytes int64   `json:"allocated_bytes,omitempty"` // that the program took on all GPUs: arenas, kernels, graphs
	DeviceBytes    int64   `json:"device_bytes,omitempty"`    // in use on them by whomever, as they say themselves
	HostMS         float64 `json:"host_ms,omitempty"`         // that a rank's host spent otherwise than waiting for its GPU
	Watts          float64 `json:"watts,omitempty"`           // of all GPUs, the mean over time
	ClockMHz       float64 `json:"sm_clock_mhz,omitempty"`    // the mean over GPUs and time
	Joules         float64 `json:"joules,omitempty"`
}
