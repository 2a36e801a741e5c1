package ir

// Plan is what the generator makes of a model for one topology: for every program of the binary the launches
// in order, and one arena, the same on every rank, in which each buffer has a fixed place.
type Plan struct {
	Model    string
	Target   string
	Ranks    int
	EP       int
	Programs []*Program
	Buffers  []*Buffer // sorted by offset, then name
	Bytes    int64     // size of the arena of a rank
}

// Program is one entry point: setup, micro_batch, update, eval, head.
type Program struct {
	Name     string
	Launches []*Launch
}

// Launch is one kernel call.
type Launch struct {
	Kernel    string // name in the kernel registry
	Op        *Op
	Section   string
	Attrs     Attrs
	In, Out   []*Buffer // as the operation's operands and results; nil: left out
	Workspace *Buffer   // nil: none
	Cost      Cost
}

// Buffer is a place in the arena. Persistent buffers (every role but Activation) live always; an activation
// lives from launch First to launch Last of its program.
type Buffer struct {
	Name        string
	Type        Type
	Role        Role
	Param       *Param // of weights, gradients and optimizer state
	Offset      int64
	Program     string // of an activation
	First, Last int    // launch indices
}

// Bytes returns the size of a buffer, bounded dims at their bound.
func (b *Buffer) Bytes() int64 { return b.Type.Bytes() }
