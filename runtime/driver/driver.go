// Package driver is the surface between programs and GPUs: devices, memory, modules of kernels, streams, events,
// graphs. Driver, Device and Stream are the whole of it; the packages below implement them:
//
//   - driver/purego enters NVIDIA's own libraries, loaded at run time, without C;
//   - driver/cgo enters them through C, by gorgonia.org/cu and go-nvml;
//   - driver/sim runs the same kernels in the simulator, on any machine;
//
// and driver/conformance is the suite that every implementation passes. Acquire opens what a program needs, or
// says in one sentence why this machine cannot run it.
//
// The surface is what a planned program uses, no more. A program has one arena a GPU, allocated once, so there
// is no pool allocator; peers see whole arenas, so peer access is all or nothing and memory is never mapped
// piecemeal; a plan is captured into graphs, so graphs are made by capture alone.
//
// # Threads
//
// A Device is used by goroutines locked to their thread (runtime.LockOSThread) that have called Bind. A Stream
// is used by one goroutine at a time. On a real GPU the calls of a Stream neither allocate nor block, except Sync,
// End and a Launch into a queue that is full (about a thousand launches).
//
// # Errors
//
// Every error is an *Error, whose Kind says what its reader can do about it. A kernel's fault is reported by
// a later call, usually Sync, as Lost: afterwards no call of the process reaches that GPU again.
package driver

// Driver is one way of reaching GPUs.
type Driver interface {
	// Version returns the CUDA version served, 1000·major + 10·minor, and the name of the driver's release,
	// "580.159.04"; the name is empty where it cannot be had.
	Version() (cuda int, release string)
	// Devices returns the number of GPUs that can be opened: 0 … Devices()-1.
	Devices() int
	// Describe returns what is known of a GPU without opening it.
	Describe(gpu int) (Info, error)
	// Lost returns the GPUs that the machine has and that do not answer, by nvidia-smi's numbers.
	Lost() []int
	// CanPeer tells whether kernels on one GPU can read and write the memory of another.
	CanPeer(gpu, peer int) (bool, error)
	// Open makes a GPU ready for use and binds the calling thread to it. It takes a few hundred milliseconds
	// and some 500 MiB of the GPU's memory. A GPU is opened once.
	Open(gpu int) (Device, error)
}

// Libraries names NVIDIA's shared libraries, which are loaded at run time.
type Libraries struct {
	CUDA string // the driver
	NVML string // management; without it there are no Sensors, no release name and no list of lost GPUs
	NCCL string // collectives over several nodes
}

// Opener loads and starts the driver: Open of a package that implements Driver.
type Opener func(Libraries) (Driver, error)

// System are the libraries that come with NVIDIA's driver.
var System = Libraries{CUDA: "libcuda.so.1", NVML: "libnvidia-ml.so.1", NCCL: "libnccl.so.2"}

// Info describes a GPU.
type Info struct {
	Name       string // "NVIDIA H100 80GB HBM3"
	Bus        string // PCI address, "0000:1b:00.0"
	Capability int    // compute capability, 10·major + minor: 90
	SMs        int    // streaming multiprocessors
	Memory     int64  // bytes of device memory, in all
	L2         int64  // bytes of the level-two cache
	Shared     int    // bytes of dynamic shared memory that one CTA can have at most
}

// Addr is an address that a GPU understands: of device memory, its own or a peer's, or of pinned host memory.
// Addresses can be added to.
type Addr uint64

// Host is memory of the host that GPUs copy from and to at full speed.
type Host struct {
	Bytes []byte // the memory as the host sees it
	Addr  Addr   // the same memory for Stream.Copy
}

// Module is a loaded module of kernels. The zero Module is none.
type Module uintptr

// Graph is captured work, ready to run. The zero Graph is none.
type Graph uintptr

// Event marks a point in a stream. The zero Event is none.
type Event struct {
	Handle uintptr // the implementation's
	Timing bool    // whether Elapsed takes it
}

// Function is a kernel of a loaded module, ready to be launched. Device.Function makes it; it does not change.
type Function struct {
	Name       string
	Handle     uintptr // the implementation's
	Shared     int     // bytes of dynamic shared memory of every launch
	ParamBytes int     // bytes of parameters, laid out as Params does
	ParamAt    []int   // where each parameter begins among them
	Registers  int     // registers of a thread; 0 where there are none to count
	Spilled    int     // bytes of local memory of a thread
	Static     int     // bytes of static shared memory
	MaxThreads int     // threads that a CTA can have
}

// Device is one open GPU.
type Device interface {
	// Info returns what Describe does.
	Info() Info
	// Bind makes the calling thread one that uses this GPU, and no other until the next Bind.
	Bind() error
	// Sync waits until everything given to the GPU is done.
	Sync() error
	// Close gives up the GPU and all that was made with it. It can be opened again.
	Close() error

	// Memory returns the bytes of device memory that are free and that there are.
	Memory() (free, total int64, err error)
	// Alloc returns device memory, aligned to 256 bytes, of undefined content. An Error of kind NoMemory says
	// that there is not as much. Sizes are rounded up to 2 MiB by most GPUs.
	Alloc(bytes int64) (Addr, error)
	// Free gives back what Alloc returned, after waiting for the GPU.
	Free(Addr) error
	// AllocHost returns pinned memory of the host, in reach of all open GPUs.
	AllocHost(bytes int64) (Host, error)
	// FreeHost gives back what AllocHost returned.
	FreeHost(Host) error
	// Register pins memory that was mapped from a file, page by page, so that Copy reads it at full speed; GPUs
	// only read it. It costs some 30 ms a GiB.
	Register(mapped []byte) (Host, error)
	// Unregister undoes Register, before the memory is unmapped.
	Unregister(Host) error
	// Write copies bytes of any host memory to the device and returns when they are there. It is ordered with
	// no stream: Sync first.
	Write(to Addr, from []byte) error
	// Read copies bytes of the device to any host memory. It is ordered with no stream: Sync first.
	Read(to []byte, from Addr) error
	// EnablePeer lets kernels and copies of this GPU use all memory of another one. Doing so again is no error.
	EnablePeer(peer Device) error

	// Load loads a module, PTX text or a cubin, and returns the compiler's remarks (registers, spills), if any.
	// PTX that is refused gives an Error with the compiler's message, which names the line.
	Load(image []byte) (m Module, log string, err error)
	// Unload gives a module up; its functions must not be launched any more.
	Unload(Module) error
	// Function prepares a kernel of a module to be launched with so many bytes of dynamic shared memory.
	Function(m Module, name string, shared int) (*Function, error)
	// TensorMap encodes the description of a tensor in device memory. It looks at no memory.
	TensorMap(*Tensor) (TensorMap, error)

	// NewStream returns a stream that is independent of all others. Work of an urgent stream goes first where
	// both wait for the same multiprocessor.
	NewStream(urgent bool) (Stream, error)
	// NewEvent returns an event, one that orders streams or one that also takes the time.
	NewEvent(timing bool) (Event, error)
	// FreeEvent gives an event up.
	FreeEvent(Event) error
	// Await waits until the work that precedes the event's last Record is done. The thread sleeps.
	Await(Event) error
	// Elapsed returns the milliseconds between two timing events that have both happened.
	Elapsed(from, to Event) (float64, error)
	// FreeGraph gives a graph up.
	FreeGraph(Graph) error

	// Sensors reads power, clocks, temperature and health. Some machines do not show them.
	Sensors() (Sensors, error)
}

// Stream is a queue of work for one GPU, done in order. While a stream is captured, and streams that Wait for
// events of such a one, its calls become parts of a graph and nothing is done.
type Stream interface {
	// Launch starts a kernel. The parameters are copied before it returns.
	Launch(*Launch) error
	// Copy copies bytes between device memory, a peer's memory and pinned host memory, in any combination.
	Copy(to, from Addr, bytes int64) error
	// Fill stores a word so many times; the address is a multiple of 4.
	Fill(to Addr, word uint32, words int64) error
	// Record marks the end of what is now in the stream. A timing event recorded into a graph takes the time in
	// every run of the graph and orders nothing; another orders the captured streams.
	Record(Event) error
	// Wait makes what follows in the stream wait for the event's last Record, by whatever stream of any GPU.
	Wait(Event) error
	// Run starts a graph, made by this stream's device. A graph runs once at a time: a second Run waits.
	Run(Graph) error
	// Begin starts a capture. Until End the thread makes no other calls than those of captured streams.
	Begin() error
	// End ends a capture and returns its graph, instantiated and uploaded. Streams that took part must have been
	// joined by Wait. After an error the stream is free of the capture as well.
	End() (Graph, error)
	// Sync waits until everything in the stream is done. The thread sleeps.
	Sync() error
	// Done tells whether everything in the stream is done.
	Done() (bool, error)
	// Close gives the stream up.
	Close() error
}

// Sensors is a GPU's state.
type Sensors struct {
	Power       float64 // watts
	PowerLimit  float64 // watts
	Energy      float64 // joules since the driver was loaded
	Temperature int     // degrees Celsius
	Clock       int     // MHz, of the multiprocessors
	MemoryClock int     // MHz
	Throttle    uint64  // reasons for the clock, NVML's bits: 0x1 idle, 0x4 power cap, 0x20 and 0x40 heat, 0x8 hardware
	RowsPending bool    // memory rows wait to be replaced by a reset
	RowsFailed  bool    // memory rows could not be replaced: the GPU is to be taken out of service
}
