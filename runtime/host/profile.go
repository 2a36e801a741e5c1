package host

import (
	"reflect"
	"runtime"
	"strings"
	"time"
)

// Profile is where the time of a rank's kernels goes. What a kernel does outside of its pool's tasks, and what a
// program does outside of kernels, is not in it.
type Profile struct {
	GEMM      time.Duration // products of matrices: linear, grouped linear, linear with cross-entropy
	Attention time.Duration
	Other     time.Duration
}

// SetProfile adds the time of every kernel that runs on the pool from now on to t; nil: to nothing, at no cost.
// It must not be called while a kernel runs.
func (p *Pool) SetProfile(t *Profile) { p.profile = t }

// families are the kernels that a Profile tells apart, by the beginning of their names.
var families = []struct {
	prefix string
	total  func(*Profile) *time.Duration
}{
	{"Attention", func(t *Profile) *time.Duration { return &t.Attention }},
	{"Grouped", func(t *Profile) *time.Duration { return &t.GEMM }},
	{"Linear", func(t *Profile) *time.Duration { return &t.GEMM }},
}

// add books the time since start for the kernel that is running.
func (t *Profile) add(start time.Time) {
	took, kernel := time.Since(start), callerKernel()
	for _, f := range families {
		if strings.HasPrefix(kernel, f.prefix) {
			*f.total(t) += took
			return
		}
	}
	t.Other += took
}

// prefix begins the full names of this package's functions, which generated modules keep under another path.
var prefix = reflect.TypeFor[Pool]().PkgPath() + "."

// callerKernel is the name of the function of this package that was called from outside of it: the kernel on whose
// behalf the pool runs.
func callerKernel() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	kernel := ""
	for {
		frame, more := frames.Next()
		name, inside := strings.CutPrefix(frame.Function, prefix)
		if !inside || !more {
			return kernel
		}
		kernel = name
	}
}
