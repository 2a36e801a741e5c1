//go:build cgodriver

package cgo

import (
	"github.com/NVIDIA/go-nvml/pkg/dl"
	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
	"moegen/runtime/health"
)

// inspected are the functions of the management library that only Inspect calls. Those that a release does not have are
// not called, and what they would tell stays unknown.
var inspected = []string{
	"nvmlDeviceGetName", "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetCudaComputeCapability", "nvmlDeviceGetMaxClockInfo",
	"nvmlDeviceGetApplicationsClock", "nvmlDeviceGetDefaultApplicationsClock", "nvmlDeviceGetPowerManagementDefaultLimit",
	"nvmlDeviceGetPowerManagementLimitConstraints", "nvmlDeviceGetTemperatureThreshold", "nvmlDeviceGetEccMode", "nvmlDeviceGetTotalEccErrors",
	"nvmlDeviceGetCurrPcieLinkGeneration", "nvmlDeviceGetMaxPcieLinkGeneration", "nvmlDeviceGetCurrPcieLinkWidth", "nvmlDeviceGetMaxPcieLinkWidth",
	"nvmlDeviceGetNvLinkState", "nvmlDeviceGetNvLinkRemotePciInfo_v2", "nvmlDeviceGetNvLinkRemoteDeviceType", "nvmlDeviceGetNvLinkVersion",
	"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlSystemGetProcessName",
}

// inspector is the management library as Inspect uses it.
type inspector struct {
	*monitor
	has map[string]bool // which of inspected there are
}

// Inspect reads what a driver, that open reaches, and the management library show of a machine. It takes no memory of a
// GPU and disturbs nothing that runs.
func Inspect(open driver.Opener, from driver.Libraries) health.GPUs {
	found := health.GPUs{NCCL: nvidia.NCCLVersion(ncclVersion(from.NCCL))}
	found.Driver.Found = dl.New(from.CUDA, dl.RTLD_LAZY).Open() == nil
	if m := openMonitor(from.NVML); m != nil {
		found.Driver.Management, found.Driver.Release = true, m.release()
		i := &inspector{m, map[string]bool{}}
		for _, name := range inspected {
			i.has[name] = m.Extensions().LookupSymbol(name) == nil
		}
		found.GPUs = i.gpus()
	}
	return nvidia.Inspect(open, from, found)
}

// gpus reads all GPUs of the machine, also those that the CUDA driver hides.
func (n *inspector) gpus() []health.GPU {
	var list []health.GPU
	count, _ := n.DeviceGetCount()
	for i := range count {
		g := health.GPU{Number: i, Ordinal: -1}
		if d, r := n.DeviceGetHandleByIndex(i); r != nvml.SUCCESS {
			g.Lost = true
		} else {
			n.read(&g, d)
		}
		list = append(list, g)
	}
	return list
}

// read reads one GPU.
func (n *inspector) read(g *health.GPU, d nvml.Device) {
	s := sensors(d)
	if n.has["nvmlDeviceGetName"] {
		g.Name, _ = d.GetName()
	}
	if n.has["nvmlDeviceGetPciInfo_v3"] {
		pci, _ := d.GetPciInfo()
		g.Bus = busName(pci)
	}
	if n.has["nvmlDeviceGetMemoryInfo_v2"] {
		if m, r := d.GetMemoryInfo_v2(); r == nvml.SUCCESS {
			g.MemoryBytes, g.FreeBytes, g.UsedBytes = int64(m.Total-m.Reserved), int64(m.Free), int64(m.Used)
		}
	}
	if n.has["nvmlDeviceGetCudaComputeCapability"] {
		major, minor, _ := d.GetCudaComputeCapability()
		g.Capability = 10*major + minor
	}
	g.SMClock, g.MemoryClock = n.clock(d, nvml.CLOCK_SM, s.Clock), n.clock(d, nvml.CLOCK_MEM, s.MemoryClock)
	g.Power = n.power(d, s)
	g.Temperature, g.Throttle = s.Temperature, health.Reasons(s.Throttle)
	if n.has["nvmlDeviceGetTemperatureThreshold"] {
		hottest, _ := d.GetTemperatureThreshold(nvml.TEMPERATURE_THRESHOLD_SLOWDOWN)
		g.Hottest = int(hottest)
	}
	g.ECC = n.ecc(d)
	corrected, uncorrected, pending, failed, _ := d.GetRemappedRows()
	g.Rows = health.Rows{Corrected: corrected, Uncorrected: uncorrected, Pending: pending, Failed: failed}
	g.PCIe = health.Lanes{
		Generation:    n.number("nvmlDeviceGetCurrPcieLinkGeneration", d.GetCurrPcieLinkGeneration),
		MaxGeneration: n.number("nvmlDeviceGetMaxPcieLinkGeneration", d.GetMaxPcieLinkGeneration),
		Width:         n.number("nvmlDeviceGetCurrPcieLinkWidth", d.GetCurrPcieLinkWidth),
		MaxWidth:      n.number("nvmlDeviceGetMaxPcieLinkWidth", d.GetMaxPcieLinkWidth),
	}
	g.NVLinks, g.NVLinkBytesPerSecond = n.links(d)
	g.Processes = n.processes(d)
}

// busName is a PCI address in its older form, "0000:1b:00.0".
func busName(pci nvml.PciInfo) string {
	var name []byte
	for _, c := range pci.BusIdLegacy {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	return string(name)
}

// number reads a number by a function of a name.
func (n *inspector) number(name string, read func() (int, nvml.Return)) int {
	if !n.has[name] {
		return 0
	}
	v, _ := read()
	return v
}

func (n *inspector) clock(d nvml.Device, which nvml.ClockType, now int) health.Clock {
	of := func(name string, read func(nvml.ClockType) (uint32, nvml.Return)) int {
		if !n.has[name] {
			return 0
		}
		v, _ := read(which)
		return int(v)
	}
	return health.Clock{
		Now: now, Set: of("nvmlDeviceGetApplicationsClock", d.GetApplicationsClock),
		Default: of("nvmlDeviceGetDefaultApplicationsClock", d.GetDefaultApplicationsClock), Max: of("nvmlDeviceGetMaxClockInfo", d.GetMaxClockInfo),
	}
}

func (n *inspector) power(d nvml.Device, s driver.Sensors) health.Power {
	p := health.Power{Now: s.Power, Limit: s.PowerLimit}
	if n.has["nvmlDeviceGetPowerManagementDefaultLimit"] {
		usual, _ := d.GetPowerManagementDefaultLimit()
		p.Default = float64(usual) / 1e3
	}
	if n.has["nvmlDeviceGetPowerManagementLimitConstraints"] {
		_, most, _ := d.GetPowerManagementLimitConstraints()
		p.Max = float64(most) / 1e3
	}
	return p
}

func (n *inspector) ecc(d nvml.Device) (e health.ECC) {
	if n.has["nvmlDeviceGetEccMode"] {
		now, pending, _ := d.GetEccMode()
		e.On, e.Pending = now == nvml.FEATURE_ENABLED, pending == nvml.FEATURE_ENABLED
	}
	if n.has["nvmlDeviceGetTotalEccErrors"] {
		count := func(kind nvml.MemoryErrorType, since nvml.EccCounterType) int64 {
			v, _ := d.GetTotalEccErrors(kind, since)
			return int64(v)
		}
		e.Corrected, e.Uncorrected = count(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.VOLATILE_ECC), count(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC)
		e.AggregateCorrected, e.AggregateUncorrected = count(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.AGGREGATE_ECC), count(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.AGGREGATE_ECC)
	}
	return e
}

// links reads the NVLinks of a GPU and the bytes that one carries a second in one direction.
func (n *inspector) links(d nvml.Device) (ports []health.NVPort, bytesPerSecond int64) {
	if !n.has["nvmlDeviceGetNvLinkState"] {
		return nil, 0
	}
	for link := range nvidia.MaxLinks {
		active, r := d.GetNvLinkState(link)
		if r != nvml.SUCCESS {
			continue
		}
		port := health.NVPort{Active: active == nvml.FEATURE_ENABLED}
		if port.Active && n.has["nvmlDeviceGetNvLinkRemotePciInfo_v2"] {
			pci, _ := d.GetNvLinkRemotePciInfo(link)
			port.Remote = busName(pci)
		}
		if port.Active && n.has["nvmlDeviceGetNvLinkRemoteDeviceType"] {
			kind, _ := d.GetNvLinkRemoteDeviceType(link)
			port.Switch = kind == nvml.NVLINK_DEVICE_TYPE_SWITCH
		}
		if port.Active && n.has["nvmlDeviceGetNvLinkVersion"] {
			version, _ := d.GetNvLinkVersion(link)
			bytesPerSecond = nvidia.LinkBytes[version]
		}
		ports = append(ports, port)
	}
	return ports, bytesPerSecond
}

// processes reads what processes have memory of a GPU.
func (n *inspector) processes(d nvml.Device) (list []health.Process) {
	if !n.has["nvmlDeviceGetComputeRunningProcesses_v3"] {
		return nil
	}
	infos, _ := d.GetComputeRunningProcesses()
	for _, i := range infos {
		p := health.Process{PID: int(i.Pid), Bytes: nvidia.ProcessBytes(i.UsedGpuMemory)}
		if n.has["nvmlSystemGetProcessName"] {
			if name, r := n.SystemGetProcessName(p.PID); r == nvml.SUCCESS {
				p.Name = name
			}
		}
		list = append(list, p)
	}
	return list
}
