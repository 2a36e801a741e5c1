package models

import "moegen/ir"

// Facts are the numbers of a model.
type Facts struct {
	Architecture string  `json:"architecture"` // model_type of the config
	DType        string  `json:"dtype"`        // of the weights as published: float32, bfloat16, float16
	Vocab        int     `json:"vocab_size"`
	Hidden       int     `json:"hidden_size"`
	Layers       int     `json:"layers"`
	MoELayers    int     `json:"moe_layers"`
	Experts      int     `json:"experts"` // of a layer
	TopK         int     `json:"top_k"`
	ExpertWidth  int     `json:"expert_width"`
	Heads        int     `json:"heads"`
	KVHeads      int     `json:"kv_heads"`
	HeadDim      int     `json:"head_dim"`
	MaxSeq       int     `json:"max_seq"`              // longest sequence that can be built
	AuxCoef      float64 `json:"router_aux_loss_coef"` // 0: the auxiliary loss is not part of training

	Parameters       int64 `json:"parameters"`
	ActiveParameters int64 `json:"active_parameters"` // that a token passes through, embedding and head included
	// ActiveGEMM are the active parameters that are matrices in a product: no norms, no biases, no lookup.
	ActiveGEMM int64 `json:"active_gemm_parameters"`
	// AttentionWidth is the sum over attention layers of query heads times head dim.
	AttentionWidth  int64 `json:"attention_width"`
	CheckpointBytes int64 `json:"checkpoint_bytes"` // of the weights in DType
}

// FLOPsPerToken returns the floating-point operations of forward and backward, a token: six for every active
// weight of a matrix product, and causal attention, in which a token sees (seq+1)/2 keys on average, two
// products forward and four backward. Lookups, norms, softmax and recomputation count nothing.
func (f *Facts) FLOPsPerToken(seq int) int64 {
	return 6*f.ActiveGEMM + 6*f.AttentionWidth*int64(seq+1)
}

// count fills in what follows from the graph of the forward pass.
func (f *Facts) count(forward *ir.Graph) {
	active := func(v *ir.Value) int64 {
		n := int64(v.Type.Elements())
		if v.Param.Expert {
			n = n / int64(f.Experts) * int64(f.TopK)
		}
		return n
	}
	for _, v := range forward.Outside {
		if v.Role == ir.Weight {
			f.Parameters += int64(v.Type.Elements())
			f.ActiveParameters += active(v)
		}
	}
	for _, n := range forward.Nodes {
		switch n.Op.Name {
		case "linear", "grouped_linear":
			f.ActiveGEMM += active(n.In[1])
		case "attention":
			f.AttentionWidth += int64(n.Out[0].Type.Dim(-1))
		}
	}
	f.CheckpointBytes = f.Parameters * dtypeBytes[f.DType]
}

// dtypeBytes is the size of one element of a stored weight.
var dtypeBytes = map[string]int64{"bfloat16": 2, "float16": 2, "float32": 4}
