// Package device is the h100 target at run time: it runs generated programs on GPUs, or on simulated ones.
//
// A program's functions are called once each, by a Rank that notes what they launch. From its notes the rank makes a
// CUDA graph, which every later run of the part replays; to name values (taps) or to time kernels it goes through the
// notes one by one. Whatever the host reads and writes between runs passes through pinned memory: what changes every run
// by copies before and after the graph in the same stream, weights in pieces, from several goroutines.
package device

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"moegen/runtime/driver"
	"moegen/runtime/driver/sim"
	"moegen/runtime/health"
	simulator "moegen/runtime/sim"
	"moegen/runtime/train"
)

// capability is what the kernels are written for: code for sm_90a runs on 9.0 and nothing else.
const capability = 90

// Access is how a program reaches GPUs: functions of driver/purego or of driver/cgo.
type Access struct {
	Open    driver.Opener
	Inspect func(driver.Opener, driver.Libraries) health.GPUs
}

// H100 is the target of programs whose ranks are GPUs, one each.
func H100(gpus Access, code Code, parts train.Parts[Rank]) train.Target {
	return &target{gpus: gpus, code: code, parts: parts}
}

type target struct {
	gpus   Access
	code   Code
	parts  train.Parts[Rank]
	device choice

	devices []int         // GPU of each rank; nil: the first ones
	timeout time.Duration // that a part of a step may take; 0: for ever
}

func (t *target) Flags(flags *pflag.FlagSet) {
	flags.Var(&t.device, "device", "gpu, or sim: the simulator of GPUs, with every checker on; sim:N is another order of events")
	flags.IntSliceVar(&t.devices, "devices", nil, "GPU of each rank by `NUMBER`, 0,1,...; one that is named several times plays several ranks\n(default: one each, from 0 on)")
	flags.DurationVar(&t.timeout, "timeout", 10*time.Minute, "how long ranks may wait for each other before the run is given up; 0: for ever")
}

// Open takes the GPUs that are named, or the first ones, as many as the program has ranks.
func (t *target) Open(p *train.Program) (train.Machine, error) {
	on, err := t.on(p)
	if err != nil {
		return nil, err
	}
	d, err := t.device.open(t.gpus.Open, slices.Max(on)+1)
	if err != nil {
		return nil, err
	}
	return open(d, t, p, on)
}

// on returns the GPU of each rank that runs.
func (t *target) on(p *train.Program) ([]int, error) {
	on := t.devices
	if on == nil {
		for rank := range running(p) {
			on = append(on, rank)
		}
	}
	if len(on) != running(p) {
		return nil, fmt.Errorf("--devices names %d GPUs and %d ranks run: name one for each rank, the same one several times if it is to play several", len(on), running(p))
	}
	for _, number := range on {
		if number < 0 {
			return nil, fmt.Errorf("--devices: %d is no GPU's number, they are counted from 0", number)
		}
	}
	return on, nil
}

func (t *target) Rehearses() bool { return true }

func (t *target) Platform(look bool) (train.Platform, error) {
	here := train.Platform{Cores: runtime.GOMAXPROCS(0)}
	if !look {
		return here, nil
	}
	d, err := t.device.open(t.gpus.Open, 1)
	if err != nil {
		return here, err
	}
	if d.Devices() == 0 {
		return here, &driver.Error{Kind: driver.NoGPU, Message: "the NVIDIA driver knows no GPU that can be used: see nvidia-smi and CUDA_VISIBLE_DEVICES"}
	}
	info, err := d.Describe(0)
	if err != nil {
		return here, err
	}
	cuda, release := d.Version()
	here.GPU, here.Driver = info.Name, fmt.Sprintf("%s (CUDA %d.%d)", release, cuda/1000, cuda%1000/10)
	return here, nil
}

func (t *target) Inspect(p *train.Program) (*health.GPUs, health.Need) {
	found := t.gpus.Inspect(t.gpus.Open, driver.System)
	return &found, health.Need{GPUs: running(p), Capability: capability, MemoryBytes: p.PeakBytes() + reserve}
}

// choice is the value of --device.
type choice struct {
	simulated bool
	seed      uint64 // of the order of events
}

func (c *choice) Type() string { return "name" }

func (c *choice) String() string {
	switch {
	case !c.simulated:
		return "gpu"
	case c.seed == 0:
		return "sim"
	}
	return fmt.Sprintf("sim:%d", c.seed)
}

func (c *choice) Set(text string) error {
	name, seed, seeded := strings.Cut(text, ":")
	chosen := choice{simulated: name == "sim"}
	if name != "gpu" && name != "sim" || seeded && name == "gpu" {
		return fmt.Errorf("there are gpu, sim and sim:N")
	}
	if seeded {
		var err error
		if chosen.seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			return fmt.Errorf("sim:N takes a number, not %q", seed)
		}
	}
	*c = chosen
	return nil
}

// open starts the driver of the GPUs, or of so many simulated ones.
func (c *choice) open(real driver.Opener, gpus int) (driver.Driver, error) {
	if c.simulated {
		return sim.New(sim.Config{Config: simulator.Config{GPUs: gpus, Seed: c.seed}}), nil
	}
	return real(driver.System)
}
