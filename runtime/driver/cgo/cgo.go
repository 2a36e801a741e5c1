//go:build cgodriver

// Package cgo reaches NVIDIA GPUs through C: gorgonia.org/cu for what that covers of the driver, go-nvml for management,
// and direct.go for the rest. It is for sites that build with cgo, and for the race detector.
//
// A C compiler is all that building takes: cuda.h is ours and has just the names that are used, and trampolines.c stands
// for libcuda, which Open loads. Package cu finds the header by CGO_CFLAGS and, instead of the library that it links,
// an empty one by CGO_LDFLAGS; see gen.Environment. So the tag: without those flags package cu does not compile.
package cgo

import (
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"gorgonia.org/cu"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// cuda is a started driver.
type cuda struct {
	version int
	gpus    []cu.Device
	monitor *monitor // nil without management
}

// loaded is the library behind the trampolines, of which a process has one.
var loaded struct {
	sync.Mutex
	library, missing string
}

// Open loads and starts the driver, after nvidia.SetEnvironment. A process opens one library, as often as it likes.
func Open(from driver.Libraries) (driver.Driver, error) {
	nvidia.SetEnvironment()
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.library == "" {
		missing, err := loadLibrary(from.CUDA)
		if err != nil {
			return nil, nvidia.NoLibrary(err)
		}
		loaded.library, loaded.missing = from.CUDA, missing
	}
	if loaded.library != from.CUDA {
		return nil, &driver.Error{Message: fmt.Sprintf("%s cannot be loaded beside %s: give it a process of its own", from.CUDA, loaded.library)}
	}
	if loaded.missing == "cuDriverGetVersion" {
		return nil, nvidia.OtherLibrary(from.CUDA)
	}
	c := &cuda{version: cu.Version(), monitor: openMonitor(from.NVML)}
	if loaded.missing != "" {
		return nil, nvidia.Missing(c.version, loaded.missing)
	}
	if r := start(); r == nvidia.NoDevice {
		return c, nil
	} else if r != 0 {
		return nil, c.notStarted("cuInit", r)
	}
	return c, c.enumerate()
}

// enumerate fills in the GPUs.
func (c *cuda) enumerate() error {
	n, err := cu.NumDevices()
	if err != nil {
		return c.notStarted("cuDeviceGetCount", result(err))
	}
	c.gpus = make([]cu.Device, n)
	for i := range c.gpus {
		if c.gpus[i], err = cu.GetDevice(i); err != nil {
			return c.notStarted("cuDeviceGet", result(err))
		}
	}
	return nil
}

// result returns the number of an error of package cu, whose type it does not export.
func result(err error) nvidia.Result {
	if err == nil {
		return 0
	}
	return nvidia.Result(reflect.ValueOf(err).Int())
}

// notStarted is why the driver does not start.
func (c *cuda) notStarted(call string, r nvidia.Result) error {
	return nvidia.Names(name).NotStarted(call, r, c.Lost())
}

// failure returns the error of a call for a GPU, nil for success.
func failure(gpu int, what string, r nvidia.Result) error {
	return nvidia.Names(name).Failure(gpu, what, r)
}

func (c *cuda) Version() (int, string) { return c.version, c.monitor.release() }

func (c *cuda) Devices() int { return len(c.gpus) }

func (c *cuda) Lost() []int { return c.monitor.lost() }

func (c *cuda) Describe(gpu int) (info driver.Info, err error) {
	if gpu < 0 || gpu >= len(c.gpus) {
		return info, nvidia.NoGPU(gpu, len(c.gpus))
	}
	device := c.gpus[gpu]
	if info.Name, err = device.Name(); err != nil {
		return info, failure(gpu, "cuDeviceGetName", result(err))
	}
	bus, r := busOf(device)
	if r != 0 {
		return info, failure(gpu, "cuDeviceGetPCIBusId", r)
	}
	if info.Memory, err = device.TotalMem(); err != nil {
		return info, failure(gpu, "cuDeviceTotalMem", result(err))
	}
	var major, minor, l2 int
	for _, a := range []struct {
		number cu.DeviceAttribute
		to     *int
	}{{nvidia.DeviceCapMajor, &major}, {nvidia.DeviceCapMinor, &minor}, {nvidia.DeviceSMs, &info.SMs}, {nvidia.DeviceL2, &l2}, {nvidia.DeviceSharedOptIn, &info.Shared}} {
		if *a.to, err = device.Attribute(a.number); err != nil {
			return info, failure(gpu, "cuDeviceGetAttribute", result(err))
		}
	}
	info.Bus, info.Capability, info.L2 = bus, 10*major+minor, int64(l2)
	return info, nil
}

func (c *cuda) CanPeer(gpu, peer int) (bool, error) {
	for _, g := range []int{gpu, peer} {
		if _, err := c.Describe(g); err != nil {
			return false, err
		}
	}
	can, err := c.gpus[gpu].CanAccessPeer(c.gpus[peer])
	return can != 0, failure(gpu, "cuDeviceCanAccessPeer", result(err))
}

// as reads a handle as one of package cu, or the other way round: those are structures of one pointer.
func as[To, From any](handle From) To {
	if unsafe.Sizeof(handle) != unsafe.Sizeof(*new(To)) || unsafe.Sizeof(handle) != 8 {
		panic("BUG: a handle that is not one pointer")
	}
	return *(*To)(unsafe.Pointer(&handle))
}
