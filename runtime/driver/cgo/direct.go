//go:build cgodriver

package cgo

/*
#cgo linux LDFLAGS: -ldl
#cgo noescape launch
#cgo nocallback launch
#cgo noescape cuStreamIsCapturing
#cgo nocallback cuStreamIsCapturing
#include <string.h>
#include "cuda.h"
#include "load.h"

#undef cuInit

// launch starts a kernel. Its parameters lie in one block, each at its place, so that nothing of Go's points to anything
// of Go's.
static CUresult launch(CUfunction function, CUstream stream, const unsigned *grid, const unsigned *block, const unsigned *cluster,
		unsigned shared, int overlap, char *params, const long long *place, int count) {
	CUlaunchAttribute attributes[2];
	CUlaunchConfig config = {.shared = shared, .stream = stream, .attributes = attributes};
	memcpy(config.grid, grid, sizeof config.grid);
	memcpy(config.block, block, sizeof config.block);
	if (cluster[0]) attributes[config.count++] = (CUlaunchAttribute){.id = 4, .value = {cluster[0], cluster[1], cluster[2]}};
	if (overlap) attributes[config.count++] = (CUlaunchAttribute){.id = 6, .value = {1}};
	void *at[64];
	for (int i = 0; i < count; i++) at[i] = params + place[i];
	return cuLaunchKernelEx(&config, function, count ? at : NULL, NULL);
}

// compile loads a module, with as many threads as there are cores where parallel.
static CUresult compile(CUmodule *module, const void *image, char *remarks, char *errors, size_t room, int parallel) {
	enum { SPLIT_COMPILE = 34 };
	CUjit_option options[] = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER,
		CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_LOG_VERBOSE, (CUjit_option)SPLIT_COMPILE};
	void *values[] = {remarks, (void *)room, errors, (void *)room, (void *)1, NULL};
	return cuModuleLoadDataEx(module, image, parallel ? 6 : 5, options, values);
}

// encode describes a tensor, whose elements follow each other. dims has the strides behind it, box the steps.
static CUresult encode(void *to, unsigned type, unsigned rank, unsigned long long base, const unsigned long long *dims, const unsigned *box,
		unsigned swizzle, unsigned promotion) {
	CUtensorMap map;
	CUresult result = cuTensorMapEncodeTiled(&map, type, rank, (void *)base, dims, dims + rank, box, box + rank, 0, swizzle, promotion, 0);
	memcpy(to, &map, sizeof map);
	return result;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"gorgonia.org/cu"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// This file is what package cu lacks or does wrongly: it passes no parameter of more than 8 bytes, knows neither clusters
// nor tensor maps, sets no attribute of a function, pins no memory, and neither captures nor runs graphs.

// loadLibrary puts a library behind the trampolines. missing is the first function that is needed and not there.
func loadLibrary(library string) (missing string, err error) {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	var lacks *C.char
	if why := C.load(path, &lacks); why != nil {
		return "", errors.New(C.GoString(why))
	}
	return C.GoString(lacks), nil
}

// ncclVersion returns the version of the library of collectives, 0 if it cannot be loaded.
func ncclVersion(library string) int {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	return int(C.nccl_version(path))
}

// start is cuInit, which in package cu does nothing.
func start() nvidia.Result { return nvidia.Result(C.cuInit(0)) }

// name returns the driver's name of a result.
func name(r nvidia.Result) string {
	var text *C.char
	if C.cuGetErrorName(C.CUresult(r), &text) != 0 {
		return nvidia.Unnamed(r)
	}
	return C.GoString(text)
}

// busOf returns a GPU's PCI address.
func busOf(device cu.Device) (string, nvidia.Result) {
	var bus [32]C.char
	r := C.cuDeviceGetPCIBusId(&bus[0], C.int(len(bus)), C.CUdevice(device))
	return C.GoString(&bus[0]), nvidia.Result(r)
}

func (d *device) AllocHost(bytes int64) (driver.Host, error) {
	var p unsafe.Pointer
	if r := nvidia.Result(C.cuMemHostAlloc(&p, C.size_t(bytes), nvidia.HostPortable)); r != 0 {
		return driver.Host{}, nvidia.Names(name).NotPinned(d.gpu, bytes, r)
	}
	return driver.Host{Bytes: unsafe.Slice((*byte)(p), bytes), Addr: driver.Addr(uintptr(p))}, nil
}

func (d *device) Register(mapped []byte) (driver.Host, error) {
	if len(mapped) == 0 {
		return driver.Host{}, nvidia.NothingToRegister()
	}
	r := C.cuMemHostRegister(at(mapped), C.size_t(len(mapped)), nvidia.HostPortable|nvidia.HostReadOnly)
	return driver.Host{Bytes: mapped, Addr: driver.Addr(uintptr(at(mapped)))}, failure(d.gpu, fmt.Sprintf("cuMemHostRegister of %d bytes", len(mapped)), nvidia.Result(r))
}

func (d *device) Unregister(h driver.Host) error {
	return failure(d.gpu, "cuMemHostUnregister", nvidia.Result(C.cuMemHostUnregister(at(h.Bytes))))
}

func (d *device) Load(image []byte) (driver.Module, string, error) {
	image = append(image[:len(image):len(image)], 0) // PTX ends with a zero
	remarks, problems := (*C.char)(C.calloc(1, nvidia.LogBytes)), (*C.char)(C.calloc(1, nvidia.LogBytes))
	defer C.free(unsafe.Pointer(remarks))
	defer C.free(unsafe.Pointer(problems))
	var m C.CUmodule
	r := C.compile(&m, at(image), remarks, problems, nvidia.LogBytes, 1)
	if r == C.CUresult(nvidia.InvalidValue) && *problems == 0 {
		// A driver that does not know the last option compiles with one thread.
		r = C.compile(&m, at(image), remarks, problems, nvidia.LogBytes, 0)
	}
	return as[driver.Module](m), strings.TrimSpace(C.GoString(remarks)), nvidia.Names(name).NotLoaded(d.gpu, nvidia.Result(r), C.GoString(problems))
}

// allShared lets a kernel have all the dynamic shared memory that there is beside its static one: the bound belongs to
// the kernel, which may be prepared again for another size.
func (d *device) allShared(f *driver.Function) nvidia.Result {
	return nvidia.Result(C.cuFuncSetAttribute(as[C.CUfunction](f.Handle), nvidia.FunctionDynamic, C.int(d.info.Shared-f.Static)))
}

// param returns the size of a kernel's i-th parameter.
func param(f *driver.Function, i int) (bytes int, r nvidia.Result) {
	var offset, size C.size_t
	r = nvidia.Result(C.cuFuncGetParamInfo(as[C.CUfunction](f.Handle), C.size_t(i), &offset, &size))
	return int(size), r
}

func (d *device) TensorMap(t *driver.Tensor) (m driver.TensorMap, err error) {
	if err := t.Check(); err != nil {
		return m, err
	}
	sizes := append(append([]int64(nil), t.Dims...), t.Strides...)
	box := make([]uint32, 2*len(t.Box))
	for i, n := range t.Box {
		box[i], box[len(t.Box)+i] = uint32(n), 1
	}
	r := C.encode(unsafe.Pointer(&m), C.uint(t.Element), C.uint(len(t.Dims)), C.ulonglong(t.Base),
		(*C.ulonglong)(unsafe.Pointer(&sizes[0])), (*C.uint)(&box[0]), C.uint(nvidia.Swizzle[t.Swizzle]), nvidia.Promote128)
	return m, failure(d.gpu, "cuTensorMapEncodeTiled", nvidia.Result(r))
}

// launch starts a kernel in a stream.
func (s *stream) launch(l *driver.Launch) nvidia.Result {
	f, overlap := l.Function, C.int(0)
	if l.Overlap {
		overlap = 1
	}
	return nvidia.Result(C.launch(as[C.CUfunction](f.Handle), as[C.CUstream](s.handle), (*C.uint)(&l.Grid[0]), (*C.uint)(&l.Block[0]), (*C.uint)(&l.Cluster[0]),
		C.uint(f.Shared), overlap, (*C.char)(at(l.Params)), (*C.longlong)(unsafe.Pointer(unsafe.SliceData(f.ParamAt))), C.int(len(f.ParamAt))))
}

// capturing tells whether the stream is captured.
func (s *stream) capturing() (bool, nvidia.Result) {
	var status C.uint
	r := C.cuStreamIsCapturing(as[C.CUstream](s.handle), &status)
	return status != 0, nvidia.Result(r)
}

// record records an event; external makes that a part of the graph that is being captured.
func (s *stream) record(e driver.Event, external bool) nvidia.Result {
	flags := C.uint(0)
	if external {
		flags = nvidia.EventExternal
	}
	return nvidia.Result(C.cuEventRecordWithFlags(as[C.CUevent](e.Handle), as[C.CUstream](s.handle), flags))
}

// query tells by NotReady that there is work left in the stream. Package cu makes an error of that, on the heap.
func (s *stream) query() nvidia.Result {
	return nvidia.Result(C.cuStreamQuery(as[C.CUstream](s.handle)))
}

func (s *stream) Run(g driver.Graph) error {
	r := C.cuGraphLaunch(as[C.CUgraphExec](g), as[C.CUstream](s.handle))
	return s.refused("cuGraphLaunch", nvidia.Result(r))
}

func (s *stream) Begin() error {
	r := C.cuStreamBeginCapture(as[C.CUstream](s.handle), nvidia.CaptureThreadLocal)
	return s.refused("cuStreamBeginCapture", nvidia.Result(r))
}

func (s *stream) End() (driver.Graph, error) {
	var captured C.CUgraph
	if r := C.cuStreamEndCapture(as[C.CUstream](s.handle), &captured); r != 0 {
		return 0, s.refused("cuStreamEndCapture", nvidia.Result(r))
	}
	var g C.CUgraphExec
	r := C.cuGraphInstantiateWithFlags(&g, captured, 0)
	if d := C.cuGraphDestroy(captured); r == 0 {
		r = d
	}
	if r != 0 {
		return 0, s.refused("cuGraphInstantiate", nvidia.Result(r))
	}
	return as[driver.Graph](g), s.refused("cuGraphUpload", nvidia.Result(C.cuGraphUpload(g, as[C.CUstream](s.handle))))
}
