package checkpoint

import "moegen/runtime/safetensors"

// Tensors lists the checkpoint tensors of the parameters, as float32, in the order in which they are saved.
func Tensors(params []Param) []safetensors.Info { return infos(tensors(params), safetensors.F32) }

// EachValue calls f for consecutive parts of all tensors, in several goroutines, with the values that the
// ranks hold, from the element first on. f must not keep them. The first error ends it.
func EachValue(params []Param, memory Memory, f func(name string, first int, values []float32) error) error {
	return eachChunk(tensors(params), func(t *tensor, first int, buffer []float32) error {
		if err := memory.get(t, value, first, buffer); err != nil {
			return err
		}
		return f(t.Name, first, buffer)
	})
}

// EachGrad is EachValue of the gradients as micro-batches leave them: every rank has its own part, and the
// gradient is the sum over all ranks that hold the parameter, in the order of the ranks.
func EachGrad(params []Param, memory Memory, f func(name string, first int, values []float32) error) error {
	return eachChunk(tensors(params), func(t *tensor, first int, buffer []float32) error {
		if err := memory.sum(t, gradient, first, buffer); err != nil {
			return err
		}
		return f(t.Name, first, buffer)
	})
}

func gradient(p *Param) int64 { return p.Grad }

// sum adds up elements [first, first+len(dst)) of the tensor over the ranks that hold them.
func (m *Memory) sum(t *tensor, k kind, first int, dst []float32) error {
	clear(dst)
	part := make([]float32, len(dst))
	return t.runs(first, len(dst), func(at, element, length int) error {
		return m.each(t.param, element, length, func(axis, local, in, n int) error {
			for rank := range m.Ranks {
				if t.param.Sharded && rank%m.EP != axis {
					continue
				}
				if err := m.Read(rank, safetensors.Bytes(part[:n]), k(t.param)+4*int64(local)); err != nil {
					return err
				}
				for i, x := range part[:n] {
					dst[at+in+i] += x
				}
			}
			return nil
		})
	})
}
