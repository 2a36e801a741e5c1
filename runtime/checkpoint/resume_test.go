package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/safetensors"
)

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
