// Package sim is the driver's surface on the simulator: the same kernels, the same calls, with every checker on.
//
// What a stream is given is queued on a sim.Machine, with the order that streams, events and graphs promise and no
// other; the machine runs when something is waited for. So nothing happens earlier than a program may rely on: a
// copy to the host, for one, arrives at the Sync or Await that covers it.
//
// A fault, or anything a checker finds, is an Error of kind Lost whose Cause is the simulator's report; as on
// hardware every later call returns it again. Time is nominal: an operation takes a microsecond after those that it
// waits for, so that Elapsed counts operations on the longest chain.
package sim

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"moegen/runtime/driver"
	"moegen/runtime/sim"
)

// Config is the machine that is simulated, and who is told of its launches.
type Config struct {
	sim.Config
	// Finished, if not nil, is called with the counters of every launch, in the order in which the program comes to
	// know that they are done. It makes no calls of the driver.
	Finished func(kernel string, c sim.Counters)
}

// machine is the driver. Its lock is held by every call, of every GPU.
type machine struct {
	mutex   sync.Mutex
	config  Config
	sim     *sim.Machine
	gpus    []*device   // nil where not open
	bound   map[int]int // GPU by thread
	host    []pinned    // pinned memory, by address
	next    driver.Addr // of pinned memory
	modules []*module
	coming  []*node // copies to the host that it does not know to be done
	graphs  []*graph
	events  []*event
	lost    *driver.Error // what every call returns once something has gone wrong

	calls    int           // made so far, by all threads
	call     *sync.Cond    // another call was made
	starved  map[int]int   // GPU by thread, of those for which nothing can run
	patience time.Duration // with those that may yet call
}

// Handles are places in the machine's lists, from 1.

// module is a loaded module.
type module struct {
	*sim.Module
	program *sim.Program
}

// pinned is pinned memory of the host. Its addresses are no device's.
type pinned struct {
	at       driver.Addr
	bytes    []byte
	readOnly bool
}

// hostStart lies above the memory of 100 GPUs.
const hostStart = 0x7E << 40

// New returns a driver for simulated GPUs.
func New(c Config) driver.Driver {
	m := &machine{config: c, bound: map[int]int{}, next: hostStart, starved: map[int]int{}, patience: patience}
	m.call = sync.NewCond(&m.mutex)
	c.Starved = m.moreToCome
	m.sim = sim.New(c.Config)
	m.config.Config = m.sim.Config
	m.gpus = make([]*device, m.sim.GPUs)
	return m
}

func (m *machine) Version() (int, string) { return 13000, "simulator" }

func (m *machine) Devices() int { return m.sim.GPUs }

func (m *machine) Lost() []int { return nil }

func (m *machine) Describe(gpu int) (driver.Info, error) {
	if gpu < 0 || gpu >= m.sim.GPUs {
		return driver.Info{}, &driver.Error{Kind: driver.NoGPU, Message: fmt.Sprintf("there is no GPU %d: %d are simulated", gpu, m.sim.GPUs)}
	}
	return driver.Info{Name: "simulated H100", Bus: fmt.Sprintf("sim:%02d", gpu), Capability: 90, SMs: m.sim.SMs, Memory: m.sim.Memory, L2: 50 << 20, Shared: 227 << 10}, nil
}

func (m *machine) CanPeer(gpu, peer int) (bool, error) {
	for _, g := range []int{gpu, peer} {
		if _, err := m.Describe(g); err != nil {
			return false, err
		}
	}
	return gpu != peer, nil
}

func (m *machine) Open(gpu int) (driver.Device, error) {
	info, err := m.Describe(gpu)
	if err != nil {
		return nil, err
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.gpus[gpu] != nil {
		return nil, refuse("GPU %d is open already", gpu)
	}
	d := &device{machine: m, gpu: gpu, info: info, sizes: map[driver.Addr]int64{}}
	m.gpus[gpu] = d
	m.bound[syscall.Gettid()] = gpu
	return d, nil
}

// refuse is the error of a call that is wrong.
func refuse(format string, args ...any) *driver.Error {
	return &driver.Error{Message: fmt.Sprintf(format, args...)}
}

// refused is the error of something that the simulator refuses, nil for nil.
func refused(err error) error {
	if err == nil {
		return nil
	}
	if ours, ok := err.(*driver.Error); ok {
		return ours
	}
	return &driver.Error{Message: "the simulator refuses it: " + err.Error(), Cause: err}
}

// fault ends everything: it is what this and every later call returns.
func (m *machine) fault(err error) error {
	m.called()
	m.lost = &driver.Error{Kind: driver.Lost, Message: "the simulated GPUs stopped: " + err.Error(), Cause: err}
	return m.lost
}

// pinnedAt returns pinned memory that holds bytes at an address, or nil.
func (m *machine) pinnedAt(a driver.Addr, bytes int64) *pinned {
	for i := range m.host {
		if h := &m.host[i]; a >= h.at && int64(a-h.at)+bytes <= int64(len(h.bytes)) {
			return h
		}
	}
	return nil
}
