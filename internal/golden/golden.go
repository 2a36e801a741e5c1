// Package golden holds reference data for tests and compares against it: what Hugging Face Transformers
// computes in float64 from a few small models (Load, Compare), and texts that tests pin (File).
//
// The cases were made with Transformers 5.23 and torch 2.11 on one CPU core. Each is a checkpoint of random
// weights, 20 batches, and what Transformers computes from them with everything in float64, rounded to float32:
// the first forward and backward pass, then 20 steps of AdamW. case.json says beside that how far Transformers'
// own float32 and bfloat16 runs are from it; Compare allows about twice as much.
package golden

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"moegen/runtime/safetensors"
)

// Cases are the names of all cases; about in case.json says what each is there for.
var Cases = []string{
	"qwen3-moe-aux", "qwen3-moe-odd", "qwen3-moe-options", "qwen3-moe-packed", "qwen3-moe-ranks", "qwen3-moe-sharded", "qwen3-moe-tiny",
}

// Case is one small model with its reference.
type Case struct {
	Dir         string // a checkpoint folder that also holds batch, case and expected
	Config      []byte // config.json
	Steps       int
	LR          float64
	Beta1       float64
	Beta2       float64
	Eps         float64
	WeightDecay float64
	MaxGradNorm float64
	AuxCoef     float64           // 0: the auxiliary loss is no part of it
	Weights     map[string]Tensor // by name on disk
	Expected    map[string]Tensor // logits, loss, grad.NAME, param20.NAME, hidden.LAYER, router.LAYER, topk.LAYER, ...

	errors map[string]map[string][2]float64 // tensor, f32 or bf16: Transformers' own relative and largest error
	batch  map[string]Tensor
}

// Tensor is a tensor of any type, every element a float64, row-major.
type Tensor struct {
	Shape []int
	Data  []float64
}

// Batch is what one step trains on, T = Rows·Seq elements each, in the form that programs read.
type Batch struct {
	Rows, Seq int
	Tokens    []int32
	Targets   []int32 // the next token of the row where it has a label, otherwise -100
	Positions []int32 // in the document
	Starts    []int32 // first index in the row of the token's document
}

// Load reads a case.
func Load(t testing.TB, name string) *Case {
	t.Helper()
	dir := filepath.Join(root(t), "internal", "golden", "testdata", name)
	var info struct {
		Steps     int
		Optimizer struct {
			LR, Eps     float64
			Betas       [2]float64
			WeightDecay float64 `json:"weight_decay"`
		}
		MaxGradNorm float64 `json:"max_grad_norm"`
		AuxCoef     float64 `json:"router_aux_loss_coef"`
		Errors      map[string]map[string][2]float64
	}
	if err := json.Unmarshal(read(t, dir, "case.json"), &info); err != nil {
		t.Fatal(err)
	}
	return &Case{
		Dir: dir, Config: read(t, dir, "config.json"), Steps: info.Steps,
		LR: info.Optimizer.LR, Beta1: info.Optimizer.Betas[0], Beta2: info.Optimizer.Betas[1],
		Eps: info.Optimizer.Eps, WeightDecay: info.Optimizer.WeightDecay,
		MaxGradNorm: info.MaxGradNorm, AuxCoef: info.AuxCoef,
		Weights:  weights(t, dir),
		Expected: Tensors(t, filepath.Join(dir, "expected.safetensors")),
		errors:   info.Errors,
		batch:    Tensors(t, filepath.Join(dir, "batch.safetensors")),
	}
}

// Batch returns the batch of a step, 0 to Steps-1.
func (c *Case) Batch(step int) Batch {
	ids := c.batch["input_ids"]
	b := Batch{Rows: ids.Shape[1], Seq: ids.Shape[2]}
	tokens := b.Rows * b.Seq
	b.Tokens = c.ints("input_ids", step, tokens)
	labels := c.ints("labels", step, tokens)
	documents := make([]int32, tokens)
	b.Positions = make([]int32, tokens)
	for t := range tokens {
		b.Positions[t] = int32(t % b.Seq)
	}
	if c.batch["document_ids"].Shape != nil {
		documents = c.ints("document_ids", step, tokens)
		b.Positions = c.ints("position_ids", step, tokens)
	}
	b.Targets, b.Starts = make([]int32, tokens), make([]int32, tokens)
	for t := range tokens {
		b.Targets[t] = -100
		if (t+1)%b.Seq != 0 {
			b.Targets[t] = labels[t+1]
		}
		if t%b.Seq != 0 && documents[t] == documents[t-1] {
			b.Starts[t] = b.Starts[t-1]
		} else {
			b.Starts[t] = int32(t % b.Seq)
		}
	}
	return b
}

func (c *Case) ints(name string, step, n int) []int32 {
	out := make([]int32, n)
	for i, x := range c.batch[name].Data[step*n : (step+1)*n] {
		out[i] = int32(x)
	}
	return out
}

// Tensors reads all tensors of a safetensors file.
func Tensors(t testing.TB, path string) map[string]Tensor {
	t.Helper()
	r, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, r)
}

// weights reads the weights of a checkpoint folder, which may be sharded.
func weights(t testing.TB, dir string) map[string]Tensor {
	t.Helper()
	r, err := safetensors.OpenDir(dir, "model")
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, r)
}

// readAll reads all tensors and closes the reader.
func readAll(t testing.TB, r *safetensors.Reader) map[string]Tensor {
	t.Helper()
	defer r.Close()
	tensors := map[string]Tensor{}
	for _, shard := range r.Layout().Shards {
		for _, info := range shard.Tensors {
			values := Tensor{slices.Clone(info.Shape), make([]float64, info.Elements())}
			var err error
			if info.DType == safetensors.I64 || info.DType == safetensors.I32 {
				integers := make([]int64, info.Elements())
				err = r.Tensor(info.Name).ReadInt64(0, integers)
				for i, x := range integers {
					values.Data[i] = float64(x)
				}
			} else {
				floats := make([]float32, info.Elements())
				err = r.Tensor(info.Name).ReadFloat32(0, floats)
				for i, x := range floats {
					values.Data[i] = float64(x)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			tensors[info.Name] = values
		}
	}
	return tensors
}

// root is the folder of the module.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working folder")
		}
		dir = filepath.Dir(dir)
	}
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
