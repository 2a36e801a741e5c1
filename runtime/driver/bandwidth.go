package driver

import "runtime"

// How Bandwidths copies: so many bytes, so often after a first time.
const (
	copyBytes = 256 << 20
	copyTimes = 3
)

// Bandwidths opens all GPUs and measures what single copies between them reach, in bytes a second: row i has those from GPU
// i to every other, and on the diagonal the one from pinned host memory to it. It takes 256 MiB of every GPU, and as much of
// the host, beside what Open takes, and gives all of it back.
func Bandwidths(d Driver) (rates [][]int64, err error) {
	done := make(chan struct{})
	go func() { // on a thread that ends: none is left bound to a GPU
		runtime.LockOSThread()
		defer close(done)
		rates, err = bandwidths(d)
	}()
	<-done
	return rates, err
}

func bandwidths(d Driver) (rates [][]int64, err error) {
	var meters []*meter
	defer func() {
		for _, m := range meters {
			if closed := m.close(); err == nil {
				err = closed
			}
		}
	}()
	for gpu := range d.Devices() {
		device, err := d.Open(gpu)
		if err != nil {
			return nil, err
		}
		m := &meter{device: device}
		meters = append(meters, m)
		if err := m.prepare(); err != nil {
			return nil, err
		}
	}
	for i, from := range meters {
		row := make([]int64, len(meters))
		for j, to := range meters {
			if err := from.reach(d, i, j, to.device); err != nil {
				return nil, err
			}
			source := from.at
			if i == j {
				source = from.host.Addr
			}
			if row[j], err = from.rate(to.at, source); err != nil {
				return nil, err
			}
		}
		rates = append(rates, row)
	}
	return rates, nil
}

// meter is an open GPU with what it takes to time copies.
type meter struct {
	device     Device
	at         Addr // of copyBytes of its memory
	host       Host // as much of the host's
	stream     Stream
	begin, end Event
}

func (m *meter) prepare() (err error) {
	if m.at, err = m.device.Alloc(copyBytes); err != nil {
		return err
	}
	if m.host, err = m.device.AllocHost(copyBytes); err != nil {
		return err
	}
	if m.stream, err = m.device.NewStream(false); err != nil {
		return err
	}
	if m.begin, err = m.device.NewEvent(true); err != nil {
		return err
	}
	m.end, err = m.device.NewEvent(true)
	return err
}

// close gives everything back.
func (m *meter) close() error {
	if err := m.device.Bind(); err != nil {
		return err
	}
	for _, e := range []Event{m.begin, m.end} {
		if e.Handle != 0 {
			if err := m.device.FreeEvent(e); err != nil {
				return err
			}
		}
	}
	if m.stream != nil {
		if err := m.stream.Close(); err != nil {
			return err
		}
	}
	if m.host.Bytes != nil {
		if err := m.device.FreeHost(m.host); err != nil {
			return err
		}
	}
	if m.at != 0 {
		if err := m.device.Free(m.at); err != nil {
			return err
		}
	}
	return m.device.Close()
}

// reach makes the GPU ready to copy to another: directly if they are peers, else the driver goes through the host.
func (m *meter) reach(d Driver, own, other int, peer Device) error {
	if err := m.device.Bind(); err != nil || own == other {
		return err
	}
	if can, err := d.CanPeer(own, other); err != nil || !can {
		return err
	}
	return m.device.EnablePeer(peer)
}

// rate returns the bytes a second of the fastest of several copies.
func (m *meter) rate(to, from Addr) (best int64, err error) {
	for i := range 1 + copyTimes {
		for _, err := range []error{m.stream.Record(m.begin), m.stream.Copy(to, from, copyBytes), m.stream.Record(m.end), m.stream.Sync()} {
			if err != nil {
				return 0, err
			}
		}
		ms, err := m.device.Elapsed(m.begin, m.end)
		if err != nil {
			return 0, err
		}
		if i > 0 && ms > 0 { // the first sets up what later ones have
			best = max(best, int64(copyBytes/ms*1e3))
		}
	}
	return best, nil
}
