package purego

import (
	"fmt"
	"strings"
	"unsafe"

	"moegen/runtime/driver"
)

// logBytes is the room for a compiler's remarks and for its errors: some hundred bytes a kernel.
const logBytes = 256 << 10

// jitOption is a CUjit_option with its value, which the driver takes, and returns, as a pointer's bits.
type jitOption struct {
	number uint32
	value  unsafe.Pointer
	bits   uintptr // where value is nil
}

func (d *device) Load(image []byte) (driver.Module, string, error) {
	image = append(image[:len(image):len(image)], 0) // PTX ends with a zero
	remarks, errors := make([]byte, logBytes), make([]byte, logBytes)
	options := []jitOption{
		{number: jitInfoLog, value: unsafe.Pointer(&remarks[0])},
		{number: jitInfoLogBytes, bits: logBytes},
		{number: jitErrorLog, value: unsafe.Pointer(&errors[0])},
		{number: jitErrorLogBytes, bits: logBytes},
		{number: jitVerbose, bits: 1},
		{number: jitSplitCompile, bits: 0},
	}
	m, r := d.loadWith(image, options)
	if r == errorInvalidValue && text(errors) == "" {
		// A driver that does not know the last option compiles with one thread.
		m, r = d.loadWith(image, options[:len(options)-1])
	}
	log := strings.TrimSpace(text(remarks))
	if r == 0 {
		return m, log, nil
	}
	if message := strings.TrimSpace(text(errors)); message != "" && !r.lost() && r != errorOutOfMemory {
		return 0, log, &driver.Error{Code: int(r), Message: fmt.Sprintf("the driver's compiler refuses the kernels (%s): %s", d.name(r), message)}
	}
	return 0, log, d.failed("cuModuleLoadDataEx", r)
}

func (d *device) loadWith(image []byte, options []jitOption) (m driver.Module, r result) {
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
	}{{functionMaxThreads, &f.MaxThreads}, {functionStatic, &f.Static}, {functionLocal, &f.Spilled}, {functionRegisters, &f.Registers}} {
		var v int32
		if r := call(d.FuncGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(a.number), f.Handle); r != 0 {
			return nil, d.failed("cuFuncGetAttribute "+name, r)
		}
		*a.to = int(v)
	}
	if shared < 0 || shared+f.Static > d.info.Shared {
		return nil, &driver.Error{Message: fmt.Sprintf("kernel %s asks for %d bytes of shared memory beside %d static ones and GPU %d has %d", name, shared, f.Static, d.gpu, d.info.Shared)}
	}
	// The bound is set to all that there is: it belongs to the kernel, which may be prepared again for another size.
	if r := call(d.FuncSetAttribute, f.Handle, functionDynamic, uintptr(d.info.Shared-f.Static)); r != 0 {
		return nil, d.failed("cuFuncSetAttribute "+name, r)
	}
	return f, d.paramsOf(f)
}

// paramsOf asks for the sizes of a kernel's parameters and lays them out as PTX does. The driver's own offsets
// are another thing: they count from where parameters begin in a bank of constants, which is no multiple of 64, so
// that a tensor map lies 48 bytes further on there.
func (d *device) paramsOf(f *driver.Function) error {
	for i := uintptr(0); ; i++ {
		var offset, size uint64
		r := call(d.FuncGetParamInfo, f.Handle, i, uintptr(unsafe.Pointer(&offset)), uintptr(unsafe.Pointer(&size)))
		if r == errorInvalidValue { // past the last one
			return nil
		}
		if r != 0 {
			return d.failed("cuFuncGetParamInfo "+f.Name, r)
		}
		if i == maxParams {
			return &driver.Error{Message: fmt.Sprintf("kernel %s has more than %d parameters", f.Name, maxParams)}
		}
		align := int(size)
		if size == uint64(len(driver.TensorMap{})) {
			align = driver.MapAlign
		}
		at := (f.ParamBytes + align - 1) / align * align
		f.ParamAt, f.ParamBytes = append(f.ParamAt, at), at+int(size)
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
	swizzle := map[int]uintptr{0: 0, 32: 1, 64: 2, 128: 3}[t.Swizzle]
	r := call(d.TensorMapEncode, uintptr(unsafe.Pointer(&buffer[at])), uintptr(t.Element), uintptr(len(t.Dims)), uintptr(t.Base),
		uintptr(unsafe.Pointer(&t.Dims[0])), uintptr(unsafe.Pointer(&strides[0])), uintptr(unsafe.Pointer(&box[0])), uintptr(unsafe.Pointer(&steps[0])),
		0, swizzle, promote128, 0)
	copy(m[:], buffer[at:])
	return m, d.failed("cuTensorMapEncodeTiled", r)
}
