package device

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"

	"moegen/runtime/driver"
	"moegen/runtime/host"
	"moegen/runtime/train"
)

// reserve is the memory of a GPU that a program needs beside its arena: its kernels, and its graphs, of 2.2 KB a launch.
const reserve = 128 << 20

// machine is a program on its GPUs.
type machine struct {
	workers []*worker        // one a rank; of a rehearsal the one that stands for all
	pieces  chan driver.Host // pinned memory through which bytes go to arenas and come from them
	tap     host.Tap
	timed   bool // kernels
}

// pieceBytes is the size of a pinned piece: copies of 1 MiB go at four fifths of the full speed.
const pieceBytes = 1 << 20

// mostPieces is as many as one GPU's connection can be kept busy with.
const mostPieces = 16

// open takes the GPUs of a program and their memory.
func open(d driver.Driver, t *target, p *train.Program) (*machine, error) {
	gpus := gpus(p)
	need := driver.Need{GPUs: gpus, Capability: capability, Memory: p.Manifest.PeakBytesPerGPU + reserve, Peers: gpus > 1}
	devices, err := acquire(d, need)
	if err != nil {
		return nil, err
	}
	m := &machine{pieces: make(chan driver.Host, min(runtime.GOMAXPROCS(0), mostPieces))}
	for id, device := range devices {
		m.workers = append(m.workers, newWorker(id, device, t, p))
	}
	err = m.all((*worker).open)
	if err == nil && p.Manifest.Ranks > 1 {
		err = m.introduce(p)
	}
	if err == nil {
		err = m.workers[0].do(func() error {
			for range cap(m.pieces) {
				piece, err := devices[0].AllocHost(pieceBytes)
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

// gpus is how many GPUs a program runs on.
func gpus(p *train.Program) int {
	if p.Rehearsed {
		return 1
	}
	return p.Manifest.Ranks
}

// acquire opens the GPUs, on a thread that ends: none of this process is bound to one by chance.
func acquire(d driver.Driver, need driver.Need) (devices []driver.Device, err error) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		devices, err = driver.Acquire(d, need)
	}()
	<-done
	return devices, err
}

// all has all workers do something at the same time. It returns the first error as soon as there is one: the others may
// be waiting for the rank that failed, and will for ever.
func (m *machine) all(f func(*worker) error) error {
	ended := make(chan *call, len(m.workers))
	for _, w := range m.workers {
		w.last = w.begin(func() error { return f(w) })
		go func(c *call) {
			<-c.done
			ended <- c
		}(w.last)
	}
	for range m.workers {
		if err := (<-ended).wait(); err != nil {
			return err
		}
	}
	return nil
}

// introduce tells every rank of the others: what gpu.World says lies behind its arena. Nothing has been launched yet.
func (m *machine) introduce(p *train.Program) error {
	rehearsed := uint32(0)
	if p.Rehearsed {
		rehearsed = 1
	}
	return m.all(func(w *worker) error {
		var world []byte
		for rank := range w.Ranks {
			world = binary.LittleEndian.AppendUint64(world, uint64(m.workers[min(rank, len(m.workers)-1)].arena))
		}
		for _, x := range []uint32{uint32(w.ID), rehearsed, 0, 0} {
			world = binary.LittleEndian.AppendUint32(world, x)
		}
		world = append(world, make([]byte, 4*w.Ranks)...) // the flags
		if room := p.Manifest.PeakBytesPerGPU - p.Manifest.ArenaBytes; int64(len(world)) > room {
			panic(fmt.Sprintf("BUG: device: %d bytes behind the arena for what takes %d", room, len(world)))
		}
		return w.device.Write(w.world(), world)
	})
}

func (m *machine) Run(part train.Part) error {
	return m.all(func(w *worker) error { return w.part(part, m.tap, m.timed) })
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

// Close ends the workers, but for those that wait for a rank that failed: they go with the process. What is pinned,
// allocated and loaded goes with the GPUs.
func (m *machine) Close() {
	m.workers = slices.DeleteFunc(m.workers, func(w *worker) bool { return w.last != nil && !w.last.ended() })
	m.all(func(w *worker) error { return w.device.Close() }) // after a fault there is nothing more to do about it
	for _, w := range m.workers {
		close(w.calls)
	}
	m.workers = nil
}
