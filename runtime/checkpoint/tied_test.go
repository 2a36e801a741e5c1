package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/safetensors"
)

const embedding, head = "model.embed_tokens.weight", "lm_head.weight"

// tiedQwen is the parameters of a model whose head is its embedding.
func tiedQwen() []Param {
	params := qwen(true)
	find(params, "embed").Pieces[0].Tied = head
	return params
}

// renamed copies testdata/tied-f32 with its embedding under the given names, in shards of so many bytes. The values
// under the second name are changed by change.
func renamed(t *testing.T, limit int64, change func([]float32), names ...string) string {
	t.Helper()
	dir := copyTree(t, "testdata/tied-f32")
	r, err := safetensors.Open("testdata/tied-f32/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	os.Remove(filepath.Join(dir, "model.safetensors"))
	var infos []safetensors.Info
	values := map[string][]float32{}
	for _, info := range r.Layout().Shards[0].Tensors {
		from, as := info.Name, []string{info.Name}
		if from == embedding {
			as = names
		}
		for i, name := range as {
			info.Name = name
			infos = append(infos, info)
			values[name] = read(t, r, from)
			if i == 1 {
				change(values[name])
			}
		}
	}
	w, err := safetensors.Create(dir, safetensors.Arrange(infos, "model", limit))
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range values {
		if err := w.WriteFloat32(name, 0, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A tied tensor may be there under either name or under both: it is read all the same, and the folder that is written is
// that of Transformers' save_pretrained, which has it once.
func TestTied(t *testing.T) {
	same := func([]float32) {}
	for _, c := range []struct {
		names []string
		limit int64
		tied  []string
	}{
		{[]string{embedding}, 1 << 20, nil},
		{[]string{embedding, head}, 1 << 20, []string{head}},
		{[]string{embedding, head}, 1000, []string{head}},
		{[]string{head}, 1 << 20, []string{head}},
	} {
		params := tiedQwen()
		memory, _ := machine(params, 1, 1)
		ckpt := openCheckpoint(t, renamed(t, c.limit, same, c.names...))
		if err := ckpt.Load(params, memory); err != nil {
			t.Fatal(c.names, err)
		}
		if !slices.Equal(ckpt.Tied(), c.tied) {
			t.Errorf("%v: tied are %v", c.names, ckpt.Tied())
		}
		dir := filepath.Join(t.TempDir(), "ckpt")
		if err := ckpt.Save(dir, params, memory, nil); err != nil {
			t.Fatal(c.names, err)
		}
		sameTrees(t, tree(t, dir), tree(t, "testdata/tied-f32"))
	}
}

// Tensors that should be one and are not cannot both be right.
func TestTiedMismatches(t *testing.T) {
	params := tiedQwen()
	memory, _ := machine(params, 1, 1)
	dir := renamed(t, 1<<20, func(x []float32) { x[len(x)-1]++ }, embedding, head)
	for _, c := range []struct {
		load func(*Checkpoint) error
		want string
	}{
		{func(c *Checkpoint) error { return c.Load(params, memory) }, `DIR/model.safetensors: tensors "model.embed_tokens.weight" and ` +
			`"lm_head.weight" differ, but the program was built for a model in which they are one (tie_word_embeddings): ` +
			`build it from a config that does not tie them, or remove the one that is not meant`},
		{func(c *Checkpoint) error { return c.Load(qwen(true), memory) },
			`DIR/model.safetensors: tensor "lm_head.weight" is not part of the model that the program was built for`},
	} {
		err := c.load(openCheckpoint(t, dir))
		if want := strings.ReplaceAll(c.want, "DIR", dir); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}
