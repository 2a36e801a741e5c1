//go:build cgodriver

package cgo

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// device is a GPU's primary context.
type device struct {
	*cuda
	gpu     int
	info    driver.Info
	context cu.CUContext
	urgent  int // the highest stream priority
}

func (c *cuda) Open(gpu int) (driver.Device, error) {
	info, err := c.Describe(gpu)
	if err != nil {
		return nil, err
	}
	d := &device{cuda: c, gpu: gpu, info: info}
	if err := c.gpus[gpu].SetPrimaryCtxFlags(nvidia.ContextBlocking); err != nil {
		return nil, d.failed("cuDevicePrimaryCtxSetFlags", err)
	}
	if d.context, err = c.gpus[gpu].RetainPrimaryCtx(); err != nil {
		return nil, d.failed("cuDevicePrimaryCtxRetain", err)
	}
	if err := d.Bind(); err != nil {
		return nil, err
	}
	if _, d.urgent, err = cu.StreamPriorityRange(); err != nil {
		return nil, d.failed("cuCtxGetStreamPriorityRange", err)
	}
	return d, nil
}

// failed returns the error of a call of package cu for this GPU, nil for success.
func (d *device) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return failure(d.gpu, what, result(err))
}

func (d *device) Info() driver.Info { return d.info }

func (d *device) Bind() error { return d.failed("cuCtxSetCurrent", cu.SetCurrentContext(d.context)) }

func (d *device) Sync() error { return d.failed("cuCtxSynchronize", cu.Synchronize()) }

func (d *device) Close() error {
	return d.failed("cuDevicePrimaryCtxRelease", d.gpus[d.gpu].ReleasePrimaryCtx())
}

func (d *device) EnablePeer(peer driver.Device) error {
	other, ok := peer.(*device)
	if !ok {
		panic("BUG: a peer of another driver")
	}
	err := other.context.EnablePeerAccess(0)
	if result(err) == nvidia.PeerAlreadyEnabled {
		return nil
	}
	return d.failed(fmt.Sprintf("cuCtxEnablePeerAccess to GPU %d", other.gpu), err)
}

func (d *device) Sensors() (driver.Sensors, error) {
	handle, ok := d.monitor.device(d.info.Bus)
	if !ok {
		return driver.Sensors{}, nvidia.NoSensors(d.gpu)
	}
	return sensors(handle), nil
}

func (d *device) NewEvent(timing bool) (driver.Event, error) {
	flags := cu.EventFlags(nvidia.EventBlocking)
	if !timing {
		flags |= nvidia.EventNoTiming
	}
	e, err := cu.MakeEvent(flags)
	return driver.Event{Handle: as[uintptr](e), Timing: timing}, d.failed("cuEventCreate", err)
}

func (d *device) FreeEvent(e driver.Event) error {
	event := as[cu.Event](e.Handle)
	return d.failed("cuEventDestroy", cu.DestroyEvent(&event))
}

func (d *device) Await(e driver.Event) error {
	return d.failed("cuEventSynchronize", as[cu.Event](e.Handle).Synchronize())
}

func (d *device) Elapsed(from, to driver.Event) (float64, error) {
	ms, err := as[cu.Event](from.Handle).Elapsed(as[cu.Event](to.Handle))
	return ms, d.failed("cuEventElapsedTime", err)
}

func (d *device) FreeGraph(g driver.Graph) error {
	return d.failed("cuGraphExecDestroy", as[cu.ExecGraph](g).Destroy())
}

func (d *device) Memory() (free, total int64, err error) {
	free, total, err = cu.MemInfo()
	return free, total, d.failed("cuMemGetInfo", err)
}

func (d *device) Alloc(bytes int64) (driver.Addr, error) {
	a, err := cu.MemAlloc(bytes)
	return driver.Addr(a), d.failed(fmt.Sprintf("cuMemAlloc of %d bytes", bytes), err)
}

func (d *device) Free(a driver.Addr) error {
	return d.failed("cuMemFree", cu.MemFree(cu.DevicePtr(a)))
}

func (d *device) FreeHost(h driver.Host) error {
	return d.failed("cuMemFreeHost", cu.MemFreeHost(at(h.Bytes)))
}

func (d *device) Write(to driver.Addr, from []byte) error {
	if len(from) == 0 {
		return nil
	}
	err := cu.MemcpyHtoD(cu.DevicePtr(to), at(from), int64(len(from)))
	if err == nil {
		// From memory that is not pinned the call ends when the bytes are in a buffer of the driver's.
		err = cu.NoStream.Synchronize()
	}
	return d.failed(fmt.Sprintf("cuMemcpyHtoD of %d bytes", len(from)), err)
}

func (d *device) Read(to []byte, from driver.Addr) error {
	if len(to) == 0 {
		return nil
	}
	return d.failed(fmt.Sprintf("cuMemcpyDtoH of %d bytes", len(to)), cu.MemcpyDtoH(at(to), cu.DevicePtr(from), int64(len(to))))
}

// at is where bytes lie.
func at(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
