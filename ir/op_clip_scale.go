package ir

import (
	"fmt"
	"math"
)

// clipScale turns sums of squared gradients into their norm and the factor that clips them
// (torch.nn.utils.clip_grad_norm_):
//
//	norm_1 = sqrt(Σ sums)     scale_1 = record.max_norm > 0 ? min(1, max_norm / (norm + 1e-6)) : 1
var clipScale = &Op{
	Name:     "clip_scale",
	Operands: []string{"record", "sums..."},
	Results:  []string{"norm", "scale"},
	Infer: func(n *Node) ([]Type, error) {
		for _, v := range n.In[1:] {
			if !v.Type.Equal(Fixed(F64, 1)) {
				return nil, fmt.Errorf("operand %s has type %s, want %s", v.Name, v.Type, Fixed(F64, 1))
			}
		}
		return []Type{Fixed(F32, 1), Fixed(F32, 1)}, n.want(0, recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		sum := 0.0
		for _, s := range in[1:] {
			sum += s.Data[0]
		}
		norm, limit := math.Sqrt(sum), in[0].Data[RecordMaxNorm]
		out[0].Data[0], out[1].Data[0] = norm, 1
		if limit > 0 {
			out[1].Data[0] = min(1, limit/(norm+1e-6))
		}
	},
	Cost: streamed,
}
