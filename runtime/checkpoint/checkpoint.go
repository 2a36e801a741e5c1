// Package checkpoint reads and writes checkpoint folders in Hugging Face's form: config.json, the weights as
// safetensors, and whatever else belongs to the model (tokenizer, generation config). Beside the weights a
// folder may hold the training state, with which a run goes on to the bit.
//
// A folder appears whole or not at all, and an existing one is never changed.
package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"moegen/runtime/safetensors"
)

const (
	configFile  = "config.json"
	weightsBase = "model"
)

// Checkpoint is the form of a checkpoint folder: the layout, names and types of its weights and all its other
// files. What Save writes has the same form.
type Checkpoint struct {
	dir     string              // "" for a form without a folder
	weights *safetensors.Reader // nil for a form without a folder
	layout  safetensors.Layout
	config  []byte
	files   []file
	tied    []string // tensors of the folder that Save leaves out
}

// Open examines the checkpoint folder dir. Its files stay open until Close, so Save works even when the folder
// has been removed meanwhile.
func Open(dir string) (*Checkpoint, error) {
	c := &Checkpoint{dir: dir}
	if err := c.open(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Checkpoint) open() (err error) {
	c.config, err = os.ReadFile(filepath.Join(c.dir, configFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds no %s: not a checkpoint folder", c.dir, configFile)
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%s is a file, and a checkpoint is a folder: give the one with %s in it", c.dir, configFile)
	}
	if err != nil {
		return err
	}
	if c.weights, err = safetensors.OpenDir(c.dir, weightsBase); err != nil {
		return err
	}
	c.layout = c.weights.Layout()
	c.files, err = openFiles(c.dir, "")
	return err
}

// File is a file of a checkpoint folder other than its weights.
type File struct {
	Name string // path inside the folder
	Data []byte
}

// New is the form that a checkpoint of a new model has: config.json with the given text, the weights in
// float32, or in bfloat16 if the config says so ("dtype", formerly "torch_dtype"), and the given files.
func New(config []byte, params []Param, files ...File) (*Checkpoint, error) {
	var c struct {
		DType      string `json:"dtype"`
		TorchDType string `json:"torch_dtype"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	dtype := safetensors.F32
	if c.DType == "bfloat16" || c.DType == "" && c.TorchDType == "bfloat16" {
		dtype = safetensors.BF16
	}
	return &Checkpoint{
		config: config,
		layout: safetensors.Arrange(infos(tensors(params), dtype), weightsBase, safetensors.ShardBytes),
		files:  fileList(append([]File{{configFile, config}}, files...)),
	}, nil
}

// infos describes the tensors with one element type.
func infos(list []tensor, dtype safetensors.DType) []safetensors.Info {
	all := make([]safetensors.Info, len(list))
	for i, t := range list {
		all[i] = t.Info
		all[i].DType = dtype
	}
	return all
}

// Close closes the files of the folder.
func (c *Checkpoint) Close() {
	if c.weights != nil {
		c.weights.Close()
	}
	closeFiles(c.files)
}

// Config is the text of config.json.
func (c *Checkpoint) Config() []byte { return c.config }

// Tied lists the tensors that Load, Resume or Save found to be others under another name, sorted. Save leaves them out.
func (c *Checkpoint) Tied() []string { return c.tied }

// Load reads the weights of all parameters into the memory of all ranks. The folder must hold exactly the
// tensors of the parameters, with their shapes; tensors that are tied may be there under either name or both.
func (c *Checkpoint) Load(params []Param, memory Memory) error {
	list := tensors(params)
	if err := c.fit(list); err != nil {
		return err
	}
	if err := load(c.weights, list, memory, value); err != nil {
		return err
	}
	return c.compareTied(list)
}

// Save writes a checkpoint folder of the same form with the parameters that the ranks hold. A state that is
// not nil is kept as the training state, with the optimizer's and, where the weights are stored in a type that does not
// hold them exactly, with their exact values.
//
// dir must not exist. After an error nothing is left of it; a process that dies in between leaves a hidden
// folder that the next Save or SaveRandom beside it removes.
func (c *Checkpoint) Save(dir string, params []Param, memory Memory, state any) error {
	list := tensors(params)
	return c.publish(dir, list, func(temporary string) error {
		writes := []func() error{func() error { return store(temporary, c.layout, list, memory, value) }}
		if state != nil {
			writes = append(writes, func() error { return c.saveState(filepath.Join(temporary, stateDir), list, memory, state) })
		}
		return atOnce(writes)
	})
}

// SaveRandom writes a checkpoint folder of the same form with randomly initialised parameters, the values that
// Fill gives. dir is treated as by Save. The model need not fit into memory.
func (c *Checkpoint) SaveRandom(dir string, params []Param, seed uint64) error {
	list := tensors(params)
	return c.publish(dir, list, func(temporary string) error {
		return create(temporary, c.layout, list, func(w *safetensors.Writer, c *chunk) error {
			c.random(seed, c.first, c.values)
			return w.WriteFloat32(c.Name, c.first, c.values)
		})
	})
}

// publish makes a folder of the files and of what write adds.
func (c *Checkpoint) publish(dir string, list []tensor, write func(temporary string) error) error {
	if err := c.covers(list); err != nil {
		return err
	}
	return publish(dir, func(temporary string) error {
		if err := writeFiles(temporary, c.files); err != nil {
			return err
		}
		return write(temporary)
	})
}

// covers reports whether the layout is one of exactly these tensors.
func (c *Checkpoint) covers(list []tensor) error {
	if c.weights != nil {
		return c.fit(list)
	}
	n := 0
	for _, s := range c.layout.Shards {
		n += len(s.Tensors)
	}
	if n != len(list) {
		panic("BUG: Save with other parameters than New")
	}
	return nil
}

// fit compares the weights of the folder with the tensors that the program needs. Where some are there under another
// name, the form of what Save writes is that of a folder without.
func (c *Checkpoint) fit(list []tensor) error {
	if err := match(c.weights, list); err != nil {
		return err
	}
	c.tied = nil
	found := make([]safetensors.Info, len(list))
	for i, t := range list {
		in := t.in(c.weights)
		if !in.DType.Float() {
			return fmt.Errorf("%s: tensor %q is %s, the program needs a floating type (F64, F32, F16, BF16)", in.Path(), in.Name, in.DType)
		}
		found[i] = in.Info
		found[i].Name = t.Name
		if t.tied != "" && c.weights.Tensor(t.tied) != nil {
			c.tied = append(c.tied, t.tied)
		}
	}
	if slices.Sort(c.tied); c.tied != nil {
		c.layout = safetensors.Arrange(found, weightsBase, safetensors.ShardBytes)
	}
	return nil
}

// in is the tensor in a file, under its name or else under the one that it is tied to; nil if there is none.
func (t *tensor) in(r *safetensors.Reader) *safetensors.Tensor {
	if found := r.Tensor(t.Name); found != nil || t.tied == "" {
		return found
	}
	return r.Tensor(t.tied)
}

// compareTied holds tensors against those that they are tied to.
func (c *Checkpoint) compareTied(list []tensor) error {
	var twice []tensor
	for _, t := range list {
		if t.tied != "" && c.weights.Tensor(t.Name) != nil && c.weights.Tensor(t.tied) != nil {
			twice = append(twice, t)
		}
	}
	return eachChunk(twice, func(t *chunk) error {
		other := make([]float32, len(t.values))
		if err := errors.Join(c.weights.Tensor(t.Name).ReadFloat32(t.first, t.values), c.weights.Tensor(t.tied).ReadFloat32(t.first, other)); err != nil {
			return err
		}
		if !slices.Equal(t.values, other) {
			return fmt.Errorf("%s: tensors %q and %q differ, but the program was built for a model in which they are one (tie_word_embeddings): "+
				"build it from a config that does not tie them, or remove the one that is not meant", c.weights.Path(), t.Name, t.tied)
		}
		return nil
	})
}

// match compares the names and shapes of a reader's tensors with those that the program needs.
func match(r *safetensors.Reader, list []tensor) error {
	needed := map[string]bool{}
	for _, t := range list {
		needed[t.Name] = true
		if t.tied != "" {
			needed[t.tied] = true
			if other := r.Tensor(t.tied); other != nil && !slices.Equal(other.Shape, t.Shape) {
				return fmt.Errorf("%s: tensor %q has shape %v, the program needs %v: it is tied to %q", other.Path(), t.tied, other.Shape, t.Shape, t.Name)
			}
		}
		found := t.in(r)
		if found == nil {
			return fmt.Errorf("%s: tensor %q is missing; the program needs it with shape %v", r.Path(), t.Name, t.Shape)
		}
		if !slices.Equal(found.Shape, t.Shape) {
			return fmt.Errorf("%s: tensor %q has shape %v, the program needs %v", found.Path(), found.Name, found.Shape, t.Shape)
		}
	}
	for _, s := range r.Layout().Shards {
		for _, t := range s.Tensors {
			if !needed[t.Name] {
				return fmt.Errorf("%s: tensor %q is not part of the model that the program was built for", r.Tensor(t.Name).Path(), t.Name)
			}
		}
	}
	return nil
}

// load reads tensors into one of the arrays of their parameters. What a file has in the array's type keeps its bits.
func load(r *safetensors.Reader, list []tensor, memory Memory, k kind) error {
	return eachChunk(list, func(c *chunk) error {
		from, to := c.in(r), k(c.param)
		if !memory.wants(c, to) {
			return nil
		}
		if from.DType == to.DType {
			raw := c.raw(to.DType)
			if err := from.ReadRaw(c.first, raw); err != nil {
				return err
			}
			return memory.put(c, to, raw)
		}
		if err := from.ReadFloat32(c.first, c.values); err != nil {
			return err
		}
		return memory.putValues(c, to)
	})
}

// store writes one of the arrays of the tensors' parameters into files, the other way round.
func store(dir string, layout safetensors.Layout, list []tensor, memory Memory, k kind) error {
	return create(dir, layout, list, func(w *safetensors.Writer, c *chunk) error {
		from := k(c.param)
		if w.DType(c.Name) == from.DType {
			raw := c.raw(from.DType)
			if err := memory.get(c, from, raw); err != nil {
				return err
			}
			return w.WriteRaw(c.Name, c.first, raw)
		}
		if err := memory.getValues(c, from); err != nil {
			return err
		}
		return w.WriteFloat32(c.Name, c.first, c.values)
	})
}

// create makes the files of a layout in dir; write writes one part of a tensor.
func create(dir string, layout safetensors.Layout, list []tensor, write func(*safetensors.Writer, *chunk) error) error {
	w, err := safetensors.Create(dir, layout)
	if err != nil {
		return err
	}
	if err := eachChunk(list, func(c *chunk) error { return write(w, c) }); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}
