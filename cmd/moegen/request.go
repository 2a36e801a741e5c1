package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"moegen/gen"
)

// requestFlags are the flags of the commands that plan a program: what is fixed when a binary is built.
type requestFlags struct {
	request gen.Request
	layers  int
	dump    string

	gpus, nodes  int
	globalBatch  int // rows
	topologyFile string
	memory       float64 // GiB
	manyNodes    bool    // programs for several nodes may be asked for

	choice *gen.Choice // after plan
}

const layersUsage = "so many first layers of the model, at full width, to train or measure what does not fit whole (default: all)"

// defaultSeq is the length that the field measures with.
const defaultSeq = 4096

func (f *requestFlags) group() flagGroup {
	g := newFlagGroup("What is fixed when a binary is built")
	g.flags.StringVar(&f.request.Target, "target", "", "what the binary runs on: cpu, or h100 (GPUs of compute capability 9.0)\n"+
		"(default: h100 where --gpus, --nodes, --topology or --memory is given, else cpu)")
	g.flags.IntVar(&f.request.Seq, "seq", 0, "tokens of a sequence (default: 4096, or all the positions of the model if it has fewer)")
	g.flags.IntVar(&f.request.MicroBatch, "micro-batch", 1, "sequences of a rank in one micro-batch")
	g.flags.StringVar(&f.request.DType, "dtype", "", "arithmetic and storage: f32 on cpu, bf16 on h100, which are also the defaults")
	g.flags.StringVar(&f.request.Optimizer, "optimizer", "", "what AdamW keeps: on h100 split (the weight exactly, as bf16 and 16 low bits, and bf16 moments rounded\n"+
		"stochastically; the default), bf16 (weight and moments), or f32 (weight and moments, beside the bf16 weight); on cpu f32")
	g.flags.IntVar(&f.gpus, "gpus", 1, "GPUs of a node, a rank each; ranks share the rows of a batch and the experts of a layer; on cpu one process runs them all")
	if f.manyNodes {
		g.flags.IntVar(&f.nodes, "nodes", 1, "nodes, joined by a network (target h100; plans only, nothing is built for several yet)")
	}
	g.flags.IntVar(&f.request.EP, "ep", 0, "so many ranks share the experts of a layer, and as many again hold the same ones (default: chosen on h100; on cpu as\n"+
		"many as divide both the ranks and the model's experts)")
	g.flags.IntVar(&f.globalBatch, "global-batch", 0, "sequences of a step of all ranks; where --micro-batch is not given, those of a rank are cut into micro-batches of the\n"+
		"size that is predicted to be the fastest (target h100; default: one micro-batch a rank)")
	g.flags.StringVar(&f.topologyFile, "topology", "", "`FILE` that moegen doctor --save wrote on the machine: gives --gpus where that is not given, and the memory that a\n"+
		"plan must fit into (target h100)")
	g.flags.Float64Var(&f.memory, "memory", 0, "`GiB` of memory of a GPU, as its driver counts it (target h100; default: the topology's, or 79.18 as an H100 has,\n"+
		"of which plans take two thirds at most if any does with so little)")
	g.flags.IntVar(&f.layers, "layers", 0, layersUsage)
	g.flags.StringVar((*string)(&f.request.Recompute), "recompute", string(gen.RecomputeAuto),
		"what backward does again instead of keeping it: none, up (the experts' up-projection), dispatch (that, and what\n"+
			"ranks sent each other for it), block (whole layers) or auto (on h100 what is predicted to be the fastest of what\n"+
			"fits; on cpu up, in as many layers as it takes for activations to find room where gradients lie later)")
	g.flags.Float64Var(&f.request.Pool, "pool", 0, "with --recompute none and up, ranks have room to keep so many times the tokens of the experts that they are expected\n"+
		"to receive; where more come, backward has them sent again, as with --recompute dispatch (default: 1.1)")
	g.flags.BoolVar(&f.request.NoOverlap, "no-overlap", false, "on several GPUs, do not hide under computation what ranks exchange: the same results, later")
	return g
}

// dumpGroup is the flag that shows how the plan came about.
func (f *requestFlags) dumpGroup() flagGroup {
	g := newFlagGroup("For whoever wants to see how the plan came about")
	g.flags.StringVar(&f.dump, "dump", "", "new folder that receives the text of every program after every pass")
	return g
}

// plan loads the model that the argument names and runs the passes.
func (f *requestFlags) plan(cmd *cobra.Command, model string) (*gen.Planned, error) {
	if f.request.Target == "" {
		f.request.Target = defaultTarget(cmd)
	}
	if f.dump != "" {
		if err := refuseExisting(f.dump); err != nil {
			return nil, err
		}
	}
	machines, err := f.machines(cmd)
	if err != nil {
		return nil, err
	}
	rows, err := f.rows(cmd)
	if err != nil {
		return nil, err
	}
	m, err := loadLayers(model, f.layers)
	if err != nil {
		return nil, err
	}
	f.request.Model = m
	if !cmd.Flags().Changed("seq") {
		f.request.Seq = min(defaultSeq, m.Facts.MaxSeq)
	}
	if f.request.DType == "" {
		f.request.DType = gen.DTypes[f.request.Target]
	}
	if f.choice, err = gen.Choose(f.request, machines, rows); err != nil || f.dump == "" {
		return f.planned(), err
	}
	var dumps gen.Files
	planned, err := gen.Plan(f.choice.Request, func(d gen.Dump) { dumps = append(dumps, gen.File{Path: d.Path, Data: []byte(d.Text)}) })
	if err != nil {
		return nil, err
	}
	return planned, writeFolder(f.dump, dumps)
}

// planned is what was chosen, or nil.
func (f *requestFlags) planned() *gen.Planned {
	if f.choice == nil {
		return nil
	}
	return f.choice.Planned
}

// refuseExisting returns an error when there is something at path already.
func refuseExisting(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("%s exists; name another, or remove it first", path)
	case os.IsNotExist(err):
		return nil
	default:
		return err
	}
}

// writeFolder makes a new folder with the files, whole or not at all.
func writeFolder(path string, files gen.Files) (err error) {
	path = filepath.Clean(path)
	if err := refuseExisting(path); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return cannotWrite(path, err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(part)
		}
	}()
	if err := os.Chmod(part, 0o755); err != nil {
		return failure{err}
	}
	if err := writeInto(part, files); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return failure{err}
	}
	return nil
}

// writeInto writes files below an existing folder.
func writeInto(folder string, files gen.Files) error {
	for _, f := range files {
		name := filepath.Join(folder, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return failure{err}
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			return failure{err}
		}
	}
	return nil
}

// cannotWrite tells a wrong path, which is the user's, from a failing disk.
func cannotWrite(path string, err error) error {
	if os.IsNotExist(err) {
		return fmt.Errorf("the folder of %s does not exist; make it first", path)
	}
	if os.IsPermission(err) {
		return fmt.Errorf("the folder of %s may not be written to; choose another", path)
	}
	if info, statErr := os.Stat(filepath.Dir(path)); statErr == nil && info.Mode()&fs.ModeDir == 0 {
		return fmt.Errorf("%s is not a folder; choose another place for %s", filepath.Dir(path), filepath.Base(path))
	}
	return failure{err}
}
