package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Kernel is how the h100 target computes an operation of the IR: by one or more launches of a family's kernels.
type Kernel struct {
	Name string // of the family
	Op   string // the operation that it computes

	// Covers reports whether the family can compute a node of Op; nil: any.
	Covers func(*ir.Node) bool
	// Limit says, in words of a model's config, which size of a node is not covered and what would be; nil, or "": it is not
	// a size of the model.
	Limit func(*ir.Node) string
	// Shares lists pairs {result, operand} that are one buffer to the kernels: they update the operand. A pair whose
	// operand is left out does not count.
	Shares [][2]int
	// InPlace says that every pair of the operation's InPlace may be one buffer: where an element of the result is
	// written, that element of the operand has been read, and nobody reads it later.
	InPlace bool
	// Workspace returns how many bytes of scratch a node needs, of undefined content; nil: none.
	Workspace func(*ir.Node) int
	// Steps returns the launches of a node, in the order of one stream. Arguments name its buffers as In, Out and Work
	// do. What it depends on are the types, attributes and presence of operands, never offsets: launches of one kind of
	// layer differ in places, and in numbers that say so, alone.
	Steps func(*ir.Launch) []Step
}

// Step is one launch of a plan and the kernel that it starts.
type Step struct {
	Launch
	Emit func(*ptx.Module) // writes the kernel that Launch.Entry names, the same one wherever the name is the same
}

// How In and Out name buffers.
const (
	InFormat  = "in%d"
	OutFormat = "out%d"
)

// In names operand i of the operation among the buffers of its launches.
func In(i int) string { return fmt.Sprintf(InFormat, i) }

// Out names result i.
func Out(i int) string { return fmt.Sprintf(OutFormat, i) }

// Work names the workspace.
const Work = "work"

// World names what a rank knows of all ranks. It lies in device memory, in the place behind the arena, the same on every rank,
// and is zero from count on when a program starts:
//
//	u64 base[32]    the arena of every rank, as this one reaches it
//	u32 rank        this rank's number
//	u32 ranks       how many there are
//	u32 rehearsed   1: one rank runs alone, and every base is its own
//	u32 count       barriers passed
//	u32 abort       not 0: the host has given the ranks up, nobody waits any more
//	u32 unused[27]
//	u32 flag[32]    of every rank, how many barriers it has come to
//
// What lies at address a in this rank's arena lies at base[r] + (a − base[rank]) in rank r's.
const World = "world"

const (
	// MostRanks is how many ranks the kernels can tell apart: the lanes of a warp.
	MostRanks = 32
	// WorldBytes is the size of World.
	WorldBytes = worldFlags + 4*MostRanks
)

// Kernels returns the kernels of the h100 target, sorted by operation, the preferred first.
func Kernels() []*Kernel { return append([]*Kernel(nil), kernels...) }
