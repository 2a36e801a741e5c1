package purego

import (
	"strings"
	"unsafe"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// jitOption is a CUjit_option with its value, which the driver takes, and returns, as a pointer's bits.
type jitOption struct {
	number uint32
	value  unsafe.Pointer
	bits   uintptr // where value is nil
}

func (d *device) Load(image []byte) (driver.Module, string, error) {
	image = append(image[:len(image):len(image)], 0) // PTX ends with a zero
	remarks, errors := make([]byte, nvidia.LogBytes), make([]byte, nvidia.LogBytes)
	options := []jitOption{
		{number: nvidia.JITInfoLog, value: unsafe.Pointer(&remarks[0])},
		{number: nvidia.JITInfoLogBytes, bits: nvidia.LogBytes},
		{number: nvidia.JITErrorLog, value: unsafe.Pointer(&errors[0])},
		{number: nvidia.JITErrorLogBytes, bits: nvidia.LogBytes},
		{number: nvidia.JITVerbose, bits: 1},
		{number: nvidia.JITSplitCompile, bits: 0},
	}
	m, r := d.loadWith(image, options)
	if r == nvidia.InvalidValue && text(errors) == "" {
		// A driver that does not know the last option compiles with one thread.
		m, r = d.loadWith(image, options[:len(options)-1])
	}
	log := strings.TrimSpace(text(remarks))
	return m, log, nvidia.Names(d.name).NotLoaded(d.gpu, r, text(errors))
}

func (d *device) loadWith(image []byte, options []jitOption) (m driver.Module, r nvidia.Result) {
	numbers, values := make([]uint32, len(options)), make([]unsafe.Pointer, len(options))
	for i, o := range options {
		numbers[i], values[i] = o.number, o.value
		if o.value == nil {
			*(*uintptr)(unsafe.Pointer(&values[i])) = o.bits
		}
	}
	r = call(d.ModuleLoadDataEx, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&image[0])), uintptr(len(options)),
		uintptr(unsafe.Pointer(&numbers[0])), uintptr(unsafe.Pointer(&values[0])))
	return m, r
}

func (d *device) Unload(m driver.Module) error {
	return d.failed("cuModuleUnload", call(d.ModuleUnload, uintptr(m)))
}

func (d *device) Function(m driver.Module, name string, shared int) (*driver.Function, error) {
	f := &driver.Function{Name: name, Shared: shared}
	if r := call(d.ModuleGetFunction, uintptr(unsafe.Pointer(&f.Handle)), uintptr(m), uintptr(unsafe.Pointer(cString(name)))); r != 0 {
		return nil, d.failed("cuModuleGetFunction "+name, r)
	}
	for _, a := range []struct {
		number int
		to     *int
	}{{nvidia.FunctionMaxThreads, &f.MaxThreads}, {nvidia.FunctionStatic, &f.Static}, {nvidia.FunctionLocal, &f.Spilled}, {nvidia.FunctionRegisters, &f.Registers}} {
		var v int32
		if r := call(d.FuncGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(a.number), f.Handle); r != 0 {
			return nil, d.failed("cuFuncGetAttribute "+name, r)
		}
		*a.to = int(v)
	}
	if err := nvidia.CheckShared(f, d.gpu, d.info); err != nil {
		return nil, err
	}
	// The bound is set to all that there is: it belongs to the kernel, which may be prepared again for another size.
	if r := call(d.FuncSetAttribute, f.Handle, nvidia.FunctionDynamic, uintptr(d.info.Shared-f.Static)); r != 0 {
		return nil, d.failed("cuFuncSetAttribute "+name, r)
	}
	return f, d.paramsOf(f)
}

// paramsOf asks for the sizes of a kernel's parameters and places them.
func (d *device) paramsOf(f *driver.Function) error {
	for i := uintptr(0); ; i++ {
		var offset, size uint64
		r := call(d.FuncGetParamInfo, f.Handle, i, uintptr(unsafe.Pointer(&offset)), uintptr(unsafe.Pointer(&size)))
		if r == nvidia.InvalidValue { // past the last one
			return nil
		}
		if r != 0 {
			return d.failed("cuFuncGetParamInfo "+f.Name, r)
		}
		if err := nvidia.Place(f, int(size)); err != nil {
			return err
		}
	}
}

func (d *device) TensorMap(t *driver.Tensor) (driver.TensorMap, error) {
	var m driver.TensorMap
	if err := t.Check(); err != nil {
		return m, err
	}
	buffer := make([]byte, len(m)+tensorMapAlign)
	at := -int(uintptr(unsafe.Pointer(&buffer[0]))) & (tensorMapAlign - 1)
	strides := append(append([]int64(nil), t.Strides...), 0) // never empty
	box, steps := make([]uint32, len(t.Box)), make([]uint32, len(t.Box))
	for i, n := range t.Box {
		box[i], steps[i] = uint32(n), 1
	}
	r := call(d.TensorMapEncode, uintptr(unsafe.Pointer(&buffer[at])), uintptr(t.Element), uintptr(len(t.Dims)), uintptr(t.Base),
		uintptr(unsafe.Pointer(&t.Dims[0])), uintptr(unsafe.Pointer(&strides[0])), uintptr(unsafe.Pointer(&box[0])), uintptr(unsafe.Pointer(&steps[0])),
		0, uintptr(nvidia.Swizzle[t.Swizzle]), nvidia.Promote128, 0)
	copy(m[:], buffer[at:])
	return m, d.failed("cuTensorMapEncodeTiled", r)
}
