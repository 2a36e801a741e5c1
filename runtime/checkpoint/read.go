package checkpoint

import "moegen/runtime/safetensors"

// Tensors lists the checkpoint tensors of the parameters, as float32, in the order in which they are saved.
func Tensors(params []Param) []safetensors.Info { return infos(tensors(params), safetensors.F32) }

// EachValue calls f for consecutive parts of all tensors, in several goroutines, with the values that the
// ranks hold, from the element first on. f must not keep them. The first error ends it.
func EachValue(params []Param, memory Memory, f func(name string, first int, values []float32) error) error {
	return eachChunk(tensors(params), func(c *chunk) error {
		if err := memory.getValues(c, value(c.param)); err != nil {
			return err
		}
		return f(c.Name, c.first, c.values)
	})
}

// EachGrad is EachValue of the gradients as micro-batches leave them, added up over the ranks.
func EachGrad(params []Param, memory Memory, f func(name string, first int, values []float32) error) error {
	return eachChunk(tensors(params), func(c *chunk) error {
		if err := memory.getGrads(c); err != nil {
			return err
		}
		return f(c.Name, c.first, c.values)
	})
}
