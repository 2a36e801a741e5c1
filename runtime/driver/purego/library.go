package purego

import (
	"reflect"
	"runtime"
	"unsafe"

	ffi "github.com/ebitengine/purego"

	"moegen/runtime/driver/nvidia"
)

// symbols are the addresses of the driver's functions. A field's tag is the name looked up: names with a version
// are the functions of CUDA 12, which later drivers keep; plain lookup of an unversioned one of these would find
// a function of CUDA 2.
type symbols struct {
	DriverGetVersion   uintptr `cu:"cuDriverGetVersion"`
	Init               uintptr `cu:"cuInit"`
	GetErrorName       uintptr `cu:"cuGetErrorName"`
	DeviceGetCount     uintptr `cu:"cuDeviceGetCount"`
	DeviceGet          uintptr `cu:"cuDeviceGet"`
	DeviceGetName      uintptr `cu:"cuDeviceGetName"`
	DeviceGetAttribute uintptr `cu:"cuDeviceGetAttribute"`
	DeviceTotalMem     uintptr `cu:"cuDeviceTotalMem_v2"`
	DeviceGetPCIBusID  uintptr `cu:"cuDeviceGetPCIBusId"`
	DeviceCanAccess    uintptr `cu:"cuDeviceCanAccessPeer"`

	PrimarySetFlags uintptr `cu:"cuDevicePrimaryCtxSetFlags_v2"`
	PrimaryRetain   uintptr `cu:"cuDevicePrimaryCtxRetain"`
	PrimaryRelease  uintptr `cu:"cuDevicePrimaryCtxRelease_v2"`
	CtxSetCurrent   uintptr `cu:"cuCtxSetCurrent"`
	CtxSynchronize  uintptr `cu:"cuCtxSynchronize"`
	CtxEnablePeer   uintptr `cu:"cuCtxEnablePeerAccess"`
	CtxPriorities   uintptr `cu:"cuCtxGetStreamPriorityRange"`

	MemGetInfo        uintptr `cu:"cuMemGetInfo_v2"`
	MemAlloc          uintptr `cu:"cuMemAlloc_v2"`
	MemFree           uintptr `cu:"cuMemFree_v2"`
	MemHostAlloc      uintptr `cu:"cuMemHostAlloc"`
	MemFreeHost       uintptr `cu:"cuMemFreeHost"`
	MemHostRegister   uintptr `cu:"cuMemHostRegister_v2"`
	MemHostUnregister uintptr `cu:"cuMemHostUnregister"`
	MemcpyHtoD        uintptr `cu:"cuMemcpyHtoD_v2"`
	MemcpyDtoH        uintptr `cu:"cuMemcpyDtoH_v2"`
	MemcpyAsync       uintptr `cu:"cuMemcpyAsync"`
	MemsetD32Async    uintptr `cu:"cuMemsetD32Async"`

	ModuleLoadDataEx   uintptr `cu:"cuModuleLoadDataEx"`
	ModuleUnload       uintptr `cu:"cuModuleUnload"`
	ModuleGetFunction  uintptr `cu:"cuModuleGetFunction"`
	FuncGetAttribute   uintptr `cu:"cuFuncGetAttribute"`
	FuncSetAttribute   uintptr `cu:"cuFuncSetAttribute"`
	FuncGetParamInfo   uintptr `cu:"cuFuncGetParamInfo"`
	TensorMapEncode    uintptr `cu:"cuTensorMapEncodeTiled"`
	LaunchKernelEx     uintptr `cu:"cuLaunchKernelEx"`
	StreamCreate       uintptr `cu:"cuStreamCreateWithPriority"`
	StreamDestroy      uintptr `cu:"cuStreamDestroy_v2"`
	StreamSynchronize  uintptr `cu:"cuStreamSynchronize"`
	StreamQuery        uintptr `cu:"cuStreamQuery"`
	StreamWaitEvent    uintptr `cu:"cuStreamWaitEvent"`
	StreamIsCapturing  uintptr `cu:"cuStreamIsCapturing"`
	StreamBeginCapture uintptr `cu:"cuStreamBeginCapture_v2"`
	StreamEndCapture   uintptr `cu:"cuStreamEndCapture"`

	EventCreate      uintptr `cu:"cuEventCreate"`
	EventDestroy     uintptr `cu:"cuEventDestroy_v2"`
	EventRecord      uintptr `cu:"cuEventRecordWithFlags"`
	EventSynchronize uintptr `cu:"cuEventSynchronize"`
	EventElapsedTime uintptr `cu:"cuEventElapsedTime"`

	GraphInstantiate uintptr `cu:"cuGraphInstantiateWithFlags"`
	GraphDestroy     uintptr `cu:"cuGraphDestroy"`
	GraphUpload      uintptr `cu:"cuGraphUpload"`
	GraphLaunch      uintptr `cu:"cuGraphLaunch"`
	GraphExecDestroy uintptr `cu:"cuGraphExecDestroy"`
}

// load opens a shared library and fills table, a pointer to a struct of addresses with their names as tags.
// missing is the first name that the library does not have; its address and those of others like it stay zero.
func load(library string, table any) (missing string, err error) {
	runtime.LockOSThread() // why a library was not loaded is kept for the thread that asked
	defer runtime.UnlockOSThread()
	handle, err := ffi.Dlopen(library, ffi.RTLD_NOW|ffi.RTLD_GLOBAL)
	if err != nil {
		return "", err
	}
	fields := reflect.ValueOf(table).Elem()
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Tag.Get("cu")
		address, err := ffi.Dlsym(handle, name)
		if err != nil && missing == "" {
			missing = name
		}
		fields.Field(i).SetUint(uint64(address))
	}
	return missing, nil
}

// call calls a function of the library that returns a status. The pragma keeps what the arguments point to on the
// heap and alive during the call, where a pointer is converted in the argument list itself.
//
//go:uintptrescapes
func call(function uintptr, args ...uintptr) nvidia.Result {
	r, _, _ := ffi.SyscallN(function, args...)
	return nvidia.Result(int32(r))
}

// name returns the driver's name of a result, "CUDA_ERROR_INVALID_VALUE".
func (s *symbols) name(r nvidia.Result) string {
	var text *byte
	if call(s.GetErrorName, uintptr(uint32(r)), uintptr(unsafe.Pointer(&text))) != 0 {
		return nvidia.Unnamed(r)
	}
	return goString(text)
}
