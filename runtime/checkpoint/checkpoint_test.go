package checkpoint

import (
	"bytes"
	"encoding/binary"
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

// profile is the element types of values, of gradients and of what an optimizer keeps.
type profile struct {
	value, grad safetensors.DType
	state       []State
}

var (
	float32s = profile{safetensors.F32, safetensors.F32, states(safetensors.F32, "exp_avg", "exp_avg_sq")}
	// split keeps the lower halves of the weights as bits.
	split = profile{safetensors.BF16, safetensors.BF16, append(states(safetensors.BF16, "exp_avg", "exp_avg_sq"), states("I16", "low_bits")...)}
	// master keeps the weights in float32 as well.
	master = profile{safetensors.BF16, safetensors.BF16, states(safetensors.F32, "master", "exp_avg", "exp_avg_sq")}
)

func states(d safetensors.DType, names ...string) []State {
	var list []State
	for _, name := range names {
		list = append(list, State{Name: name, Array: Array{DType: d}})
	}
	return list
}

// place gives the parameters arena offsets for so many ranks and returns the size of the arena in bytes. What an optimizer keeps
// for the sharded parameters is one array, with gaps between them, and so for the others; each is cut into equal shares.
func (f profile) place(params []Param, ranks, ep int) int64 {
	var at int64 = 64
	take := func(n int, d safetensors.DType) Array {
		a := Array{at, d}
		at += int64(d.Bytes()*n) + 64
		return a
	}
	for _, sharded := range []bool{false, true} {
		var group []*Param
		n, parts := 0, ranks
		if sharded {
			parts = ranks / ep
		}
		for i := range params {
			if p := &params[i]; p.Sharded == sharded {
				p.Value, p.Grad, p.State = take(p.LocalElements(ep), f.value), take(p.LocalElements(ep), f.grad), nil
				p.First = n + 3
				n = p.First + p.LocalElements(ep)
				group = append(group, p)
			}
		}
		share := (n + parts - 1) / parts
		for _, s := range f.state {
			a := take(share, s.DType)
			for _, p := range group {
				p.Share, p.State = share, append(p.State, State{s.Name, a})
			}
		}
	}
	return at
}

// home returns where what an optimizer keeps for element i of a parameter lies: the rank, and the place in its array.
func home(p *Param, ep, i int) (rank, place int) {
	step, local := 1, i
	if p.Sharded {
		step, rank, local = ep, i/p.LocalElements(ep), i%p.LocalElements(ep)
	}
	return rank + step*((p.First+local)/p.Share), (p.First + local) % p.Share
}

// machine is arenas for the parameters in float32.
func machine(params []Param, ranks, ep int) (Memory, [][]byte) {
	return float32s.machine(params, ranks, ep)
}

// machine is arenas for the parameters.
func (f profile) machine(params []Param, ranks, ep int) (Memory, [][]byte) {
	size := f.place(params, ranks, ep)
	arenas := make([][]byte, ranks)
	for r := range arenas {
		arenas[r] = make([]byte, size)
	}
	return Memory{Ranks: ranks, EP: ep, Arena: slicesOf(arenas)}, arenas
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

// element reads element i of a float32 array of the logical parameter, by the definition of sharding.
func element(arenas [][]byte, p *Param, a Array, ep, i int) float32 {
	rank := 0
	if p.Sharded {
		share := p.Elements() / ep
		rank, i = i/share, i%share
	}
	return *(*float32)(unsafe.Pointer(&arenas[rank][a.At+4*int64(i)]))
}

// elements is the whole logical parameter.
func elements(arenas [][]byte, p *Param, a Array, ep int) []float32 {
	x := make([]float32, p.Elements())
	for i := range x {
		x[i] = element(arenas, p, a, ep, i)
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

// scramble gives all values and the optimizer's state bits that no narrower type holds; states of two bytes also those
// of signalling NaNs.
func scramble(arenas [][]byte, params []Param, ranks, ep int) {
	for i := range params {
		p := &params[i]
		set := func(a Array, k, rank, index, place int) {
			x := float32(math.Sin(float64(1 + k + 3*index + 7*i)))
			at := arenas[rank][a.At+int64(a.DType.Bytes()*place):]
			switch {
			case a.DType == safetensors.F32:
				*(*float32)(unsafe.Pointer(&at[0])) = x
			case k > 0 && index%7 == 1:
				at[0], at[1] = 0x81, 0xff
			default:
				*(*uint16)(unsafe.Pointer(&at[0])) = uint16(math.Float32bits(x) >> 13 & 0xbfff)
			}
		}
		for rank := range ranks {
			for e := range p.LocalElements(ep) {
				index := e
				if p.Sharded {
					index += rank % ep * p.LocalElements(ep)
				}
				set(p.Value, 0, rank, index, e)
			}
		}
		for index := range p.Elements() {
			rank, place := home(p, ep, index)
			for k, s := range p.State {
				set(s.Array, k+1, rank, index, place)
			}
		}
	}
}

// Values and the optimizer's state come back to the bit, whatever their types, that of the weights and the number of ranks.
func TestResumeIsExact(t *testing.T) {
	t.Run("f32", func(t *testing.T) { resumeIsExact(t, float32s) })
	t.Run("split", func(t *testing.T) { resumeIsExact(t, split) })
	t.Run("master", func(t *testing.T) { resumeIsExact(t, master) })
}

func resumeIsExact(t *testing.T, f profile) {
	type state struct {
		Step int
		Data map[string]string
	}
	for _, name := range []string{"sharded-bf16", "tied-f32"} {
		params := qwen(name == "tied-f32")
		memory, arenas := f.machine(params, 4, 2)
		scramble(arenas, params, 4, 2)
		dir := filepath.Join(t.TempDir(), "ckpt")
		saved := state{17, map[string]string{"seed": "x"}}
		if err := openCheckpoint(t, "testdata/"+name).Save(dir, params, memory, saved); err != nil {
			t.Fatal(err)
		}
		c := openCheckpoint(t, dir)
		var stored int64
		for path, text := range tree(t, dir) {
			if strings.HasSuffix(path, ".safetensors") {
				stored += int64(len(text)) - 8 - int64(binary.LittleEndian.Uint64([]byte(text)))
			}
		}
		if n, err := c.Bytes(params); err != nil || n != stored {
			t.Errorf("%s: Bytes says %d (%v), there are %d", name, n, err, stored)
		}
		text, err := c.State()
		if err != nil {
			t.Fatal(err)
		}
		var got state
		if err := json.Unmarshal(text, &got); err != nil || got.Step != 17 || got.Data["seed"] != "x" {
			t.Errorf("state %s, %v", text, err)
		}
		again, fresh := f.machine(params, 4, 2)
		if err := c.Resume(params, again); err != nil {
			t.Fatal(err)
		}
		for r := range arenas {
			if !bytes.Equal(arenas[r], fresh[r]) {
				t.Errorf("%s: rank %d differs after Resume", name, r)
			}
		}
		for _, shape := range []struct{ ranks, ep int }{{1, 1}, {2, 2}, {3, 1}, {4, 4}, {8, 4}} {
			other := slices.Clone(params) // the same on other ranks
			memory, theirs := f.machine(other, shape.ranks, shape.ep)
			if err := c.Resume(other, memory); err != nil {
				t.Fatal(err)
			}
			for i := range params {
				p, q := &params[i], &other[i]
				for k := range p.State {
					if !bytes.Equal(kept(arenas, p, p.State[k].Array, 2), kept(theirs, q, q.State[k].Array, shape.ep)) {
						t.Errorf("%s: %s of %s differs on %v", name, p.State[k].Name, p.Name, shape)
					}
				}
				if !bytes.Equal(whole(arenas, p, p.Value, 2), whole(theirs, q, q.Value, shape.ep)) {
					t.Errorf("%s: %s differs on %v", name, p.Name, shape)
				}
			}
			back := filepath.Join(t.TempDir(), "back")
			if err := c.Save(back, other, memory, saved); err != nil {
				t.Fatal(err)
			}
			sameTrees(t, tree(t, back), tree(t, dir))
		}
		_, err = os.Stat(filepath.Join(dir, "training_state/weights.safetensors"))
		if want := name == "sharded-bf16" && f.value == safetensors.F32; (err == nil) != want {
			t.Errorf("%s: master values: %v", name, err)
		}
	}
}

// whole is the bytes of an array of the logical parameter.
func whole(arenas [][]byte, p *Param, a Array, ep int) []byte {
	n := int64(p.LocalElements(ep) * a.DType.Bytes())
	var all []byte
	for rank := range arenas[:ep] {
		if rank == 0 || p.Sharded {
			all = append(all, arenas[rank][a.At:a.At+n]...)
		}
	}
	return all
}

// kept is the bytes of an array that the optimizer keeps, in the order of the logical parameter.
func kept(arenas [][]byte, p *Param, a Array, ep int) []byte {
	var all []byte
	width := int64(a.DType.Bytes())
	for i := range p.Elements() {
		rank, place := home(p, ep, i)
		at := a.At + int64(place)*width
		all = append(all, arenas[rank][at:at+width]...)
	}
	return all
}

// A state is what the program that saved it kept: another program's is refused.
func TestStateOfAnotherType(t *testing.T) {
	params := qwen(true)
	memory, _ := machine(params, 1, 1)
	dir := filepath.Join(t.TempDir(), "ckpt")
	if err := openCheckpoint(t, "testdata/tied-f32").Save(dir, params, memory, 1); err != nil {
		t.Fatal(err)
	}
	memory, _ = split.machine(params, 1, 1)
	err := openCheckpoint(t, dir).Resume(params, memory)
	if want := `exp_avg.safetensors: tensor "model.embed_tokens.weight" is F32 and the program keeps it in BF16`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
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

// Values of a wider type are rounded to nearest, ties to even, on their way in; gradients of a narrower one are added up
// in float32 over the ranks that have them.
func TestNarrowArrays(t *testing.T) {
	params := qwen(true)
	memory, arenas := split.machine(params, 2, 2)
	c := openCheckpoint(t, "testdata/tied-f32")
	if err := c.Load(params, memory); err != nil {
		t.Fatal(err)
	}
	for i := range params {
		p := &params[i]
		for rank := range 2 {
			for e := range p.LocalElements(2) {
				*(*uint16)(unsafe.Pointer(&arenas[rank][p.Grad.At+2*int64(e)])) = uint16(0x3f80 + rank<<7) // 1 and 2
			}
		}
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
	err = EachGrad(params, memory, func(name string, first int, values []float32) error {
		for i, x := range values {
			want := float32(3)
			if strings.Contains(name, "experts") { // experts 0 and 1 are on rank 0
				want = 1
				if strings.Contains(name, "experts.2.") || strings.Contains(name, "experts.3.") {
					want = 2
				}
			}
			if x != want {
				return fmt.Errorf("the gradient of %s[%d] is %v, want %v", name, first+i, x, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
