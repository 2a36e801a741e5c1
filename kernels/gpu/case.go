package gpu

import (
	"fmt"

	"moegen/kernels/ptx"
)

// Family is a kind of kernel with the cases that show it right.
type Family struct {
	Name  string
	Cases func() []Case // the first is small
}

// Case is one computation by one or more launches.
type Case struct {
	Name     string // of its shape and Config, unique in the family
	Emit     func(*ptx.Module)
	Buffers  []Buffer
	Launches []Launch // in the order of one stream
	Outputs  []Output
	Floor    Floor

	// Peers are the other ranks of a case of several: the same launches on other contents, at the same time. Each has buffer World,
	// in which whoever runs the case writes the addresses; in every rank buffers lie equally far from the first one.
	Peers []Case

	// Large says that the case is for a GPU: the simulator would need minutes, and outputs are checked by samples.
	Large bool
}

// Floor is what the computation cannot do without.
type Floor struct {
	Bytes int64 // read from and written to global memory, each once
	FLOPs int64 // of the tensor cores; 0 where memory decides
}

// Launch is one grid. What the kernel itself fixes (threads, cluster, shared memory) is in the module's Info.
type Launch struct {
	Entry string
	Grid  int // blocks along x
	// Persistent says that the blocks share the work whatever their number: launch as many as the device holds at
	// once, in whole clusters, at most Grid. The results have the same bits.
	Persistent bool
	// Dependent says that the grid may begin before the launch in front of it has ended; it waits itself.
	Dependent bool
	Args      []Arg
	// Floor is what the launch cannot do without at the expected number of rows, with what tiles of expected experts pad;
	// zero: it reads or writes each buffer that Args name once.
	Floor Floor
}

// Arg is one argument: a place in a buffer, a tensor map over one, or a number.
type Arg struct {
	Buffer string // "": a number
	Offset int    // bytes into the buffer
	Map    *Map   // nil: the place itself
	Type   ptx.Type
	Bits   uint64 // of a number, in the lower bits
	// Differs names a number of type U32 that launches of one kind of layer have different ones of; "": they do not.
	Differs string
}

// Map describes a tensor in a buffer to the copy engine, without an interleave and with zeros outside.
type Map struct {
	Dims    []int // elements, innermost first
	Strides []int // bytes from one element to the next along dimensions 1 and up
	Spec    ptx.MapSpec
}

// Place is the beginning of a buffer.
func Place(buffer string) Arg { return Arg{Buffer: buffer, Type: ptx.U64} }

// MapOf is a tensor map over a row-major matrix at the beginning of a buffer: rows of cols elements.
func MapOf(buffer string, rows, cols int, spec ptx.MapSpec) Arg {
	return Arg{Buffer: buffer, Map: &Map{Dims: []int{cols, rows}, Strides: []int{cols * spec.Elem.Bytes()}, Spec: spec}}
}

// U32 is a number.
func U32(v int) Arg { return Arg{Type: ptx.U32, Bits: uint64(uint32(v))} }

// U64 is a number.
func U64(v int) Arg { return Arg{Type: ptx.U64, Bits: uint64(v)} }

// F32 is a number.
func F32(v float64) Arg { return Arg{Type: ptx.F32, Bits: encode(ptx.F32, v)} }

// Grid is a launch with everything that a device needs.
type Grid struct {
	Launch
	ptx.Info
}

// Build returns the case's module as text and its launches, each checked against the kernel that it names.
func (c Case) Build() (string, []Grid, error) {
	m := ptx.NewModule()
	c.Emit(m)
	text, err := m.Text()
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	infos := map[string]ptx.Info{}
	for _, i := range m.Kernels() {
		infos[i.Name] = i
	}
	var grids []Grid
	for _, l := range c.Launches {
		info, ok := infos[l.Entry]
		if !ok {
			return "", nil, fmt.Errorf("%s: the module has no kernel %s", c.Name, l.Entry)
		}
		if err := c.check(l, info); err != nil {
			return "", nil, fmt.Errorf("%s: %s: %w", c.Name, l.Entry, err)
		}
		grids = append(grids, Grid{l, info})
	}
	return text, grids, nil
}

func (c Case) check(l Launch, info ptx.Info) error {
	if l.Grid < 1 || l.Grid%info.Cluster != 0 {
		return fmt.Errorf("a grid of %d blocks in clusters of %d", l.Grid, info.Cluster)
	}
	if len(l.Args) != len(info.Params) {
		return fmt.Errorf("%d arguments; the kernel has %d parameters", len(l.Args), len(info.Params))
	}
	for i, p := range info.Params {
		a := l.Args[i]
		if _, ok := c.Buffer(a.Buffer); !ok && a.Buffer != "" {
			return fmt.Errorf("%s is buffer %s, which the case has not", p.Name, a.Buffer)
		}
		if p.Map == nil {
			if a.Map != nil || a.Type != p.Type {
				return fmt.Errorf("%s is of type %s, its argument of %s", p.Name, p.Type, a.Type)
			}
			continue
		}
		if a.Map == nil {
			return fmt.Errorf("%s is a tensor map, its argument none", p.Name)
		}
		if err := c.checkMap(a, *p.Map); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// checkMap holds a map against what its kernel was written for and against what the driver refuses or never looks at.
func (c Case) checkMap(a Arg, want ptx.MapSpec) error {
	m := a.Map
	if fmt.Sprint(m.Spec) != fmt.Sprint(want) {
		return fmt.Errorf("a map of %v; the kernel copies %v", m.Spec, want)
	}
	if len(m.Dims) != len(want.Box) || len(m.Strides) != len(m.Dims)-1 {
		return fmt.Errorf("%d dimensions and %d strides for a box of %d", len(m.Dims), len(m.Strides), len(want.Box))
	}
	last := m.Spec.Elem.Bytes() * m.Dims[0]
	for i, s := range m.Strides {
		if s%16 != 0 || s >= 1<<40 {
			return fmt.Errorf("a stride of %d bytes; the copy engine takes multiples of 16 below 2^40", s)
		}
		last += s * (m.Dims[i+1] - 1)
	}
	b, _ := c.Buffer(a.Buffer)
	if size := b.Len * b.Elem.Bytes(); a.Offset+last > size {
		return fmt.Errorf("the map ends at byte %d of %s, which has %d", a.Offset+last, b.Name, size)
	}
	return nil
}

// Buffer returns the buffer of that name.
func (c Case) Buffer(name string) (Buffer, bool) {
	for _, b := range c.Buffers {
		if b.Name == name {
			return b, true
		}
	}
	return Buffer{}, false
}

// Families returns all families, sorted by name.
func Families() []Family { return append([]Family(nil), families...) }
