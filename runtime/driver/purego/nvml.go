package purego

import (
	"unsafe"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// nvml is the management library, started. A nil one answers that it knows nothing: management is a help, and
// no program depends on it.
type nvml struct {
	Init          uintptr `cu:"nvmlInit_v2"`
	DriverVersion uintptr `cu:"nvmlSystemGetDriverVersion"`
	Count         uintptr `cu:"nvmlDeviceGetCount_v2"`
	ByIndex       uintptr `cu:"nvmlDeviceGetHandleByIndex_v2"`
	ByBus         uintptr `cu:"nvmlDeviceGetHandleByPciBusId_v2"`
	Power         uintptr `cu:"nvmlDeviceGetPowerUsage"`
	PowerLimit    uintptr `cu:"nvmlDeviceGetEnforcedPowerLimit"`
	Energy        uintptr `cu:"nvmlDeviceGetTotalEnergyConsumption"`
	Temperature   uintptr `cu:"nvmlDeviceGetTemperature"`
	Clock         uintptr `cu:"nvmlDeviceGetClockInfo"`
	Throttle      uintptr `cu:"nvmlDeviceGetCurrentClocksEventReasons"`
	Rows          uintptr `cu:"nvmlDeviceGetRemappedRows"`
}

// openNVML starts the management library; nil without a usable one.
func openNVML(library string) *nvml {
	n := new(nvml)
	if missing, err := load(library, n); err != nil || missing != "" || call(n.Init) != 0 {
		return nil
	}
	return n
}

// release returns the name of the driver's release.
func (n *nvml) release() string {
	name := make([]byte, 96)
	if n == nil || call(n.DriverVersion, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name))) != 0 {
		return ""
	}
	return text(name)
}

// lost returns the numbers of the GPUs that do not answer.
func (n *nvml) lost() (gpus []int) {
	var count uint32
	if n == nil || call(n.Count, uintptr(unsafe.Pointer(&count))) != 0 {
		return nil
	}
	for i := range count {
		var handle uintptr
		if call(n.ByIndex, uintptr(i), uintptr(unsafe.Pointer(&handle))) == nvidia.NVMLLost {
			gpus = append(gpus, int(i))
		}
	}
	return gpus
}

// device returns the handle of the GPU at a PCI address, 0 without one. The driver's numbers of GPUs are others
// than NVML's, which sees them all.
func (n *nvml) device(bus string) (handle uintptr) {
	if n != nil {
		call(n.ByBus, uintptr(unsafe.Pointer(cString(bus))), uintptr(unsafe.Pointer(&handle)))
	}
	return handle
}

// sensors reads what the GPU has; what it does not have stays zero.
func (n *nvml) sensors(handle uintptr) driver.Sensors {
	// Values have 32 or 64 bits; of the former the upper half stays zero.
	read := func(function uintptr) (v uint64) {
		call(function, handle, uintptr(unsafe.Pointer(&v)))
		return v
	}
	readOf := func(function, which uintptr) (v uint64) {
		call(function, handle, which, uintptr(unsafe.Pointer(&v)))
		return v
	}
	var corrected, uncorrected, pending, failed uint32
	call(n.Rows, handle, uintptr(unsafe.Pointer(&corrected)), uintptr(unsafe.Pointer(&uncorrected)), uintptr(unsafe.Pointer(&pending)), uintptr(unsafe.Pointer(&failed)))
	return driver.Sensors{
		Power:       float64(read(n.Power)) / 1e3,
		PowerLimit:  float64(read(n.PowerLimit)) / 1e3,
		Energy:      float64(read(n.Energy)) / 1e3,
		Temperature: int(readOf(n.Temperature, nvidia.NVMLCore)),
		Clock:       int(readOf(n.Clock, nvidia.NVMLClockSM)),
		MemoryClock: int(readOf(n.Clock, nvidia.NVMLClockMemory)),
		Throttle:    read(n.Throttle),
		RowsPending: pending != 0,
		RowsFailed:  failed != 0,
	}
}
