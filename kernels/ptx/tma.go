package ptx

import (
	"fmt"
	"strings"
)

// Swizzle is how tensor copies and wgmma permute the 16-byte pieces of rows of that many bytes in shared memory, so that
// columns spread over the banks. A tile that is swizzled begins at a multiple of 8 rows.
type Swizzle int

// The swizzles. With Swizzle128, byte (r, b) of a tile with rows of 128 bytes lies at r·128 + (b xor 16·(r mod 8)).
const (
	NoSwizzle  Swizzle = 0
	Swizzle32  Swizzle = 32
	Swizzle64  Swizzle = 64
	Swizzle128 Swizzle = 128
)

// Repeat is the alignment of a tile in bytes: what the pattern repeats after.
func (s Swizzle) Repeat() int { return max(128, 8*int(s)) }

// MapSpec is what a kernel and its launch must agree on about a tensor map.
type MapSpec struct {
	Elem    Type
	Box     []int // elements copied along each dimension, innermost first
	Swizzle Swizzle
}

// Bytes is what a copy of the box adds to a barrier's transactions, whether parts of it lie outside the tensor or not.
func (m MapSpec) Bytes() int {
	n := m.Elem.Bytes()
	for _, b := range m.Box {
		n *= b
	}
	return n
}

// Shared is the shared memory that the box occupies: a row of a swizzled box takes the whole span.
func (m MapSpec) Shared() int {
	if m.Swizzle == NoSwizzle {
		return m.Bytes()
	}
	return m.Bytes() / (m.Box[0] * m.Elem.Bytes()) * int(m.Swizzle)
}

func (m MapSpec) check() error {
	if len(m.Box) < 1 || len(m.Box) > 5 {
		return fmt.Errorf("a tensor map of %d dimensions; 1 to 5", len(m.Box))
	}
	switch m.Elem {
	case U16, U32, S32, U64, S64, F16, F32, F64, BF16, TF32:
	default:
		return fmt.Errorf("no tensor map of %s", m.Elem)
	}
	for _, b := range m.Box {
		if b < 1 || b > 256 {
			return fmt.Errorf("a box of %v elements; 1 to 256 along each dimension", m.Box)
		}
	}
	switch row := m.Box[0] * m.Elem.Bytes(); {
	case row%16 != 0:
		return fmt.Errorf("rows of %d bytes in a box; multiples of 16", row)
	case m.Swizzle != NoSwizzle && m.Swizzle != Swizzle32 && m.Swizzle != Swizzle64 && m.Swizzle != Swizzle128:
		return fmt.Errorf("no swizzle of %d bytes", m.Swizzle)
	case m.Swizzle != NoSwizzle && row > int(m.Swizzle):
		return fmt.Errorf("rows of %d bytes in a box are wider than the swizzle of %d", row, m.Swizzle)
	}
	return nil
}

// TensorMap is a kernel parameter that describes a tensor in global memory to the copy engine.
type TensorMap struct {
	MapSpec
	address Reg // generic
}

// TensorMap declares a tensor map. Its address is that of the parameter, made generic: the copy engine takes no other,
// and the assembler says nothing about one that is not.
func (k *Kernel) TensorMap(name string, spec MapSpec) TensorMap {
	k.composite("a parameter")
	if err := spec.check(); err != nil {
		k.fail("%v", err)
	}
	spec.Box = append([]int(nil), spec.Box...)
	k.declare(Param{Name: name, Map: &spec})
	at := k.define(B64, 0, "mov.b64", name)
	return TensorMap{spec, k.define(U64, 6, "cvta.param.u64", at.name)}
}

// PrefetchMap brings a tensor map into the cache of the copy engine.
func (k *Kernel) PrefetchMap(m TensorMap) { k.emit("prefetch.tensormap", "["+m.address.name+"]") }

// TMALoad copies a box that starts at the given coordinates, innermost first, to shared memory; elements outside the
// tensor become zero. barrier's transactions count the box's bytes. The first coordinate is a multiple of 16 bytes.
func (k *Kernel) TMALoad(to Addr, m TensorMap, barrier Addr, at ...Operand) {
	k.tensor(m, to, at)
	op := fmt.Sprintf("cp.async.bulk.tensor.%dd.shared::cluster.global.tile.mbarrier::complete_tx::bytes", len(m.Box))
	k.instruction(k.hintedName(op), k.hinted(k.mem(to, 32), k.coordinates(m, at), k.barrierAt(barrier)))
}

// TMALoadMulticast is TMALoad to the same place in each block of the cluster whose bit mask has; each counts the bytes at
// its own barrier.
func (k *Kernel) TMALoadMulticast(to Addr, m TensorMap, barrier Addr, mask Operand, at ...Operand) {
	k.tensor(m, to, at)
	if k.cluster == 1 {
		k.fail("a multicast without a cluster")
	}
	op := fmt.Sprintf("cp.async.bulk.tensor.%dd.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster", len(m.Box))
	k.instruction(k.hintedName(op), k.hinted(k.mem(to, 32), k.coordinates(m, at), k.barrierAt(barrier), k.src(B16, mask)))
}

// TMAStore copies a box from shared memory, in the thread's bulk group; elements outside the tensor are dropped.
// Coordinates are not negative.
func (k *Kernel) TMAStore(m TensorMap, from Addr, at ...Operand) {
	k.tensor(m, from, at)
	k.notNegative(at)
	op := fmt.Sprintf("cp.async.bulk.tensor.%dd.global.shared::cta.tile.bulk_group", len(m.Box))
	k.instruction(k.hintedName(op), k.hinted(k.coordinates(m, at), k.mem(from, 32)))
}

// TMAReduceAdd adds a box to the tensor, in the thread's bulk group. The order among blocks is open.
func (k *Kernel) TMAReduceAdd(m TensorMap, from Addr, at ...Operand) {
	k.tensor(m, from, at)
	k.notNegative(at)
	op := fmt.Sprintf("cp.reduce.async.bulk.tensor.%dd.global.shared::cta.add.tile.bulk_group", len(m.Box))
	k.instruction(k.hintedName(op), k.hinted(k.coordinates(m, at), k.mem(from, 32)))
}

// TMAPrefetch brings a box into the second-level cache.
func (k *Kernel) TMAPrefetch(m TensorMap, at ...Operand) {
	op := fmt.Sprintf("cp.async.bulk.prefetch.tensor.%dd.L2.global.tile", len(m.Box))
	k.instruction(k.hintedName(op), k.hinted(k.coordinates(m, at)))
}

// tensor checks what the hardware faults on: the shared address and the first coordinate.
func (k *Kernel) tensor(m TensorMap, shared Addr, at []Operand) {
	if m.address.typ == 0 {
		k.fail("a tensor map that TensorMap did not make")
		return
	}
	k.sharedAt(shared, m.Swizzle.Repeat(), "a tensor copy")
	if len(at) > 0 && powerIn(at[0])+powerOf(m.Elem.Bytes()) < 4 {
		k.fail("the first coordinate of a tensor copy must be a multiple of 16 bytes (%d elements of %s); %v is not known to be: VarMultiple or Assume states it",
			16/m.Elem.Bytes(), m.Elem, show(at[0]))
	}
}

func (k *Kernel) notNegative(at []Operand) {
	for _, x := range at {
		if n, ok := x.(int); ok && n < 0 {
			k.fail("a tensor store at the negative coordinate %d", n)
		}
	}
}

func show(x Operand) any {
	if r, ok := x.(Reg); ok {
		return r.name
	}
	return x
}

// coordinates prints the map's address with the start of the box.
func (k *Kernel) coordinates(m TensorMap, at []Operand) string {
	if len(at) != len(m.Box) {
		k.fail("%d coordinates for a tensor of %d dimensions", len(at), len(m.Box))
	}
	names := make([]string, len(at))
	for i, x := range at {
		if r, ok := x.(Reg); ok && r.typ == U32 {
			x = r.As(S32) // coordinates are signed, and below 2^31
		}
		names[i] = k.src(S32, x)
	}
	return "[" + m.address.name + ", {" + strings.Join(names, ", ") + "}]"
}
