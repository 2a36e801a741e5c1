// Package purego reaches NVIDIA GPUs through the driver's own libraries, libcuda and libnvidia-ml, which it loads
// at run time: a binary built with CGO_ENABLED=0 needs no toolkit and starts on machines without a GPU.
//
// Calls that are made once go through call, those of a Stream through argument lists that are made once, since
// the driver's functions take too many arguments for Go to pass them without allocating.
package purego

import (
	"fmt"
	"os"
	"unsafe"

	"moegen/runtime/driver"
)

// Libraries names the shared libraries that are loaded.
type Libraries struct {
	CUDA string // the driver
	NVML string // management; without it there are no Sensors, no release name and no list of lost GPUs
}

// System are the libraries that come with NVIDIA's driver.
var System = Libraries{CUDA: "libcuda.so.1", NVML: "libnvidia-ml.so.1"}

// cuda is a started driver.
type cuda struct {
	symbols
	version int
	gpus    []int32 // CUdevice of each GPU
	nvml    *nvml   // nil without management
}

// Open loads and starts the driver. It sets two of the driver's environment variables where they are not set:
// kernels are loaded with their module, since loading one at its first launch waits for kernels that may be
// waiting for it, and a GPU has 32 queues, so that streams do not wait for each other by sharing one.
func Open(from Libraries) (driver.Driver, error) {
	for _, v := range [][2]string{{"CUDA_MODULE_LOADING", "EAGER"}, {"CUDA_DEVICE_MAX_CONNECTIONS", "32"}} {
		if _, set := os.LookupEnv(v[0]); !set {
			os.Setenv(v[0], v[1])
		}
	}
	c := new(cuda)
	missing, err := load(from.CUDA, &c.symbols)
	if err != nil {
		return nil, &driver.Error{Kind: driver.NoDriver, Message: fmt.Sprintf("no NVIDIA driver on this machine (%v): install it, or run where nvidia-smi lists a GPU", err)}
	}
	if c.DriverGetVersion == 0 {
		return nil, &driver.Error{Kind: driver.NoDriver, Message: fmt.Sprintf("%s is not NVIDIA's driver: it has no cuDriverGetVersion", from.CUDA)}
	}
	c.nvml = openNVML(from.NVML)
	var version int32
	if r := call(c.DriverGetVersion, uintptr(unsafe.Pointer(&version))); r != 0 {
		return nil, c.startError("cuDriverGetVersion", r)
	}
	c.version = int(version)
	if missing != "" {
		return nil, &driver.Error{Kind: driver.OldDriver, Message: fmt.Sprintf("the NVIDIA driver, which serves CUDA %d.%d, has no %s: install driver release 550 or later", version/1000, version%1000/10, missing)}
	}
	if r := call(c.Init, 0); r != 0 && r != errorNoDevice {
		return nil, c.startError("cuInit", r)
	} else if r == 0 {
		err = c.enumerate()
	}
	return c, err
}

// startError is why the driver does not start.
func (c *cuda) startError(call string, r result) error {
	e := &driver.Error{Kind: driver.NoDriver, Code: int(r)}
	why := fmt.Sprintf("%s: %s", call, c.name(r))
	switch r {
	case errorDriverMismatch:
		e.Message = "the NVIDIA driver's library and kernel module are of different releases (" + why + "): restart the machine"
	case errorSystemNotReady:
		e.Message = "the NVIDIA driver is not ready (" + why + "): start nvidia-fabricmanager, or see its log"
	default:
		if lost := c.Lost(); len(lost) > 0 {
			e.Kind = driver.Lost
			e.Message = fmt.Sprintf("GPU %d (nvidia-smi's number) does not answer any more (%s): reset it or restart the machine, the kernel log has its Xid", lost[0], why)
		} else {
			e.Message = "the NVIDIA driver does not start (" + why + "): see whether nvidia-smi works"
		}
	}
	return e
}

// enumerate fills in the GPUs.
func (c *cuda) enumerate() error {
	var n int32
	if r := call(c.DeviceGetCount, uintptr(unsafe.Pointer(&n))); r != 0 {
		return c.startError("cuDeviceGetCount", r)
	}
	c.gpus = make([]int32, n)
	for i := range c.gpus {
		if r := call(c.DeviceGet, uintptr(unsafe.Pointer(&c.gpus[i])), uintptr(i)); r != 0 {
			return c.startError("cuDeviceGet", r)
		}
	}
	return nil
}

func (c *cuda) Version() (int, string) { return c.version, c.nvml.release() }

func (c *cuda) Devices() int { return len(c.gpus) }

func (c *cuda) Lost() []int { return c.nvml.lost() }

func (c *cuda) Describe(gpu int) (driver.Info, error) {
	if gpu < 0 || gpu >= len(c.gpus) {
		return driver.Info{}, &driver.Error{Kind: driver.NoGPU, Message: fmt.Sprintf("there is no GPU %d: the driver has %d", gpu, len(c.gpus))}
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
	}{{deviceCapMajor, &major}, {deviceCapMinor, &minor}, {deviceSMs, &info.SMs}, {deviceL2, &l2}, {deviceSharedOptIn, &info.Shared}} {
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
