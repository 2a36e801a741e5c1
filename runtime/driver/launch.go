package driver

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Dim is a size in up to three dimensions, x first.
type Dim [3]uint32

// Launch is one start of a kernel. It can be launched any number of times.
type Launch struct {
	Function *Function
	Grid     Dim  // CTAs
	Block    Dim  // threads of a CTA
	Cluster  Dim  // CTAs of a cluster, dividing the grid, at most 8 in all; zero without clusters
	Overlap  bool // may start before the kernel before it in the stream has ended: programmatic dependent launch
	Params   Params
}

// Check returns an error when the launch gives the kernel more or fewer bytes of parameters than it has.
func (l *Launch) Check() error {
	if f := l.Function; len(l.Params) != f.ParamBytes {
		return &Error{Message: fmt.Sprintf("kernel %s has %d bytes of parameters and the launch gives %d", f.Name, f.ParamBytes, len(l.Params))}
	}
	return nil
}

// Params are the parameters of a kernel, one after another, each at a multiple of its alignment: PTX's layout.
// The methods append one parameter each.
type Params []byte

// MapAlign is the alignment of a tensor map among the parameters: PTX declares it as .param .align 64 .b8 [128].
const MapAlign = 64

// U32 appends a .u32, .s32 or .b32 parameter.
func (p *Params) U32(v uint32) {
	p.align(4)
	*p = binary.LittleEndian.AppendUint32(*p, v)
}

// U64 appends a .u64, .s64 or .b64 parameter.
func (p *Params) U64(v uint64) {
	p.align(8)
	*p = binary.LittleEndian.AppendUint64(*p, v)
}

// F32 appends a .f32 parameter.
func (p *Params) F32(v float32) { p.U32(math.Float32bits(v)) }

// Addr appends an address, a .u64 parameter.
func (p *Params) Addr(a Addr) { p.U64(uint64(a)) }

// Map appends a tensor map by value.
func (p *Params) Map(m *TensorMap) {
	p.align(MapAlign)
	*p = append(*p, m[:]...)
}

func (p *Params) align(to int) {
	for len(*p)%to != 0 {
		*p = append(*p, 0)
	}
}

// Resident returns how many CTAs of so many threads a GPU holds at once: what the kernel's shared memory (of which the
// system keeps 1 KiB a CTA), its 64 Ki registers (given out by 256 a warp) and its 2048 threads a multiprocessor allow.
func (f *Function) Resident(on Info, threads int) int {
	warps := (threads + 31) / 32
	n := 2048 / (32 * warps)
	if f.Registers > 0 {
		n = min(n, 65536/((f.Registers*32+255)/256*256*warps))
	}
	if on.Shared > 0 {
		n = min(n, (on.Shared+1024)/(f.Shared+f.Static+1024))
	}
	return on.SMs * max(n, 1)
}

// Persistent returns the grid of a kernel whose CTAs share the work whatever their number: as many as the GPU holds at
// once, in whole clusters, at most grid.
func Persistent(grid, cluster, resident int) int {
	return min(grid, max(resident/cluster*cluster, cluster))
}
