package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/safetensors"
)

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
