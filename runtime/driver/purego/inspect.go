package purego

import (
	"fmt"
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
	nvmlSlowdown    = 1   // nvmlTemperatureThresholds_t
	nvmlSwitch      = 2   // nvmlIntNvLinkDeviceType_t
	nvmlMaxLinks    = 18  // of an H100
	nvmlMemoryV2    = 2   // version of nvmlMemory_v2_t
	nvmlMaxName     = 96  // bytes of a GPU's name
	maxProcesses    = 128 // on one GPU; more make the list unknown
	maxProcessBytes = 1 << 46
)

// linkBytes is what an NVLink carries a second in one direction as NVIDIA states it, by nvmlNvlinkVersion: of NVLink 1, 2,
// 2.2, 3, 3.1, 4 and 5.
var linkBytes = map[uint32]int64{1: 20e9, 2: 25e9, 3: 25e9, 4: 25e9, 5: 25e9, 6: 25e9, 7: 50e9}

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
// GPU and disturbs nothing that runs. What is wrong with the driver is part of what it returns.
func Inspect(open driver.Opener, from driver.Libraries) health.GPUs {
	found := health.GPUs{Driver: health.Driver{OldestCUDA: driver.MinCUDA, OldestRelease: driver.MinRelease}, NCCL: ncclVersion(from.NCCL), GPUs: []health.GPU{}}
	_, missing := load(from.CUDA, &struct{}{})
	found.Driver.Found = missing == nil
	d, err := open(from)
	if err != nil {
		found.Driver.Problem = err.Error()
	}
	if n := openNVML(from.NVML); n != nil {
		found.Driver.Management, found.Driver.Release = true, n.release()
		i := &inspector{nvml: n}
		load(from.NVML, &i.inspection)
		found.GPUs = i.gpus()
	}
	if err == nil {
		found.Driver.CUDA, _ = d.Version()
		for ordinal := range d.Devices() {
			if err := see(&found, d, ordinal); err != nil {
				found.Driver.Problem = err.Error()
			}
		}
	}
	return found
}

// see adds what the CUDA driver knows of a GPU.
func see(found *health.GPUs, d driver.Driver, ordinal int) error {
	info, err := d.Describe(ordinal)
	if err != nil {
		return err
	}
	g := found.At(info.Bus)
	if g == nil { // the management library does not work: the numbers are the CUDA driver's
		found.GPUs = append(found.GPUs, health.GPU{Number: ordinal, Bus: info.Bus})
		g = &found.GPUs[len(found.GPUs)-1]
	}
	g.Ordinal, g.Name, g.Capability, g.SMs, g.MemoryBytes = ordinal, info.Name, info.Capability, info.SMs, info.Memory
	for peer := range d.Devices() {
		can, err := d.CanPeer(ordinal, peer)
		if err != nil {
			return err
		}
		if can {
			g.Peers = append(g.Peers, peer)
		}
	}
	return nil
}

// ncclVersion returns the version of the library of collectives, "" if it cannot be loaded.
func ncclVersion(library string) string {
	var nccl struct {
		Version uintptr `cu:"ncclGetVersion"`
	}
	var v int32
	if _, err := load(library, &nccl); err != nil || !ask(nccl.Version, uintptr(unsafe.Pointer(&v))) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v/10000, v%10000/100, v%100)
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
	g.Temperature, g.Hottest = s.Temperature, int(numberOf(n.Threshold, nvmlSlowdown))
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
	for link := range uintptr(nvmlMaxLinks) {
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
			port.Remote, port.Switch = text(pci.bus[:]), kind == nvmlSwitch
			bytesPerSecond = linkBytes[version]
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
		p := health.Process{PID: int(i.pid), Name: text(name), Bytes: int64(i.used)}
		if i.used > maxProcessBytes { // NVML's number for what it does not know
			p.Bytes = 0
		}
		list = append(list, p)
	}
	return list
}
