package gen

import (
	"moegen/kernels"
	"moegen/kernels/tuned"
)

// Topology is what is known of the machines that a program is planned for. Zero numbers are not known.
type Topology struct {
	Nodes              int
	GPUs               int   // of a node
	MemoryBytes        int64 // of a GPU, as the driver counts it
	Sparing            bool  // what takes two thirds of a GPU at most is preferred, even where more would be faster
	LinkBytesPerSecond int64 // between the two GPUs of a node that are joined worst, in one direction
	LinkMeasured       bool  // whether programs get as much, or the links are made for it

	NetworkBytesPerSecond int64 // that a GPU gets from other nodes
}

// ContextBytes is the memory of a GPU that is no program's arena: the driver's context, of which an H100 takes 526 MiB, and the
// kernels and graphs of the program, for which it keeps 128 MiB at run time.
const ContextBytes = (526 + 128) << 20

// Arena returns how many bytes the arena of a rank can have, 0 where that is not known.
func (t Topology) Arena() int64 {
	return max(0, t.MemoryBytes-ContextBytes)
}

// preferred returns how many bytes an arena has at most if any does with so little.
func (t Topology) preferred() int64 {
	if t.Sparing {
		return t.Arena() / 3 * 2
	}
	return t.Arena()
}

// Wire is what joins the GPUs: what is known, and where nothing is, what an H100 has and the best programs get of it.
func (t Topology) Wire() kernels.Wire {
	w := kernels.Wire{GPUs: t.GPUs, Link: float64(t.LinkBytesPerSecond), Network: float64(t.NetworkBytesPerSecond)}
	if w.Link == 0 {
		w.Link = tuned.H100Link
	}
	if !t.LinkMeasured {
		w.Link *= tuned.H100LinkShare
	}
	if w.Network == 0 {
		w.Network = tuned.H100Network * tuned.H100NetworkShare
	}
	return w
}
