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

// Numbers of launch attributes.
const (
	attributeCluster = 4 // value: x, y, z
	attributeOverlap = 6 // value: 1 (programmatic stream serialization)
)

// maxParams is how many parameters a launch can have.
const maxParams = 64

// Attributes of devices, functions and contexts, and other numbers of cuda.h.
const (
	deviceSMs          = 16
	deviceL2           = 38
	deviceCapMajor     = 75
	deviceCapMinor     = 76
	deviceSharedOptIn  = 97
	functionMaxThreads = 0
	functionStatic     = 1
	functionLocal      = 3
	functionRegisters  = 4
	functionDynamic    = 8
	contextBlocking    = 4 // waiting threads sleep
	streamNonBlocking  = 1 // no order with the default stream
	eventBlocking      = 1
	eventNoTiming      = 2
	eventExternal      = 1 // a recording that becomes a node of the graph
	captureThreadLocal = 1
	hostPortable       = 1 // pinned for all contexts
	hostReadOnly       = 8
	jitInfoLog         = 3
	jitInfoLogBytes    = 4
	jitErrorLog        = 5
	jitErrorLogBytes   = 6
	jitVerbose         = 12
	jitSplitCompile    = 34 // value: threads; 0 means all cores
	promote128         = 2  // L2 fetches of a tensor map
	tensorMapAlign     = 128
)

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
