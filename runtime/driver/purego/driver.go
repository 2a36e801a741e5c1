// Package purego reaches NVIDIA GPUs through the driver's own libraries, libcuda and libnvidia-ml, which it loads
// at run time: a binary built with CGO_ENABLED=0 needs no toolkit and starts on machines without a GPU.
//
// Calls that are made once go through call, those of a Stream through argument lists that are made once, since
// the driver's functions take too many arguments for Go to pass them without allocating.
package purego

import (
	"unsafe"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// cuda is a started driver.
type cuda struct {
	symbols
	version int
	gpus    []int32 // CUdevice of each GPU
	nvml    *nvml   // nil without management
}

// Open loads and starts the driver, after nvidia.SetEnvironment.
func Open(from driver.Libraries) (driver.Driver, error) {
	nvidia.SetEnvironment()
	c := new(cuda)
	missing, err := load(from.CUDA, &c.symbols)
	if err != nil {
		return nil, nvidia.NoLibrary(err)
	}
	if c.DriverGetVersion == 0 {
		return nil, nvidia.OtherLibrary(from.CUDA)
	}
	c.nvml = openNVML(from.NVML)
	var version int32
	if r := call(c.DriverGetVersion, uintptr(unsafe.Pointer(&version))); r != 0 {
		return nil, c.notStarted("cuDriverGetVersion", r)
	}
	c.version = int(version)
	if missing != "" {
		return nil, nvidia.Missing(c.version, missing)
	}
	if r := call(c.Init, 0); r != 0 && r != nvidia.NoDevice {
		return nil, c.notStarted("cuInit", r)
	} else if r == 0 {
		err = c.enumerate()
	}
	return c, err
}

// notStarted is why the driver does not start.
func (c *cuda) notStarted(call string, r nvidia.Result) error {
	return nvidia.Names(c.name).NotStarted(call, r, c.Lost())
}

// failure returns the error of a call for a GPU, nil for success.
func (c *cuda) failure(gpu int, what string, r nvidia.Result) error {
	if r == 0 { // a method's value is on the heap
		return nil
	}
	return nvidia.Names(c.name).Failure(gpu, what, r)
}

// enumerate fills in the GPUs.
func (c *cuda) enumerate() error {
	var n int32
	if r := call(c.DeviceGetCount, uintptr(unsafe.Pointer(&n))); r != 0 {
		return c.notStarted("cuDeviceGetCount", r)
	}
	c.gpus = make([]int32, n)
	for i := range c.gpus {
		if r := call(c.DeviceGet, uintptr(unsafe.Pointer(&c.gpus[i])), uintptr(i)); r != 0 {
			return c.notStarted("cuDeviceGet", r)
		}
	}
	return nil
}

func (c *cuda) Version() (int, string) { return c.version, c.nvml.release() }

func (c *cuda) Devices() int { return len(c.gpus) }

func (c *cuda) Lost() []int { return c.nvml.lost() }

func (c *cuda) Describe(gpu int) (driver.Info, error) {
	if gpu < 0 || gpu >= len(c.gpus) {
		return driver.Info{}, nvidia.NoGPU(gpu, len(c.gpus))
	}
	id := uintptr(uint32(c.gpus[gpu]))
	var info driver.Info
	name, bus := make([]byte, 256), make([]byte, 32)
	if r := call(c.DeviceGetName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), id); r != 0 {
		return info, c.failure(gpu, "cuDeviceGetName", r)
	}
	if r := call(c.DeviceGetPCIBusID, uintptr(unsafe.Pointer(&bus[0])), uintptr(len(bus)), id); r != 0 {
		return info, c.failure(gpu, "cuDeviceGetPCIBusId", r)
	}
	if r := call(c.DeviceTotalMem, uintptr(unsafe.Pointer(&info.Memory)), id); r != 0 {
		return info, c.failure(gpu, "cuDeviceTotalMem", r)
	}
	info.Name, info.Bus = text(name), text(bus)
	var major, minor, l2 int
	for _, a := range []struct {
		number int
		to     *int
	}{{nvidia.DeviceCapMajor, &major}, {nvidia.DeviceCapMinor, &minor}, {nvidia.DeviceSMs, &info.SMs}, {nvidia.DeviceL2, &l2}, {nvidia.DeviceSharedOptIn, &info.Shared}} {
		var v int32
		if r := call(c.DeviceGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(a.number), id); r != 0 {
			return info, c.failure(gpu, "cuDeviceGetAttribute", r)
		}
		*a.to = int(v)
	}
	info.Capability, info.L2 = 10*major+minor, int64(l2)
	return info, nil
}

func (c *cuda) CanPeer(gpu, peer int) (bool, error) {
	for _, g := range []int{gpu, peer} {
		if _, err := c.Describe(g); err != nil {
			return false, err
		}
	}
	var can int32
	r := call(c.DeviceCanAccess, uintptr(unsafe.Pointer(&can)), uintptr(uint32(c.gpus[gpu])), uintptr(uint32(c.gpus[peer])))
	return can != 0, c.failure(gpu, "cuDeviceCanAccessPeer", r)
}
