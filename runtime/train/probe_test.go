package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/data"
	"moegen/runtime/safetensors"
)

// probeFile is a batch file: steps batches of rows sequences of seq tokens. The second half of every row is a
// document of its own, and some labels are missing.
func probeFile(t *testing.T, steps, rows, seq int) string {
	t.Helper()
	shape, n := []int{steps, rows, seq}, steps*rows*seq
	values := map[string][]int64{}
	for _, name := range []string{"input_ids", "labels", "position_ids", "document_ids"} {
		values[name] = make([]int64, n)
	}
	for i := range n {
		values["input_ids"][i] = int64(i*57+i/7*3) % testVocab
		values["labels"][i] = values["input_ids"][i]
		if i%5 == 3 {
			values["labels"][i] = -100
		}
		values["position_ids"][i] = int64(i % seq % (seq / 2))
		values["document_ids"][i] = int64(i % seq / (seq / 2))
	}
	return writeTensors(t, shape, values)
}

func writeTensors(t *testing.T, shape []int, values map[string][]int64) string {
	t.Helper()
	var infos []safetensors.Info
	for name := range values {
		infos = append(infos, safetensors.Info{Name: name, DType: safetensors.I64, Shape: shape})
	}
	dir := t.TempDir()
	w, err := safetensors.Create(dir, safetensors.Arrange(infos, "batch", 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range values {
		if err := w.WriteInt64(name, 0, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "batch.safetensors")
}

const (
	adam         = `"optimizer": {"name": "adamw", "lr": 0.01, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.1}`
	probeSetting = `{"steps": 4, "max_grad_norm": 0.5, "router_aux_loss_coef": 0.01, ` + adam + `}`
)

// close fails the test unless got is want within a relative error in the 2-norm.
func closeTo(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", what, len(got), len(want))
	}
	off, size := 0.0, 0.0
	for i := range want {
		off += (got[i] - want[i]) * (got[i] - want[i])
		size += want[i] * want[i]
	}
	if math.IsNaN(off) || math.Sqrt(off) > tolerance*math.Sqrt(size) {
		t.Errorf("%s is off by %.2g, more than %.2g", what, math.Sqrt(off/size), tolerance)
	}
}

func TestProbeIsTheReference(t *testing.T) {
	const steps, rows, seq, aux = 4, 4, 12, 0.01
	program := testProgram(aux)
	dir, batches := newCheckpoint(t, program), probeFile(t, steps+1, rows, seq)
	setting := write(t, filepath.Join(t.TempDir(), "case.json"), probeSetting)
	out := filepath.Join(t.TempDir(), "out.safetensors")
	line := fmt.Sprintf("probe --checkpoint %s --batch %s --case %s --out %s", dir, batches, setting, out)
	must(t, program, line)
	refuse(t, program, 2, line, "exists already")

	file, err := safetensors.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	keys := []string{"logits", "loss", "aux_loss", "losses", "grad_norms", "hidden.0", "topk.0"}
	for _, name := range names {
		keys = append(keys, "grad."+name, "param4."+name)
	}
	var found []string
	for _, s := range file.Layout().Shards {
		for _, tensor := range s.Tensors {
			found = append(found, tensor.Name)
		}
	}
	slices.Sort(keys)
	slices.Sort(found)
	if !slices.Equal(found, keys) {
		t.Fatalf("tensors %v, want %v", found, keys)
	}
	for name, want := range map[string][]int{
		"logits": {rows, seq, testVocab}, "loss": {}, "aux_loss": {}, "losses": {steps}, "hidden.0": {rows, seq, testHidden},
		"topk.0": {rows, seq, 2}, "grad.model.experts.1.weight": {testHidden},
	} {
		if got := file.Tensor(name).Shape; !slices.Equal(got, want) {
			t.Errorf("%s has shape %v, want %v", name, got, want)
		}
	}

	model := loadReference(t, dir)
	feed, err := openBatches(batches, program.Manifest, steps)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.close()
	first, err := feed.batch(0)
	if err != nil {
		t.Fatal(err)
	}
	// Documents of half a row, positions from 0 in each, labels of the next token, none at a row's end.
	if first.Starts[5] != 0 || first.Starts[6] != 6 || first.Starts[12] != 0 || first.Positions[7] != 1 ||
		first.Targets[0] != first.Tokens[1] || first.Targets[2] != -100 || first.Targets[11] != -100 {
		t.Errorf("batch %+v", first)
	}
	var logits, hidden, chosen []float64
	for i, token := range first.Tokens {
		start := first.Tokens[i/seq*seq+int(first.Starts[i])]
		logits = append(logits, model.logits(token, start)...)
		hidden = append(hidden, model.hidden(token, start)...)
		expert := float64(token % testExperts)
		chosen = append(chosen, min(expert, math.Mod(expert+1, testExperts)), max(expert, math.Mod(expert+1, testExperts)))
	}
	loss, auxLoss, grad := model.gradient([]data.Batch{first}, seq, aux)
	var losses, norms []float64
	for i := range steps {
		b, err := feed.batch(i)
		if err != nil {
			t.Fatal(err)
		}
		l, n := model.step(i+1, []data.Batch{b}, seq, aux, 0.01, optimizer{beta1: 0.9, beta2: 0.99, eps: 1e-8, decay: 0.1, clip: 0.5})
		losses, norms = append(losses, l), append(norms, n)
	}
	// Sums of at most some hundred float32 terms, each within 6e-8 of the exact one: a few 1e-7. AdamW divides by
	// gradients as small as they come, which widens the error of the parameters.
	const tolerance, trained = 2e-6, 2e-5
	for name, want := range map[string][]float64{"logits": logits, "hidden.0": hidden, "loss": {loss}, "aux_loss": {auxLoss}} {
		closeTo(t, name, readTensor(t, file, name), want, tolerance)
	}
	closeTo(t, "losses", readTensor(t, file, "losses"), losses, trained)
	closeTo(t, "grad_norms", readTensor(t, file, "grad_norms"), norms, trained)
	for _, name := range names {
		closeTo(t, "grad."+name, readTensor(t, file, "grad."+name), grad[name], tolerance)
		closeTo(t, "param4."+name, readTensor(t, file, "param4."+name), model.params[name], trained)
	}
	indices := make([]int64, rows*seq*2)
	if err := file.Tensor("topk.0").ReadInt64(0, indices); err != nil {
		t.Fatal(err)
	}
	for i, want := range chosen {
		if indices[i] != int64(want) {
			t.Fatalf("topk.0[%d] is %d, want %g", i, indices[i], want)
		}
	}
}

func TestProbeRefuses(t *testing.T) {
	program := testProgram(0)
	dir, tmp := newCheckpoint(t, program), t.TempDir()
	good := write(t, filepath.Join(tmp, "good.json"), `{"steps": 1, `+adam+`}`)
	setting := func(name, text string) string { return write(t, filepath.Join(tmp, name+".json"), text) }
	fine := probeFile(t, 1, 4, 12)
	labels := make([]int64, 48)
	labels[14] = testVocab
	outOfVocabulary := writeTensors(t, []int{1, 4, 12}, map[string][]int64{"input_ids": make([]int64, 48), "labels": labels})
	unlabelled := make([]int64, 48)
	for i := range unlabelled {
		if unlabelled[i] = -100; i%12 == 0 {
			unlabelled[i] = 1 // no token stands before it
		}
	}
	noTargets := writeTensors(t, []int{1, 4, 12}, map[string][]int64{"input_ids": make([]int64, 48), "labels": unlabelled})
	documents := make([]int64, 48)
	for i := 26; i < 30; i++ { // in row 2: document 0, document 7, document 0
		documents[i] = 7
	}
	twoPlaces := writeTensors(t, []int{1, 4, 12}, map[string][]int64{
		"input_ids": make([]int64, 48), "labels": make([]int64, 48), "document_ids": documents})
	noLabels := writeTensors(t, []int{1, 4, 12}, map[string][]int64{"input_ids": make([]int64, 48)})
	out := filepath.Join(tmp, "out.safetensors")
	for _, c := range []struct{ batch, setting, checkpoint, out, want string }{
		{filepath.Join(tmp, "none"), good, dir, out, "none"},
		{fine, filepath.Join(tmp, "none"), dir, out, "none"},
		{fine, good, filepath.Join(tmp, "none"), out, "config.json"},
		{fine, good, dir, filepath.Join(tmp, "none", "out"), "none"},
		{probeFile(t, 1, 3, 12), good, dir, out, "input_ids has shape [1 3 12], this binary was built for [steps 4 12]"},
		{probeFile(t, 1, 4, 14), good, dir, out, "this binary was built for [steps 4 12]"},
		{fine, setting("long", `{"steps": 2, `+adam+`}`), dir, out, "has 1 batches, the case needs 2"},
		{fine, setting("aux", `{"steps": 1, "router_aux_loss_coef": 0.1, `+adam+`}`), dir, out, "built without the auxiliary loss"},
		{fine, setting("zero", `{}`), dir, out, "steps is 0"},
		{fine, setting("bare", `{"steps": 1}`), dir, out, "optimizer.lr is missing"},
		{fine, setting("words", strings.Replace(`{"steps": 1, `+adam+`}`, "0.01", `"small"`, 1)), dir, out, "optimizer.lr is a string"},
		{fine, setting("sgd", `{"steps": 1, `+strings.Replace(adam, "adamw", "sgd", 1)+`}`), dir, out, "optimizer.name is sgd"},
		{fine, setting("betas", `{"steps": 1, `+strings.Replace(adam, "0.99", "1", 1)+`}`), dir, out, "optimizer.betas are [0.9 1]"},
		{fine, setting("not", `steps`), dir, out, "not.json"},
		{outOfVocabulary, good, dir, out, "labels of batch 0, row 1, token 2 is 260: this binary takes -100 to 259"},
		{noLabels, good, dir, out, `"labels" is missing`},
		{noTargets, good, dir, out, "labels of batch 0 score no token"},
		{twoPlaces, good, dir, out, "document_ids of batch 0: row 2 has document 0 in two places, again from token 6 on"},
	} {
		refuse(t, program, 2, fmt.Sprintf("probe --checkpoint %s --batch %s --case %s --out %s", c.checkpoint, c.batch, c.setting, c.out), c.want)
	}
	left, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if !strings.HasSuffix(f.Name(), ".json") {
			t.Errorf("%s was left behind", f.Name())
		}
	}
}
