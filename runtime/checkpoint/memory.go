package checkpoint

import (
	"runtime"
	"sync"
	"sync/atomic"

	"moegen/runtime/safetensors"
)

// Memory is the arenas of all ranks of this process. Rank r has the coordinate r mod EP on the
// expert-parallel axis; ranks of equal coordinate hold the same values.
type Memory struct {
	Ranks int
	EP    int
	Arena
}

// Arena copies bytes into the arena of a rank and out of it, from offset off on. Several goroutines may do so at the
// same time.
type Arena interface {
	Write(rank int, off int64, from []byte) error
	Read(rank int, to []byte, off int64) error
}

// kind selects one of the arrays that a parameter has in the arena.
type kind func(*Param) int64

func value(p *Param) int64   { return p.Value }
func moment1(p *Param) int64 { return p.Moment1 }
func moment2(p *Param) int64 { return p.Moment2 }

// each calls f for the parts of elements [element, element+length) of p that lie on one coordinate: with the
// coordinate, the first local element there, and the position among the length elements.
func (m *Memory) each(p *Param, element, length int, f func(axis, local, at, n int) error) error {
	if !p.Sharded {
		return f(0, element, 0, length)
	}
	share := p.LocalElements(m.EP)
	for at := 0; at < length; {
		axis, local := (element+at)/share, (element+at)%share
		n := min(length-at, share-local)
		if err := f(axis, local, at, n); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// put stores elements [first, first+len(src)) of the tensor on every rank that holds them.
func (m *Memory) put(t *tensor, k kind, first int, src []float32) error {
	return t.runs(first, len(src), func(at, element, length int) error {
		return m.each(t.param, element, length, func(axis, local, in, n int) error {
			for rank := range m.Ranks {
				if t.param.Sharded && rank%m.EP != axis {
					continue
				}
				if err := m.Write(rank, k(t.param)+4*int64(local), safetensors.Bytes(src[at+in:][:n])); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// get fetches elements [first, first+len(dst)) of the tensor from the first rank that holds them.
func (m *Memory) get(t *tensor, k kind, first int, dst []float32) error {
	return t.runs(first, len(dst), func(at, element, length int) error {
		return m.each(t.param, element, length, func(axis, local, in, n int) error {
			return m.Read(axis, safetensors.Bytes(dst[at+in:][:n]), k(t.param)+4*int64(local))
		})
	})
}

// chunk is how many elements pass through a buffer at a time: 1 MiB of float32 stays in a core's own cache.
const chunk = 256 << 10

// eachChunk calls f for consecutive parts of all tensors, in several goroutines, with a buffer as long as the
// part. The first error in the order of the tensors is returned; parts after an error may be left out.
func eachChunk(list []tensor, f func(t *tensor, first int, buffer []float32) error) error {
	type part struct{ tensor, first, n int }
	var parts []part
	for i := range list {
		for first, n := 0, list[i].Elements(); first < n; first += chunk {
			parts = append(parts, part{i, first, min(chunk, n-first)})
		}
	}
	errs := make([]error, len(parts))
	var next atomic.Int64
	var failed atomic.Bool
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(parts)) {
		workers.Go(func() {
			buffer := make([]float32, chunk)
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(parts) {
					return
				}
				p := parts[i]
				if errs[i] = f(&list[p.tensor], p.first, buffer[:p.n]); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
