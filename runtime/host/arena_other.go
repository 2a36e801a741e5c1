//go:build !linux

package host

import (
	"math"
	"unsafe"
)

// mapArena allocates zeroed memory, aligned as numbers need it.
func mapArena(size int64) ([]byte, error) {
	words := make([]float64, (size+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size), nil
}

// unmapArena leaves the memory to the garbage collector.
func unmapArena([]byte) {}

// freeMemory is not known here.
func freeMemory() int64 { return math.MaxInt64 }
