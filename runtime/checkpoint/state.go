package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"moegen/runtime/safetensors"
)

// The training state is a folder inside the checkpoint. Its tensors have the names and shapes of the weights and the
// types that the program computes with: every state of the optimizer in files of its own name, and the exact values of
// the weights that the checkpoint itself does not hold exactly.
const (
	stateDir  = "training_state"
	stateFile = "state.json"
	valueBase = "weights"
)

// saved is a set of tensors of the training state.
type saved struct {
	base  string
	list  []tensor
	array kind
}

// infos describes the tensors of the set.
func (s *saved) infos() []safetensors.Info {
	all := make([]safetensors.Info, len(s.list))
	for i, t := range s.list {
		all[i] = t.Info
		all[i].DType = s.array(t.param).DType
	}
	return all
}

// parts lists the sets that the training state of a folder of this form has, none of them empty.
func (c *Checkpoint) parts(list []tensor) []saved {
	var parts []saved
	at := map[string]int{}
	for _, t := range list {
		for _, s := range t.param.State {
			n, seen := at[s.Name]
			if !seen {
				n = len(parts)
				at[s.Name] = n
				parts = append(parts, saved{s.Name, nil, func(p *Param) array { return array{p.state(s.Name), true} }})
			}
			parts[n].list = append(parts[n].list, t)
		}
	}
	if rounded, _ := c.rounded(list); len(rounded) > 0 {
		parts = append(parts, saved{valueBase, rounded, value})
	}
	return parts
}

// state is the array of the optimizer of that name.
func (p *Param) state(name string) Array {
	for _, s := range p.State {
		if s.Name == name {
			return s.Array
		}
	}
	panic(fmt.Sprintf("BUG: the optimizer keeps no %s for parameter %s", name, p.Name))
}

// Bytes is the size of the weights and the training state that Save writes for the parameters, but for headers.
func (c *Checkpoint) Bytes(params []Param) (int64, error) {
	list := tensors(params)
	if err := c.covers(list); err != nil {
		return 0, err
	}
	var all []safetensors.Info
	for _, s := range c.layout.Shards {
		all = append(all, s.Tensors...)
	}
	for _, s := range c.parts(list) {
		all = append(all, s.infos()...)
	}
	var n int64
	for _, t := range all {
		n += t.Bytes()
	}
	return n, nil
}

// saveState writes the training state into the folder dir.
func (c *Checkpoint) saveState(dir string, list []tensor, memory Memory, state any) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	var writes []func() error
	for _, s := range c.parts(list) {
		writes = append(writes, func() error {
			return store(dir, safetensors.Arrange(s.infos(), s.base, safetensors.ShardBytes), s.list, memory, s.array)
		})
	}
	if err := atOnce(writes); err != nil {
		return err
	}
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("training state: %w", err)
	}
	return writeFiles(dir, fileList([]File{{stateFile, append(text, '\n')}}))
}

// rounded lists the tensors whose values the weights do not hold exactly, and the others.
func (c *Checkpoint) rounded(list []tensor) (rounded, exact []tensor) {
	stored := map[string]safetensors.DType{}
	for _, s := range c.layout.Shards {
		for _, t := range s.Tensors {
			stored[t.Name] = t.DType
		}
	}
	for _, t := range list {
		if d := stored[t.Name]; d == t.param.Value.DType || d == safetensors.F32 || d == safetensors.F64 {
			exact = append(exact, t)
		} else {
			rounded = append(rounded, t)
		}
	}
	return rounded, exact
}

// State is the state that Save was given, as JSON, or nil if the folder holds no training state.
func (c *Checkpoint) State() (json.RawMessage, error) {
	path := filepath.Join(c.dir, stateDir, stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !json.Valid(text) {
		err = fmt.Errorf("%s: not JSON: %w", path, json.Unmarshal(text, new(any)))
	}
	return text, err
}

// Resume reads the parameters, exactly as they were at Save, and the optimizer's state into the memory of all ranks.
// The folder must hold a training state.
func (c *Checkpoint) Resume(params []Param, memory Memory) error {
	list := tensors(params)
	if err := c.fit(list); err != nil {
		return err
	}
	_, exact := c.rounded(list)
	if err := load(c.weights, exact, memory, value); err != nil {
		return err
	}
	for _, s := range c.parts(list) {
		if err := c.loadState(s, memory); err != nil {
			return err
		}
	}
	return nil
}

// loadState reads one set of tensors of the training state.
func (c *Checkpoint) loadState(s saved, memory Memory) error {
	r, err := safetensors.OpenDir(filepath.Join(c.dir, stateDir), s.base)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := match(r, s.list); err != nil {
		return err
	}
	for _, t := range s.infos() {
		if found := r.Tensor(t.Name); found.DType != t.DType {
			return fmt.Errorf("%s: tensor %q is %s and the program keeps it in %s: resume with the binary that saved it", found.Path(), t.Name, found.DType, t.DType)
		}
	}
	return load(r, s.list, memory, s.array)
}
