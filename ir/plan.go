package ir

// Plan is what the generator makes of a model for one topology: for every program of the binary the launches
// in order, and one arena, the same on every rank, in which each buffer has a fixed place.
//
// Gradients, and nothing else, have offsets from Bytes on. Where a step has several micro-batches, they live from one to the next: the
// arena is longer by as much. Where it has one, they live from their first write in it to the end of the update: they are the last
// bytes of the arena, which activations use as well, and what is said to be at offset Bytes + i is at Bytes − Gradients + i.
type Plan struct {
	Model     string
	Target    string
	Ranks     int
	EP        int
	Programs  []*Program
	Buffers   []*Buffer // sorted by offset, then name
	Bytes     int64     // size of the arena of a rank whose steps have one micro-batch
	Gradients int64     // bytes of gradients, at most Bytes: what the arena is longer by where steps have several
}

// Program is one entry point: setup, micro_batch, update, eval, head.
type Program struct {
	Name     string
	Launches []*Launch
}

// Stream is a queue of launches that run one after another. Launches of different streams run at the same time, but for those
// that wait.
type Stream uint8

const (
	Compute       Stream = iota
	Communication        // what crosses between ranks, in programs that hide it under computation
	Streams       = iota
)

var streamNames = [Streams]string{"compute", "communication"}

// String returns the stream's name.
func (s Stream) String() string { return streamNames[s] }

// Launch is one kernel call.
type Launch struct {
	Kernel    string // name in the kernel registry
	Op        *Op
	Section   string
	Attrs     Attrs
	In, Out   []*Buffer // as the operation's operands and results; nil: left out
	Workspace *Buffer   // nil: none
	Cost      Cost
	Stream    Stream
	After     []int // launches of other streams that must have ended, by index; what follows from these goes without saying
}

// Buffer is a place in the arena. Persistent buffers (every role but Activation) live always, gradients as the plan says; an
// activation lives from launch First to launch Last of its program.
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

// IsGroup reports whether a buffer is nothing but those of the members of a group, in one.
func (b *Buffer) IsGroup() bool {
	return b.Param != nil && b.Param.Members != nil && (b.Role == Weight || b.Role == Gradient && b.Param.Parts <= 1)
}
