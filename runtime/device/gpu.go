package device

import (
	"encoding/binary"
	"runtime"
	"sync"

	"moegen/runtime/driver"
)

// gpu is a GPU of a machine. It plays one rank, or several: all of them together wait for their peers with a block each, so
// there is room for all, and whoever gets a turn late finds the others waiting for it.
type gpu struct {
	device driver.Device
	ranks  []*worker
	module driver.Module
	before int64 // bytes that were free before anything was allocated

	preparing sync.Mutex // graphs are made for one rank at a time, before any of them runs
	aside     driver.Stream
	words     driver.Host // two of each of its ranks, and a one
}

// onThread calls f on a thread of its own that is bound to a device and ends behind it.
func onThread(device driver.Device, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := device.Bind()
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// open loads the kernels, and makes what it takes to talk to ranks that wait for each other.
func (g *gpu) open(code *Code) error {
	return onThread(g.device, func() (err error) {
		if g.before, _, err = g.device.Memory(); err != nil {
			return err
		}
		if g.module, err = code.load(g.device); err != nil {
			return err
		}
		if g.aside, err = g.device.NewStream(true); err != nil {
			return err
		}
		g.words, err = g.device.AllocHost(int64(4 + 4*len(g.ranks)))
		return err
	})
}

// passed reads how many barriers each rank has come to, while they run.
func (g *gpu) passed() (counts []uint32, err error) {
	err = onThread(g.device, func() error {
		for i, w := range g.ranks {
			if err := g.aside.Copy(g.words.Addr+driver.Addr(4+4*i), w.world()+worldCount, 4); err != nil {
				return err
			}
		}
		return g.aside.Sync()
	})
	for i := range g.ranks {
		counts = append(counts, binary.LittleEndian.Uint32(g.words.Bytes[4+4*i:]))
	}
	return counts, err
}

// release tells the ranks, while they run, that nobody is to wait for another any more.
func (g *gpu) release() error {
	return onThread(g.device, func() error {
		binary.LittleEndian.PutUint32(g.words.Bytes, 1)
		for _, w := range g.ranks {
			if err := g.aside.Copy(w.world()+worldAbort, g.words.Addr, 4); err != nil {
				return err
			}
		}
		return g.aside.Sync()
	})
}
