package device

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"moegen/runtime/driver"
	"moegen/runtime/host"
	"moegen/runtime/train"
)

// reserve is the memory of a GPU that a program needs beside its arena: its kernels, and its graphs, of 2.2 KB a launch.
const reserve = 128 << 20

// machine is a program on its GPUs.
type machine struct {
	gpus    []*gpu
	workers []*worker        // one a rank; of a rehearsal the one that stands for all
	pieces  chan driver.Host // pinned memory through which bytes go to arenas and come from them
	tap     host.Tap
	timed   bool // kernels

	met   bool          // the ranks know each other
	limit time.Duration // that a part may take; 0: for ever
}

// pieceBytes is the size of a pinned piece: copies of 1 MiB go at four fifths of the full speed.
const pieceBytes = 1 << 20

// mostPieces is as many as one GPU's connection can be kept busy with.
const mostPieces = 16

// open takes the GPUs of a program and their memory. on names the GPU of each rank.
func open(d driver.Driver, t *target, p *train.Program, on []int) (*machine, error) {
	m := &machine{pieces: make(chan driver.Host, min(runtime.GOMAXPROCS(0), mostPieces))}
	if !t.device.simulated { // the simulator knows by itself when nothing can go on
		m.limit = t.timeout
	}
	if err := m.acquire(d, t, p, on); err != nil {
		return nil, err
	}
	var err error
	for _, g := range m.gpus {
		if err == nil {
			err = g.open(&t.code)
		}
	}
	if err == nil {
		err = m.all((*worker).open)
	}
	if err == nil && p.Manifest.Ranks > 1 {
		err = m.introduce(p)
	}
	if err == nil {
		err = m.workers[0].do(func() error {
			for range cap(m.pieces) {
				piece, err := m.workers[0].device.AllocHost(pieceBytes)
				if err != nil {
					return err
				}
				m.pieces <- piece
			}
			return nil
		})
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// running is how many of a program's ranks run.
func running(p *train.Program) int {
	if p.Rehearsed {
		return 1
	}
	return p.Manifest.Ranks
}

// acquire opens the GPUs, on a thread that ends: none of this process is bound to one by chance.
func (m *machine) acquire(d driver.Driver, t *target, p *train.Program, on []int) (err error) {
	numbers, most := needed(on)
	need := driver.Need{GPUs: len(numbers), On: numbers, Capability: capability, Memory: int64(most)*p.PeakBytes() + reserve, Peers: len(numbers) > 1}
	var devices []driver.Device
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		devices, err = driver.Acquire(d, need)
	}()
	<-done
	if err != nil {
		return err
	}
	for _, device := range devices {
		m.gpus = append(m.gpus, &gpu{device: device})
	}
	for id, number := range on {
		g := m.gpus[slices.Index(numbers, number)]
		w := newWorker(id, g, t, p)
		g.ranks, m.workers = append(g.ranks, w), append(m.workers, w)
	}
	return nil
}

// needed returns the GPUs that are named, each once, and how often one is named at most.
func needed(on []int) (numbers []int, most int) {
	times := map[int]int{}
	for _, number := range on {
		if times[number]++; times[number] == 1 {
			numbers = append(numbers, number)
		}
		most = max(most, times[number])
	}
	return numbers, most
}

// grace is how long ranks that were released have to come back.
const grace = 10 * time.Second

// all has all workers do something at the same time, and returns the first error. Where one fails, or the time is up, others may be
// waiting for it on their GPUs: they are released. One that does not come back all the same goes with the process.
func (m *machine) all(f func(*worker) error) (first error) {
	ended := make(chan *call, len(m.workers))
	for _, w := range m.workers {
		w.last = w.begin(func() error { return f(w) })
		go func(c *call) {
			<-c.done
			ended <- c
		}(w.last)
	}
	var late <-chan time.Time
	if m.limit > 0 && m.met {
		late = time.After(m.limit)
	}
	fail := func(err error) {
		if first == nil {
			first, late = err, time.After(grace)
			m.release()
		}
	}
	for left := len(m.workers); left > 0; {
		select {
		case c := <-ended:
			left--
			if c.fault != "" {
				m.release()
			}
			if err := c.wait(); err != nil {
				fail(err)
			}
		case <-late:
			if first != nil {
				return first
			}
			fail(m.hang())
		}
	}
	return first
}

// release ends all waiting of ranks for each other.
func (m *machine) release() {
	if !m.met {
		return
	}
	for _, g := range m.gpus {
		g.release() // after a fault there is nothing more to do about it
	}
}

// hang is the error of ranks that do not come to an end.
func (m *machine) hang() error {
	var stands []string
	for _, g := range m.gpus {
		passed, err := g.passed()
		if err != nil {
			return err
		}
		for i, w := range g.ranks {
			state := "waits at"
			if w.last.ended() {
				state = "has ended behind"
			}
			stands = append(stands, fmt.Sprintf("rank %d %s exchange %d", w.ID, state, passed[i]))
		}
	}
	slices.Sort(stands)
	return &driver.Error{Kind: driver.Lost, Message: fmt.Sprintf("the ranks have waited for each other for %v and were stopped (%s): see whether all GPUs are well, or give them longer with --timeout",
		m.limit, strings.Join(stands, ", "))}
}

// What a rank knows of all ranks: gpu.World says where it lies and what it means.
const (
	worldRanks = 32
	worldCount = 8*worldRanks + 12
	worldAbort = worldCount + 4
	worldBytes = 8*worldRanks + 128 + 4*worldRanks
)

// introduce tells every rank of the others. Nothing has been launched yet.
func (m *machine) introduce(p *train.Program) error {
	arena, _ := p.Arena()
	if behind := p.PeakBytes() - arena; p.Manifest.Ranks > worldRanks || behind < worldBytes {
		panic(fmt.Sprintf("BUG: device: %d bytes behind the arena for %d ranks", behind, p.Manifest.Ranks))
	}
	rehearsed := uint32(0)
	if p.Rehearsed {
		rehearsed = 1
	}
	err := m.all(func(w *worker) error {
		world := make([]byte, 0, worldBytes)
		for rank := range w.Ranks {
			world = binary.LittleEndian.AppendUint64(world, uint64(m.workers[min(rank, len(m.workers)-1)].arena))
		}
		world = world[:8*worldRanks]
		for _, x := range []uint32{uint32(w.ID), uint32(w.Ranks), rehearsed} {
			world = binary.LittleEndian.AppendUint32(world, x)
		}
		return w.device.Write(w.world(), world[:worldBytes])
	})
	m.met = err == nil && !p.Rehearsed
	return err
}

func (m *machine) Run(part train.Part) error {
	err := m.all(func(w *worker) error { return w.prepare(part, m.tap, m.timed) })
	if err == nil {
		err = m.all(func(w *worker) error { return w.start(part, m.tap, m.timed) })
	}
	if err == nil {
		err = m.all(func(w *worker) error { return w.finish(part, m.timed) })
	}
	return err
}

func (m *machine) SetTap(t host.Tap) { m.tap = t }

func (m *machine) Write(rank int, off int64, from []byte) error {
	if rank >= len(m.workers) {
		return nil // of a rehearsal
	}
	w := m.workers[rank]
	if w.input(off, from) {
		return nil
	}
	at := w.at(off, int64(len(from)))
	for piece := range slices.Chunk(from, pieceBytes) {
		pinned := <-m.pieces
		copy(pinned.Bytes, piece)
		err := w.do(func() error { return w.copy(at, pinned.Addr, len(piece)) })
		m.pieces <- pinned
		if err != nil {
			return err
		}
		at += driver.Addr(len(piece))
	}
	return nil
}

func (m *machine) Read(rank int, to []byte, off int64) error {
	w := m.workers[min(rank, len(m.workers)-1)]
	if w.result(to, off) {
		return nil
	}
	at := w.at(off, int64(len(to)))
	for piece := range slices.Chunk(to, pieceBytes) {
		pinned := <-m.pieces
		err := w.do(func() error { return w.copy(pinned.Addr, at, len(piece)) })
		copy(piece, pinned.Bytes)
		m.pieces <- pinned
		if err != nil {
			return err
		}
		at += driver.Addr(len(piece))
	}
	return nil
}

// Close ends the workers and gives up the GPUs, but for those that wait for a rank that failed: they go with the process. What is
// pinned, allocated and loaded goes with the GPUs.
func (m *machine) Close() {
	for _, g := range m.gpus {
		if slices.ContainsFunc(g.ranks, func(w *worker) bool { return w.last != nil && !w.last.ended() }) {
			continue
		}
		g.ranks[0].do(func() error {
			g.device.Bind()
			return g.device.Close() // after a fault there is nothing more to do about it
		})
		for _, w := range g.ranks {
			close(w.calls)
		}
	}
	m.gpus, m.workers = nil, nil
}
