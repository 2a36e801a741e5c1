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

// The training state is a folder inside the checkpoint. Its tensors have the names and shapes of the weights,
// in float32: AdamW's moments under the names that torch gives them, and the exact values of the weights that
// the checkpoint itself holds in a narrower type.
const (
	stateDir    = "training_state"
	stateFile   = "state.json"
	moment1Base = "exp_avg"
	moment2Base = "exp_avg_sq"
	masterBase  = "master"
)

// saveState writes the training state into the folder dir.
func (c *Checkpoint) saveState(dir string, list []tensor, memory Memory, state any) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	save := func(base string, list []tensor, k kind) error {
		layout := safetensors.Arrange(infos(list, safetensors.F32), base, safetensors.ShardBytes)
		return store(dir, layout, list, fetch(memory, k))
	}
	if err := save(moment1Base, list, moment1); err != nil {
		return err
	}
	if err := save(moment2Base, list, moment2); err != nil {
		return err
	}
	if rounded := c.rounded(list); len(rounded) > 0 {
		if err := save(masterBase, rounded, value); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("training state: %w", err)
	}
	return writeFiles(dir, fileList([]File{{stateFile, append(text, '\n')}}))
}

// rounded lists the tensors whose values the weights do not hold exactly.
func (c *Checkpoint) rounded(list []tensor) []tensor {
	exact := map[string]bool{}
	for _, s := range c.layout.Shards {
		for _, t := range s.Tensors {
			exact[t.Name] = t.DType == safetensors.F32 || t.DType == safetensors.F64
		}
	}
	var some []tensor
	for _, t := range list {
		if !exact[t.Name] {
			some = append(some, t)
		}
	}
	return some
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

// Resume reads the parameters, exactly as they were at Save, and AdamW's moments into the memory of all ranks.
// The folder must hold a training state.
func (c *Checkpoint) Resume(params []Param, memory Memory) error {
	list := tensors(params)
	if err := c.fit(list); err != nil {
		return err
	}
	rounded := c.rounded(list)
	inMaster := map[string]bool{}
	for _, t := range rounded {
		inMaster[t.Name] = true
	}
	var exact []tensor
	for _, t := range list {
		if !inMaster[t.Name] {
			exact = append(exact, t)
		}
	}
	if err := load(c.weights, exact, memory, value); err != nil {
		return err
	}
	for _, part := range []struct {
		base string
		list []tensor
		kind kind
	}{{moment1Base, list, moment1}, {moment2Base, list, moment2}, {masterBase, rounded, value}} {
		if len(part.list) == 0 {
			continue
		}
		if err := c.loadState(part.base, part.list, memory, part.kind); err != nil {
			return err
		}
	}
	return nil
}

// loadState reads one set of tensors of the training state.
func (c *Checkpoint) loadState(base string, list []tensor, memory Memory, k kind) error {
	r, err := safetensors.OpenDir(filepath.Join(c.dir, stateDir), base)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := match(r, list); err != nil {
		return err
	}
	return load(r, list, memory, k)
}
