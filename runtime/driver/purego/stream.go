package purego

import (
	"fmt"
	"unsafe"

	ffi "github.com/ebitengine/purego"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// stream is a CUstream with what its calls hand to the driver: the argument list, and the structures that a
// launch points to. It is on the heap and does not move, so their addresses are computed once.
type stream struct {
	*device
	handle     uintptr
	args       [5]uintptr
	config     launchConfig
	attributes [2]launchAttribute
	params     [nvidia.MaxParams]unsafe.Pointer // of the parameters of the last launch
	capturing  uint32                           // CUstreamCaptureStatus; 0 is none
}

func (d *device) NewStream(urgent bool) (driver.Stream, error) {
	s := &stream{device: d}
	priority := int32(0)
	if urgent {
		priority = d.urgent
	}
	r := call(d.StreamCreate, uintptr(unsafe.Pointer(&s.handle)), nvidia.StreamNonBlocking, uintptr(uint32(priority)))
	if r != 0 {
		return nil, d.failed("cuStreamCreateWithPriority", r)
	}
	s.config.stream, s.config.attributes = s.handle, &s.attributes[0]
	return s, nil
}

// do calls a function with the first n of the stream's arguments, without allocating.
func (s *stream) do(function uintptr, n int) nvidia.Result {
	r, _, _ := ffi.SyscallN(function, s.args[:n]...)
	return nvidia.Result(int32(r))
}

func (s *stream) Launch(l *driver.Launch) error {
	f := l.Function
	if err := l.Check(); err != nil {
		return err
	}
	c := &s.config
	c.grid, c.block, c.shared, c.count = l.Grid, l.Block, uint32(f.Shared), 0
	if l.Cluster != (driver.Dim{}) {
		s.attributes[c.count] = launchAttribute{id: nvidia.LaunchCluster, value: [16]uint32{l.Cluster[0], l.Cluster[1], l.Cluster[2]}}
		c.count++
	}
	if l.Overlap {
		s.attributes[c.count] = launchAttribute{id: nvidia.LaunchOverlap, value: [16]uint32{1}}
		c.count++
	}
	s.args = [5]uintptr{uintptr(unsafe.Pointer(c)), f.Handle}
	for i, at := range f.ParamAt {
		s.params[i] = unsafe.Pointer(&l.Params[at])
	}
	if len(f.ParamAt) > 0 {
		s.args[2] = uintptr(unsafe.Pointer(&s.params))
	}
	if r := s.do(s.LaunchKernelEx, 4); r != 0 {
		return s.failed(fmt.Sprintf("cuLaunchKernelEx of %s, grid %v, block %v, cluster %v", f.Name, l.Grid, l.Block, l.Cluster), r)
	}
	return nil
}

func (s *stream) Copy(to, from driver.Addr, bytes int64) error {
	s.args = [5]uintptr{uintptr(to), uintptr(from), uintptr(bytes), s.handle}
	if r := s.do(s.MemcpyAsync, 4); r != 0 {
		return s.failed(fmt.Sprintf("cuMemcpyAsync of %d bytes", bytes), r)
	}
	return nil
}

func (s *stream) Fill(to driver.Addr, word uint32, words int64) error {
	s.args = [5]uintptr{uintptr(to), uintptr(word), uintptr(words), s.handle}
	if r := s.do(s.MemsetD32Async, 4); r != 0 {
		return s.failed(fmt.Sprintf("cuMemsetD32Async of %d words", words), r)
	}
	return nil
}

func (s *stream) Record(e driver.Event) error {
	flags := uintptr(0)
	if e.Timing {
		// The flag that makes the recording a node of the graph is an error outside a capture.
		s.args = [5]uintptr{s.handle, uintptr(unsafe.Pointer(&s.capturing))}
		if r := s.do(s.StreamIsCapturing, 2); r != 0 {
			return s.failed("cuStreamIsCapturing", r)
		}
		if s.capturing != 0 {
			flags = nvidia.EventExternal
		}
	}
	s.args = [5]uintptr{e.Handle, s.handle, flags}
	return s.failed("cuEventRecord", s.do(s.EventRecord, 3))
}

func (s *stream) Wait(e driver.Event) error {
	s.args = [5]uintptr{s.handle, e.Handle}
	return s.failed("cuStreamWaitEvent", s.do(s.StreamWaitEvent, 3))
}

func (s *stream) Run(g driver.Graph) error {
	s.args = [5]uintptr{uintptr(g), s.handle}
	return s.failed("cuGraphLaunch", s.do(s.GraphLaunch, 2))
}

func (s *stream) Begin() error {
	return s.failed("cuStreamBeginCapture", call(s.StreamBeginCapture, s.handle, nvidia.CaptureThreadLocal))
}

func (s *stream) End() (driver.Graph, error) {
	var captured uintptr
	if r := call(s.StreamEndCapture, s.handle, uintptr(unsafe.Pointer(&captured))); r != 0 {
		return 0, s.failed("cuStreamEndCapture", r)
	}
	var g driver.Graph
	r := call(s.GraphInstantiate, uintptr(unsafe.Pointer(&g)), captured, 0)
	if d := call(s.GraphDestroy, captured); r == 0 {
		r = d
	}
	if r != 0 {
		return 0, s.failed("cuGraphInstantiate", r)
	}
	return g, s.failed("cuGraphUpload", call(s.GraphUpload, uintptr(g), s.handle))
}

func (s *stream) Sync() error {
	return s.failed("cuStreamSynchronize", call(s.StreamSynchronize, s.handle))
}

func (s *stream) Done() (bool, error) {
	s.args = [5]uintptr{s.handle}
	r := s.do(s.StreamQuery, 1)
	if r == nvidia.NotReady {
		return false, nil
	}
	return r == 0, s.failed("cuStreamQuery", r)
}

func (s *stream) Close() error {
	return s.failed("cuStreamDestroy", call(s.StreamDestroy, s.handle))
}
