package device

import (
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
	workers []*worker
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
	need := driver.Need{GPUs: p.Manifest.Ranks, Capability: capability, Memory: p.Manifest.ArenaBytes + reserve, Peers: p.Manifest.Ranks > 1}
	devices, err := acquire(d, need)
	if err != nil {
		return nil, err
	}
	m := &machine{pieces: make(chan driver.Host, min(runtime.GOMAXPROCS(0), mostPieces))}
	for id, device := range devices {
		m.workers = append(m.workers, newWorker(id, device, t, p))
	}
	err = m.all((*worker).open)
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

// all has all workers do something at the same time, and returns the error of the first that has one.
func (m *machine) all(f func(*worker) error) (first error) {
	var calls []*call
	for _, w := range m.workers {
		calls = append(calls, w.begin(func() error { return f(w) }))
	}
	for _, c := range calls {
		if err := c.wait(); first == nil {
			first = err
		}
	}
	return first
}

func (m *machine) Run(part train.Part) error {
	return m.all(func(w *worker) error { return w.part(part, m.tap, m.timed) })
}

func (m *machine) SetTap(t host.Tap) { m.tap = t }

func (m *machine) Write(rank int, off int64, from []byte) error {
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
	w := m.workers[rank]
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

// Close ends the workers. What is pinned, allocated and loaded goes with the GPUs.
func (m *machine) Close() {
	m.all(func(w *worker) error { return w.device.Close() }) // after a fault there is nothing more to do about it
	for _, w := range m.workers {
		close(w.calls)
	}
	m.workers = nil
}
