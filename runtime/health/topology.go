package health

import (
	"cmp"
	"fmt"
	"slices"
)

// Topology is what a machine offers to a program: the content of the file that a plan takes its GPUs from.
type Topology struct {
	Nodes       int    `toml:"nodes" comment:"machines like this one"`
	GPUs        int    `toml:"gpus" comment:"of a node"`
	GPU         string `toml:"gpu,omitempty"`
	Capability  string `toml:"compute_capability,omitempty"`
	MemoryBytes int64  `toml:"memory_bytes" comment:"of a GPU"`
	Network     int64  `toml:"network_bytes_per_second,omitempty" comment:"that a GPU gets from other nodes; doctor does not know it"`
	Links       []Link `toml:"links,omitempty"`
}

// Link is what joins GPUs, every one of them to every other.
type Link struct {
	GPUs           []int    `toml:"gpus"` // numbers of the CUDA driver, ascending
	Kind           LinkKind `toml:"kind"`
	BytesPerSecond int64    `toml:"bytes_per_second"` // in one direction
	Measured       bool     `toml:"measured"`         // or what the links are made for
}

// LinkKind is the way that bytes take between two GPUs.
type LinkKind string

// The ways, from the best to the worst.
const (
	NVLink LinkKind = "nvlink"
	PCIe   LinkKind = "pcie" // directly between the GPUs
	Host   LinkKind = "host" // through the host's memory: GPUs that are no peers
)

// Check says what is wrong with a topology that somebody has written.
func (t *Topology) Check() error {
	switch {
	case t.Nodes < 1:
		return fmt.Errorf("nodes is %d, and must be at least 1", t.Nodes)
	case t.GPUs < 1:
		return fmt.Errorf("gpus is %d, and must be at least 1", t.GPUs)
	case t.MemoryBytes < 1:
		return fmt.Errorf("memory_bytes is %d, and must be the bytes of memory of a GPU", t.MemoryBytes)
	}
	if t.Network < 0 {
		return fmt.Errorf("network_bytes_per_second is %d, and must be at least 1, or left out where it is not known", t.Network)
	}
	joined := map[[2]int]bool{}
	for i, l := range t.Links {
		if len(l.GPUs) < 2 {
			return fmt.Errorf("links[%d].gpus names %d GPUs, and must name those that are joined to each other", i, len(l.GPUs))
		}
		if l.BytesPerSecond < 1 {
			return fmt.Errorf("links[%d].bytes_per_second is %d, and must be at least 1", i, l.BytesPerSecond)
		}
		if !slices.Contains([]LinkKind{NVLink, PCIe, Host}, l.Kind) {
			return fmt.Errorf("links[%d].kind is %q, and must be nvlink, pcie or host", i, l.Kind)
		}
		for a, x := range l.GPUs {
			if x < 0 || x >= t.GPUs {
				return fmt.Errorf("links[%d].gpus names GPU %d, and there are 0 to %d", i, x, t.GPUs-1)
			}
			for _, y := range l.GPUs[a+1:] {
				pair := [2]int{min(x, y), max(x, y)}
				if x == y || joined[pair] {
					return fmt.Errorf("links[%d].gpus joins GPUs %d and %d, which have been joined before", i, x, y)
				}
				joined[pair] = true
			}
		}
	}
	if pairs := t.GPUs * (t.GPUs - 1) / 2; len(t.Links) > 0 && len(joined) < pairs {
		return fmt.Errorf("links join %d pairs of GPUs, and there are %d", len(joined), pairs)
	}
	return nil
}

// Slowest returns the slowest link; without links one of nothing.
func (t *Topology) Slowest() Link {
	if len(t.Links) == 0 {
		return Link{}
	}
	return slices.MinFunc(t.Links, func(a, b Link) int { return cmp.Compare(a.BytesPerSecond, b.BytesPerSecond) })
}
