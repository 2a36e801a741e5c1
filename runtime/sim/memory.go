package sim

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sort"
)

// memory is a piece of memory with what the checkers know of it: a bit per byte that something wrote it, and the accesses
// to each word (shadow.go). An allocation, a CTA's shared memory and a constant bank are each one.
type memory struct {
	base  uint64 // address of its first byte in its space
	data  []byte
	def   []uint64
	cells [][]cell // pages of pageCells cells, made when first touched
	parts map[int]*[4]cell

	gpu   int
	name  string
	size  int // kept when the memory is freed
	freed bool
	sync  map[int]*published // release patterns by byte offset

	mbarriers map[int]*mbarrier // of shared memory, by offset
	cta       *cta              // of shared memory
}

// poison fills fresh memory: a pattern that as a float is a large negative number and as an index is far outside.
const poison = 0xC7

func newMemory(base uint64, size int, name string) *memory {
	m := &memory{base: base, data: make([]byte, size), size: size, name: name}
	m.reset()
	return m
}

// reset makes the memory undefined and forgets its accesses.
func (m *memory) reset() {
	fill(m.data, poison)
	n := (len(m.data) + 63) / 64
	if len(m.def) != n {
		m.def = make([]uint64, n)
	}
	clear(m.def)
	if pages := (len(m.data) + pageBytes - 1) / pageBytes; len(m.cells) != pages {
		m.cells = make([][]cell, pages)
	}
	for _, page := range m.cells {
		clear(page)
	}
	m.parts, m.sync, m.mbarriers = nil, nil, nil
}

func fill(b []byte, v byte) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// defined tells whether all n bytes at off were written.
func (m *memory) defined(off, n int) bool {
	for n > 0 {
		w, b := off>>6, off&63
		k := min(64-b, n)
		mask := (full64 >> (64 - k)) << b
		if m.def[w]&mask != mask {
			return false
		}
		off, n = off+k, n-k
	}
	return true
}

// firstUndefined is the offset of the first byte of n that nothing wrote.
func (m *memory) firstUndefined(off, n int) int {
	for i := off; i < off+n; i += 64 - i&63 {
		if missing := ^m.def[i>>6] >> (i & 63); missing != 0 {
			if at := i + bits.TrailingZeros64(missing); at < off+n {
				return at
			}
			return -1
		}
	}
	return -1
}

func (m *memory) define(off, n int) {
	for n > 0 {
		w, b := off>>6, off&63
		k := min(64-b, n)
		m.def[w] |= (full64 >> (64 - k)) << b
		off, n = off+k, n-k
	}
}

func (m *memory) undefine(off, n int) {
	for n > 0 {
		w, b := off>>6, off&63
		k := min(64-b, n)
		m.def[w] &^= (full64 >> (64 - k)) << b
		off, n = off+k, n-k
	}
}

// copyDefined copies the definedness of n bytes at from in src to at; the ranges may overlap as those of copy may.
func (m *memory) copyDefined(at int, src *memory, from, n int) {
	known := make([]uint64, (n+63)/64)
	for i := range known {
		w, b := (from+64*i)>>6, (from+64*i)&63
		known[i] = src.def[w] >> b
		if b > 0 && w+1 < len(src.def) {
			known[i] |= src.def[w+1] << (64 - b)
		}
	}
	m.undefine(at, n)
	for i, x := range known {
		for k, end := 0, min(64, n-64*i); k < end; {
			k += min(bits.TrailingZeros64(x>>k), end-k)
			run := min(bits.TrailingZeros64(^(x >> k)), end-k)
			m.define(at+64*i+k, run)
			k += run
		}
	}
}

func (m *memory) describe(off int) string {
	return fmt.Sprintf("%s + %d", m.name, off)
}

// get reads n ≤ 8 bytes, little-endian.
func (m *memory) get(off, n int) uint64 {
	switch n {
	case 1:
		return uint64(m.data[off])
	case 2:
		return uint64(binary.LittleEndian.Uint16(m.data[off:]))
	case 4:
		return uint64(binary.LittleEndian.Uint32(m.data[off:]))
	}
	return binary.LittleEndian.Uint64(m.data[off:])
}

func (m *memory) put(off, n int, v uint64) {
	switch n {
	case 1:
		m.data[off] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(m.data[off:], uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(m.data[off:], uint32(v))
	default:
		binary.LittleEndian.PutUint64(m.data[off:], v)
	}
}

// Device memory: allocations of all GPUs in one address space, sorted by address, with gaps between them. Addresses are
// never used again, so a stale pointer is found.

const (
	globalStart = 0x2_0000_0000
	gpuShift    = 40 // a GPU's addresses start at (gpu + 1) << gpuShift + globalStart
	allocAlign  = 512
	allocGap    = 4096
)

type heap struct {
	sorted []*memory
	next   []uint64 // by GPU
	used   []int64
}

func newHeap(gpus int) *heap {
	h := &heap{next: make([]uint64, gpus), used: make([]int64, gpus)}
	for g := range h.next {
		h.next[g] = uint64(g+1)<<gpuShift + globalStart
	}
	return h
}

func (h *heap) alloc(gpu, size int, name string) *memory {
	m := newMemory(h.next[gpu], size, name)
	m.gpu = gpu
	h.next[gpu] += uint64(alignUp(size, allocAlign) + allocGap)
	h.used[gpu] += int64(size)
	i := sort.Search(len(h.sorted), func(i int) bool { return h.sorted[i].base > m.base })
	h.sorted = append(h.sorted, nil)
	copy(h.sorted[i+1:], h.sorted[i:])
	h.sorted[i] = m
	return m
}

// find gives the memory that holds the address or, when it lies in a gap, the one before it.
func (h *heap) find(a uint64) (m *memory, inside bool) {
	lo, hi := 0, len(h.sorted)
	for lo < hi {
		mid := (lo + hi) / 2
		if h.sorted[mid].base <= a {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return nil, false
	}
	m = h.sorted[lo-1]
	return m, a-m.base < uint64(m.size) && !m.freed
}

// outside says what an address that belongs to no allocation is near to.
func (h *heap) outside(a uint64, n int) string {
	m, _ := h.find(a)
	switch {
	case m == nil:
		return fmt.Sprintf("%d bytes at %#x, which nothing allocated", n, a)
	case m.freed && a-m.base < uint64(m.size):
		return fmt.Sprintf("%d bytes at %#x: %s was freed", n, a, m.name)
	case a-m.base < uint64(m.size):
		return fmt.Sprintf("%d bytes at %s cross the end of its %d bytes", n, m.describe(int(a-m.base)), m.size)
	case a-m.base < uint64(m.size)+1<<24:
		return fmt.Sprintf("%d bytes at %#x, %d bytes after the end of %s (%d bytes)", n, a, a-m.base-uint64(m.size), m.name, m.size)
	}
	return fmt.Sprintf("%d bytes at %#x, which nothing allocated", n, a)
}
