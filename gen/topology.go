package gen

// Topology is what is known of the machines that a program is planned for. Zero numbers are not known.
type Topology struct {
	Nodes              int
	GPUs               int   // of a node
	MemoryBytes        int64 // of a GPU, as the driver counts it
	LinkBytesPerSecond int64 // between the two GPUs of a node that are joined worst, in one direction
}

// beside is the memory of a GPU that is no program's arena: the driver's context, of which an H100 takes 526 MiB, and the
// kernels and graphs of the program, for which it keeps 128 MiB at run time.
const beside = (526 + 128) << 20

// Arena returns how many bytes the arena of a rank can have, 0 where that is not known.
func (t Topology) Arena() int64 {
	return max(0, t.MemoryBytes-beside)
}
