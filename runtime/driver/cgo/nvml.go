//go:build cgodriver

package cgo

import (
	"github.com/NVIDIA/go-nvml/pkg/dl"
	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"moegen/runtime/driver"
)

// monitor is the management library, started. A nil one answers that it knows nothing: management is a help, and
// no program depends on it.
type monitor struct{ nvml.Interface }

// monitored are the functions that are called. A call of one that a library lacks ends the process, so all of them are
// looked for before.
var monitored = []string{
	"nvmlInit_v2", "nvmlSystemGetDriverVersion", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByPciBusId_v2",
	"nvmlDeviceGetPowerUsage", "nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetTemperature",
	"nvmlDeviceGetClockInfo", "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetRemappedRows",
}

// openMonitor starts the management library; nil without a usable one.
func openMonitor(library string) *monitor {
	file := dl.New(library, dl.RTLD_LAZY|dl.RTLD_GLOBAL)
	if file.Open() != nil {
		return nil
	}
	for _, name := range monitored {
		if file.Lookup(name) != nil {
			return nil
		}
	}
	m := &monitor{nvml.New(nvml.WithLibraryPath(library))}
	if m.Init() != nvml.SUCCESS {
		return nil
	}
	return m
}

// release returns the name of the driver's release.
func (m *monitor) release() string {
	if m == nil {
		return ""
	}
	name, r := m.SystemGetDriverVersion()
	if r != nvml.SUCCESS {
		return ""
	}
	return name
}

// lost returns the numbers of the GPUs that do not answer.
func (m *monitor) lost() (gpus []int) {
	if m == nil {
		return nil
	}
	count, r := m.DeviceGetCount()
	if r != nvml.SUCCESS {
		return nil
	}
	for i := range count {
		if _, r := m.DeviceGetHandleByIndex(i); r == nvml.ERROR_GPU_IS_LOST {
			gpus = append(gpus, i)
		}
	}
	return gpus
}

// device returns the GPU at a PCI address, if there is one. The driver's numbers of GPUs are others than NVML's, which
// sees them all.
func (m *monitor) device(bus string) (nvml.Device, bool) {
	if m == nil {
		return nil, false
	}
	d, r := m.DeviceGetHandleByPciBusId(bus)
	return d, r == nvml.SUCCESS
}

// sensors reads what the GPU has; what it does not have is zero.
func sensors(d nvml.Device) driver.Sensors {
	power, _ := d.GetPowerUsage()
	limit, _ := d.GetEnforcedPowerLimit()
	energy, _ := d.GetTotalEnergyConsumption()
	heat, _ := d.GetTemperature(nvml.TEMPERATURE_GPU)
	clock, _ := d.GetClockInfo(nvml.CLOCK_SM)
	memory, _ := d.GetClockInfo(nvml.CLOCK_MEM)
	reasons, _ := d.GetCurrentClocksEventReasons()
	_, _, pending, failed, _ := d.GetRemappedRows()
	return driver.Sensors{
		Power: float64(power) / 1e3, PowerLimit: float64(limit) / 1e3, Energy: float64(energy) / 1e3, Temperature: int(heat),
		Clock: int(clock), MemoryClock: int(memory), Throttle: reasons, RowsPending: pending, RowsFailed: failed,
	}
}
