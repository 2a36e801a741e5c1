package tile

import "moegen/kernels/ptx"

// Depth is how many values along k a slot holds of each operand.
const Depth = 64

// Steps is how many wgmmas deep a slot is.
const Steps = Depth / 16

// rowBytes is the pitch of a tile in shared memory, the span of its swizzle.
const rowBytes = 128

// Operand is a tile of A or B in a slot: Rows of m or n by Depth of k, in bf16.
//
// K-major (a matrix [rows][k]), row r begins at byte 128·r. MN-major (a matrix [k][rows]), the tile is slabs of 64 rows,
// one behind the other, each Depth rows of 128 bytes that hold 64 rows' values for one k.
type Operand struct {
	Major ptx.Major
	Rows  int // a multiple of 64
}

// Bytes returns the size of the tile.
func (o Operand) Bytes() int { return o.Rows * Depth * 2 }

// Map returns the box of one copy: all rows (or the share of one block of the cluster) if K-major, a slab otherwise.
func (o Operand) Map(share int) ptx.MapSpec {
	box := []int{Depth, o.Rows / share}
	if o.Major == ptx.MNMajor {
		box = []int{64, Depth}
	}
	return ptx.MapSpec{Elem: ptx.BF16, Box: box, Swizzle: ptx.Swizzle128}
}

// Load copies the tile at (row, kk) of the matrix to shared memory. more are further coordinates of the map.
func (o Operand) Load(k *ptx.Kernel, m ptx.TensorMap, to ptx.Reg, full ptx.Addr, row, kk ptx.Reg, more ...ptx.Operand) {
	if o.Major == ptx.KMajor {
		k.TMALoad(to.At(0), m, full, append([]ptx.Operand{kk, row}, more...)...)
		return
	}
	for s := range o.Rows / 64 {
		k.TMALoad(to.At(s*64*rowBytes), m, full, append([]ptx.Operand{k.Add(row, 64*s), kk}, more...)...)
	}
}

// LoadShare copies this block's share of the tile, share rank of all of a cluster's, to every block of it.
func (o Operand) LoadShare(k *ptx.Kernel, m ptx.TensorMap, to ptx.Reg, full ptx.Addr, row, kk, rank ptx.Reg, cluster int) {
	rows := o.Rows / cluster
	mask := k.Const(ptx.U16, 1<<cluster-1)
	to = k.Mad(rank, rows*rowBytes, to)
	row = k.Mad(rank, rows, row)
	if o.Major == ptx.KMajor {
		k.TMALoadMulticast(to.At(0), m, full, mask, kk, row)
		return
	}
	for s := range rows / 64 {
		k.TMALoadMulticast(to.At(s*64*rowBytes), m, full, mask, k.Add(row, 64*s), kk)
	}
}

// Layout is how wgmma finds the tile: eight rows (K-major) or eight values of k (MN-major) of 128 bytes make the swizzle's
// pattern, and slabs follow one another.
func (o Operand) Layout() ptx.Layout {
	l := ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 8 * rowBytes}
	if o.Major == ptx.MNMajor {
		l.Leading = Depth * rowBytes
	}
	return l
}

// Descriptor describes the tile that begins at an address.
func (o Operand) Descriptor(k *ptx.Kernel, at ptx.Reg) ptx.Reg { return k.Descriptor(at, o.Layout()) }

// Step is what a descriptor moves by for wgmma number i along k, in units of 16 bytes.
func (o Operand) Step(i int) int {
	if o.Major == ptx.KMajor {
		return i * 16 * 2 / 16 // inside the row; the swizzle works on addresses, so it follows
	}
	return i * 16 * rowBytes / 16
}

// Block64 is where the 64 rows number i begin, in bytes: a slab, or as many rows.
func (o Operand) Block64(i int) int { return i * 64 * rowBytes }
