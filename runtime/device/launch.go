package device

import (
	"fmt"
	"math"

	"moegen/runtime/driver"
)

// Kernel is a kernel of the program's module.
type Kernel struct {
	Name    string // of its PTX entry
	Threads int    // of a block
	Cluster int    // blocks; 0 or 1 without clusters
	Shared  int    // bytes of dynamic shared memory
	// Persistent says that the blocks share the work whatever their number: as many are launched as the GPU holds at once,
	// in whole clusters, at most the grid.
	Persistent bool
	// Dependent says that the kernel waits itself for the one before it: it may be started early.
	Dependent bool
}

// Box is what one instruction moves of a tensor, as in driver.Tensor.
type Box struct {
	Element driver.Element
	Box     []int
	Swizzle int
}

// Arg is a parameter of a kernel.
type Arg struct {
	kind          argKind
	bits          uint64 // of a number, or an offset in the arena
	box           *Box
	dims, strides []int64
}

type argKind uint8

const (
	u32 argKind = iota
	u64
	place
	tensor
	world
)

// At is the address of a place in the arena, given by its offset in bytes, a .u64 parameter.
func At(off int64) Arg { return Arg{kind: place, bits: uint64(off)} }

// World is the address of what the rank knows of all ranks, a .u64 parameter.
func World() Arg { return Arg{kind: world} }

// U32 is a .u32, .s32 or .b32 parameter.
func U32(v uint32) Arg { return Arg{kind: u32, bits: uint64(v)} }

// U64 is a .u64, .s64 or .b64 parameter.
func U64(v uint64) Arg { return Arg{kind: u64, bits: v} }

// F32 is a .f32 parameter.
func F32(v float32) Arg { return U32(math.Float32bits(v)) }

// Map is a tensor map over the tensor at an offset of the arena: its dims in elements, the innermost first, and the bytes
// from one index to the next of all dims but the first.
func Map(off int64, box *Box, dims, strides []int64) Arg {
	return Arg{kind: tensor, bits: uint64(off), box: box, dims: dims, strides: strides}
}

// add appends the parameter to a kernel's.
func (a *Arg) add(r *Rank, p *driver.Params) error {
	switch a.kind {
	case u32:
		p.U32(uint32(a.bits))
	case u64:
		p.U64(a.bits)
	case place:
		p.Addr(r.at(int64(a.bits), 1))
	case world:
		p.Addr(r.world())
	case tensor:
		t := driver.Tensor{Element: a.box.Element, Dims: a.dims, Strides: a.strides, Box: a.box.Box, Swizzle: a.box.Swizzle}
		end := a.dims[0] * a.box.Element.Bytes()
		for i, stride := range a.strides {
			end += stride * (a.dims[i+1] - 1)
		}
		t.Base = r.at(int64(a.bits), end)
		m, err := r.device.TensorMap(&t)
		if err != nil {
			return err
		}
		p.Map(&m)
	}
	return nil
}

// world is where the rank's knowledge of all ranks lies: right behind its arena.
func (r *Rank) world() driver.Addr {
	if r.Ranks == 1 {
		panic("BUG: device: a rank that is alone asks for the others")
	}
	return r.arena + driver.Addr(r.bytes)
}

// at returns the address of n bytes of the arena, of which the last have two offsets, see train.Program's Arena.
func (r *Rank) at(off, n int64) driver.Addr {
	if off >= r.bytes {
		off -= r.folded
	}
	if off < 0 || n < 0 || off > r.bytes-n {
		panic(fmt.Sprintf("BUG: device: %d bytes at offset %d of an arena of %d", n, off, r.bytes))
	}
	return r.arena + driver.Addr(off)
}
