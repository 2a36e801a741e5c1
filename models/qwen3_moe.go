package models

import (
	"fmt"
	"math"
	"slices"

	"moegen/ir"
)

// qwen3MoE is Qwen3-MoE (Hugging Face's models/qwen3_moe): pre-norm layers of grouped-query attention with a
// norm on every query and key head and rotary positions, then a mixture of SwiGLU experts chosen by a softmax
// router, or a dense SwiGLU layer.
type qwen3MoE struct {
	vocab, hidden, heads, kvHeads, headDim int
	experts, topK, expertWidth, denseWidth int

	sparse             []bool // of each layer: a mixture of experts, not a dense layer
	renorm, bias, tied bool   // top-k weights sum to 1; biases in attention; the head is the embedding
	eps, std           float64
	padding            int  // token whose embedding the lookup does not train, −1: none
	aux                bool // the auxiliary loss is part of training
	rope               rope
}

// readQwen3MoE reads a config in either form: that of Transformers 5 or that of older checkpoints.
func readQwen3MoE(c *config) *Model {
	m := &qwen3MoE{
		vocab: c.size("vocab_size"), hidden: c.size("hidden_size"),
		heads: c.size("num_attention_heads"), kvHeads: c.size("num_key_value_heads"),
		renorm: c.boolOr("norm_topk_prob", false), bias: c.boolOr("attention_bias", false),
		tied: c.boolOr("tie_word_embeddings", false),
		eps:  c.positiveOr("rms_norm_eps", 1e-6), std: c.positiveOr("initializer_range", 0.02),
	}
	if c.get("head_dim") != nil {
		m.headDim = c.size("head_dim")
	} else {
		m.headDim = max(m.hidden/m.heads, 1)
	}
	if m.heads%m.kvHeads != 0 && !c.wrong["num_attention_heads"] {
		c.complain("num_attention_heads", "is %d, not a multiple of num_key_value_heads %d; correct one of them", m.heads, m.kvHeads)
	}
	m.readExperts(c)
	m.readPadding(c)
	m.rope = readRope(c, m.headDim)
	m.refuse(c)
	facts := Facts{
		DType: readDType(c), Vocab: m.vocab, Hidden: m.hidden, Layers: len(m.sparse), Experts: m.experts, TopK: m.topK,
		ExpertWidth: m.expertWidth, Heads: m.heads, KVHeads: m.kvHeads, HeadDim: m.headDim, MaxSeq: m.rope.MaxSeq,
	}
	for _, sparse := range m.sparse {
		if sparse {
			facts.MoELayers++
		}
	}
	coef := c.floatOr("router_aux_loss_coef", 0.001)
	if math.IsNaN(coef) || math.IsInf(coef, 0) {
		c.complain("router_aux_loss_coef", "is %v; it must be a finite number", coef)
	}
	if c.boolOr("output_router_logits", false) && coef != 0 {
		m.aux, facts.AuxCoef = true, coef
	}
	return &Model{Facts: facts, seqLimit: m.rope.Limit, build: m.build}
}

// readExperts reads what concerns experts, and which layers have them.
func (m *qwen3MoE) readExperts(c *config) {
	c.alias("num_experts", "num_local_experts")
	m.experts, m.topK = c.size("num_experts"), c.size("num_experts_per_tok")
	m.expertWidth = c.size("moe_intermediate_size")
	if m.topK > m.experts && !c.wrong["num_experts"] {
		c.complain("num_experts_per_tok", "is %d, more than the %d experts of num_experts; correct one of them", m.topK, m.experts)
	}
	layers, step := c.size("num_hidden_layers"), c.sizeOr("decoder_sparse_step", 1)
	if layers > layersMax {
		c.complain("num_hidden_layers", "is %d; moegen plans at most %d", layers, layersMax)
		layers = 1
	}
	m.sparse = make([]bool, layers)
	for l := range m.sparse {
		m.sparse[l] = (l+1)%step == 0
	}
	for _, value := range c.list("mlp_only_layers") {
		l, ok := integer(value)
		if !ok || l < 0 || l >= layers {
			c.complain("mlp_only_layers", "holds %s; its elements must be layers, 0 to %d", show(value), layers-1)
			continue
		}
		m.sparse[l] = false
	}
	if !slices.Contains(m.sparse, true) {
		c.complain("decoder_sparse_step", "is %d, which with mlp_only_layers leaves none of the %d layers with experts; "+
			"moegen trains mixtures of experts", step, layers)
	}
	if slices.Contains(m.sparse, false) {
		m.denseWidth = c.size("intermediate_size")
	} else {
		c.get("intermediate_size") // of dense layers
	}
}

// readPadding reads which row of the embedding is the padding token's. As in PyTorch's nn.Embedding a negative
// one counts from the end.
func (m *qwen3MoE) readPadding(c *config) {
	m.padding = -1
	if c.get("pad_token_id") == nil {
		return
	}
	id := c.integerOr("pad_token_id", 0)
	if (id < -m.vocab || id >= m.vocab) && !c.wrong["vocab_size"] {
		c.complain("pad_token_id", "is %d, no token of a vocabulary of %d; remove it if there is no padding token", id, m.vocab)
		return
	}
	m.padding = (id + m.vocab) % m.vocab
}

// refuse complains about what Transformers would do and a plan cannot.
func (m *qwen3MoE) refuse(c *config) {
	if act := c.stringOr("hidden_act", "silu"); act != "silu" {
		c.complain("hidden_act", "is %q; moegen knows silu", act)
	}
	if p := c.floatOr("attention_dropout", 0); p != 0 {
		c.complain("attention_dropout", "is %v; moegen trains without dropout, set it to 0", p)
	}
	if c.boolOr("use_sliding_window", false) {
		c.complain("use_sliding_window", "is true; moegen attends to the whole sequence, set it to false if sequences are no longer than the window")
	}
	for _, value := range c.list("architectures") {
		if value != "Qwen3MoeForCausalLM" {
			c.complain("architectures", "holds %s; moegen trains Qwen3MoeForCausalLM", show(value))
		}
	}
}

// build returns the three programs.
func (m *qwen3MoE) build(s Shape) *Graphs {
	return &Graphs{
		Setup: m.rope.setup(s), Forward: m.forward(s),
		Head: head(s, m.headWeight, m.vocab, m.hidden), HeadRows: headRows(s.Tokens(), m.vocab),
	}
}

// forward builds the forward pass: embedding, layers, head, loss.
func (m *qwen3MoE) forward(s Shape) *ir.Graph {
	b := ir.NewBuilder("forward")
	b.DType = s.DType
	in := declareInputs(b, s)
	cos, sin := m.rope.declare(b, s)

	b.Section = "embed"
	x := b.Embedding("embedded_TD", in.tokens, b.Weight(m.embedding()), m.padding)
	var stats *ir.Value
	moeLayers := 0
	for l, sparse := range m.sparse {
		x = m.attention(b, l, x, in, cos, sin, s)
		if !sparse {
			x = m.dense(b, l, x)
			continue
		}
		var logits, idx *ir.Value
		x, logits, idx = m.mixture(b, l, x)
		moeLayers++
		if m.aux {
			layer := b.RouterStats(at(l, "stats"), logits, idx)
			if stats != nil {
				layer = b.Add(at(l, "stats_sum"), stats, layer)
			}
			stats = layer
		}
	}

	b.Section = "head"
	final := b.RMSNorm("head.normed", x, b.Weight(norm("head.norm", "model.norm.weight", m.hidden)), m.eps)
	logits := b.Linear("logits_TV", final, m.headWeight(b), nil)
	writeResult(b, "loss", b.CrossEntropy("head.loss", logits, in.targets))
	if m.aux {
		writeResult(b, "aux_loss", b.AuxLoss("head.aux_loss", stats, float64(moeLayers*s.Tokens())))
	}
	writeResult(b, "final_TD", final)
	return b.Graph
}

// attention builds x + Wo·attention(rope(qk_norm(Wqkv·norm(x)))).
func (m *qwen3MoE) attention(b *ir.Builder, l int, x *ir.Value, in inputs, cos, sin *ir.Value, s Shape) *ir.Value {
	b.Section = at(l, "attention")
	weight, tensor := at(l, "attention."), fmt.Sprintf("model.layers.%d.", l)
	d, p := m.hidden, m.headDim
	q, kv := m.heads*p, m.kvHeads*p
	h := b.RMSNorm(at(l, "attention_in"), x, b.Weight(norm(weight+"norm", tensor+"input_layernorm.weight", d)), m.eps)

	on := func(kind string, projections ...string) (tensors []string) {
		for _, name := range projections {
			tensors = append(tensors, tensor+"self_attn."+name+"_proj."+kind)
		}
		return tensors
	}
	qkvWeight := b.Weight(rows(weight+"qkv", m.normal(), on("weight", "q", "k", "v"), []int{q, kv, kv}, d))
	outWeight := b.Weight(rows(weight+"out", m.normal(), on("weight", "o"), []int{d}, q))
	var qkvBias, outBias *ir.Value
	if m.bias {
		qkvBias = b.Weight(rows(weight+"qkv_bias", zeros, on("bias", "q", "k", "v"), []int{q, kv, kv}))
		outBias = b.Weight(rows(weight+"out_bias", zeros, on("bias", "o"), []int{d}))
	}
	qNorm := b.Weight(norm(weight+"q_norm", tensor+"self_attn.q_norm.weight", p))
	kNorm := b.Weight(norm(weight+"k_norm", tensor+"self_attn.k_norm.weight", p))

	qkv := b.Linear(at(l, "qkv_TQ"), h, qkvWeight, qkvBias)
	qkv = b.QKNorm(at(l, "qkv_normed_TQ"), qkv, qNorm, kNorm, m.heads, m.kvHeads, m.eps)
	qkv = b.Rope(at(l, "qkv_rotated_TQ"), qkv, cos, sin, in.positions, m.heads, m.kvHeads)
	o := b.Attention(at(l, "attended"), qkv, in.starts, s.Rows, m.heads, m.kvHeads, 1/math.Sqrt(float64(p)))
	return b.Add(at(l, "mid_TD"), x, b.Linear(at(l, "attention_TD"), o, outWeight, outBias))
}

// mixture builds x + Σ_k w_k·expert_k(norm(x)) and returns also the router's logits and choices.
func (m *qwen3MoE) mixture(b *ir.Builder, l int, x *ir.Value) (y, logits, idx *ir.Value) {
	b.Section = at(l, "moe")
	weight, tensor := at(l, "moe."), fmt.Sprintf("model.layers.%d.mlp.", l)
	d, f := m.hidden, m.expertWidth

	h := m.feedForwardNorm(b, l, x, weight)
	router := b.Weight(rows(weight+"router", m.normal(), []string{tensor + "gate.weight"}, []int{m.experts}, d))
	logits = b.Linear(at(l, "router_TE"), h, router, nil)
	b.Tap(logits, "router", l)
	idx, w := b.Router(at(l, "chosen"), logits, m.topK, m.renorm)
	b.Tap(idx, "topk", l)
	offsets, pairs, slots := b.Route(at(l, "route"), idx, m.experts)

	gateUp := b.Weight(m.expertParam(weight+"gate_up", 2*f, d,
		[]string{tensor + "experts.%d.gate_proj.weight", tensor + "experts.%d.up_proj.weight"}))
	down := b.Weight(m.expertParam(weight+"down", d, f, []string{tensor + "experts.%d.down_proj.weight"}))
	xr := b.Permute(at(l, "permuted_RD"), h, offsets, pairs, m.topK)
	gu := b.GroupedLinear(at(l, "gate_up_RW"), xr, gateUp, offsets)
	a := b.SwiGLU(at(l, "activated_RF"), gu, offsets)
	yr := b.GroupedLinear(at(l, "down_RD"), a, down, offsets)
	y = b.Add(at(l, "hidden_TD"), x, b.Unpermute(at(l, "moe_TD"), yr, offsets, pairs, slots, w))
	b.Tap(y, "hidden", l)
	return y, logits, idx
}

// dense builds x + down(swiglu(gate_up(norm(x)))).
func (m *qwen3MoE) dense(b *ir.Builder, l int, x *ir.Value) *ir.Value {
	b.Section = at(l, "mlp")
	weight, tensor := at(l, "mlp."), fmt.Sprintf("model.layers.%d.mlp.", l)
	d, f := m.hidden, m.denseWidth

	h := m.feedForwardNorm(b, l, x, weight)
	gateUp := b.Weight(rows(weight+"gate_up", m.normal(),
		[]string{tensor + "gate_proj.weight", tensor + "up_proj.weight"}, []int{f, f}, d))
	down := b.Weight(rows(weight+"down", m.normal(), []string{tensor + "down_proj.weight"}, []int{d}, f))
	a := b.SwiGLU(at(l, "activated_TF"), b.Linear(at(l, "gate_up_TW"), h, gateUp, nil), nil)
	y := b.Add(at(l, "hidden_TD"), x, b.Linear(at(l, "mlp_TD"), a, down, nil))
	b.Tap(y, "hidden", l)
	return y
}

func (m *qwen3MoE) feedForwardNorm(b *ir.Builder, l int, x *ir.Value, weight string) *ir.Value {
	w := b.Weight(norm(weight+"norm", fmt.Sprintf("model.layers.%d.post_attention_layernorm.weight", l), m.hidden))
	return b.RMSNorm(at(l, "mlp_in"), x, w, m.eps)
}

// expertParam is the matrices [rows, cols] of all experts, each made of tensors of equally many rows.
func (m *qwen3MoE) expertParam(name string, rows, cols int, tensors []string) ir.Param {
	p := ir.Param{Name: name, Shape: []int{m.experts, rows, cols}, Expert: true, Init: m.normal()}
	for i, tensor := range tensors {
		part := rows / len(tensors)
		p.Pieces = append(p.Pieces, ir.Piece{Name: tensor, Shape: []int{part, cols},
			Offset: i * part * cols, Count: m.experts, Step: rows * cols})
	}
	return p
}

// embedding is the table of tokens. Transformers initialises the padding token's row with zeros.
func (m *qwen3MoE) embedding() ir.Param {
	init := m.normal()
	if m.padding >= 0 {
		init.ZeroRows = []int{m.padding}
	}
	p := rows("embed.tokens", init, []string{"model.embed_tokens.weight"}, []int{m.vocab}, m.hidden)
	if m.tied {
		p.Pieces[0].Tied = headTensor
	}
	return p
}

// headTensor is the weight of the head in a checkpoint.
const headTensor = "lm_head.weight"

func (m *qwen3MoE) headWeight(b *ir.Builder) *ir.Value {
	if m.tied {
		return b.Weight(m.embedding())
	}
	return b.Weight(rows("head.logits", m.normal(), []string{headTensor}, []int{m.vocab}, m.hidden))
}

// normal is how Transformers initialises every matrix of this architecture.
func (m *qwen3MoE) normal() ir.Init { return ir.Init{Kind: "normal", Std: m.std} }
