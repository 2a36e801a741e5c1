package ptx

import (
	"errors"
	"fmt"
	"strings"
)

// Module is one PTX text: kernels in the order in which they were begun.
type Module struct {
	kernels []*Kernel
}

// NewModule returns an empty module for sm_90a.
func NewModule() *Module { return &Module{} }

// Kernel begins a kernel of that many threads a block (a CTA), in one dimension. Blocks belong to no cluster unless
// Cluster says so.
func (m *Module) Kernel(name string, threads int) *Kernel {
	k := newKernel(name, threads)
	for _, other := range m.kernels {
		if other.name == name {
			k.fail("the module has a kernel %s already", name)
		}
	}
	m.kernels = append(m.kernels, k)
	return k
}

// Kernels returns what a launch needs to know of every kernel.
func (m *Module) Kernels() []Info {
	out := make([]Info, len(m.kernels))
	for i, k := range m.kernels {
		out[i] = k.info()
	}
	return out
}

// Text returns the module, or the first mistake of every kernel that has one. Instructions up to PTX 8.1 are used,
// which drivers from 530 on (CUDA 12.1) translate.
func (m *Module) Text() (string, error) {
	var errs []error
	var b strings.Builder
	b.WriteString(".version 8.1\n.target sm_90a\n.address_size 64\n\n.extern .shared .align 1024 .b8 smem[];\n")
	for _, k := range m.kernels {
		k.finish()
		if k.err != nil {
			errs = append(errs, fmt.Errorf("kernel %s: %w", k.name, k.err))
			continue
		}
		b.WriteString("\n")
		k.print(&b)
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return b.String(), nil
}

// Info is what a launch of a kernel needs.
type Info struct {
	Name    string
	Threads int // a block
	Cluster int // blocks a cluster: 1 is none
	Shared  int // bytes of dynamic shared memory a block
	Params  []Param
}

// Param is a parameter of a kernel.
type Param struct {
	Name string
	Type Type     // U64 for a pointer; 0 for a tensor map
	Map  *MapSpec // of a tensor map
}
