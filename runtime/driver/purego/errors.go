package purego

import (
	"fmt"

	"moegen/runtime/driver"
)

// Results that mean something to the program.
const (
	errorInvalidValue       = 1
	errorOutOfMemory        = 2
	errorDeviceUnavailable  = 46
	errorNoDevice           = 100
	errorECC                = 214
	errorNVLink             = 220
	errorContained          = 226
	errorNotReady           = 600
	errorIllegalAddress     = 700
	errorLaunchTimeout      = 702
	errorPeerAlreadyEnabled = 704
	errorContextDestroyed   = 709
	errorAssert             = 710
	errorHardwareStack      = 714
	errorLaunchFailed       = 719
	errorTensorMemoryLeak   = 721
	errorSystemNotReady     = 802
	errorDriverMismatch     = 803
	errorMPSTerminated      = 810
	errorUnknown            = 999
)

// lost tells whether a result means that the process has lost the GPU: every later call returns the same.
func (r result) lost() bool {
	switch r {
	case errorECC, errorNVLink, errorContained, errorIllegalAddress, errorLaunchTimeout, errorContextDestroyed, errorAssert,
		errorTensorMemoryLeak, errorMPSTerminated, errorUnknown:
		return true
	}
	return r >= errorHardwareStack && r <= errorLaunchFailed
}

// hardware tells whether a lost GPU was lost by its hardware, not by a kernel's fault.
func (r result) hardware() bool {
	return r == errorECC || r == errorNVLink || r == errorContained || r == errorUnknown
}

// failure returns the error of a call for a GPU, nil for success. what is the driver's function, and on what it
// was called where that says more.
func (c *cuda) failure(gpu int, what string, r result) error {
	if r == 0 {
		return nil
	}
	e := &driver.Error{Code: int(r)}
	why := fmt.Sprintf("%s: %s", what, c.name(r))
	switch {
	case r == errorOutOfMemory:
		e.Kind = driver.NoMemory
		e.Message = fmt.Sprintf("GPU %d has too little free memory (%s)", gpu, why)
	case r == errorDeviceUnavailable:
		e.Kind = driver.NoGPU
		e.Message = fmt.Sprintf("GPU %d is in use by another process that has it alone (%s): nvidia-smi lists it", gpu, why)
	case r.lost() && r.hardware():
		e.Kind = driver.Lost
		e.Message = fmt.Sprintf("GPU %d has failed (%s): the kernel log has its Xid; start again from the last checkpoint, on another GPU if it fails again", gpu, why)
	case r.lost():
		e.Kind = driver.Lost
		e.Message = fmt.Sprintf("GPU %d stopped at the fault of a kernel (%s): start again from the last checkpoint, and report it if it comes back", gpu, why)
	default:
		e.Message = fmt.Sprintf("GPU %d refuses %s", gpu, why)
	}
	return e
}
