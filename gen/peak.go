package gen

import (
	"strings"

	"moegen/ir"
)

// Peak is how many bytes a rank takes in steps of so many micro-batches: its arena, with gradients beside activations where there are
// several, and what it knows of the others.
func (p *Planned) Peak(accumulate int) int64 {
	bytes := p.Plan.Bytes + p.worldBytes()
	if accumulate > 1 {
		bytes += p.Plan.Gradients
	}
	return bytes
}

// PeakWith is how many bytes a rank would take with another optimizer of the target: what lies in the arena stays as it is but for
// what the optimizer keeps.
func (p *Planned) PeakWith(optimizer string, accumulate int) int64 {
	bytes := p.Peak(accumulate)
	for _, b := range p.Plan.Buffers {
		if b.Role != ir.State {
			continue
		}
		bytes -= roundUp(b.Bytes())
		if strings.HasPrefix(b.Name, "moment1.") { // every optimizer has one, of as many elements as all that it keeps
			for _, k := range optimizerOf(optimizer, weightsOf(p.Plan)).keeps {
				bytes += roundUp(int64(b.Type.Elements()) * k.dtype.Size())
			}
		}
	}
	return bytes
}

// weightsOf is the element type of a plan's weights.
func weightsOf(plan *ir.Plan) ir.DType {
	for _, b := range plan.Buffers {
		if b.Role == ir.Weight {
			return b.Type.DType
		}
	}
	panic("BUG: a plan without weights")
}
