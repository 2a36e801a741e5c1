package sim

import (
	"fmt"
	"sync/atomic"
)

// Check names a group of checkers that Config.Off can leave out.
type Check uint

// The checkers that cost time or that some programs must do without. Bounds, alignment, divergence, deadlock and misuse of
// instructions are always checked.
const (
	CheckRace      Check = 1 << iota // races and missing proxy fences
	CheckUndefined                   // undefined registers and memory
	CheckExit                        // asynchronous work and barriers left unfinished when a CTA ends
)

// Config describes a Machine. The zero value is one GPU like an H100 with all checkers and a plain schedule.
type Config struct {
	GPUs   int   // default 1
	SMs    int   // of each GPU; default 132: bounds how many CTAs run at a time
	Memory int64 // bytes of each GPU; default 80 GiB (host memory is taken as it is allocated)

	// Seed selects the schedule: 0 runs warps in turn and completes asynchronous work early, any other number draws warps,
	// quanta, completion times and spurious failures of try_wait from a generator.
	Seed uint64

	Off      Check // checkers to leave out
	FastMath bool  // tensor cores in plain float32 instead of hardware's bits: for kernels whose values do not matter

	StepLimit int64 // warp instructions per launch; default 1e10

	// Starved, if not nil, is called when nothing can run, before that is called a deadlock: true says that there may be
	// more to do now. It may let other threads use the machine meanwhile, one at a time.
	Starved func() bool
}

// Machine is a host with simulated GPUs: their memory, and the work that was given to them and is not finished. It is not
// safe for concurrent use.
type Machine struct {
	Config
	heap  *heap
	peers [][]bool
	races bool

	works    []*Work // not finished, in the order of starting
	nextWork int
	chains   history // how many works there are in each chain
	hostDone history // finished before what the host starts next
	active   []*cta
	pending  []*operation // asynchronous, under way
	rng      rng
	lazy     int // asynchronous work is done after one slice in so many
	rotate   int

	events   uint64 // counts what may unblock someone
	progress uint64 // counts changes of memory: what a spinning warp may wait for
	timeouts int

	domains   []*domain
	nextAgent uint32
	floor     uint32 // agents below belong to finished work that everything later is ordered after
	readers   readers

	publications uint64 // at memory locations

	lastOld  uint64
	lastMine uint64
	lastSet  uint64

	computations []*computation // of products that took effect, not yet begun
	helpers      atomic.Int32   // goroutines that do such

	spare storage
}

// New makes a Machine.
func New(c Config) *Machine {
	if c.GPUs == 0 {
		c.GPUs = 1
	}
	if c.SMs == 0 {
		c.SMs = 132
	}
	if c.Memory == 0 {
		c.Memory = 80 << 30
	}
	if c.StepLimit == 0 {
		c.StepLimit = 1e10
	}
	m := &Machine{Config: c, heap: newHeap(c.GPUs), races: c.Off&CheckRace == 0, events: 1, nextAgent: 1, lazy: 1, spare: newStorage()}
	m.peers = make([][]bool, c.GPUs)
	for i := range m.peers {
		m.peers[i] = make([]bool, c.GPUs)
	}
	m.rng = rng(c.Seed*0x9E3779B97F4A7C15 + 1)
	if c.Seed != 0 {
		m.lazy = []int{1, 3, 16, 64}[m.rng.next()%4]
	}
	return m
}

// rng is a xorshift generator: schedules must be the same everywhere.
type rng uint64

func (r *rng) next() uint64 {
	x := uint64(*r)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*r = rng(x)
	return x >> 11
}

// random draws from 0 to n-1; the plain schedule goes round instead.
func (m *Machine) random(n int) int {
	if n <= 1 {
		return 0
	}
	if m.Seed == 0 {
		m.rotate++
		return m.rotate % n
	}
	return int(m.rng.next() % uint64(n))
}

// chance is true once in n times, never in the plain schedule.
func (m *Machine) chance(n uint64) bool { return m.Seed != 0 && m.rng.next()%n == 0 }

// lanes lists the lanes of a mask in the order in which their atomics take effect.
func (m *Machine) lanes(mask uint32) []int {
	out := make([]int, 0, warpSize)
	for mm := mask; mm != 0; mm &= mm - 1 {
		out = append(out, lowest(mm))
	}
	if m.Seed != 0 {
		for i := len(out) - 1; i > 0; i-- {
			j := m.random(i + 1)
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// Alloc takes size bytes of a GPU's memory; nothing in them is defined. The address is a multiple of 512.
func (m *Machine) Alloc(gpu int, size int64) (uint64, error) {
	if gpu < 0 || gpu >= m.GPUs {
		return 0, setupError("GPU %d of %d", gpu, m.GPUs)
	}
	if size <= 0 || m.heap.used[gpu]+size > m.Memory {
		return 0, setupError("%d bytes on GPU %d, of which %d of %d are in use", size, gpu, m.heap.used[gpu], m.Memory)
	}
	return m.heap.alloc(gpu, int(size), fmt.Sprintf("allocation %d", len(m.heap.sorted))).base, nil
}

// Label names an allocation in reports.
func (m *Machine) Label(address uint64, name string) {
	if mem, inside := m.heap.find(address); inside && mem.base == address {
		mem.name = name
	}
}

// Free gives an allocation back. Its addresses stay unused, so later accesses are found.
func (m *Machine) Free(address uint64) error {
	mem, inside := m.heap.find(address)
	if !inside || mem.base != address {
		return setupError("free of %#x, which is no allocation", address)
	}
	mem.freed = true
	m.heap.used[mem.gpu] -= int64(mem.size)
	mem.data, mem.def, mem.cells, mem.parts, mem.sync = nil, nil, nil, nil, nil
	return nil
}

// EnablePeer lets kernels on one GPU reach another's memory.
func (m *Machine) EnablePeer(from, to int) error {
	if from < 0 || to < 0 || from >= m.GPUs || to >= m.GPUs || from == to {
		return setupError("peer access from GPU %d to GPU %d of %d", from, to, m.GPUs)
	}
	m.peers[from][to] = true
	return nil
}

func (m *Machine) span(address uint64, n int, what string) (*memory, int, error) {
	mem, inside := m.heap.find(address)
	if !inside || address-mem.base+uint64(n) > uint64(len(mem.data)) {
		return nil, 0, setupError("%s of %s", what, m.heap.outside(address, n))
	}
	return mem, int(address - mem.base), nil
}

// Write copies host bytes to the device, at once; the bytes are defined afterwards. Works that were started before, have
// not been waited for and touch them race with it: the error comes here or when they run.
func (m *Machine) Write(address uint64, data []byte) error {
	mem, off, err := m.span(address, len(data), "write")
	if err != nil {
		return err
	}
	if err := m.hostAccess(mem, off, len(data), true); err != nil {
		return err
	}
	copy(mem.data[off:], data)
	mem.define(off, len(data))
	return nil
}

// Read copies device memory to the host. Undefined bytes are delivered as they are: Defined tells.
func (m *Machine) Read(address uint64, data []byte) error {
	mem, off, err := m.span(address, len(data), "read")
	if err != nil {
		return err
	}
	if err := m.hostAccess(mem, off, len(data), false); err != nil {
		return err
	}
	copy(data, mem.data[off:])
	return nil
}

// Defined tells how many bytes from address on, n at most, were written by someone.
func (m *Machine) Defined(address uint64, n int) (int, error) {
	mem, off, err := m.span(address, n, "look")
	if err != nil {
		return 0, err
	}
	if i := mem.firstUndefined(off, n); i >= 0 {
		return i - off, nil
	}
	return n, nil
}

// Undefine makes memory as if freshly allocated: what a plan does with a buffer whose life has ended.
func (m *Machine) Undefine(address uint64, n int) error {
	mem, off, err := m.span(address, n, "poisoning")
	if err != nil {
		return err
	}
	fill(mem.data[off:off+n], poison)
	mem.undefine(off, n)
	return nil
}

// hostAccess checks an access by the host against works that it has not waited for.
func (m *Machine) hostAccess(mem *memory, off, n int, write bool) (err error) {
	if !m.races || len(m.works) == 0 || n == 0 {
		return nil
	}
	defer recoverError(&err)
	w := &Work{machine: m, id: m.nextWork, before: m.hostDone, label: "the host"}
	m.nextWork++
	m.place(w)
	d := m.newDomain(w, nil, 1, 1, false)
	w.touch(mem, off, n, write, d)
	m.hostDone = w.past // before what is started from now on
	return nil
}

func recoverError(err *error) {
	if r := recover(); r != nil {
		e, ok := r.(*Error)
		if !ok {
			panic(r)
		}
		*err = e
	}
}

// Program is a Module in the memory of one GPU.
type Program struct {
	module    *Module
	gpu       int
	addresses map[string]uint64
	bank      *memory // constants
}

// Load places a module's global variables and constants on a GPU.
func (m *Machine) Load(gpu int, mod *Module) (*Program, error) {
	if gpu < 0 || gpu >= m.GPUs {
		return nil, setupError("GPU %d of %d", gpu, m.GPUs)
	}
	p := &Program{module: mod, gpu: gpu, addresses: map[string]uint64{}}
	bank := constStart
	for _, v := range mod.variables {
		switch v.space {
		case spaceGlobal:
			p.addresses[v.name] = m.heap.alloc(gpu, v.size, "variable "+v.name).base
		case spaceConst:
			bank = max(bank, v.offset+v.size)
		}
	}
	p.bank = newMemory(constStart, bank-constStart, "constant bank")
	p.bank.define(0, len(p.bank.data))
	for _, v := range mod.variables {
		mem, off := p.bank, v.offset-constStart
		if v.space == spaceGlobal {
			mem, _ = m.heap.find(p.addresses[v.name])
			off = 0
		}
		if v.space == spaceGlobal || v.space == spaceConst {
			clear(mem.data[off : off+v.size]) // what has no initial value starts as zero
			mem.define(off, v.size)
			for _, i := range v.init {
				mem.put(off+i.offset, i.size, p.initial(i))
			}
		}
	}
	return p, nil
}

func (p *Program) initial(i initializer) uint64 {
	v := i.value
	if i.symbol == "" {
		return v
	}
	s := p.module.byName[i.symbol]
	if s.function != nil {
		return v + p.module.addressOf(s.function)
	}
	switch s.variable.space {
	case spaceGlobal:
		return v + p.addresses[i.symbol]
	case spaceConst:
		if i.generic {
			v += windowConst
		}
	case spaceShared:
		v += sharedStart
	}
	return v + uint64(s.variable.offset)
}

// Symbol gives the address and size of a global variable.
func (p *Program) Symbol(name string) (address uint64, size int, ok bool) {
	a, ok := p.addresses[name]
	if !ok {
		return 0, 0, false
	}
	return a, p.module.byName[name].variable.size, true
}
