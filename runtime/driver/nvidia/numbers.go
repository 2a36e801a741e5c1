// Package nvidia is what both ways into NVIDIA's driver share, driver/purego and driver/cgo: the numbers of its headers,
// how its errors are told, and how parameters of kernels lie.
package nvidia

import "os"

// Attributes of devices, functions and contexts, and other numbers of cuda.h.
const (
	DeviceSMs          = 16
	DeviceL2           = 38
	DeviceCapMajor     = 75
	DeviceCapMinor     = 76
	DeviceSharedOptIn  = 97
	FunctionMaxThreads = 0
	FunctionStatic     = 1
	FunctionLocal      = 3
	FunctionRegisters  = 4
	FunctionDynamic    = 8
	ContextBlocking    = 4 // waiting threads sleep
	StreamNonBlocking  = 1 // no order with the default stream
	EventBlocking      = 1
	EventNoTiming      = 2
	EventExternal      = 1 // a recording that becomes a node of the graph
	CaptureThreadLocal = 1
	HostPortable       = 1 // pinned for all contexts
	HostReadOnly       = 8
	JITInfoLog         = 3
	JITInfoLogBytes    = 4
	JITErrorLog        = 5
	JITErrorLogBytes   = 6
	JITVerbose         = 12
	JITSplitCompile    = 34 // value: threads; 0 means all cores
	Promote128         = 2  // L2 fetches of a tensor map
	LaunchCluster      = 4  // an attribute of a launch: x, y, z
	LaunchOverlap      = 6  // another: 1 (programmatic stream serialization)
)

// Swizzle is the number of a tensor map's swizzle, by its bytes.
var Swizzle = map[int]int{0: 0, 32: 1, 64: 2, 128: 3}

// Numbers of nvml.h.
const (
	NVMLLost        = 15 // nvmlReturn_t: the GPU has fallen off the bus or is otherwise inaccessible
	NVMLCore        = 0  // nvmlTemperatureSensors_t
	NVMLClockSM     = 1  // nvmlClockType_t
	NVMLClockMemory = 2
	NVMLSlowdown    = 1 // nvmlTemperatureThresholds_t
	NVMLSwitch      = 2 // nvmlIntNvLinkDeviceType_t
)

// MaxLinks is how many NVLinks an H100 has.
const MaxLinks = 18

// LogBytes is the room for a compiler's remarks and for its errors: some hundred bytes a kernel.
const LogBytes = 256 << 10

// MaxParams is how many parameters a launch can have.
const MaxParams = 64

// SetEnvironment sets two of the driver's environment variables where they are not set, before it is started: kernels
// are loaded with their module, since loading one at its first launch waits for kernels that may be waiting for it, and
// a GPU has 32 queues, so that streams do not wait for each other by sharing one.
func SetEnvironment() {
	for _, v := range [][2]string{{"CUDA_MODULE_LOADING", "EAGER"}, {"CUDA_DEVICE_MAX_CONNECTIONS", "32"}} {
		if _, set := os.LookupEnv(v[0]); !set {
			os.Setenv(v[0], v[1])
		}
	}
}
