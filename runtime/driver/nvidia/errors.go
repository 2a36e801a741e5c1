package nvidia

import (
	"fmt"
	"strings"

	"moegen/runtime/driver"
)

// Result is a CUresult; 0 is success.
type Result int32

// Results that mean something to the program.
const (
	InvalidValue       Result = 1
	OutOfMemory        Result = 2
	DeviceUnavailable  Result = 46
	NoDevice           Result = 100
	ECC                Result = 214
	NVLink             Result = 220
	Contained          Result = 226
	NotReady           Result = 600
	IllegalAddress     Result = 700
	LaunchTimeout      Result = 702
	PeerAlreadyEnabled Result = 704
	ContextDestroyed   Result = 709
	Assert             Result = 710
	HardwareStack      Result = 714
	LaunchFailed       Result = 719
	TensorMemoryLeak   Result = 721
	SystemNotReady     Result = 802
	DriverMismatch     Result = 803
	MPSTerminated      Result = 810
	Unknown            Result = 999
)

// lost tells whether a result means that the process has lost the GPU: every later call returns the same.
func (r Result) lost() bool {
	switch r {
	case ECC, NVLink, Contained, IllegalAddress, LaunchTimeout, ContextDestroyed, Assert, TensorMemoryLeak, MPSTerminated, Unknown:
		return true
	}
	return r >= HardwareStack && r <= LaunchFailed
}

// hardware tells whether a lost GPU was lost by its hardware, not by a kernel's fault.
func (r Result) hardware() bool {
	return r == ECC || r == NVLink || r == Contained || r == Unknown
}

// Names tells the driver's name of a result, "CUDA_ERROR_INVALID_VALUE".
type Names func(Result) string

// Failure returns the error of a call for a GPU, nil for success. what is the driver's function, and on what it
// was called where that says more.
func (n Names) Failure(gpu int, what string, r Result) error {
	if r == 0 {
		return nil
	}
	e := &driver.Error{Code: int(r)}
	why := fmt.Sprintf("%s: %s", what, n(r))
	switch {
	case r == OutOfMemory:
		e.Kind = driver.NoMemory
		e.Message = fmt.Sprintf("GPU %d has too little free memory (%s)", gpu, why)
	case r == DeviceUnavailable:
		e.Kind = driver.NoGPU
		e.Message = fmt.Sprintf("GPU %d is in use by another process that has it alone (%s): nvidia-smi lists it", gpu, why)
	case r.lost() && r.hardware():
		e.Kind = driver.Lost
		e.Message = fmt.Sprintf("GPU %d has failed (%s): the kernel log has its Xid; start again from the last checkpoint, on another GPU if it fails again", gpu, why)
	case r.lost():
		e.Kind = driver.Lost
		e.Message = fmt.Sprintf("GPU %d stopped at the fault of a kernel (%s): start again from the last checkpoint, and report it if it comes back", gpu, why)
	default:
		e.Message = fmt.Sprintf("GPU %d refuses %s", gpu, why)
	}
	return e
}

// NotStarted returns why the driver does not start: a call failed, and lost are the GPUs that do not answer.
func (n Names) NotStarted(call string, r Result, lost []int) error {
	e := &driver.Error{Kind: driver.NoDriver, Code: int(r)}
	why := fmt.Sprintf("%s: %s", call, n(r))
	switch {
	case r == DriverMismatch:
		e.Message = "the NVIDIA driver's library and kernel module are of different releases (" + why + "): restart the machine"
	case r == SystemNotReady:
		e.Message = "the NVIDIA driver is not ready (" + why + "): start nvidia-fabricmanager, or see its log"
	case len(lost) > 0:
		e.Kind = driver.Lost
		e.Message = fmt.Sprintf("GPU %d (nvidia-smi's number) does not answer any more (%s): reset it or restart the machine, the kernel log has its Xid", lost[0], why)
	default:
		e.Message = "the NVIDIA driver does not start (" + why + "): see whether nvidia-smi works"
	}
	return e
}

// NotPinned returns the error of pinning so many bytes of the host's memory, nil for success.
func (n Names) NotPinned(gpu int, bytes int64, r Result) error {
	what := fmt.Sprintf("cuMemHostAlloc of %d bytes", bytes)
	if r == OutOfMemory {
		return &driver.Error{Kind: driver.NoMemory, Code: int(r), Message: "this machine has too little memory to pin (" + what + "): see free -g and ulimit -l"}
	}
	return n.Failure(gpu, what, r)
}

// NotLoaded returns the error of loading a module, nil for success. message is the compiler's.
func (n Names) NotLoaded(gpu int, r Result, message string) error {
	if message = strings.TrimSpace(message); message != "" && r != 0 && !r.lost() && r != OutOfMemory {
		return &driver.Error{Code: int(r), Message: fmt.Sprintf("the driver's compiler refuses the kernels (%s): %s", n(r), message)}
	}
	return n.Failure(gpu, "cuModuleLoadDataEx", r)
}

// Unnamed is what a result is called that the driver has no name for.
func Unnamed(r Result) string { return fmt.Sprintf("CUDA error %d", r) }

// NoLibrary returns the error of a machine where the driver's library cannot be loaded.
func NoLibrary(why any) error {
	return &driver.Error{Kind: driver.NoDriver, Message: fmt.Sprintf("no NVIDIA driver on this machine (%v): install it, or run where nvidia-smi lists a GPU", why)}
}

// OtherLibrary returns the error of a library that is not the driver's.
func OtherLibrary(path string) error {
	return &driver.Error{Kind: driver.NoDriver, Message: fmt.Sprintf("%s is not NVIDIA's driver: it has no cuDriverGetVersion", path)}
}

// Missing returns the error of a driver that serves a version of CUDA and lacks a function.
func Missing(version int, function string) error {
	return &driver.Error{Kind: driver.OldDriver, Message: fmt.Sprintf("the NVIDIA driver, which serves CUDA %d.%d, has no %s: install driver release 550 or later", version/1000, version%1000/10, function)}
}

// NoGPU returns the error of a GPU beyond the last.
func NoGPU(gpu, have int) error {
	return &driver.Error{Kind: driver.NoGPU, Message: fmt.Sprintf("there is no GPU %d: the driver has %d", gpu, have)}
}

// NoSensors returns the error of a GPU that the management library does not know.
func NoSensors(gpu int) error {
	return &driver.Error{Message: fmt.Sprintf("GPU %d shows no sensors: %s is not there or does not know it", gpu, driver.System.NVML)}
}

// NothingToRegister returns the error of an empty mapping.
func NothingToRegister() error {
	return &driver.Error{Message: "there is nothing to register in an empty mapping"}
}
