package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"moegen/gen"
	"moegen/kernels/tuned"
)

// defaultTarget is what a program runs on that was given no target: GPUs where the command line speaks of them.
func defaultTarget(cmd *cobra.Command) string {
	for _, flag := range []string{"gpus", "nodes", "topology", "memory"} {
		if cmd.Flags().Changed(flag) {
			return "h100"
		}
	}
	return "cpu"
}

// machines is what the program is planned for: the topology file, and where the command line says something else, that.
func (f *requestFlags) machines(cmd *cobra.Command) (t gen.Topology, err error) {
	gpus, nodes := f.gpus, max(1, f.nodes)
	if cmd.Flags().Changed("nodes") && f.nodes < 1 {
		return t, fmt.Errorf("--nodes %d: give at least 1", f.nodes)
	}
	if f.memory < 0 {
		return t, fmt.Errorf("--memory %g: give what a GPU has, in GiB", f.memory)
	}
	if f.topologyFile != "" {
		if t, err = readTopology(f.topologyFile); err != nil {
			return t, err
		}
		if gpus, nodes, err = f.within(cmd, t); err != nil {
			return t, err
		}
	}
	if nodes > 1 && !f.manyNodes {
		return t, fmt.Errorf("%s has %d nodes, and moegen %s makes programs for one; give --gpus to use one of them", f.topologyFile, nodes, cmd.Name())
	}
	t.GPUs, t.Nodes = gpus, nodes
	switch {
	case f.memory > 0:
		t.MemoryBytes = int64(f.memory * (1 << 30))
	case t.MemoryBytes == 0:
		t.MemoryBytes, t.Sparing = tuned.H100Memory, true
	}
	f.request.GPUs = gpus * nodes
	return t, nil
}

// within returns how many GPUs of a node, and nodes, of a topology are used: all, unless fewer are asked for.
func (f *requestFlags) within(cmd *cobra.Command, t gen.Topology) (gpus, nodes int, err error) {
	gpus, nodes = t.GPUs, t.Nodes
	if cmd.Flags().Changed("gpus") {
		gpus, nodes = f.gpus, 1
	}
	if f.nodes > 1 {
		nodes = f.nodes
	}
	if f.request.Target == "cpu" {
		return gpus, nodes, nil
	}
	for _, c := range []struct {
		flag       string
		asked, has int
	}{{"gpus", gpus, t.GPUs}, {"nodes", nodes, t.Nodes}} {
		if c.asked > c.has {
			return 0, 0, fmt.Errorf("--%s %d are more than the %d of %s; give fewer, or another topology", c.flag, c.asked, c.has, f.topologyFile)
		}
	}
	return gpus, nodes, nil
}

// rows returns how many rows a rank has in a step, 0 where that is not said, and leaves the size of micro-batches to the planner where it is.
func (f *requestFlags) rows(cmd *cobra.Command) (int, error) {
	if !cmd.Flags().Changed("global-batch") {
		return 0, nil
	}
	if f.request.Target == "cpu" {
		return 0, fmt.Errorf("--global-batch is for targets whose times are predicted; give --micro-batch, or --target h100")
	}
	if f.globalBatch < 1 || f.globalBatch%f.request.GPUs != 0 {
		return 0, fmt.Errorf("--global-batch %d: give a multiple of the %d ranks", f.globalBatch, f.request.GPUs)
	}
	if !cmd.Flags().Changed("micro-batch") {
		f.request.MicroBatch = 0
	}
	return f.globalBatch / f.request.GPUs, nil
}
