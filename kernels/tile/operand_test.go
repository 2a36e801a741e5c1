package tile

import (
	"fmt"
	"testing"

	"moegen/kernels/ptx"
)

// swizzle128 is the permutation that the copy engine and wgmma apply to shared addresses: bits 4 to 6 by bits 7 to 9.
func swizzle128(at int) int { return at ^ at>>3&0x70 }

// copied is where the copy engine puts the tile in shared memory: address to element (row, k), packed as row·Depth + k.
// Boxes follow one another; element (x, y) of a box, x innermost, lies at byte 128·y + 2·x before the swizzle.
func copied(o Operand, base int) map[int]int {
	memory := map[int]int{}
	box := o.Map(1).Box
	for n := range o.Rows * Depth / (box[0] * box[1]) {
		for y := range box[1] {
			for x := range box[0] {
				row, k := y, x
				if o.Major == ptx.MNMajor {
					row, k = 64*n+x, y
				}
				memory[swizzle128(base+n*box[0]*box[1]*2+128*y+2*x)] = row*Depth + k
			}
		}
	}
	return memory
}

// read is the address from which wgmma takes element (r, k) of its operand, by the formulas of the PTX ISA for the 128-byte
// swizzle ("Strides", "Matrix descriptor").
func read(l ptx.Layout, major ptx.Major, start, r, k int) int {
	if major == ptx.KMajor {
		return swizzle128(start + r%8*128 + r/8*l.Stride + 2*k)
	}
	return swizzle128(start + 2*r%128 + 2*r/128*l.Leading + k%8*128 + k/8*l.Stride)
}

// Every element that a step of wgmma reads through the descriptor is the one that was copied there, for all rows at once
// (B) and for blocks of 64 (A).
func TestDescriptorsFindWhatCopiesWrite(t *testing.T) {
	for _, major := range []ptx.Major{ptx.KMajor, ptx.MNMajor} {
		for _, rows := range []int{64, 128, 192, 256} {
			o := Operand{Major: major, Rows: rows}
			t.Run(fmt.Sprint(major, rows), func(t *testing.T) {
				const base = 5 * 1024
				memory := copied(o, base)
				if len(memory) != rows*Depth || o.Bytes() != 2*rows*Depth {
					t.Fatalf("%d elements in %d bytes", len(memory), o.Bytes())
				}
				for step := range Steps {
					for r := range rows {
						for k := range 16 {
							want := r*Depth + 16*step + k
							if got := memory[read(o.Layout(), major, base+16*o.Step(step), r, k)]; got != want {
								t.Fatalf("step %d reads element %d for row %d, value %d; want %d", step, got, r, k, want)
							}
							block := base + 16*o.Step(step) + o.Block64(r/64)
							if got := memory[read(o.Layout(), major, block, r%64, k)]; got != want {
								t.Fatalf("step %d of block %d reads element %d for row %d, value %d; want %d", step, r/64, got, r%64, k, want)
							}
						}
					}
				}
			})
		}
	}
}

// FuzzDescriptors copies a tile to any place and reads one element of it through the descriptor, whole and by blocks of 64.
func FuzzDescriptors(f *testing.F) {
	f.Add(false, uint8(0), uint8(0), uint16(0), uint8(0))
	f.Add(true, uint8(3), uint8(5), uint16(255), uint8(63))
	f.Add(true, uint8(1), uint8(200), uint16(64), uint8(17))
	f.Add(false, uint8(2), uint8(31), uint16(191), uint8(48))
	f.Fuzz(func(t *testing.T, mn bool, blocks, place uint8, row uint16, depth uint8) {
		o := Operand{Major: ptx.KMajor, Rows: 64 * (1 + int(blocks)%4)}
		if mn {
			o.Major = ptx.MNMajor
		}
		base, r, k := 1024*int(place), int(row)%o.Rows, int(depth)%Depth
		memory, step := copied(o, base), k/16
		for _, at := range []int{
			read(o.Layout(), o.Major, base+16*o.Step(step), r, k%16),
			read(o.Layout(), o.Major, base+16*o.Step(step)+o.Block64(r/64), r%64, k%16),
		} {
			if got, ok := memory[at]; !ok || got != r*Depth+k {
				t.Fatalf("%v of %d rows at %d: element %d, %d is read at %d, where %d lies", o.Major, o.Rows, base, r, k, at, got)
			}
		}
	})
}
