package nvidia

import (
	"fmt"

	"moegen/runtime/driver"
	"moegen/runtime/health"
)

// Inspect completes what the management library shows of a machine by what the driver does, that open reaches. What is
// wrong with the driver is part of what it returns.
func Inspect(open driver.Opener, from driver.Libraries, found health.GPUs) health.GPUs {
	found.Driver.OldestCUDA, found.Driver.OldestRelease = driver.MinCUDA, driver.MinRelease
	if found.GPUs == nil {
		found.GPUs = []health.GPU{}
	}
	d, err := open(from)
	if err != nil {
		found.Driver.Problem = err.Error()
		return found
	}
	found.Driver.CUDA, _ = d.Version()
	for ordinal := range d.Devices() {
		if err := see(&found, d, ordinal); err != nil {
			found.Driver.Problem = err.Error()
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

// LinkBytes is what an NVLink carries a second in one direction as NVIDIA states it, by nvmlNvlinkVersion: of NVLink 1, 2,
// 2.2, 3, 3.1, 4 and 5.
var LinkBytes = map[uint32]int64{1: 20e9, 2: 25e9, 3: 25e9, 4: 25e9, 5: 25e9, 6: 25e9, 7: 50e9}

// ProcessBytes is a process's memory, 0 where NVML gives its number for what it does not know.
func ProcessBytes(used uint64) int64 {
	if used > 1<<46 {
		return 0
	}
	return int64(used)
}

// NCCLVersion is the name of a version of the library of collectives: 22703 is "2.27.3", and 0 none.
func NCCLVersion(v int) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v/10000, v%10000/100, v%100)
}
