package driver

import "fmt"

// Kind is what the reader of an Error can do about it.
type Kind int

// Kinds of errors. All but Refused mean that this machine, as it is, cannot run the program.
const (
	Refused   Kind = iota // the call was wrong, or the kernel's text
	NoDriver              // there is no driver, or it does not start
	OldDriver             // the driver is older than MinCUDA
	NoGPU                 // too few GPUs, of another architecture, or in use by others
	NoMemory              // too little free device or host memory
	Lost                  // the GPU has failed or stopped at a fault: only a new process can go on
)

// ExitUnusable is the exit status of programs that end because of the machine.
const ExitUnusable = 3

// Error is an error of a driver.
type Error struct {
	Kind    Kind
	Message string // one sentence
	Code    int    // the driver's own number, CUresult; 0 without one
	Cause   error  // what is known beyond the sentence: the simulator's report, nil elsewhere
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Cause }

// ExitStatus returns the exit status that the error ends a program with.
func (e *Error) ExitStatus() int {
	if e.Kind == Refused {
		return 1
	}
	return ExitUnusable
}

// errorf returns an Error without a code.
func errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}
