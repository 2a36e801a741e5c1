package kernels_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"moegen/gen"
	"moegen/ir"
	"moegen/kernels"
	"moegen/models"
	"moegen/runtime/host"
)

// hostFunctions are the functions that kernels name.
var hostFunctions = map[string]any{
	"host.Accumulate":                  host.Accumulate,
	"host.AdamW":                       host.AdamW,
	"host.Add":                         host.Add,
	"host.AllGather":                   host.AllGather,
	"host.AllReduce":                   host.AllReduce,
	"host.AllReduceF64":                host.AllReduceF64,
	"host.Attention":                   host.Attention,
	"host.AttentionGrad":               host.AttentionGrad,
	"host.AuxLoss":                     host.AuxLoss,
	"host.AuxLossGrad":                 host.AuxLossGrad,
	"host.BiasGrad":                    host.BiasGrad,
	"host.ClearGaps":                   host.ClearGaps,
	"host.ClipScale":                   host.ClipScale,
	"host.CombineRows":                 host.CombineRows,
	"host.CrossEntropy":                host.CrossEntropy,
	"host.CrossEntropyGrad":            host.CrossEntropyGrad,
	"host.DispatchPlan":                host.DispatchPlan,
	"host.DispatchRows":                host.DispatchRows,
	"host.Embedding":                   host.Embedding,
	"host.EmbeddingGrad":               host.EmbeddingGrad,
	"host.GroupedLinear":               host.GroupedLinear,
	"host.GroupedLinearDGrad":          host.GroupedLinearDGrad,
	"host.GroupedLinearDGradUnpermute": host.GroupedLinearDGradUnpermute,
	"host.GroupedLinearUnpermute":      host.GroupedLinearUnpermute,
	"host.GroupedLinearWGrad":          host.GroupedLinearWGrad,
	"host.KeepNone":                    host.KeepNone,
	"host.KeepRows":                    host.KeepRows,
	"host.Linear":                      host.Linear,
	"host.LinearCrossEntropy":          host.LinearCrossEntropy,
	"host.LinearCrossEntropyEval":      host.LinearCrossEntropyEval,
	"host.LinearDGrad":                 host.LinearDGrad,
	"host.LinearWGrad":                 host.LinearWGrad,
	"host.Permute":                     host.Permute,
	"host.QKNormRope":                  host.QKNormRope,
	"host.QKNormRopeGrad":              host.QKNormRopeGrad,
	"host.RMSNorm":                     host.RMSNorm,
	"host.RMSNormGrad":                 host.RMSNormGrad,
	"host.ReduceScatter":               host.ReduceScatter,
	"host.RestoreRows":                 host.RestoreRows,
	"host.Rank.TapF32":                 (*host.Rank).TapF32,
	"host.Rank.TapI32":                 (*host.Rank).TapI32,
	"host.RopeTable":                   host.RopeTable,
	"host.Route":                       host.Route,
	"host.Router":                      host.Router,
	"host.RouterGrad":                  host.RouterGrad,
	"host.RouterStats":                 host.RouterStats,
	"host.RouterStatsGrad":             host.RouterStatsGrad,
	"host.SliceRows":                   host.SliceRows,
	"host.SumSquares":                  host.SumSquares,
	"host.SwiGLU":                      host.SwiGLU,
	"host.SwiGLUGrad":                  host.SwiGLUGrad,
	"host.SwiGLUUnpermuteGrad":         host.SwiGLUUnpermuteGrad,
	"host.Unpermute":                   host.Unpermute,
	"host.UnpermuteGrad":               host.UnpermuteGrad,
	"host.UnpermuteWGrad":              host.UnpermuteWGrad,
}

// toyConfig is a model in which every operation occurs: grouped queries, biases, a dense layer between expert
// layers, the auxiliary loss, tied embeddings, a padding token.
const toyConfig = `{
  "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
  "vocab_size": 37, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 3,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "hidden_act": "silu",
  "max_position_embeddings": 32, "initializer_range": 0.3, "rms_norm_eps": 1e-6,
  "rope_theta": 10000.0, "tie_word_embeddings": true, "attention_bias": true,
  "mlp_only_layers": [1], "decoder_sparse_step": 1, "num_experts": 4, "num_experts_per_tok": 2,
  "moe_intermediate_size": 12, "pad_token_id": 5, "norm_topk_prob": true, "output_router_logits": true,
  "router_aux_loss_coef": 0.1
}`

const (
	toySeq   = 9
	toyRows  = 2
	toyVocab = 37
)

// Every kernel, called as the registry says, computes what its operation's Eval computes from the same
// operands: plans of toy models run launch by launch, all programs, on one rank and on several, as planned and
// operation by operation as the model says it.
func TestKernelsComputeTheirOperations(t *testing.T) {
	used := map[string]bool{}
	for _, mesh := range []struct{ ranks, ep int }{{1, 1}, {2, 2}, {4, 2}} {
		for _, mode := range gen.Recomputes {
			ranks := mesh.ranks
			t.Run(fmt.Sprintf("%d ranks, experts over %d, recompute %s", ranks, mesh.ep, mode), func(t *testing.T) {
				m, err := models.Parse("toy", "toy.json", []byte(toyConfig))
				if err != nil {
					t.Fatal(err)
				}
				var graphs []*ir.Graph
				planned, err := gen.Plan(gen.Request{
					Model: m, Target: "cpu", DType: "f32", Seq: toySeq, MicroBatch: toyRows, GPUs: ranks, EP: mesh.ep, Recompute: mode,
				}, func(d gen.Dump) {
					if strings.HasPrefix(d.Path, "03_recompute/") { // what fuse is given
						g, err := ir.Parse(d.Text)
						if err != nil {
							t.Fatal(err)
						}
						graphs = append(graphs, g)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, accumulate := range []bool{false, true} {
					runChecked(t, planned.Plan, accumulate, used)
					runChecked(t, separate(t, ranks, graphs), accumulate, used)
				}
			})
		}
	}
	for _, k := range kernels.All("cpu") {
		if !used[k.Op+" by "+k.Name] {
			t.Errorf("no plan uses %s for %s", k.Name, k.Op)
		}
	}
}

// separate plans graphs as they are: a launch for every node and a place for every value, but for parts of others.
func separate(t *testing.T, ranks int, graphs []*ir.Graph) *ir.Plan {
	t.Helper()
	plan := &ir.Plan{Target: "cpu", Ranks: ranks}
	place := func(name string, typ ir.Type, role ir.Role) *ir.Buffer {
		const align = 64
		b := &ir.Buffer{Name: name, Type: typ, Role: role, Offset: plan.Bytes}
		plan.Bytes += (b.Bytes() + align - 1) / align * align
		plan.Buffers = append(plan.Buffers, b)
		return b
	}
	outside := map[string]*ir.Buffer{}
	for _, g := range graphs {
		buffers, written := map[*ir.Value]*ir.Buffer{}, map[*ir.Value]*ir.Buffer{}
		for _, v := range g.Outside {
			if outside[v.Name] == nil {
				outside[v.Name] = place(v.Name, v.Type, v.Role)
			}
			buffers[v] = outside[v.Name]
		}
		for _, w := range g.Results {
			written[w.From] = buffers[w.To]
		}
		for _, n := range g.Nodes {
			if n.Op.Inside != nil { // operands are parts of the result
				whole := place(g.Name+"."+n.Out[0].Name, n.Out[0].Type, ir.Activation)
				written[n.Out[0]] = whole
				for i, at := range n.Op.Inside(n) {
					x := n.In[i]
					written[x] = &ir.Buffer{Name: x.Name, Type: x.Type, Offset: whole.Offset + int64(at)*x.Type.DType.Size()}
				}
			}
		}
		p := &ir.Program{Name: g.Name}
		for _, n := range g.Nodes {
			k := kernels.Select("cpu", n)
			if k == nil {
				t.Fatalf("no kernel for %s", n.Op.Name)
			}
			l := &ir.Launch{Kernel: k.Name, Op: n.Op, Section: n.Section, Attrs: n.Attrs}
			for _, v := range n.In {
				l.In = append(l.In, buffers[v])
			}
			for i, v := range n.Out {
				buffers[v] = written[v]
				for _, s := range k.Shares {
					if s[0] == i && l.In[s[1]] != nil {
						buffers[v] = l.In[s[1]]
					}
				}
				if buffers[v] == nil {
					buffers[v] = place(g.Name+"."+v.Name, v.Type, ir.Activation)
				}
				l.Out = append(l.Out, buffers[v])
			}
			if k.Workspace != nil {
				l.Workspace = place(g.Name+".workspace", ir.Fixed(ir.F32, k.Workspace(n)), ir.Activation)
			}
			p.Launches = append(p.Launches, l)
		}
		plan.Programs = append(plan.Programs, p)
	}
	return plan
}

// runChecked runs a plan and holds every launch against Eval, and once more in place wherever the operation
// allows that. Gradients add to others, in memory of their own, or come where there is garbage.
func runChecked(t *testing.T, plan *ir.Plan, accumulate bool, used map[string]bool) {
	config := host.Config{Ranks: plan.Ranks, ArenaBytes: plan.Bytes, FoldedBytes: plan.Gradients, RecordOffset: record(plan).Offset, Cores: plan.Ranks}
	if accumulate {
		config.ArenaBytes, config.FoldedBytes = plan.Bytes+plan.Gradients, 0
	}
	m, err := host.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for rank := range plan.Ranks {
		for _, b := range plan.Buffers {
			if b.Role != ir.Activation && b.Role != ir.Result && b.Role != ir.Constant {
				x := values(rng, b)
				if b.Name == "record" {
					x[ir.RecordRank] = float64(rank)
					if !accumulate {
						x[ir.RecordAccumulate] = 0
					}
				}
				if b.Role == ir.Gradient && !b.IsGroup() && !accumulate {
					for i := range x {
						x[i] = math.NaN()
					}
				}
				store(m, rank, b, x)
			}
		}
	}
	for _, p := range plan.Programs {
		for i, l := range p.Launches {
			want := eval(m, plan.Ranks, l)
			k, ok := kernels.Lookup("cpu", l.Kernel, l.Op.Name)
			if !ok {
				t.Fatalf("no kernel %s for %s", l.Kernel, l.Op.Name)
			}
			used[l.Op.Name+" by "+k.Name] = true
			check := func(how string, l *ir.Launch) {
				t.Helper()
				for rank := range plan.Ranks {
					poison(m, rank, k, l)
				}
				m.Run(func(r *host.Rank) { invoke(r, k, l) })
				for rank := range plan.Ranks {
					for j, b := range l.Out {
						if e := distance(load(m, rank, b), want[rank][j].Data); !(e < tolerance) {
							t.Fatalf("%s launch %d, %s: %s: %s of %s on rank %d differs by %.2g",
								p.Name, i, how, k.Name, l.Op.Results[j], l.Section, rank, e)
						}
					}
				}
			}
			if moved := inPlace(l); moved != nil {
				restore := save(m, plan.Ranks, moved.Out)
				check("in place", moved)
				restore()
			}
			check("as planned", l)
		}
	}
}

// inPlace returns a launch with its results in the places of operands wherever the operation allows that and
// they are not there already, nil if nowhere.
func inPlace(l *ir.Launch) *ir.Launch {
	moved := *l
	moved.Out = slices.Clone(l.Out)
	for _, pair := range l.Op.InPlace {
		x, y := l.In[pair[1]], l.Out[pair[0]]
		there := slices.ContainsFunc(l.In, func(b *ir.Buffer) bool { return b != nil && b.Offset == y.Offset })
		if x != nil && x.Bytes() == y.Bytes() && !there && moved.Out[pair[0]] == y && !slices.Contains(moved.Out, x) {
			moved.Out[pair[0]] = x
		}
	}
	if slices.Equal(moved.Out, l.Out) {
		return nil
	}
	return &moved
}

// save returns a function that writes back what buffers hold now.
func save(m *host.Machine, ranks int, buffers []*ir.Buffer) (restore func()) {
	saved := make([][][]byte, ranks)
	for rank := range saved {
		for _, b := range buffers {
			saved[rank] = append(saved[rank], bytes.Clone(m.Bytes(rank, b.Offset, b.Bytes())))
		}
	}
	return func() {
		for rank := range saved {
			for i, b := range buffers {
				copy(m.Bytes(rank, b.Offset, b.Bytes()), saved[rank][i])
			}
		}
	}
}

// tolerance is the largest relative error, in the norm, of a launch: sums of at most a few hundred float32
// products have errors of about √300·2⁻²⁴ = 1e-6 of the terms' norm, and cancellation in gradients of
// normalisations makes that ten times as much of the result's.
const tolerance = 1e-5

func record(plan *ir.Plan) *ir.Buffer {
	for _, b := range plan.Buffers {
		if b.Name == "record" {
			return b
		}
	}
	panic("the plan has no step record")
}

// values fills an input, a parameter, a gradient or a moment.
func values(rng *rand.Rand, b *ir.Buffer) []float64 {
	x := make([]float64, b.Type.Elements())
	for i := range x {
		switch position := i % toySeq; b.Name {
		case "tokens_T":
			x[i] = float64(rng.IntN(toyVocab))
		case "targets_T":
			x[i] = float64(rng.IntN(toyVocab+3) - 3) // negative: none
		case "positions_T":
			x[i] = float64(position)
		case "starts_T":
			if position >= 4 {
				x[i] = 4 // two documents a row
			}
		case "head_row":
			x[i] = 3
		case "record":
			x[i] = map[int]float64{
				ir.RecordLR: 0.125, ir.RecordBeta1: 0.5, ir.RecordBeta2: 0.75, ir.RecordEps: 0.0625, ir.RecordDecay: 0.25,
				ir.RecordBias1: 0.5, ir.RecordBias2: 0.25, ir.RecordMaxNorm: 0.5, ir.RecordLossNorm: 0.125,
				ir.RecordAuxNorm: 0.5, ir.RecordAccumulate: 1, ir.RecordGain1: 0.5, ir.RecordGain2: 0.25,
			}[i]
		default:
			x[i] = rng.NormFloat64() * 0.3
			if strings.HasPrefix(b.Name, "moment2") {
				x[i] = math.Abs(x[i])
			}
		}
	}
	return x
}

// eval returns what a launch must leave on every rank, from what its operands hold now.
func eval(m *host.Machine, ranks int, l *ir.Launch) [][]*ir.Tensor {
	n := &ir.Node{Op: l.Op, Attrs: l.Attrs}
	value := func(b *ir.Buffer) *ir.Value {
		if b == nil {
			return nil
		}
		return &ir.Value{Name: b.Name, Type: b.Type}
	}
	for _, b := range l.In {
		n.In = append(n.In, value(b))
	}
	for _, b := range l.Out {
		n.Out = append(n.Out, value(b))
	}
	in, out := make([][]*ir.Tensor, ranks), make([][]*ir.Tensor, ranks)
	for rank := range ranks {
		for _, b := range l.In {
			var x *ir.Tensor
			if b != nil {
				x = &ir.Tensor{Type: b.Type, Data: load(m, rank, b)}
			}
			in[rank] = append(in[rank], x)
		}
		for _, b := range l.Out {
			out[rank] = append(out[rank], ir.NewTensor(b.Type))
		}
	}
	if l.Op.Collective() {
		l.Op.EvalRanks(n, in, out)
	} else {
		for rank := range ranks {
			l.Op.Eval(n, in[rank], out[rank])
		}
	}
	return out
}

// poison makes what a launch must write, and may not read, not a number: its results and its workspace.
func poison(m *host.Machine, rank int, k *kernels.Kernel, l *ir.Launch) {
	nan := func(b *ir.Buffer) {
		bytes := m.Bytes(rank, b.Offset, b.Bytes())
		for i := range bytes {
			bytes[i] = 0xff
		}
	}
	for _, b := range l.Out {
		place := false // of an operand, which a kernel may or must update
		for _, x := range l.In {
			place = place || x != nil && x.Offset < b.Offset+b.Bytes() && b.Offset < x.Offset+x.Bytes()
		}
		if !place {
			nan(b)
		}
	}
	if l.Workspace != nil {
		nan(l.Workspace)
	}
}

// distance is the relative error of got in the norm; what want leaves open (not a number) does not count.
func distance(got, want []float64) float64 {
	var diff, size float64
	for i, w := range want {
		if !math.IsNaN(w) {
			diff += (got[i] - w) * (got[i] - w)
			size += w * w
		}
	}
	return math.Sqrt(diff / max(size, 1e-12))
}
