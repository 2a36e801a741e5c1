package purego

import "unsafe"

// What the driver's functions take by reference, laid out as in cuda.h of CUDA 12 and 13 on 64-bit machines.
// The conformance suite's stub library checks every field from C.

// launchConfig is CUlaunchConfig, 56 bytes.
type launchConfig struct {
	grid, block [3]uint32
	shared      uint32
	_           uint32
	stream      uintptr
	attributes  *launchAttribute
	count       uint32
	_           uint32
}

// launchAttribute is CUlaunchAttribute, 72 bytes: a number and a value of up to 64 bytes at offset 8.
type launchAttribute struct {
	id    uint32
	_     uint32
	value [16]uint32
}

// tensorMapAlign is the alignment of what tensor maps are encoded into.
const tensorMapAlign = 128

// goString copies a C string.
func goString(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// cString copies a string and ends it with a zero.
func cString(s string) *byte { return &append([]byte(s), 0)[0] }

// text returns what stands before the first zero.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
