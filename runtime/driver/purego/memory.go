package purego

import (
	"fmt"
	"unsafe"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

func (d *device) Memory() (free, total int64, err error) {
	r := call(d.MemGetInfo, uintptr(unsafe.Pointer(&free)), uintptr(unsafe.Pointer(&total)))
	return free, total, d.failed("cuMemGetInfo", r)
}

func (d *device) Alloc(bytes int64) (driver.Addr, error) {
	var a driver.Addr
	r := call(d.MemAlloc, uintptr(unsafe.Pointer(&a)), uintptr(bytes))
	return a, d.failed(fmt.Sprintf("cuMemAlloc of %d bytes", bytes), r)
}

func (d *device) Free(a driver.Addr) error {
	return d.failed("cuMemFree", call(d.MemFree, uintptr(a)))
}

func (d *device) AllocHost(bytes int64) (driver.Host, error) {
	var p *byte
	if r := call(d.MemHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes), nvidia.HostPortable); r != 0 {
		return driver.Host{}, nvidia.Names(d.name).NotPinned(d.gpu, bytes, r)
	}
	return driver.Host{Bytes: unsafe.Slice(p, bytes), Addr: driver.Addr(uintptr(unsafe.Pointer(p)))}, nil
}

func (d *device) FreeHost(h driver.Host) error {
	return d.failed("cuMemFreeHost", call(d.MemFreeHost, uintptr(h.Addr)))
}

func (d *device) Register(mapped []byte) (driver.Host, error) {
	if len(mapped) == 0 {
		return driver.Host{}, nvidia.NothingToRegister()
	}
	p := unsafe.SliceData(mapped)
	r := call(d.MemHostRegister, uintptr(unsafe.Pointer(p)), uintptr(len(mapped)), nvidia.HostPortable|nvidia.HostReadOnly)
	return driver.Host{Bytes: mapped, Addr: driver.Addr(uintptr(unsafe.Pointer(p)))}, d.failed(fmt.Sprintf("cuMemHostRegister of %d bytes", len(mapped)), r)
}

func (d *device) Unregister(h driver.Host) error {
	return d.failed("cuMemHostUnregister", call(d.MemHostUnregister, uintptr(h.Addr)))
}

func (d *device) Write(to driver.Addr, from []byte) error {
	if len(from) == 0 {
		return nil
	}
	r := call(d.MemcpyHtoD, uintptr(to), uintptr(unsafe.Pointer(unsafe.SliceData(from))), uintptr(len(from)))
	if r == 0 {
		// From memory that is not pinned the call ends when the bytes are in a buffer of the driver's.
		r = call(d.StreamSynchronize, 0)
	}
	return d.failed(fmt.Sprintf("cuMemcpyHtoD of %d bytes", len(from)), r)
}

func (d *device) Read(to []byte, from driver.Addr) error {
	if len(to) == 0 {
		return nil
	}
	r := call(d.MemcpyDtoH, uintptr(unsafe.Pointer(unsafe.SliceData(to))), uintptr(from), uintptr(len(to)))
	return d.failed(fmt.Sprintf("cuMemcpyDtoH of %d bytes", len(to)), r)
}
