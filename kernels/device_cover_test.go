package kernels_test

import (
	"slices"
	"strings"
	"testing"

	"moegen/gen"
	"moegen/ir"
	"moegen/kernels"
	"moegen/models"
)

// places returns the ways in which results may lie where operands do: as the kernel wants it, and with every pair that the
// operation allows.
func places(n *ir.Node, k *kernels.Kernel) [][][2]int {
	var must [][2]int
	for _, s := range k.Shares {
		if n.In[s[1]] != nil {
			must = append(must, s)
		}
	}
	ways := [][][2]int{must}
	if k.Apart {
		return ways
	}
	for first := range n.Op.InPlace {
		way := slices.Clone(must)
		for i := range n.Op.InPlace {
			s := n.Op.InPlace[(first+i)%len(n.Op.InPlace)]
			taken := slices.ContainsFunc(way, func(t [2]int) bool { return t[0] == s[0] || t[1] == s[1] })
			if x := n.In[s[1]]; x != nil && !taken && x.Type.Equal(n.Out[s[0]].Type) {
				way = append(way, s)
			}
		}
		slices.SortFunc(way, func(a, b [2]int) int { return a[0] - b[0] })
		if !slices.ContainsFunc(ways, func(w [][2]int) bool { return slices.Equal(w, way) }) {
			ways = append(ways, way)
		}
	}
	return ways
}

// covering returns the kernels that compute a node.
func covering(n *ir.Node) []*kernels.Kernel {
	var out []*kernels.Kernel
	for _, k := range kernels.All("h100") {
		if k.Op == n.Op.Name && k.Steps != nil && (k.Covers == nil || k.Covers(n)) {
			out = append(out, k)
		}
	}
	return out
}

// Every kernel of the h100 target has a case.
func TestDeviceComplete(t *testing.T) {
	tested := map[*kernels.Kernel]bool{}
	for _, o := range deviceOps {
		for _, c := range o.cases {
			for _, k := range covering(c.node(o.op)) {
				tested[k] = true
			}
		}
	}
	for _, o := range rankOps {
		for _, c := range o.cases {
			for _, k := range covering(c.rank(0).node(o.op)) {
				tested[k] = true
			}
		}
	}
	for _, k := range kernels.All("h100") {
		if !tested[k] && k.Steps != nil {
			t.Errorf("%s of %s has no case here", k.Name, k.Op)
		}
	}
}

// deviceConfig is a small model of the kind that the h100 target is for.
const deviceConfig = `{
  "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
  "vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "hidden_act": "silu",
  "max_position_embeddings": 256, "initializer_range": 0.02, "rms_norm_eps": 1e-6,
  "rope_theta": 10000.0, "tie_word_embeddings": false, "attention_bias": false,
  "mlp_only_layers": [1], "decoder_sparse_step": 1, "num_experts": 8, "num_experts_per_tok": 2,
  "moe_intermediate_size": 64, "norm_topk_prob": true, "output_router_logits": true, "router_aux_loss_coef": 0.001
}`

// Every operation of a model's programs, on one rank or several, has a kernel of the h100 target.
func TestDeviceCovers(t *testing.T) {
	m, err := models.Parse("small", "small.json", []byte(deviceConfig))
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]*ir.Node{}
	optimizers := gen.Optimizers["h100"]
	for i := range 2 * len(gen.Recomputes) {
		request := gen.Request{Model: m, Target: "h100", DType: "bf16", Seq: 128, MicroBatch: 2, GPUs: 1 + i%2*3, Recompute: gen.Recomputes[i/2],
			Optimizer: optimizers[i/2%len(optimizers)]}
		_, err := gen.Plan(request, func(d gen.Dump) {
			if !strings.HasPrefix(d.Path, "04_fuse/") {
				return
			}
			g, err := ir.Parse(d.Text)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range g.Nodes {
				if kernels.Select("h100", n) == nil {
					missing[n.Op.Name] = n
				}
			}
		})
		if err != nil && len(missing) == 0 {
			t.Error(err)
		}
	}
	for _, o := range ir.Ops() {
		if n := missing[o.Name]; n != nil {
			t.Errorf("no kernel computes %s of %s to %s", o.Name, types(n.In), types(n.Out))
		}
	}
}

func types(values []*ir.Value) string {
	var list []string
	for _, v := range values {
		if v == nil {
			list = append(list, "-")
		} else {
			list = append(list, v.Type.String())
		}
	}
	return strings.Join(list, ", ")
}
