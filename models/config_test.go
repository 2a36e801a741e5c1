package models

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"moegen/internal/golden"
)

// small is a config in which nothing is remarkable.
func small() map[string]any {
	return map[string]any{
		"architectures": []any{"Qwen3MoeForCausalLM"}, "model_type": "qwen3_moe",
		"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "hidden_act": "silu",
		"max_position_embeddings": 64, "initializer_range": 0.02, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
		"rope_scaling": nil, "tie_word_embeddings": false, "attention_bias": false, "attention_dropout": 0.0,
		"use_sliding_window": false, "sliding_window": nil, "decoder_sparse_step": 1, "mlp_only_layers": []any{},
		"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "norm_topk_prob": true,
		"output_router_logits": false, "router_aux_loss_coef": 0.001, "use_cache": true,
	}
}

// absent marks a field that a variation leaves out.
type absent struct{}

// vary returns small with some fields set or left out.
func vary(changes map[string]any) []byte {
	fields := small()
	maps.Copy(fields, changes)
	maps.DeleteFunc(fields, func(_ string, v any) bool { return v == any(absent{}) })
	text, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		panic(err)
	}
	return text
}

// TestErrors pins the sentence for every way in which a config can be wrong.
func TestErrors(t *testing.T) {
	type fields = map[string]any
	cases := []struct {
		name    string
		changes fields
	}{
		{"model type missing", fields{"model_type": absent{}}},
		{"model type unknown", fields{"model_type": "mixtral"}},
		{"unknown field", fields{"num_shared_experts": 1}},
		{"quantised", fields{"quantization_config": fields{"bits": 4}}},
		{"several at once", fields{"vocab_size": absent{}, "hidden_size": -1, "attention_dropout": 0.1}},
		{"wrong types", fields{"hidden_size": "16", "num_experts": 4.5, "norm_topk_prob": 1, "hidden_act": 3, "mlp_only_layers": 1,
			"rms_norm_eps": "small", "rope_scaling": "yarn"}},
		{"not positive", fields{"rms_norm_eps": 0, "initializer_range": fields{"__float__": "Infinity"}}},
		{"too large", fields{"vocab_size": 1 << 21, "num_hidden_layers": 2000, "head_dim": 1e9}},
		{"two names of the experts", fields{"num_local_experts": 8}},
		{"two names of the type", fields{"dtype": "float32", "torch_dtype": "bfloat16"}},
		{"unknown type", fields{"dtype": "float8_e4m3fn"}},
		{"heads", fields{"num_key_value_heads": 3}},
		{"odd head", fields{"head_dim": 7}},
		{"odd head of its own accord", fields{"head_dim": absent{}, "hidden_size": 20}},
		{"top-k", fields{"num_experts_per_tok": 5}},
		{"activation", fields{"hidden_act": "gelu"}},
		{"dropout", fields{"attention_dropout": 0.1}},
		{"window", fields{"use_sliding_window": true, "sliding_window": 16}},
		{"another head", fields{"architectures": []any{"Qwen3MoeForSequenceClassification"}}},
		{"padding token", fields{"pad_token_id": 32}},
		{"padding token from the end", fields{"pad_token_id": -33}},
		{"padding token in words", fields{"pad_token_id": "<pad>"}},
		{"no experts", fields{"num_experts": 0}},
		{"no layer has experts", fields{"mlp_only_layers": []any{0, 1}}},
		{"no layer by its step", fields{"decoder_sparse_step": 3}},
		{"auxiliary loss", fields{"router_aux_loss_coef": fields{"__float__": "NaN"}}},
		{"no such layer", fields{"mlp_only_layers": []any{0, 2, "1"}}},
		{"dense width missing", fields{"mlp_only_layers": []any{0}, "intermediate_size": absent{}}},
		{"two thetas", fields{"rope_parameters": fields{"rope_type": "default", "rope_theta": 1e6}}},
		{"two encodings", fields{"rope_parameters": fields{"rope_type": "linear", "factor": 2, "rope_theta": 1e4},
			"rope_scaling": fields{"rope_type": "linear", "factor": 4, "rope_theta": 1e4}}},
		{"two names of the encoding", fields{"rope_scaling": fields{"type": "linear", "rope_type": "yarn", "factor": 4}}},
		{"unknown encoding", fields{"rope_scaling": fields{"type": "mrope", "mrope_section": []any{1}}}},
		{"parameter missing", fields{"rope_scaling": fields{"type": "linear"}}},
		{"parameter of another encoding", fields{"rope_scaling": fields{"type": "linear", "factor": 2, "beta_fast": 32}}},
		{"partial rotation", fields{"partial_rotary_factor": 0.5}},
		{"llama3", fields{"rope_scaling": fields{"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}}},
		{"llama3 incomplete", fields{"rope_scaling": fields{"type": "llama3", "factor": 8, "high_freq_factor": 1}}},
		{"longrope", fields{"rope_scaling": fields{"type": "longrope", "short_factor": []any{1, 1}, "long_factor": []any{1, 1, 1, 1}}}},
		{"longrope elements", fields{"rope_scaling": fields{"type": "longrope", "short_factor": []any{1, 1, 0, 1}, "long_factor": []any{1, 1, 1, 1}}}},
		{"yarn", fields{"rope_scaling": fields{"type": "yarn", "beta_fast": -1}}},
	}
	var got bytes.Buffer
	for _, c := range cases {
		_, err := Parse("small", "config.json", vary(c.changes))
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		fmt.Fprintf(&got, "%s\n  %s\n", c.name, strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	for _, c := range []struct{ name, text string }{
		{"empty", ""},
		{"cut off", "{\n  \"vocab_size\": 32,\n"},
		{"not an object", "[1]"},
		{"no value", "{\n  \"vocab_size\": 32,\n  \"hidden_size\": }\n"},
		{"a field twice", "{\n  \"vocab_size\": 32,\n  \"vocab_size\": 33\n}"},
		{"two objects", "{}\n{}\n"},
	} {
		_, err := Parse("small", "config.json", []byte(c.text))
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		fmt.Fprintf(&got, "%s\n  %s\n", c.name, err)
	}
	golden.File(t, "testdata/errors.txt", got.Bytes())
}

// TestBuildErrors pins the sentences for shapes that a model has no positions for.
func TestBuildErrors(t *testing.T) {
	long := map[string]any{"rope_scaling": map[string]any{"type": "longrope", "original_max_position_embeddings": 16,
		"short_factor": []any{1, 1, 1, 1}, "long_factor": []any{2, 2, 2, 2}}}
	var got bytes.Buffer
	for _, c := range []struct {
		changes map[string]any
		shape   Shape
	}{
		{nil, Shape{Seq: 65, Rows: 1}}, {nil, Shape{Seq: 0, Rows: 1}}, {nil, Shape{Seq: 8, Rows: -1}}, {long, Shape{Seq: 17, Rows: 1}},
	} {
		m, err := Parse("small", "config.json", vary(c.changes))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Build(Shape{Seq: 16, Rows: 2}); err != nil {
			t.Error(err)
		}
		_, err = m.Build(c.shape)
		fmt.Fprintln(&got, err)
	}
	golden.File(t, "testdata/build_errors.txt", got.Bytes())
}

// TestDialects: a config in the form of Transformers 5 and of older checkpoints describes the same model.
func TestDialects(t *testing.T) {
	old := map[string]any{"torch_dtype": "bfloat16", "transformers_version": "4.51.0"}
	modern := map[string]any{
		"num_experts": absent{}, "num_local_experts": 4, "rope_theta": absent{}, "rope_scaling": absent{},
		"rope_parameters": map[string]any{"rope_type": "default", "rope_theta": 10000.0},
		"dtype":           "bfloat16", "transformers_version": "5.23.0", "vocab_size": 32.0,
	}
	both := map[string]any{"num_local_experts": 4, "rope_parameters": map[string]any{"rope_theta": 10000}, "dtype": "bfloat16", "torch_dtype": "bfloat16"}
	var want *Model
	for _, changes := range []map[string]any{old, modern, both} {
		m, err := Parse("small", "config.json", vary(changes))
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = m
		}
		if diff := cmp.Diff(want.Facts, m.Facts); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(tensorList(t, want), tensorList(t, m)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestDefaults: what an absent field means is what Transformers takes it for.
func TestDefaults(t *testing.T) {
	leave := map[string]any{}
	for _, field := range []string{"head_dim", "hidden_act", "initializer_range", "rms_norm_eps", "rope_theta", "rope_scaling",
		"tie_word_embeddings", "attention_bias", "attention_dropout", "use_sliding_window", "sliding_window",
		"decoder_sparse_step", "mlp_only_layers", "norm_topk_prob", "output_router_logits", "router_aux_loss_coef",
		"use_cache", "intermediate_size", "architectures"} {
		leave[field] = absent{}
	}
	c, err := readConfig("config.json", vary(leave))
	if err != nil {
		t.Fatal(err)
	}
	m := readQwen3MoE(c)
	if _, err := Parse("small", "config.json", vary(leave)); err != nil {
		t.Fatal(err)
	}
	if m.Facts.HeadDim != 4 || m.Facts.AuxCoef != 0 || m.Facts.DType != "float32" || m.Facts.MoELayers != 2 {
		t.Errorf("%+v", m.Facts)
	}
	g, err := m.Build(Shape{Seq: 4, Rows: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Forward.Nodes {
		switch n.Op.Name {
		case "router":
			if n.Attrs.Bool("renorm") {
				t.Error("top-k weights are renormalised")
			}
		case "rms_norm":
			if eps := n.Attrs.Float("eps"); eps != 1e-6 {
				t.Errorf("epsilon %v", eps)
			}
		}
	}
	if freq := g.Setup.Nodes[0].Attrs.Floats("inv_freq"); freq[1] != 0.01 { // 10000^(-2/4)
		t.Errorf("frequencies %v", freq)
	}
}

// TestPadding: the padding token's embedding is zero at first and no part of what the lookup trains; a negative
// one counts from the end, as in PyTorch.
func TestPadding(t *testing.T) {
	for _, c := range []struct {
		value any
		want  int
	}{{nil, -1}, {0, 0}, {31, 31}, {-1, 31}, {-32, 0}} {
		m, err := Parse("small", "config.json", vary(map[string]any{"pad_token_id": c.value}))
		if err != nil {
			t.Fatal(err)
		}
		g, err := m.Build(Shape{Seq: 4, Rows: 1})
		if err != nil {
			t.Fatal(err)
		}
		lookup := g.Forward.Lookup("embedded_TD").Def
		if got := lookup.Attrs.Int("padding"); got != c.want {
			t.Errorf("pad_token_id %v: padding %d, want %d", c.value, got, c.want)
		}
		var zero []int
		if c.want >= 0 {
			zero = []int{c.want}
		}
		if got := lookup.In[1].Param.Init.ZeroRows; !slices.Equal(got, zero) {
			t.Errorf("pad_token_id %v: rows %v are zero at first, want %v", c.value, got, zero)
		}
	}
}

// TestIgnored: fields without effect are listed with a reason, and null is no value.
func TestIgnored(t *testing.T) {
	m, err := Parse("small", "config.json", vary(map[string]any{
		"temperature": 0.7, "max_window_layers": 2, "quantization_config": nil, "auto_map": nil, "transformers_version": "5.23.0",
	}))
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, i := range m.Ignored {
		fields = append(fields, i.Field)
		if i.Reason == "" {
			t.Errorf("%s is ignored without a reason", i.Field)
		}
	}
	want := []string{"auto_map", "max_window_layers", "sliding_window", "temperature", "transformers_version", "use_cache"}
	if !slices.Equal(fields, want) {
		t.Errorf("ignored %v, want %v", fields, want)
	}
}

// FuzzParse: no text makes Parse panic, and what it accepts it can build.
func FuzzParse(f *testing.F) {
	f.Add(vary(nil))
	f.Add(vary(map[string]any{"rope_scaling": map[string]any{"type": "yarn", "factor": 4}}))
	f.Add([]byte(`{"model_type": "qwen3_moe", "hidden_size": 1e9}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse("fuzz", "config.json", text)
		if err != nil {
			return
		}
		if _, err := m.Build(Shape{Seq: 1, Rows: 1}); err != nil {
			t.Error(err)
		}
	})
}
