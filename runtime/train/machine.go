package train

import (
	"time"

	"moegen/runtime/checkpoint"
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
	// Update reduces gradients over ranks, computes the global gradient norm, clips, and applies AdamW.
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
	// Devices are the values of --device, the default first; none where there is no choice.
	Devices() []string
	// Open takes the memory of a program, all of it. Optimizer state is zero, all else is to be written before it is
	// read. An error with a method ExitStatus says what the process ends with.
	Open(p *Program, device string) (Machine, error)
	// Platform describes this machine, as far as it can be known at no cost or, where a device is named, by a look at it.
	Platform(device string) (Platform, error)
}

// Machine is a program's ranks with their arenas, ready to run. Nothing else is called during a Run, and after an error
// nothing but Close.
type Machine interface {
	// Write and Read of a rank's arena can be called by several goroutines at the same time.
	checkpoint.Arena
	// Run runs a part on all ranks and returns when all are done. It sees what was written before, and Read sees what
	// it did.
	Run(Part) error
	// SetTap hands what the program names as it runs to t from now on; nil: to nobody. A program may run slower then.
	SetTap(t host.Tap)
	// Profile calls run, which runs parts, and returns what the kernels took meanwhile, by family, the mean over the
	// ranks, and how long it took in all.
	Profile(run func() error) (families map[string]time.Duration, total time.Duration, err error)
	// Close gives everything back.
	Close()
}

// Platform is what a run depends on that the binary does not know.
type Platform struct {
	CPUPath string `json:"cpu_path,omitempty"` // instruction set of the kernels
	Cores   int    `json:"cores"`
}
