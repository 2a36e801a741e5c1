//go:build cgodriver

package cgo

import (
	"gorgonia.org/cu"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

func (d *device) Unload(m driver.Module) error {
	return d.failed("cuModuleUnload", as[cu.Module](m).Unload())
}

func (d *device) Function(m driver.Module, name string, shared int) (*driver.Function, error) {
	handle, err := as[cu.Module](m).Function(name)
	if err != nil {
		return nil, d.failed("cuModuleGetFunction "+name, err)
	}
	f := &driver.Function{Name: name, Handle: as[uintptr](handle), Shared: shared}
	for _, a := range []struct {
		number cu.FunctionAttribute
		to     *int
	}{{nvidia.FunctionMaxThreads, &f.MaxThreads}, {nvidia.FunctionStatic, &f.Static}, {nvidia.FunctionLocal, &f.Spilled}, {nvidia.FunctionRegisters, &f.Registers}} {
		if *a.to, err = handle.Attribute(a.number); err != nil {
			return nil, d.failed("cuFuncGetAttribute "+name, err)
		}
	}
	if err := nvidia.CheckShared(f, d.gpu, d.info); err != nil {
		return nil, err
	}
	if r := d.allShared(f); r != 0 {
		return nil, failure(d.gpu, "cuFuncSetAttribute "+name, r)
	}
	for i := 0; ; i++ {
		bytes, r := param(f, i)
		if r == nvidia.InvalidValue { // past the last one
			return f, nil
		}
		if r != 0 {
			return nil, failure(d.gpu, "cuFuncGetParamInfo "+name, r)
		}
		if err := nvidia.Place(f, bytes); err != nil {
			return nil, err
		}
	}
}
