package host

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// Config says what a Machine is made of.
type Config struct {
	Ranks        int
	ArenaBytes   int64 // of each rank
	FoldedBytes  int64 // offset ArenaBytes + i means as much as ArenaBytes − FoldedBytes + i: another name for the last bytes
	RecordOffset int64 // where the step record lies in the arena
	Cores        int   // shared out to the ranks, at least one each; 0: all that the process may use
}

// Machine is the cpu target's device: n ranks as goroutines of this process, each with an arena of its own and its share
// of the cores. It serves one caller at a time.
type Machine struct {
	config Config
	ranks  []*Rank
	gate   *barrier
	counts [][]int32 // [source rank][destination rank]: tokens sent, see DispatchPlan
	tap    Tap
}

// Tap receives values that a program names as it runs, from all ranks at the same time. The slice is the program's own
// buffer: whoever wants to keep it copies it before returning.
type Tap interface {
	F32(rank int, name string, layer int, x []float32)
	I32(rank int, name string, layer int, x []int32)
}

// Rank is one rank of a Machine, as the program that runs on it sees it.
type Rank struct {
	ID    int
	Ranks int
	Pool  *Pool

	machine *Machine
	arena   []byte
	cursor  []int32 // [Ranks], see DispatchPlan
}

// Open allocates the arenas, all of their memory at once, and starts the ranks' pools. It fails when the memory is not
// there. Close gives everything back.
func Open(config Config) (*Machine, error) {
	if config.Ranks < 1 || config.ArenaBytes < config.RecordOffset+4*RecordLen || config.RecordOffset < 0 {
		panic(fmt.Sprintf("BUG: host.Open: %+v", config))
	}
	if config.Cores == 0 {
		config.Cores = runtime.GOMAXPROCS(0)
	}
	if need, free := config.ArenaBytes*int64(config.Ranks), freeMemory(); need > free {
		return nil, fmt.Errorf("the program needs %.2f GiB of memory (%.2f GiB for each of %d ranks) and this machine has %.2f GiB free: "+
			"build with fewer or smaller micro-batches, or run on a larger machine",
			gib(need), gib(config.ArenaBytes), config.Ranks, gib(free))
	}
	m := &Machine{config: config, gate: newBarrier(config.Ranks)}
	for id := range config.Ranks {
		arena, err := mapArena(config.ArenaBytes)
		if err != nil {
			m.Close()
			return nil, fmt.Errorf("rank %d: no memory for an arena of %.2f GiB: %w", id, gib(config.ArenaBytes), err)
		}
		m.ranks = append(m.ranks, &Rank{
			ID: id, Ranks: config.Ranks, Pool: NewPool(coresOf(id, config)),
			machine: m, arena: arena, cursor: make([]int32, config.Ranks),
		})
		m.counts = append(m.counts, make([]int32, config.Ranks))
	}
	return m, nil
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

// coresOf shares out the cores as evenly as they go.
func coresOf(rank int, c Config) int {
	return max(1, (rank+1)*c.Cores/c.Ranks-rank*c.Cores/c.Ranks)
}

// Close ends the ranks and gives their memory back. No view of an arena may be used any more.
func (m *Machine) Close() {
	for _, r := range m.ranks {
		r.Pool.Close()
		unmapArena(r.arena)
	}
	m.ranks = nil
}

// SetTap hands what the program names with TapF32 and TapI32 to t from now on; nil: to nobody.
func (m *Machine) SetTap(t Tap) { m.tap = t }

// Bytes is the view of n bytes of a rank's arena from offset off on.
func (m *Machine) Bytes(rank int, off, n int64) []byte { return m.ranks[rank].bytes(off, n) }

// Run runs f on all ranks at the same time and returns when all have returned. When a rank panics, the others are
// released from any collective they wait in, and Run panics with the first rank's *RankPanic.
func (m *Machine) Run(f func(*Rank)) {
	m.gate = newBarrier(len(m.ranks))
	var all sync.WaitGroup
	for _, r := range m.ranks {
		all.Go(func() { m.run(r, f) })
	}
	all.Wait()
	if m.gate.cause != nil {
		panic(m.gate.cause)
	}
}

func (m *Machine) run(r *Rank, f func(*Rank)) {
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover()
		if value == nil {
			value = "the rank's goroutine exited" // runtime.Goexit, as testing's FailNow does
		}
		m.gate.fail(&RankPanic{Rank: r.ID, Value: value, Stack: debug.Stack()})
	}()
	f(r)
	returned = true
}

// RankPanic is what Run panics with: the panic of the rank that was first to fail.
type RankPanic struct {
	Rank  int
	Value any // what the rank panicked with
	Stack []byte
}

// Error names the rank and has its message and stack.
func (p *RankPanic) Error() string {
	return fmt.Sprintf("rank %d: %v\n\nrank stack:\n%s", p.Rank, p.Value, p.Stack)
}

// Unwrap returns the rank's value when it was an error.
func (p *RankPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// F32 is the view of n float32 of the arena from byte offset off on.
func (r *Rank) F32(off int64, n int) []float32 { return view[float32](r, off, n) }

// I32 is the view of n int32 of the arena from byte offset off on.
func (r *Rank) I32(off int64, n int) []int32 { return view[int32](r, off, n) }

// F64 is the view of n float64 of the arena from byte offset off on.
func (r *Rank) F64(off int64, n int) []float64 { return view[float64](r, off, n) }

// number is what arenas hold.
type number interface{ float32 | int32 | float64 }

func view[E number](r *Rank, off int64, n int) []E {
	var e E
	size := int64(unsafe.Sizeof(e))
	b := r.bytes(off, int64(n)*size)
	if off%size != 0 {
		panic(fmt.Sprintf("BUG: host: arena offset %d is no multiple of %d", off, size))
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*E)(unsafe.Pointer(&b[0])), n)
}

func (r *Rank) bytes(off, n int64) []byte {
	if off >= int64(len(r.arena)) {
		off -= r.machine.config.FoldedBytes
	}
	if off < 0 || n < 0 || off > int64(len(r.arena))-n {
		panic(fmt.Sprintf("BUG: host: %d bytes at offset %d of an arena of %d", n, off, len(r.arena)))
	}
	return r.arena[off : off+n : off+n]
}

// Peer is the slice of another rank's arena that lies where x lies in r's. Whoever reads it must know, by a
// barrier, that it has been written.
func Peer[E number](r *Rank, rank int, x []E) []E {
	if len(x) == 0 {
		return nil
	}
	at := uintptr(unsafe.Pointer(&x[0]))
	base := uintptr(unsafe.Pointer(&r.arena[0]))
	if at < base || at-base >= uintptr(len(r.arena)) {
		panic("BUG: host.Peer: the slice is not in the rank's arena")
	}
	return view[E](r.machine.ranks[rank], int64(at-base), len(x))
}

// Accumulate says whether this micro-batch adds to the gradients (the record's word) or overwrites them.
func (r *Rank) Accumulate() bool {
	return r.F32(r.machine.config.RecordOffset, RecordLen)[RecordAccumulate] != 0
}

// TapF32 names a value for the machine's Tap, if there is one.
func (r *Rank) TapF32(name string, layer int, x []float32) {
	if t := r.machine.tap; t != nil {
		t.F32(r.ID, name, layer, x)
	}
}

// TapI32 names a value for the machine's Tap, if there is one.
func (r *Rank) TapI32(name string, layer int, x []int32) {
	if t := r.machine.tap; t != nil {
		t.I32(r.ID, name, layer, x)
	}
}
