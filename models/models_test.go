package models

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"moegen/ir"
)

// params returns the parameters of a model.
func params(t testing.TB, m *Model) []*ir.Param {
	t.Helper()
	g, err := m.Build(Shape{Seq: 1, Rows: 1})
	if err != nil {
		t.Fatal(err)
	}
	var list []*ir.Param
	for _, v := range g.Forward.Outside {
		if v.Role == ir.Weight {
			list = append(list, v.Param)
		}
	}
	return list
}

// tensorList returns the checkpoint tensors of a model with their shapes, sorted.
func tensorList(t testing.TB, m *Model) []string {
	t.Helper()
	var list []string
	for _, p := range params(t, m) {
		for _, piece := range p.Pieces {
			for c := range max(piece.Count, 1) {
				name := piece.Name
				if piece.Count > 0 {
					name = strings.Replace(name, "%d", fmt.Sprint(c), 1)
				}
				list = append(list, strings.Trim(fmt.Sprint(name, " ", fmt.Sprint(piece.Shape)), "]"))
			}
		}
	}
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], "[", "")
	}
	slices.Sort(list)
	return list
}

func lookup(t testing.TB, name string) *Model {
	t.Helper()
	m, ok := Lookup(name)
	if !ok {
		t.Fatalf("no model %s", name)
	}
	return m
}

// TestRegistries: sorted, every name has its config and every config its name.
func TestRegistries(t *testing.T) {
	names := Names()
	if !slices.IsSorted(names) {
		t.Error("named models are not sorted")
	}
	files, err := configs.ReadDir("configs")
	if err != nil {
		t.Fatal(err)
	}
	var inFolder []string
	for _, f := range files {
		inFolder = append(inFolder, strings.TrimSuffix(f.Name(), ".json"))
	}
	if diff := cmp.Diff(inFolder, names); diff != "" {
		t.Error(diff)
	}
	var types []string
	for _, a := range architectures {
		types = append(types, a.modelType)
	}
	if !slices.IsSorted(types) {
		t.Error("architectures are not sorted")
	}
	if _, ok := Lookup("no-such-model"); ok {
		t.Error("found no-such-model")
	}
}

// TestFacts holds the counts against published and measured ones: the publisher's parameter counts and byte
// sizes of the checkpoints (a model card's 30.5B total and 3.3B active), and, for the small sizes, the counts
// that Transformers reports and the floating-point operations of the CPU baseline.
func TestFacts(t *testing.T) {
	for _, want := range []struct {
		name                             string
		total, active, gemm, bytes       int64
		flops512, flops2048, seqAndFLOPs int64 // the last at 4096
	}{
		{"qwen3-30b-a3b", 30_532_122_624, 3_353_032_704, 3_041_656_832, 61_064_245_248, 0, 0, 23_082_958_848},
		{"qwen3-235b-a22b", 235_093_634_560, 22_190_763_520, 0, 470_187_269_120, 0, 0, 0},
		{"small-qwen3-moe", 110_241_280, 0, 20_054_016, 440_965_120, 132_931_584, 170_680_320, 0},
		{"tiny-qwen3-moe", 1_910_144, 0, 663_552, 7_640_576, 5_557_248, 10_275_840, 0},
	} {
		f := lookup(t, want.name).Facts
		for _, x := range []struct {
			what      string
			got, want int64
		}{
			{"parameters", f.Parameters, want.total}, {"active parameters", f.ActiveParameters, want.active},
			{"active GEMM parameters", f.ActiveGEMM, want.gemm}, {"checkpoint bytes", f.CheckpointBytes, want.bytes},
			{"FLOPs at 512", f.FLOPsPerToken(512), want.flops512}, {"FLOPs at 2048", f.FLOPsPerToken(2048), want.flops2048},
			{"FLOPs at 4096", f.FLOPsPerToken(4096), want.seqAndFLOPs},
		} {
			if x.want != 0 && x.got != x.want {
				t.Errorf("%s: %s %d, want %d", want.name, x.what, x.got, x.want)
			}
		}
	}
}

// TestTensorNames compares with testdata/tiny-qwen3-moe.tensors: name and shape of every tensor that
// Transformers 5.23 saves of this config.
func TestTensorNames(t *testing.T) {
	text, err := os.ReadFile("testdata/tiny-qwen3-moe.tensors")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(text)), "\n")
	if diff := cmp.Diff(want, tensorList(t, lookup(t, "tiny-qwen3-moe"))); diff != "" {
		t.Error(diff)
	}
}

// TestPiecesCover: the tensors of every parameter cover it exactly once, and no tensor belongs to two. Large
// parameters are checked by their pieces' extents instead of element by element.
func TestPiecesCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	check := func(m *Model) {
		t.Helper()
		owners := map[string]string{}
		for _, p := range params(t, m) {
			elements := 1
			for _, n := range p.Shape {
				elements *= n
			}
			if p.Expert && p.Shape[0] != m.Facts.Experts {
				t.Errorf("%s: leading dim %d is not the expert", p.Name, p.Shape[0])
			}
			seen := make([]byte, elements)
			eachElement(p, func(tensor string, _ []int, index, element int) {
				seen[element]++
				if index == 0 {
					if other := owners[tensor]; other != "" {
						t.Errorf("%s belongs to %s and to %s", tensor, other, p.Name)
					}
					owners[tensor] = p.Name
				}
			})
			if i := bytes.IndexFunc(seen, func(r rune) bool { return r != 1 }); i >= 0 {
				t.Errorf("%s: element %d is covered %d times", p.Name, i, seen[i])
			}
		}
	}
	for range 40 {
		check(random(t, rng))
	}
	check(lookup(t, "tiny-qwen3-moe"))
	for _, name := range Names() {
		m := lookup(t, name)
		var total int64
		for _, p := range params(t, m) {
			for _, piece := range p.Pieces {
				n := int64(max(piece.Count, 1))
				for _, d := range piece.Shape {
					n *= int64(d)
				}
				total += n
			}
		}
		if total != m.Facts.Parameters {
			t.Errorf("%s: tensors have %d elements, parameters %d", name, total, m.Facts.Parameters)
		}
	}
}

// random returns a model of random small sizes and options.
func random(t testing.TB, rng *rand.Rand) *Model {
	t.Helper()
	kv := 1 + rng.IntN(3)
	experts := 1 + rng.IntN(5)
	dense := []any{}
	if rng.IntN(2) == 0 {
		dense = append(dense, 1)
	}
	m, err := Parse("random", "config.json", vary(map[string]any{
		"vocab_size": 1 + rng.IntN(9), "hidden_size": 1 + rng.IntN(6), "num_key_value_heads": kv,
		"num_attention_heads": kv * (1 + rng.IntN(3)), "head_dim": 2 * (1 + rng.IntN(3)), "intermediate_size": 1 + rng.IntN(5),
		"num_hidden_layers": 2 + rng.IntN(3), "mlp_only_layers": dense, "num_experts": experts,
		"num_experts_per_tok": 1 + rng.IntN(experts), "moe_intermediate_size": 1 + rng.IntN(5),
		"attention_bias": rng.IntN(2) == 0, "tie_word_embeddings": rng.IntN(2) == 0,
		"output_router_logits": rng.IntN(2) == 0, "decoder_sparse_step": 1 + rng.IntN(2)*(1-len(dense)),
	}))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGraphsVerify: the graphs of random and of named models are well formed, at several shapes.
func TestGraphsVerify(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	verify := func(m *Model, s Shape) {
		t.Helper()
		g, err := m.Build(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range []*ir.Graph{g.Setup, g.Forward, g.Head} {
			if err := ir.Verify(program); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
			for _, n := range program.Nodes {
				if n.Section == "" {
					t.Errorf("%s: %s belongs to no section", m.Name, n.Op.Name)
				}
			}
		}
		if got := g.Head.Lookup("logits_CV").Type; !got.Equal(ir.Fixed(ir.F32, g.HeadRows, m.Facts.Vocab)) {
			t.Errorf("%s: logits have type %s for %d rows", m.Name, got, g.HeadRows)
		}
	}
	for range 20 {
		verify(random(t, rng), Shape{Seq: 1 + rng.IntN(20), Rows: 1 + rng.IntN(3)})
	}
	for _, name := range Names() {
		verify(lookup(t, name), Shape{Seq: 4096, Rows: 1})
	}
}

// TestHeadRows: the logits of one Head take at most 16 MiB, if one row does.
func TestHeadRows(t *testing.T) {
	for _, c := range []struct{ tokens, vocab, want int }{
		{4096, 151936, 27}, // 27·151936·4 = 16,409,088 of 16,777,216 bytes
		{48, 256, 48}, {8192, 512, 8192}, {8193, 512, 8192}, {5, 5_000_000, 1},
	} {
		if got := headRows(c.tokens, c.vocab); got != c.want {
			t.Errorf("%d tokens, vocabulary %d: %d rows, want %d", c.tokens, c.vocab, got, c.want)
		}
	}
}

// TestConfigsAreJSON: the embedded configs are what a program gets, verbatim, and JSON.
func TestConfigsAreJSON(t *testing.T) {
	for _, name := range Names() {
		m := lookup(t, name)
		file, err := os.ReadFile("configs/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(file, m.Config) || !json.Valid(m.Config) {
			t.Errorf("%s: the config is not the file's", name)
		}
	}
}

// The first layers of a model are a model with the same widths: its parameters are those of that many layers and of what
// belongs to none.
func TestFirstLayers(t *testing.T) {
	whole, _ := Lookup("qwen3-30b-a3b")
	four, err := whole.FirstLayers(4)
	if err != nil {
		t.Fatal(err)
	}
	if four.Name != "qwen3-30b-a3b-4-layers" || four.Facts.Layers != 4 || four.Facts.Hidden != whole.Facts.Hidden {
		t.Errorf("%s: %+v", four.Name, four.Facts)
	}
	three, _ := whole.FirstLayers(3)
	layer := four.Facts.Parameters - three.Facts.Parameters
	if want := whole.Facts.Parameters - 44*layer; four.Facts.Parameters != want {
		t.Errorf("%d parameters, want %d", four.Facts.Parameters, want)
	}
	for _, n := range []int{0, 49} {
		if _, err := whole.FirstLayers(n); err == nil {
			t.Errorf("the first %d of 48 layers", n)
		}
	}
}
