package checkpoint

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/safetensors"
)

func openCheckpoint(t *testing.T, dir string) *Checkpoint {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func read(t *testing.T, r *safetensors.Reader, name string) []float32 {
	t.Helper()
	x := make([]float32, r.Tensor(name).Elements())
	if err := r.Tensor(name).ReadFloat32(0, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// Load puts every tensor where the definition of the parameters says.
func TestLoad(t *testing.T) {
	for _, shape := range []struct{ ranks, ep int }{{1, 1}, {2, 2}, {4, 4}, {4, 2}, {2, 1}} {
		params := qwen(false)
		memory, arenas := machine(params, shape.ranks, shape.ep)
		c := openCheckpoint(t, "testdata/sharded-bf16")
		if err := c.Load(params, memory); err != nil {
			t.Fatal(err)
		}
		r := c.weights
		want := map[string][]float32{}
		for _, l := range []string{"0", "1"} {
			hf, in := "model.layers."+l+".", "layers."+l+"."
			for _, s := range []string{"q", "k", "v"} {
				want[in+"qkv"] = append(want[in+"qkv"], read(t, r, hf+"self_attn."+s+"_proj.weight")...)
			}
			router := read(t, r, hf+"mlp.gate.weight")
			for h := range 8 {
				for e := range 4 {
					want[in+"router"] = append(want[in+"router"], router[8*e+h])
				}
			}
			for _, e := range []string{"0", "1", "2", "3"} {
				for _, s := range []string{"gate", "up"} {
					want[in+"gate_up"] = append(want[in+"gate_up"], read(t, r, hf+"mlp.experts."+e+"."+s+"_proj.weight")...)
				}
				want[in+"down"] = append(want[in+"down"], read(t, r, hf+"mlp.experts."+e+".down_proj.weight")...)
			}
		}
		want["head"] = read(t, r, "lm_head.weight")
		for name, x := range want {
			p := find(params, name)
			if got := elements(arenas, p, p.Value, shape.ep); !slices.Equal(got, x) {
				t.Errorf("%+v: %s: %v, want %v", shape, name, got[:4], x[:4])
			}
		}
		for rank := shape.ep; rank < shape.ranks; rank++ {
			if !bytes.Equal(arenas[rank], arenas[rank-shape.ep]) {
				t.Errorf("%+v: rank %d differs from its replica", shape, rank)
			}
		}
	}
}

// tree reads all files of a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameTrees(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s is missing or differs", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

// What transformers wrote is written again to the byte: shards, index, config and the rest.
func TestSaveKeepsTheForm(t *testing.T) {
	for _, name := range []string{"sharded-bf16", "tied-f32"} {
		params := qwen(name == "tied-f32")
		memory, _ := machine(params, 2, 2)
		c := openCheckpoint(t, "testdata/"+name)
		if err := c.Load(params, memory); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "runs", "step-1")
		if err := c.Save(dir, params, memory, nil); err != nil {
			t.Fatal(err)
		}
		sameTrees(t, tree(t, dir), tree(t, "testdata/"+name))
		if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) != 1 {
			t.Errorf("files beside the checkpoint: %v", entries)
		}
		if state, err := openCheckpoint(t, dir).State(); state != nil || err != nil {
			t.Errorf("a training state from nowhere: %s, %v", state, err)
		}
	}
}

// copyTree makes a folder with the files of another that may be changed.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tree(t, from) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// All files but hidden ones, weights, the old training state and foreign folders are carried over, even from a
// folder that is gone.
func TestSaveCarriesFiles(t *testing.T) {
	from := copyTree(t, "testdata/tied-f32")
	write := func(name, text string) {
		path := filepath.Join(from, name)
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("tokenizer.json", "{}")
	write("additional_chat_templates/tool.jinja", "{{ x }}")
	write("blob", "linked")
	if err := os.Symlink("blob", filepath.Join(from, "merges.txt")); err != nil {
		t.Fatal(err)
	}
	want := tree(t, from)
	write(".git/HEAD", "x")
	write("pytorch_model.bin", "x")
	write("training_state/state.json", "{}")
	write("runs/step-1/config.json", "{}")
	params := qwen(true)
	memory, _ := machine(params, 1, 1)
	c := openCheckpoint(t, from)
	if err := c.Load(params, memory); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(from); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := c.Save(dir, params, memory, nil); err != nil {
		t.Fatal(err)
	}
	sameTrees(t, tree(t, dir), want)
}

// Values of a wider type are rounded to nearest, ties to even, on their way in; gradients of a narrower one come from the ranks whose
// parts they are in. Those of others a rank that is alone does not know.
func TestNarrowArrays(t *testing.T) {
	params := qwen(true)
	memory, arenas := split.machine(params, 2, 2)
	c := openCheckpoint(t, "testdata/tied-f32")
	if err := c.Load(params, memory); err != nil {
		t.Fatal(err)
	}
	err := EachValue(params, memory, func(name string, first int, values []float32) error {
		for i, x := range read(t, c.weights, name)[first:][:len(values)] {
			// A bf16 has 8 significant bits: half a unit of its last place is at most 2^-8 of the value.
			if bits := math.Float32bits(values[i]); bits&0xffff != 0 || math.Abs(float64(x-values[i])) > math.Abs(float64(x))/256 {
				return fmt.Errorf("%s[%d] is %v, want %v in bf16", name, first+i, values[i], x)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	elsewhere := 0 // gradients of parameters that both ranks hold, on rank 1
	for i := range params {
		p := &params[i]
		for e := range p.Elements() {
			rank, place := home(p, 2, e)
			holder := 0
			if p.Sharded {
				holder = e / p.LocalElements(2)
			} else {
				elsewhere += rank
			}
			copy(arenas[rank][p.Grad.At+2*int64(place):][:2], arenas[holder][p.Value.At+2*int64(e%p.LocalElements(2)):])
		}
	}
	each := func(of func([]Param, Memory, func(string, int, []float32) error) error) map[string][]float32 {
		all := map[string][]float32{}
		for _, info := range Tensors(params) {
			all[info.Name] = make([]float32, info.Elements())
		}
		if err := of(params, memory, func(name string, first int, values []float32) error {
			copy(all[name][first:], values)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	values, unknown := each(EachValue), 0
	for _, alone := range []bool{false, true} {
		memory.Alone = alone
		for name, grad := range each(EachGrad) {
			for i, x := range grad {
				switch {
				case x != x && alone:
					unknown++
				case x != values[name][i] && !(alone && strings.Contains(name, "experts")): // of rank 1's experts rank 0 has nothing
					t.Fatalf("alone=%t: the gradient of %s[%d] is %v, want %v", alone, name, i, x, values[name][i])
				}
			}
		}
	}
	if unknown != elsewhere || unknown == 0 {
		t.Errorf("a rank alone does not know %d gradients, want %d", unknown, elsewhere)
	}
}
