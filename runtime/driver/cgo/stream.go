//go:build cgodriver

package cgo

import (
	"fmt"

	"gorgonia.org/cu"

	"moegen/runtime/driver"
	"moegen/runtime/driver/nvidia"
)

// stream is a CUstream.
type stream struct {
	*device
	handle cu.Stream
}

func (d *device) NewStream(urgent bool) (driver.Stream, error) {
	priority := 0
	if urgent {
		priority = d.urgent
	}
	handle, err := cu.MakeStreamWithPriority(priority, nvidia.StreamNonBlocking)
	if err != nil {
		return nil, d.failed("cuStreamCreateWithPriority", err)
	}
	return &stream{d, handle}, nil
}

// refused returns the error of a call of our own, nil for success.
func (s *stream) refused(what string, r nvidia.Result) error { return failure(s.gpu, what, r) }

func (s *stream) Launch(l *driver.Launch) error {
	if err := l.Check(); err != nil {
		return err
	}
	if r := s.launch(l); r != 0 {
		return s.refused(fmt.Sprintf("cuLaunchKernelEx of %s, grid %v, block %v, cluster %v", l.Function.Name, l.Grid, l.Block, l.Cluster), r)
	}
	return nil
}

func (s *stream) Copy(to, from driver.Addr, bytes int64) error {
	if err := cu.MemcpyAsync(cu.DevicePtr(to), cu.DevicePtr(from), bytes, s.handle); err != nil {
		return s.failed(fmt.Sprintf("cuMemcpyAsync of %d bytes", bytes), err)
	}
	return nil
}

func (s *stream) Fill(to driver.Addr, word uint32, words int64) error {
	if err := cu.MemsetD32Async(cu.DevicePtr(to), uint(word), words, s.handle); err != nil {
		return s.failed(fmt.Sprintf("cuMemsetD32Async of %d words", words), err)
	}
	return nil
}

func (s *stream) Record(e driver.Event) error {
	external := false
	if e.Timing {
		// The flag that makes the recording a node of the graph is an error outside a capture.
		var r nvidia.Result
		if external, r = s.capturing(); r != 0 {
			return s.refused("cuStreamIsCapturing", r)
		}
	}
	return s.refused("cuEventRecord", s.record(e, external))
}

func (s *stream) Wait(e driver.Event) error {
	return s.failed("cuStreamWaitEvent", s.handle.Wait(as[cu.Event](e.Handle), 0))
}

func (s *stream) Sync() error { return s.failed("cuStreamSynchronize", s.handle.Synchronize()) }

func (s *stream) Done() (bool, error) {
	r := s.query()
	if r == nvidia.NotReady {
		return false, nil
	}
	return r == 0, s.refused("cuStreamQuery", r)
}

func (s *stream) Close() error { return s.failed("cuStreamDestroy", s.handle.Destroy()) }
