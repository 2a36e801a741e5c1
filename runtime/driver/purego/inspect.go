package purego

import (
	"unsafe"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
	"moegen/runtime/health"
)

// inspector is the management library as Inspect uses it.
type inspector struct {
	*nvml
	inspection
}

// inspection are the functions of the management library that only Inspect uses. Those that a release does not have
// stay zero, and what they would tell stays unknown.
type inspection struct {
	Name         uintptr `cu:"nvmlDeviceGetName"`
	PCI          uintptr `cu:"nvmlDeviceGetPciInfo_v3"`
	Memory       uintptr `cu:"nvmlDeviceGetMemoryInfo_v2"`
	Capability   uintptr `cu:"nvmlDeviceGetCudaComputeCapability"`
	MaxClock     uintptr `cu:"nvmlDeviceGetMaxClockInfo"`
	SetClock     uintptr `cu:"nvmlDeviceGetApplicationsClock"`
	DefaultClock uintptr `cu:"nvmlDeviceGetDefaultApplicationsClock"`
	DefaultLimit uintptr `cu:"nvmlDeviceGetPowerManagementDefaultLimit"`
	LimitRange   uintptr `cu:"nvmlDeviceGetPowerManagementLimitConstraints"`
	Threshold    uintptr `cu:"nvmlDeviceGetTemperatureThreshold"`
	ECCMode      uintptr `cu:"nvmlDeviceGetEccMode"`
	ECCErrors    uintptr `cu:"nvmlDeviceGetTotalEccErrors"`
	PCIeNow      uintptr `cu:"nvmlDeviceGetCurrPcieLinkGeneration"`
	PCIeMax      uintptr `cu:"nvmlDeviceGetMaxPcieLinkGeneration"`
	WidthNow     uintptr `cu:"nvmlDeviceGetCurrPcieLinkWidth"`
	WidthMax     uintptr `cu:"nvmlDeviceGetMaxPcieLinkWidth"`
	LinkState    uintptr `cu:"nvmlDeviceGetNvLinkState"`
	LinkRemote   uintptr `cu:"nvmlDeviceGetNvLinkRemotePciInfo_v2"`
	LinkKind     uintptr `cu:"nvmlDeviceGetNvLinkRemoteDeviceType"`
	LinkVersion  uintptr `cu:"nvmlDeviceGetNvLinkVersion"`
	Processes    uintptr `cu:"nvmlDeviceGetComputeRunningProcesses_v3"`
	ProcessName  uintptr `cu:"nvmlSystemGetProcessName"`
}

// Numbers of nvml.h that only Inspect uses.
const (
	nvmlMemoryV2 = 2   // version of nvmlMemory_v2_t
	nvmlMaxName  = 96  // bytes of a GPU's name
	maxProcesses = 128 // on one GPU; more make the list unknown
)

// pciInfo is nvmlPciInfo_t, 68 bytes.
type pciInfo struct {
	bus     [16]byte // "0000:1B:00.0"
	numbers [5]uint32
	long    [32]byte
}

// memoryInfo is nvmlMemory_v2_t, 40 bytes.
type memoryInfo struct {
	version                     uint32
	_                           uint32
	total, reserved, free, used uint64
}

// processInfo is nvmlProcessInfo_t, 24 bytes.
type processInfo struct {
	pid        uint32
	_          uint32
	used       uint64
	gpu, slice uint32
}

// Inspect reads what a driver, that open reaches, and the management library show of a machine. It takes no memory of a
// GPU and disturbs nothing that runs.
func Inspect(open driver.Opener, from driver.Libraries) health.GPUs {
	found := health.GPUs{NCCL: nvidia.NCCLVersion(ncclVersion(from.NCCL))}
	_, missing := load(from.CUDA, &struct{}{})
	found.Driver.Found = missing == nil
	if n := openNVML(from.NVML); n != nil {
		found.Driver.Management, found.Driver.Release = true, n.release()
		i := &inspector{nvml: n}
		load(from.NVML, &i.inspection)
		found.GPUs = i.gpus()
	}
	return nvidia.Inspect(open, from, found)
}

// ncclVersion returns the version of the library of collectives, 0 if it cannot be loaded.
func ncclVersion(library string) int {
	var nccl struct {
		Version uintptr `cu:"ncclGetVersion"`
	}
	var v int32
	if _, err := load(library, &nccl); err != nil || !ask(nccl.Version, uintptr(unsafe.Pointer(&v))) {
		return 0
	}
	return int(v)
}

// ask calls a function that the library may not have and tells whether it has answered.
//
//go:uintptrescapes
func ask(function uintptr, args ...uintptr) bool {
	return function != 0 && call(function, args...) == 0
}

// gpus reads all GPUs of the machine, also those that the CUDA driver hides.
func (n *inspector) gpus() []health.GPU {
	list := []health.GPU{}
	var count uint32
	ask(n.Count, uintptr(unsafe.Pointer(&count)))
	for i := range count {
		g := health.GPU{Number: int(i), Ordinal: -1}
		var handle uintptr
		if call(n.ByIndex, uintptr(i), uintptr(unsafe.Pointer(&handle))) != 0 {
			g.Lost = true
		} else {
			n.read(&g, handle)
		}
		list = append(list, g)
	}
	return list
}

// read reads one GPU.
func (n *inspector) read(g *health.GPU, handle uintptr) {
	s := n.sensors(handle)
	// Of values with 32 bits the upper half stays zero.
	number := func(function uintptr) (v int64) {
		ask(function, handle, uintptr(unsafe.Pointer(&v)))
		return v
	}
	numberOf := func(function, which uintptr) (v int64) {
		ask(function, handle, which, uintptr(unsafe.Pointer(&v)))
		return v
	}
	eccErrors := func(uncorrected, aggregate uintptr) (v int64) {
		ask(n.ECCErrors, handle, uncorrected, aggregate, uintptr(unsafe.Pointer(&v)))
		return v
	}
	clock := func(which uintptr, now int) health.Clock {
		return health.Clock{Now: now, Set: int(numberOf(n.SetClock, which)), Default: int(numberOf(n.DefaultClock, which)), Max: int(numberOf(n.MaxClock, which))}
	}
	name := make([]byte, nvmlMaxName)
	ask(n.Name, handle, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)))
	var pci pciInfo
	ask(n.PCI, handle, uintptr(unsafe.Pointer(&pci)))
	g.Name, g.Bus = text(name), text(pci.bus[:])
	memory := memoryInfo{version: uint32(unsafe.Sizeof(memoryInfo{})) | nvmlMemoryV2<<24}
	if ask(n.Memory, handle, uintptr(unsafe.Pointer(&memory))) {
		g.MemoryBytes, g.FreeBytes, g.UsedBytes = int64(memory.total-memory.reserved), int64(memory.free), int64(memory.used)
	}
	var major, minor int32
	ask(n.Capability, handle, uintptr(unsafe.Pointer(&major)), uintptr(unsafe.Pointer(&minor)))
	g.Capability = int(10*major + minor)

	g.SMClock, g.MemoryClock = clock(nvidia.NVMLClockSM, s.Clock), clock(nvidia.NVMLClockMemory, s.MemoryClock)
	var least, most uint32
	ask(n.LimitRange, handle, uintptr(unsafe.Pointer(&least)), uintptr(unsafe.Pointer(&most)))
	g.Power = health.Power{Now: s.Power, Limit: s.PowerLimit, Default: float64(number(n.DefaultLimit)) / 1e3, Max: float64(most) / 1e3}
	g.Temperature, g.Hottest = s.Temperature, int(numberOf(n.Threshold, nvidia.NVMLSlowdown))
	g.Throttle = health.Reasons(s.Throttle)

	var on, pending uint32
	ask(n.ECCMode, handle, uintptr(unsafe.Pointer(&on)), uintptr(unsafe.Pointer(&pending)))
	g.ECC = health.ECC{
		On: on != 0, Pending: pending != 0,
		Corrected: eccErrors(0, 0), Uncorrected: eccErrors(1, 0), AggregateCorrected: eccErrors(0, 1), AggregateUncorrected: eccErrors(1, 1),
	}
	var corrected, uncorrected, waiting, failed uint32
	ask(n.Rows, handle, uintptr(unsafe.Pointer(&corrected)), uintptr(unsafe.Pointer(&uncorrected)), uintptr(unsafe.Pointer(&waiting)), uintptr(unsafe.Pointer(&failed)))
	g.Rows = health.Rows{Corrected: int(corrected), Uncorrected: int(uncorrected), Pending: waiting != 0, Failed: failed != 0}
	g.PCIe = health.Lanes{Generation: int(number(n.PCIeNow)), MaxGeneration: int(number(n.PCIeMax)), Width: int(number(n.WidthNow)), MaxWidth: int(number(n.WidthMax))}
	g.NVLinks, g.NVLinkBytesPerSecond = n.links(handle)
	g.Processes = n.processes(handle)
}

// links reads the NVLinks of a GPU and the bytes that one carries a second in one direction.
func (n *inspector) links(handle uintptr) (ports []health.NVPort, bytesPerSecond int64) {
	for link := range uintptr(nvidia.MaxLinks) {
		var active, kind, version uint32
		if !ask(n.LinkState, handle, link, uintptr(unsafe.Pointer(&active))) {
			continue
		}
		port := health.NVPort{Active: active != 0}
		if port.Active {
			var pci pciInfo
			ask(n.LinkRemote, handle, link, uintptr(unsafe.Pointer(&pci)))
			ask(n.LinkKind, handle, link, uintptr(unsafe.Pointer(&kind)))
			ask(n.LinkVersion, handle, link, uintptr(unsafe.Pointer(&version)))
			port.Remote, port.Switch = text(pci.bus[:]), kind == nvidia.NVMLSwitch
			bytesPerSecond = nvidia.LinkBytes[version]
		}
		ports = append(ports, port)
	}
	return ports, bytesPerSecond
}

// processes reads what processes have memory of a GPU.
func (n *inspector) processes(handle uintptr) (list []health.Process) {
	infos := make([]processInfo, maxProcesses)
	count := uint32(len(infos))
	if !ask(n.Processes, handle, uintptr(unsafe.Pointer(&count)), uintptr(unsafe.Pointer(&infos[0]))) {
		return nil
	}
	for _, i := range infos[:count] {
		name := make([]byte, 256)
		ask(n.ProcessName, uintptr(i.pid), uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)))
		list = append(list, health.Process{PID: int(i.pid), Name: text(name), Bytes: nvidia.ProcessBytes(i.used)})
	}
	return list
}
