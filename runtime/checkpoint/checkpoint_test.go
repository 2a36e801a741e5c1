package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"moegen/runtime/safetensors"
)

// The folders of testdata were written by transformers 5.23 (save_pretrained of a Qwen3-MoE of 2 layers, 4
// experts, hidden size 8): "sharded-bf16" with shards of at most 2 KB, "tied-f32" with tied embeddings.

// qwen is the parameters of those models, stored in every way that the map knows: q, k and v stacked, experts
// stacked with gate over up, the router transposed.
func qwen(tied bool) []Param {
	const hidden, vocab, experts, width = 8, 24, 4, 4
	normal := Init{Kind: InitNormal, Std: 0.02}
	single := func(name, tensor string, init Init, shape ...int) Param {
		return Param{Name: name, Shape: shape, Init: init, Pieces: []Piece{{Name: tensor, Shape: shape}}}
	}
	params := []Param{
		single("embed", "model.embed_tokens.weight", normal, vocab, hidden),
		single("norm", "model.norm.weight", Init{Kind: InitOnes}, hidden),
	}
	if !tied {
		params = append(params, single("head", "lm_head.weight", normal, vocab, hidden))
	}
	for l := range 2 {
		hf := fmt.Sprintf("model.layers.%d.", l)
		at := func(name string) string { return fmt.Sprintf("layers.%d.%s", l, name) }
		params = append(params,
			single(at("norm1"), hf+"input_layernorm.weight", Init{Kind: InitOnes}, hidden),
			single(at("norm2"), hf+"post_attention_layernorm.weight", Init{Kind: InitOnes}, hidden),
			single(at("q_norm"), hf+"self_attn.q_norm.weight", Init{Kind: InitOnes}, 4),
			single(at("k_norm"), hf+"self_attn.k_norm.weight", Init{Kind: InitOnes}, 4),
			single(at("o"), hf+"self_attn.o_proj.weight", normal, hidden, 8),
			Param{Name: at("qkv"), Shape: []int{16, hidden}, Init: normal, Pieces: []Piece{
				{Name: hf + "self_attn.q_proj.weight", Shape: []int{8, hidden}},
				{Name: hf + "self_attn.k_proj.weight", Shape: []int{4, hidden}, Offset: 8 * hidden},
				{Name: hf + "self_attn.v_proj.weight", Shape: []int{4, hidden}, Offset: 12 * hidden},
			}},
			Param{Name: at("router"), Shape: []int{hidden, experts}, Init: normal, Pieces: []Piece{
				{Name: hf + "mlp.gate.weight", Shape: []int{experts, hidden}, Strides: []int{1, experts}},
			}},
			Param{Name: at("gate_up"), Shape: []int{experts, 2 * width, hidden}, Sharded: true, Init: normal, Pieces: []Piece{
				{Name: hf + "mlp.experts.%d.gate_proj.weight", Shape: []int{width, hidden}, Count: experts, Step: 2 * width * hidden},
				{Name: hf + "mlp.experts.%d.up_proj.weight", Shape: []int{width, hidden}, Count: experts, Step: 2 * width * hidden, Offset: width * hidden},
			}},
			Param{Name: at("down"), Shape: []int{experts, hidden, width}, Sharded: true, Init: normal, Pieces: []Piece{
				{Name: hf + "mlp.experts.%d.down_proj.weight", Shape: []int{hidden, width}, Count: experts, Step: hidden * width},
			}},
		)
	}
	return params
}

// place gives the parameters arena offsets for ep ranks and returns the size of the arena in bytes.
func place(params []Param, ep int) int64 {
	var at int64 = 64
	for i := range params {
		n := 4 * int64(params[i].LocalElements(ep))
		params[i].Value, params[i].Grad, params[i].Moment1, params[i].Moment2 = at, at+n, at+2*n, at+3*n
		at += 4*n + 64
	}
	return at
}

// machine is arenas for the parameters.
func machine(params []Param, ranks, ep int) (Memory, [][]byte) {
	size := place(params, ep)
	arenas := make([][]byte, ranks)
	for r := range arenas {
		arenas[r] = make([]byte, size)
	}
	return Memory{ranks, ep, slicesOf(arenas)}, arenas
}

// slicesOf is an Arena of plain slices.
type slicesOf [][]byte

func (s slicesOf) Write(rank int, off int64, from []byte) error {
	copy(s[rank][off:][:len(from)], from)
	return nil
}

func (s slicesOf) Read(rank int, to []byte, off int64) error {
	copy(to, s[rank][off:][:len(to)])
	return nil
}

// element reads element i of the logical parameter, by the definition of sharding.
func element(arenas [][]byte, p *Param, off int64, ep, i int) float32 {
	rank := 0
	if p.Sharded {
		share := p.Elements() / ep
		rank, i = i/share, i%share
	}
	return *(*float32)(unsafe.Pointer(&arenas[rank][off+4*int64(i)]))
}

// elements is the whole logical parameter.
func elements(arenas [][]byte, p *Param, off int64, ep int) []float32 {
	x := make([]float32, p.Elements())
	for i := range x {
		x[i] = element(arenas, p, off, ep, i)
	}
	return x
}

func find(params []Param, name string) *Param {
	return &params[slices.IndexFunc(params, func(p Param) bool { return p.Name == name })]
}

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

// scramble gives all values and moments bits that no narrower type holds.
func scramble(arenas [][]byte, params []Param, ranks, ep int) {
	for i := range params {
		p := &params[i]
		for a, off := range []int64{p.Value, p.Moment1, p.Moment2} {
			for rank := range ranks {
				for e := range p.LocalElements(ep) {
					index := e
					if p.Sharded {
						index += rank % ep * p.LocalElements(ep)
					}
					x := float32(math.Sin(float64(1 + a + 3*index + 7*i)))
					*(*float32)(unsafe.Pointer(&arenas[rank][off+4*int64(e)])) = x
				}
			}
		}
	}
}

// Values and moments come back to the bit, whatever the type of the weights and the number of ranks.
func TestResumeIsExact(t *testing.T) {
	type state struct {
		Step int
		Data map[string]string
	}
	for _, name := range []string{"sharded-bf16", "tied-f32"} {
		params := qwen(name == "tied-f32")
		memory, arenas := machine(params, 4, 2)
		scramble(arenas, params, 4, 2)
		dir := filepath.Join(t.TempDir(), "ckpt")
		saved := state{17, map[string]string{"seed": "x"}}
		if err := openCheckpoint(t, "testdata/"+name).Save(dir, params, memory, saved); err != nil {
			t.Fatal(err)
		}
		c := openCheckpoint(t, dir)
		text, err := c.State()
		if err != nil {
			t.Fatal(err)
		}
		var got state
		if err := json.Unmarshal(text, &got); err != nil || got.Step != 17 || got.Data["seed"] != "x" {
			t.Errorf("state %s, %v", text, err)
		}
		again, fresh := machine(params, 4, 2)
		if err := c.Resume(params, again); err != nil {
			t.Fatal(err)
		}
		for r := range arenas {
			if !bytes.Equal(arenas[r], fresh[r]) {
				t.Errorf("%s: rank %d differs after Resume", name, r)
			}
		}
		other := slices.Clone(params) // the same on one rank
		single, one := machine(other, 1, 1)
		if err := c.Resume(other, single); err != nil {
			t.Fatal(err)
		}
		place(params, 2)
		for i := range params {
			p, q := &params[i], &other[i]
			if !slices.Equal(elements(arenas, p, p.Value, 2), elements(one, q, q.Value, 1)) ||
				!slices.Equal(elements(arenas, p, p.Moment2, 2), elements(one, q, q.Moment2, 1)) {
				t.Errorf("%s: %s differs on one rank", name, p.Name)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "training_state/master.safetensors")); (err == nil) != (name == "sharded-bf16") {
			t.Errorf("%s: master values: %v", name, err)
		}
	}
}

// The exact sentence of every mismatch between folder and program.
func TestMismatches(t *testing.T) {
	rewrite := func(dir string, change func([]safetensors.Info) []safetensors.Info) {
		path := filepath.Join(dir, "model.safetensors")
		r, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		infos := change(slices.Clone(r.Layout().Shards[0].Tensors))
		r.Close()
		os.Remove(path)
		w, err := safetensors.Create(dir, safetensors.Arrange(infos, "model", safetensors.ShardBytes))
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			if info.DType == safetensors.I64 {
				err = w.WriteInt64(info.Name, 0, make([]int64, info.Elements()))
			} else {
				err = w.WriteFloat32(info.Name, 0, make([]float32, info.Elements()))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	at := func(infos []safetensors.Info, name string) *safetensors.Info {
		return &infos[slices.IndexFunc(infos, func(i safetensors.Info) bool { return i.Name == name })]
	}
	for _, c := range []struct {
		name   string
		change func(dir string)
		want   string
	}{
		{"no config", func(dir string) { os.Remove(filepath.Join(dir, "config.json")) },
			`DIR holds no config.json: not a checkpoint folder`},
		{"no weights", func(dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) },
			`DIR holds neither model.safetensors nor model.safetensors.index.json`},
		{"missing", func(dir string) {
			rewrite(dir, func(infos []safetensors.Info) []safetensors.Info {
				return slices.DeleteFunc(infos, func(i safetensors.Info) bool { return i.Name == "model.norm.weight" })
			})
		}, `DIR/model.safetensors: tensor "model.norm.weight" is missing; the program needs it with shape [8]`},
		{"unexpected", func(dir string) {
			rewrite(dir, func(infos []safetensors.Info) []safetensors.Info {
				return append(infos, safetensors.Info{Name: "mtp.weight", DType: safetensors.F32, Shape: []int{2}})
			})
		}, `DIR/model.safetensors: tensor "mtp.weight" is not part of the model that the program was built for`},
		{"misshapen", func(dir string) {
			rewrite(dir, func(infos []safetensors.Info) []safetensors.Info {
				at(infos, "model.embed_tokens.weight").Shape = []int{25, 8}
				return infos
			})
		}, `DIR/model.safetensors: tensor "model.embed_tokens.weight" has shape [25 8], the program needs [24 8]`},
		{"integers", func(dir string) {
			rewrite(dir, func(infos []safetensors.Info) []safetensors.Info {
				at(infos, "model.norm.weight").DType = safetensors.I64
				return infos
			})
		}, `DIR/model.safetensors: tensor "model.norm.weight" is I64, the program needs a floating type (F64, F32, F16, BF16)`},
	} {
		dir := copyTree(t, "testdata/tied-f32")
		c.change(dir)
		params := qwen(true)
		memory, _ := machine(params, 1, 1)
		ckpt, err := Open(dir)
		if err == nil {
			err = ckpt.Load(params, memory)
			ckpt.Close()
		}
		if want := strings.ReplaceAll(c.want, "DIR", dir); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, want)
		}
	}
	// A training state of which a part is missing.
	params := qwen(true)
	memory, _ := machine(params, 1, 1)
	dir := filepath.Join(t.TempDir(), "ckpt")
	if err := openCheckpoint(t, "testdata/tied-f32").Save(dir, params, memory, 1); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, "training_state/exp_avg_sq.safetensors"))
	err := openCheckpoint(t, dir).Resume(params, memory)
	want := dir + "/training_state holds neither exp_avg_sq.safetensors nor exp_avg_sq.safetensors.index.json"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}
