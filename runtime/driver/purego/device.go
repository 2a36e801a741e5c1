package purego

import (
	"fmt"
	"unsafe"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// device is a GPU's primary context.
type device struct {
	*cuda
	gpu     int
	info    driver.Info
	context uintptr
	urgent  int32   // the highest stream priority
	monitor uintptr // NVML's handle; 0 without
}

func (c *cuda) Open(gpu int) (driver.Device, error) {
	info, err := c.Describe(gpu)
	if err != nil {
		return nil, err
	}
	d := &device{cuda: c, gpu: gpu, info: info, monitor: c.nvml.device(info.Bus)}
	id := uintptr(uint32(c.gpus[gpu]))
	if r := call(c.PrimarySetFlags, id, nvidia.ContextBlocking); r != 0 {
		return nil, d.failed("cuDevicePrimaryCtxSetFlags", r)
	}
	if r := call(c.PrimaryRetain, uintptr(unsafe.Pointer(&d.context)), id); r != 0 {
		return nil, d.failed("cuDevicePrimaryCtxRetain", r)
	}
	if err := d.Bind(); err != nil {
		return nil, err
	}
	var least int32
	if r := call(c.CtxPriorities, uintptr(unsafe.Pointer(&least)), uintptr(unsafe.Pointer(&d.urgent))); r != 0 {
		return nil, d.failed("cuCtxGetStreamPriorityRange", r)
	}
	return d, nil
}

// failed returns the error of a call for this GPU, nil for success.
func (d *device) failed(what string, r nvidia.Result) error { return d.failure(d.gpu, what, r) }

func (d *device) Info() driver.Info { return d.info }

func (d *device) Bind() error { return d.failed("cuCtxSetCurrent", call(d.CtxSetCurrent, d.context)) }

func (d *device) Sync() error { return d.failed("cuCtxSynchronize", call(d.CtxSynchronize)) }

func (d *device) Close() error {
	return d.failed("cuDevicePrimaryCtxRelease", call(d.PrimaryRelease, uintptr(uint32(d.gpus[d.gpu]))))
}

func (d *device) EnablePeer(peer driver.Device) error {
	other, ok := peer.(*device)
	if !ok {
		panic("BUG: a peer of another driver")
	}
	r := call(d.CtxEnablePeer, other.context, 0)
	if r == nvidia.PeerAlreadyEnabled {
		return nil
	}
	return d.failed(fmt.Sprintf("cuCtxEnablePeerAccess to GPU %d", other.gpu), r)
}

func (d *device) Sensors() (driver.Sensors, error) {
	if d.monitor == 0 {
		return driver.Sensors{}, nvidia.NoSensors(d.gpu)
	}
	return d.nvml.sensors(d.monitor), nil
}

func (d *device) NewEvent(timing bool) (driver.Event, error) {
	e := driver.Event{Timing: timing}
	flags := uintptr(nvidia.EventBlocking)
	if !timing {
		flags |= nvidia.EventNoTiming
	}
	r := call(d.EventCreate, uintptr(unsafe.Pointer(&e.Handle)), flags)
	return e, d.failed("cuEventCreate", r)
}

func (d *device) FreeEvent(e driver.Event) error {
	return d.failed("cuEventDestroy", call(d.EventDestroy, e.Handle))
}

func (d *device) Await(e driver.Event) error {
	return d.failed("cuEventSynchronize", call(d.EventSynchronize, e.Handle))
}

func (d *device) Elapsed(from, to driver.Event) (float64, error) {
	var ms float32
	r := call(d.EventElapsedTime, uintptr(unsafe.Pointer(&ms)), from.Handle, to.Handle)
	return float64(ms), d.failed("cuEventElapsedTime", r)
}

func (d *device) FreeGraph(g driver.Graph) error {
	return d.failed("cuGraphExecDestroy", call(d.GraphExecDestroy, uintptr(g)))
}
