package checkpoint

import (
	"runtime"
	"sync"
	"sync/atomic"

	"moegen/runtime/safetensors"
)

// chunkElements is how many elements pass through a buffer at a time: 1 MiB of float32 stays in a core's own cache.
const chunkElements = 256 << 10

// chunk is consecutive elements of a tensor on their way between a file and the arenas.
type chunk struct {
	*tensor
	first  int
	values []float32
	other  []byte // see raw
}

// raw is memory for the elements in another type, or, of float32, that of the values themselves.
func (c *chunk) raw(d safetensors.DType) []byte {
	if d == safetensors.F32 {
		return safetensors.Bytes(c.values)
	}
	if c.other == nil {
		c.other = make([]byte, 4*chunkElements)
	}
	return c.other[:len(c.values)*d.Bytes()]
}

// eachChunk calls f for consecutive parts of all tensors, in several goroutines. The first error in the order of the
// tensors is returned; parts after an error may be left out.
func eachChunk(list []tensor, f func(*chunk) error) error {
	type part struct{ tensor, first, n int }
	var parts []part
	for i := range list {
		for first, n := 0, list[i].Elements(); first < n; first += chunkElements {
			parts = append(parts, part{i, first, min(chunkElements, n-first)})
		}
	}
	errs := make([]error, len(parts))
	var next atomic.Int64
	var failed atomic.Bool
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(parts)) {
		workers.Go(func() {
			buffer := make([]float32, chunkElements)
			var c chunk
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(parts) {
					return
				}
				p := parts[i]
				c.tensor, c.first, c.values = &list[p.tensor], p.first, buffer[:p.n]
				if errs[i] = f(&c); errs[i] != nil {
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

// atOnce calls functions that write to files of their own, all at the same time since a file is written by one goroutine
// at a time. It returns the first error in the order of the functions.
func atOnce(list []func() error) error {
	errs := make([]error, len(list))
	var all sync.WaitGroup
	for i, f := range list {
		all.Go(func() { errs[i] = f() })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
