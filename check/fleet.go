package check

import (
	"moegen/kernels/gpu"
	"moegen/runtime/driver"
)

// A fleet is the ranks of a case in the memory of GPUs, each with a stream of its own. Rank r is on device r modulo their number.
type fleet []*loaded

// loadFleet puts ranks on devices and tells them where the others are. What it returns is to be freed even with a failure.
func loadFleet(devices []driver.Device, ranks []*program) (f fleet, failure *Failure, err error) {
	for rank, p := range ranks {
		device := devices[rank%len(devices)]
		if err := device.Bind(); err != nil {
			return f, nil, err
		}
		run, failure, err := p.load(device, 1)
		f = append(f, run)
		if failure != nil || err != nil {
			return f, failure, err
		}
	}
	if len(f) > 1 {
		failure, err = refusal(f.introduce())
	}
	return f, failure, err
}

func (f fleet) introduce() error {
	var bases []uint64
	for _, run := range f {
		bases = append(bases, uint64(run.at(0, run.Buffers[0].Name)))
	}
	return f.each(func(run *loaded) error { return run.device.Write(run.at(0, gpu.World), addresses(bases)) })
}

// each calls do for every rank, on a thread that is bound to its device.
func (f fleet) each(do func(run *loaded) error) error {
	for _, run := range f {
		if err := run.device.Bind(); err != nil {
			return err
		}
		if err := do(run); err != nil {
			return err
		}
	}
	return nil
}

// run runs the launches of all ranks: in turn, so that no rank waits for one that is behind a full queue.
func (f fleet) run() error {
	for i := range f[0].launches[0] {
		if err := f.each(func(run *loaded) error { return run.stream.Launch(&run.launches[0][i]) }); err != nil {
			return err
		}
	}
	return f.sync()
}

func (f fleet) sync() error { return f.each(func(run *loaded) error { return run.stream.Sync() }) }

func (f fleet) free() {
	f.each(func(run *loaded) error {
		run.free()
		return nil
	})
}
