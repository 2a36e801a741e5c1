package health

import (
	"encoding/json"
	"fmt"
	"strings"
)

// GPUs is what the driver and its management library show. Whatever a machine does not show is zero.
type GPUs struct {
	Driver Driver `json:"driver"`
	NCCL   string `json:"nccl,omitempty"` // version of the library for collectives over several nodes, "2.27.3"; "": not found
	GPUs   []GPU  `json:"gpus"`           // in nvidia-smi's order, those that programs do not see as well

	// Copies are bytes a second that were measured, by the CUDA driver's numbers: from a GPU to another, on the diagonal from the
	// host to a GPU. Nothing was measured where it is nil.
	Copies [][]int64 `json:"copy_bytes_per_second,omitempty"`
}

// Driver is the NVIDIA driver.
type Driver struct {
	Found         bool   `json:"found"`
	Problem       string `json:"problem,omitempty"` // why programs cannot use it: one sentence, what to do behind its last colon
	CUDA          int    `json:"cuda,omitempty"`    // version served, 1000·major + 10·minor
	Release       string `json:"release,omitempty"` // "580.159.04"
	OldestCUDA    int    `json:"oldest_cuda"`       // that kernels are tested with
	OldestRelease string `json:"oldest_release"`
	Management    bool   `json:"management"` // whether the management library works
}

// GPU is one GPU.
type GPU struct {
	Number      int    `json:"number"`  // nvidia-smi's
	Ordinal     int    `json:"ordinal"` // the CUDA driver's, by which programs choose; -1: hidden from them
	Name        string `json:"name"`
	Bus         string `json:"bus"`                // PCI address, "0000:1b:00.0"
	Lost        bool   `json:"lost,omitempty"`     // does not answer; nothing else is known then
	Capability  int    `json:"compute_capability"` // 10·major + minor
	SMs         int    `json:"sms,omitempty"`
	MemoryBytes int64  `json:"memory_bytes"` // that programs can have
	FreeBytes   int64  `json:"free_bytes"`
	UsedBytes   int64  `json:"used_bytes"`      // by processes; what the driver reserves is not counted
	Peers       []int  `json:"peers,omitempty"` // ordinals of the GPUs whose memory it reaches

	SMClock     Clock   `json:"sm_clock"`
	MemoryClock Clock   `json:"memory_clock"`
	Power       Power   `json:"power"`
	Temperature int     `json:"temperature_c"`
	Hottest     int     `json:"slowdown_temperature_c,omitempty"` // from where on its clock is cut down
	Throttle    Reasons `json:"throttle_reasons"`

	ECC                  ECC       `json:"ecc"`
	Rows                 Rows      `json:"remapped_rows"`
	PCIe                 Lanes     `json:"pcie"`
	NVLinks              []NVPort  `json:"nvlinks,omitempty"`
	NVLinkBytesPerSecond int64     `json:"nvlink_bytes_per_second,omitempty"` // of one link in one direction
	Processes            []Process `json:"processes,omitempty"`
}

// Clock is a clock of a GPU in MHz.
type Clock struct {
	Now     int `json:"now_mhz"`
	Set     int `json:"set_mhz,omitempty"` // what applications get at most; somebody may have lowered it
	Default int `json:"default_mhz,omitempty"`
	Max     int `json:"max_mhz,omitempty"`
}

// Power is the power of a GPU in watts.
type Power struct {
	Now     float64 `json:"now_watts"`
	Limit   float64 `json:"limit_watts,omitempty"` // in force
	Default float64 `json:"default_watts,omitempty"`
	Max     float64 `json:"max_watts,omitempty"` // that the limit can be set to
}

// ECC counts errors of memory; uncorrected ones have changed data.
type ECC struct {
	On                   bool  `json:"on"`
	Pending              bool  `json:"pending,omitempty"` // whether it will be on after the next reset, if that is something else
	Corrected            int64 `json:"corrected"`         // since the driver was loaded
	Uncorrected          int64 `json:"uncorrected"`
	AggregateCorrected   int64 `json:"aggregate_corrected"` // in the GPU's life
	AggregateUncorrected int64 `json:"aggregate_uncorrected"`
}

// Rows counts rows of memory that have been replaced by spare ones.
type Rows struct {
	Corrected   int  `json:"corrected"` // because of corrected errors
	Uncorrected int  `json:"uncorrected"`
	Pending     bool `json:"pending"` // some will be by the next reset
	Failed      bool `json:"failed"`  // some could not be
}

// Lanes is a GPU's connection to its host. An idle GPU may lower the generation.
type Lanes struct {
	Generation    int `json:"generation,omitempty"`
	MaxGeneration int `json:"max_generation,omitempty"`
	Width         int `json:"width,omitempty"`
	MaxWidth      int `json:"max_width,omitempty"`
}

// laneBytes is what one lane carries a second in one direction, by PCIe generation: 8, 16, 32 GT/s in 128 bits of 130, from
// the sixth on 64 GT/s with 236 bytes of 256 (PCI Express Base Specification 6.0).
var laneBytes = map[int]int64{3: 984_615_384, 4: 1_969_230_769, 5: 3_938_461_538, 6: 7_375_000_000}

// bytesPerSecond is what the connection is made for, in one direction.
func (l Lanes) bytesPerSecond() int64 { return laneBytes[l.MaxGeneration] * int64(l.Width) }

// NVPort is one NVLink of a GPU.
type NVPort struct {
	Active bool   `json:"active"`
	Switch bool   `json:"switch,omitempty"` // it leads to a switch, and so to all GPUs that do
	Remote string `json:"remote,omitempty"` // PCI address of what it leads to
}

// Process is a process that has memory of a GPU.
type Process struct {
	PID   int    `json:"pid"`
	Name  string `json:"name,omitempty"`
	Bytes int64  `json:"bytes"` // 0: not known
}

// Reasons are why a GPU's clock is not at its most, NVML's bits.
type Reasons uint64

// The reasons.
const (
	Idle           Reasons = 1 << iota // nothing to do
	ApplicationSet                     // the clock that was set
	PowerCap                           // the power limit
	HWSlowdown                         // heat, the power supply or a brake, cut down by half and more
	SyncBoost                          // another GPU of a group
	SWThermal                          // heat, cut down by the driver
	HWThermal                          // heat, cut down by the hardware
	PowerBrake                         // the power supply of the machine
	DisplayClock                       // a display
	BoardLimit                         // the board
	Reliability                        // long life
)

var reasonNames = []string{"idle", "application_clock", "power_cap", "hw_slowdown", "sync_boost", "sw_thermal_slowdown",
	"hw_thermal_slowdown", "hw_power_brake", "display_clock", "board_limit", "reliability"}

// names returns the reasons by name.
func (r Reasons) names() []string {
	names := []string{}
	for i := range 64 {
		switch bit := Reasons(1) << i; {
		case r&bit == 0:
		case i < len(reasonNames):
			names = append(names, reasonNames[i])
		default:
			names = append(names, fmt.Sprintf("reason_%#x", uint64(bit)))
		}
	}
	return names
}

// String joins the names by commas.
func (r Reasons) String() string { return strings.Join(r.names(), ", ") }

// MarshalJSON gives the names.
func (r Reasons) MarshalJSON() ([]byte, error) { return json.Marshal(r.names()) }

// CapabilityName prints a compute capability: 90 is "9.0".
func CapabilityName(c int) string { return fmt.Sprintf("%d.%d", c/10, c%10) }

// cudaName prints a CUDA version: 12040 is "12.4".
func cudaName(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
