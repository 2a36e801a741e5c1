package gen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"moegen/ir"
	"moegen/kernels"
	"moegen/models"
)

// toyConfig is the smallest model in which everything occurs: grouped queries, biases, a dense layer between
// expert layers, the auxiliary loss, tied embeddings, a padding token.
const toyConfig = `{
  "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
  "vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 3,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "hidden_act": "silu",
  "max_position_embeddings": 32, "initializer_range": 0.3, "rms_norm_eps": 1e-6,
  "rope_theta": 10000.0, "tie_word_embeddings": true, "attention_bias": true,
  "mlp_only_layers": [1], "decoder_sparse_step": 1, "num_experts": 4, "num_experts_per_tok": 2,
  "moe_intermediate_size": 6, "pad_token_id": 4, "norm_topk_prob": true, "output_router_logits": true,
  "router_aux_loss_coef": 0.1
}`

const (
	toySeq  = 5
	toyRows = 4 // of the whole batch
)

func toyRequest(t *testing.T, ranks int, mode Recompute) Request {
	t.Helper()
	m, err := models.Parse("toy", "toy.json", []byte(toyConfig))
	if err != nil {
		t.Fatal(err)
	}
	return Request{Model: m, Target: "cpu", DType: "f32", Seq: toySeq, MicroBatch: toyRows / ranks, GPUs: ranks, Recompute: mode}
}

func newStep(t *testing.T, req Request) *step {
	t.Helper()
	g, err := req.Model.Build(models.Shape{Seq: req.Seq, Rows: req.MicroBatch})
	if err != nil {
		t.Fatal(err)
	}
	return &step{req: req.complete(), forward: g.Forward, setup: g.Setup, head: g.Head}
}

// world makes the same random weights, state and batch, spread over the ranks of a request.
func world(t *testing.T, s *step) []ir.Env {
	t.Helper()
	ranks, ep := s.req.GPUs, s.req.EP
	envs := make([]ir.Env, ranks)
	for r := range envs {
		envs[r] = ir.Env{}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, g := range s.programs() {
		for _, v := range g.Outside {
			if envs[0][v.Name] != nil || v.Role == ir.Gradient || v.Param != nil && v.Param.Members != nil {
				continue
			}
			whole := v.Type
			split := 1
			switch {
			case v.Param != nil && v.Param.Sharded:
				whole = ir.Fixed(v.Type.DType, append([]int{v.Type.Dim(0) * ep}, dimsOf(v.Type)[1:]...)...)
				split = ep
			case strings.HasSuffix(v.Name, "s_T") && v.Role == ir.Input:
				whole = ir.Fixed(v.Type.DType, v.Type.Dim(0)*ranks)
				split = ranks
			}
			values := fill(rng, v, whole)
			for r := range envs {
				n := len(values) / split
				envs[r][v.Name] = &ir.Tensor{Type: v.Type, Data: slices.Clone(values[r%split*n : (r%split+1)*n])}
				if v.Name == "record" {
					envs[r][v.Name].Data[ir.RecordRank] = float64(r)
				}
			}
		}
	}
	groups := spreads(s)
	for _, v := range s.update.Outside {
		for _, env := range envs {
			if v.Role == ir.State {
				env[v.Name] = ir.NewTensor(v.Type)
			}
		}
	}
	for _, x := range groups {
		for _, env := range envs {
			env["grad."+x.group.Name] = ir.NewTensor(ir.Fixed(x.typ.DType, x.share))
		}
	}
	rng = rand.New(rand.NewPCG(3, 4)) // how many results there were before depends on the ranks
	for _, v := range s.micro.Outside {
		if v.Role == ir.Weight {
			x := groups[v.Name]
			for _, prefix := range append(keeps(s), "grad.") {
				values := fill(rng, &ir.Value{Name: prefix + v.Name}, ir.Fixed(ir.F32, len(x.collect(envs, prefix, v.Name))))
				x.distribute(envs, prefix, v.Name, values)
			}
			for _, env := range envs {
				env["grad."+v.Name] = ir.NewTensor(v.Type)
			}
		}
	}
	for member, x := range groups {
		for _, env := range envs {
			if x.group.Parts <= 1 {
				copy(env["grad."+member].Data, env["grad."+x.group.Name].Data[x.first[member]:])
			}
		}
	}
	return envs
}

func fill(rng *rand.Rand, v *ir.Value, t ir.Type) []float64 {
	values := make([]float64, t.Elements())
	for i := range values {
		row, at := i/toySeq, i%toySeq
		switch v.Name {
		case "tokens_T":
			values[i] = float64(rng.IntN(11))
		case "targets_T":
			values[i] = float64(rng.IntN(12) - 1) // -1: none
		case "positions_T":
			values[i] = float64(at)
		case "starts_T":
			values[i] = float64(min(row%2*2, at)) // odd rows hold two documents
		case "record":
		default:
			values[i] = float64(float32(rng.NormFloat64() * 0.3))
			if strings.HasPrefix(v.Name, "moment2") {
				values[i] = math.Abs(values[i])
			}
		}
	}
	if v.Name == "starts_T" {
		for i := range values {
			if values[i] > 0 && i%toySeq < 2 {
				values[i] = 0
			}
		}
	}
	if v.Name == "record" {
		for i, x := range map[int]float64{
			ir.RecordLR: 0.125, ir.RecordBeta1: 0.5, ir.RecordBeta2: 0.75, ir.RecordEps: 0.0625, ir.RecordDecay: 0.25,
			ir.RecordBias1: 0.5, ir.RecordBias2: 0.25, ir.RecordMaxNorm: 0.5, ir.RecordLossNorm: 0.125,
			ir.RecordAuxNorm: 0.5, ir.RecordAccumulate: 1,
		} {
			values[i] = x
		}
	}
	return values
}

func dimsOf(t ir.Type) []int {
	out := make([]int, len(t.Shape))
	for i := range out {
		out[i] = t.Dim(i)
	}
	return out
}

// train evaluates setup, one micro-batch and the update on a world.
func train(t *testing.T, s *step, p ir.Precision) []ir.Env {
	t.Helper()
	return trainFrom(t, s, world(t, s), p)
}

func trainFrom(t *testing.T, s *step, envs []ir.Env, p ir.Precision) []ir.Env {
	t.Helper()
	for _, g := range []*ir.Graph{s.setup, s.micro, s.update, s.eval} {
		if g == s.update {
			gather(s, envs)
		}
		g.Ranks = len(envs)
		if err := ir.Eval(g, envs, p); err != nil {
			t.Fatal(err)
		}
		if g == s.update {
			scatter(s, envs)
		}
	}
	return envs
}

// written lists what the programs leave behind.
func written(s *step) (names []string) {
	for _, g := range []*ir.Graph{s.micro, s.update, s.eval} {
		for _, w := range g.Results {
			names = append(names, w.To.Name)
		}
	}
	return names
}

func relative(got, want []float64) float64 {
	var diff, size float64
	for i := range want {
		diff += (got[i] - want[i]) * (got[i] - want[i])
		size += want[i] * want[i]
	}
	if size == 0 {
		return diff
	}
	return math.Sqrt(diff / size)
}

// Every pass keeps what a step computes: evaluated in float64 after each pass, weights, moments, gradients and
// losses stay what they were after grad, up to the order of sums.
func TestPassesKeepMeaning(t *testing.T) {
	for _, mode := range Recomputes {
		s := newStep(t, toyRequest(t, 1, mode))
		var before []ir.Env
		for _, p := range passes {
			if err := p.run(s); err != nil {
				t.Fatal(err)
			}
			if s.plan != nil {
				break
			}
			after := train(t, s, ir.Float64)
			if before == nil {
				before = after
			}
			for _, name := range written(s) {
				if e := relative(after[0][name].Data, before[0][name].Data); e > 1e-12 {
					t.Errorf("recompute %s: after %s %s differs by %.2g", mode, p.name, name, e)
				}
			}
		}
	}
}

// A step spread over ranks computes what one rank computes: the same losses, the same weights afterwards. Also
// when every token chooses the same experts, so that one rank receives all tokens and the others none.
func TestShardKeepsMeaning(t *testing.T) {
	for _, skewed := range []bool{false, true} {
		start := func(s *step) []ir.Env {
			envs := world(t, s)
			for _, v := range s.micro.Outside {
				if skewed && v.Role == ir.Weight && strings.HasSuffix(v.Name, ".router") {
					for _, env := range envs {
						clear(env[v.Name].Data) // all logits are equal: ties go to experts 0 and 1
					}
				}
			}
			return envs
		}
		one := newStep(t, toyRequest(t, 1, RecomputeNone))
		if err := grad(one); err != nil {
			t.Fatal(err)
		}
		want := trainFrom(t, one, start(one), ir.Float64)
		for _, m := range []mesh{{2, 2}, {2, 1}, {4, 4}, {4, 2}, {4, 1}} {
			for _, mode := range Recomputes {
				t.Run(fmt.Sprintf("skewed=%t/ranks=%d/ep=%d/recompute=%s", skewed, m.ranks, m.ep, mode), func(t *testing.T) {
					req := toyRequest(t, m.ranks, mode)
					req.EP = m.ep
					s := newStep(t, req)
					for _, p := range passes[:6] {
						if err := p.run(s); err != nil {
							t.Fatal(err)
						}
					}
					sameTraining(t, s, one, trainFrom(t, s, start(s), ir.Float64), want)
				})
			}
		}
	}
}

// sameTraining holds what the ranks of a step have afterwards against what one rank has.
func sameTraining(t *testing.T, s, one *step, got, want []ir.Env) {
	t.Helper()
	groups, whole := spreads(s), spreads(one)
	for _, v := range s.micro.Outside {
		if v.Role != ir.Weight {
			continue
		}
		for _, prefix := range append(keeps(s), "grad.", "") {
			a, b := groups[v.Name].collect(got, prefix, v.Name), whole[v.Name].collect(want, prefix, v.Name)
			if e := relative(a, b); !(e < 1e-11) {
				t.Errorf("%s%s differs by %.2g", prefix, v.Name, e)
			}
		}
		for r := range got { // all that hold a weight have all of it
			x := want[0][v.Name].Data
			if v.Param.Sharded {
				n := len(x) / s.req.EP
				x = x[r%s.req.EP*n:][:n]
			}
			if e := relative(got[r][v.Name].Data, x); !(e < 1e-11) {
				t.Errorf("%s of rank %d differs by %.2g", v.Name, r, e)
			}
		}
	}
	for r := range got {
		if a, b := got[r]["grad_norm"].Data[0], want[0]["grad_norm"].Data[0]; math.Abs(a-b) > 1e-12*b {
			t.Errorf("gradient norm %v on rank %d, want %v", a, r, b)
		}
	}
	loss := 0.0
	for r := range got {
		loss += got[r]["loss"].Data[0]
	}
	if math.Abs(loss-want[0]["loss"].Data[0]) > 1e-12 {
		t.Errorf("loss %v, want %v", loss, want[0]["loss"].Data[0])
	}
	if a, b := got[0]["aux_loss"].Data[0], want[0]["aux_loss"].Data[0]; math.Abs(a-b) > 1e-12 {
		t.Errorf("aux loss %v, want %v", a, b)
	}
}

// Which operations are left after fuse, for the programs of one rank and of two.
func TestFuseLeavesNothingApart(t *testing.T) {
	gone := []string{"rope", "rope_grad", "qk_norm", "qk_norm_grad", "permute", "unpermute", "unpermute_grad", "unpermute_wgrad",
		"cross_entropy", "cross_entropy_grad"}
	for _, ranks := range []int{1, 2} {
		s := newStep(t, toyRequest(t, ranks, RecomputeNone))
		for _, p := range passes[:4] {
			if err := p.run(s); err != nil {
				t.Fatal(err)
			}
		}
		for _, g := range s.programs() {
			for _, n := range g.Nodes {
				if slices.Contains(gone, n.Op.Name) {
					t.Errorf("%d ranks: %s still has %s in %s", ranks, g.Name, n.Op.Name, n.Section)
				}
			}
		}
	}
}

// How the ranks share the experts: as many as can, or as is said, which must divide both.
func TestExpertParallelAxis(t *testing.T) {
	for _, c := range []struct {
		ranks, ep, want int
		err             string
	}{
		{1, 0, 1, ""}, {2, 0, 2, ""}, {3, 0, 1, ""}, {4, 0, 4, ""}, {4, 2, 2, ""}, {4, 1, 1, ""}, {6, 0, 2, ""},
		{4, 3, 0, "--ep 3: 4 ranks and the 4 experts of toy cannot be split that way; use one of [4 2 1]"},
		{6, 6, 0, "--ep 6: 6 ranks and the 4 experts of toy cannot be split that way; use one of [2 1]"},
		{2, -1, 0, "--ep -1: 2 ranks and the 4 experts of toy cannot be split that way; use one of [2 1]"},
	} {
		req := toyRequest(t, 1, RecomputeNone)
		req.GPUs, req.EP = c.ranks, c.ep
		p, err := Plan(req, nil)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("error %v, want %s", err, c.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Plan.EP != c.want || p.Plan.Ranks != c.ranks {
			t.Errorf("%d ranks share experts by %d, want %d", p.Plan.Ranks, p.Plan.EP, c.want)
		}
	}
}

// The same request gives the same plan, and every launch names a kernel of the registry.
func TestPlanIsDeterministic(t *testing.T) {
	first, err := Plan(toyRequest(t, 2, RecomputeNone), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := Plan(toyRequest(t, 2, RecomputeNone), nil)
		if err != nil {
			t.Fatal(err)
		}
		if again.Hash != first.Hash {
			t.Fatal("two plans of one request differ")
		}
	}
	for _, p := range first.Plan.Programs {
		for _, l := range p.Launches {
			if _, ok := kernels.Lookup("cpu", l.Kernel, l.Op.Name); !ok {
				t.Errorf("%s: no kernel %s for %s", p.Name, l.Kernel, l.Op.Name)
			}
		}
	}
}

// What auto computes again are the up-projections of the first layers, no more than it takes, and none where
// activations find room where gradients lie later.
func TestRecomputeAuto(t *testing.T) {
	for _, c := range []struct {
		model  string
		rows   int
		layers []int // whose backward has an up-projection
	}{{"tiny-qwen3-moe", 1, nil}, {"small-qwen3-moe", 1, nil}, {"small-qwen3-moe", 2, []int{0, 1, 2, 3, 4}}} {
		m, _ := models.Lookup(c.model)
		p, err := Plan(Request{Model: m, Target: "cpu", DType: "f32", Seq: 2048, MicroBatch: c.rows, GPUs: 1, Recompute: RecomputeAuto}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var layers []int
		for _, l := range p.Plan.Programs[1].Launches {
			if l.Op.Name == "grouped_linear" && strings.HasSuffix(l.Section, backwardSuffix) {
				layer, _ := layerOf(l.Section)
				layers = append(layers, layer)
			}
		}
		slices.Sort(layers)
		if !slices.Equal(layers, c.layers) {
			t.Errorf("%s, %d rows, computes the up-projections of layers %v again, want %v", c.model, c.rows, layers, c.layers)
		}
	}
}
