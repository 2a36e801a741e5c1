package sim

import (
	"bytes"
	"syscall"

	"moegen/runtime/driver"
	"moegen/runtime/sim"
)

// device is one simulated GPU.
type device struct {
	*machine
	gpu     int
	info    driver.Info
	sizes   map[driver.Addr]int64 // of what is allocated
	used    int64
	streams []*stream
	capture *capture // under way; nil without
}

// enter begins a call: it takes the lock, which the caller gives back, and returns an error if the GPU is lost or
// the thread is not one that Bind has made the GPU's.
func (d *device) enter() error {
	d.mutex.Lock()
	d.called()
	if d.lost != nil {
		return d.lost
	}
	if gpu, ok := d.bound[syscall.Gettid()]; !ok || gpu != d.gpu {
		return refuse("this thread is not bound to GPU %d: lock the goroutine to its thread and call Bind", d.gpu)
	}
	return nil
}

// enterOutside is enter for calls that must not be made while a stream of the GPU is captured; they spoil it.
func (d *device) enterOutside(what string) error {
	if err := d.enter(); err != nil {
		return err
	}
	if d.capture != nil {
		d.capture.spoilt = true
		return refuse("%s is not possible while a stream is captured", what)
	}
	return nil
}

func (d *device) Info() driver.Info { return d.info }

func (d *device) Bind() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.bound[syscall.Gettid()] = d.gpu
	return nil
}

func (d *device) Sync() error {
	err := d.enterOutside("waiting for a GPU")
	defer d.mutex.Unlock()
	if err != nil {
		return err
	}
	for _, s := range d.streams {
		if err := d.wait(s.tail...); err != nil {
			return err
		}
	}
	return nil
}

func (d *device) Close() error {
	if err := d.Sync(); err != nil {
		return err
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for a := range d.sizes {
		if err := d.sim.Free(uint64(a)); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	d.gpus[d.gpu] = nil
	return nil
}

func (d *device) Memory() (free, total int64, err error) {
	err = d.enter()
	defer d.mutex.Unlock()
	return d.sim.Memory - d.used, d.sim.Memory, err
}

func (d *device) Alloc(n int64) (driver.Addr, error) {
	err := d.enterOutside("allocating memory")
	defer d.mutex.Unlock()
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, refuse("%d bytes cannot be allocated", n)
	}
	a, err := d.sim.Alloc(d.gpu, n)
	if err != nil {
		return 0, &driver.Error{Kind: driver.NoMemory, Message: "GPU has too little free memory: " + err.Error(), Cause: err}
	}
	d.sizes[driver.Addr(a)] = n
	d.used += n
	return driver.Addr(a), nil
}

func (d *device) Free(a driver.Addr) error {
	if err := d.Sync(); err != nil {
		return err
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	n, ok := d.sizes[a]
	if !ok {
		return refuse("nothing is allocated at %#x on GPU %d", uint64(a), d.gpu)
	}
	delete(d.sizes, a)
	d.used -= n
	return refused(d.sim.Free(uint64(a)))
}

func (d *device) AllocHost(n int64) (driver.Host, error) {
	if n <= 0 {
		return driver.Host{}, refuse("%d bytes cannot be pinned", n)
	}
	return d.pin(make([]byte, n), false)
}

func (d *device) FreeHost(h driver.Host) error { return d.unpin(h, false) }

func (d *device) Register(mapped []byte) (driver.Host, error) {
	if len(mapped) == 0 {
		return driver.Host{}, refuse("there is nothing to register in an empty mapping")
	}
	return d.pin(mapped, true)
}

func (d *device) Unregister(h driver.Host) error { return d.unpin(h, true) }

func (d *device) pin(memory []byte, readOnly bool) (driver.Host, error) {
	err := d.enterOutside("pinning memory")
	defer d.mutex.Unlock()
	if err != nil {
		return driver.Host{}, err
	}
	p := pinned{d.next, memory, readOnly}
	d.next += driver.Addr(len(memory)+1<<20) &^ (1<<12 - 1) // a gap after each
	d.host = append(d.host, p)
	return driver.Host{Bytes: memory, Addr: p.at}, nil
}

func (d *device) unpin(h driver.Host, readOnly bool) error {
	if err := d.Sync(); err != nil {
		return err
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for i, p := range d.host {
		if p.at == h.Addr && p.readOnly == readOnly {
			d.host = append(d.host[:i], d.host[i+1:]...)
			return nil
		}
	}
	return refuse("nothing is pinned at %#x", uint64(h.Addr))
}

func (d *device) Write(to driver.Addr, from []byte) error {
	err := d.enterOutside("writing from the host")
	defer d.mutex.Unlock()
	if err != nil || len(from) == 0 {
		return err
	}
	return d.hostAccess(d.sim.Write(uint64(to), from))
}

func (d *device) Read(to []byte, from driver.Addr) error {
	err := d.enterOutside("reading by the host")
	defer d.mutex.Unlock()
	if err != nil || len(to) == 0 {
		return err
	}
	return d.hostAccess(d.sim.Read(uint64(from), to))
}

// hostAccess is the error of a Read or Write: a race with work under way is a fault, all else is refused.
func (d *device) hostAccess(err error) error {
	if e, ok := err.(*sim.Error); ok && e.Kind != sim.Setup {
		return d.fault(err)
	}
	return refused(err)
}

func (d *device) EnablePeer(peer driver.Device) error {
	err := d.enter()
	defer d.mutex.Unlock()
	if err != nil {
		return err
	}
	other, ok := peer.(*device)
	if !ok || other.machine != d.machine {
		panic("BUG: a peer of another driver")
	}
	return refused(d.sim.EnablePeer(d.gpu, other.gpu))
}

func (d *device) Load(image []byte) (driver.Module, string, error) {
	err := d.enter()
	defer d.mutex.Unlock()
	if err != nil {
		return 0, "", err
	}
	if bytes.HasPrefix(image, []byte("\x7fELF")) {
		return 0, "", refuse("the simulator runs PTX text, and this is a cubin")
	}
	m, err := sim.Parse(string(image))
	if err != nil {
		return 0, "", refused(err)
	}
	p, err := d.sim.Load(d.gpu, m)
	if err != nil {
		return 0, "", refused(err)
	}
	d.modules = append(d.modules, &module{m, p})
	return driver.Module(len(d.modules)), "", nil
}

func (d *device) Unload(m driver.Module) error {
	if err := d.Sync(); err != nil {
		return err
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	_, err := d.module(m)
	if err == nil {
		d.modules[m-1] = nil
	}
	return err
}

func (d *device) module(m driver.Module) (*module, error) {
	if m == 0 || int(m) > len(d.modules) || d.modules[m-1] == nil {
		return nil, refuse("there is no module %d", m)
	}
	return d.modules[m-1], nil
}

func (d *device) Function(m driver.Module, name string, shared int) (*driver.Function, error) {
	err := d.enter()
	defer d.mutex.Unlock()
	if err != nil {
		return nil, err
	}
	p, err := d.module(m)
	if err != nil {
		return nil, err
	}
	e := p.Entry(name)
	if e == nil {
		return nil, refuse("the module has no kernel %s", name)
	}
	f := &driver.Function{Name: name, Handle: uintptr(m), Shared: shared, ParamBytes: e.ParamBytes(), Static: e.SharedBytes, MaxThreads: 1024}
	for _, n := range [][3]int{e.MaxThreads, e.ReqThreads} {
		if n[0] > 0 {
			f.MaxThreads = max(n[0], 1) * max(n[1], 1) * max(n[2], 1)
		}
	}
	if shared < 0 || shared+f.Static > d.info.Shared {
		return nil, refuse("kernel %s asks for %d bytes of shared memory beside %d static ones and a GPU has %d", name, shared, f.Static, d.info.Shared)
	}
	return f, nil
}

func (d *device) TensorMap(t *driver.Tensor) (driver.TensorMap, error) {
	if err := t.Check(); err != nil {
		return driver.TensorMap{}, err
	}
	m := sim.TensorMap{Type: int(t.Element), Address: uint64(t.Base), Swizzle: map[int]int{0: 0, 32: 1, 64: 2, 128: 3}[t.Swizzle]}
	for i, n := range t.Dims {
		m.Dims, m.Box = append(m.Dims, uint64(n)), append(m.Box, uint32(t.Box[i]))
	}
	for _, s := range t.Strides {
		m.Strides = append(m.Strides, uint64(s))
	}
	encoded, err := m.Encode()
	return encoded, refused(err)
}

func (d *device) Sensors() (driver.Sensors, error) {
	return driver.Sensors{}, refuse("a simulated GPU has no sensors")
}
