package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"moegen/check"
	"moegen/gen"
	"moegen/runtime/driver"
)

const verifyHelp = `Run the cases of kernels on a device and hold what they compute against a float64 reference.

In the simulator every case runs under several schedules, with all checkers on: races, missing proxy fences, misuse of
barriers, undefined registers and memory, accesses out of bounds or misaligned, divergence, deadlock. Persistent kernels
run with another number of blocks in every schedule, and all outputs must have the same bits. Where a ptxas is found
(--ptxas, MOEGEN_PTXAS, CUDA_HOME, PATH) the text goes through it as well: it must spill nothing and serialise no wgmma.

The table has a line for each case, printed as the case ends:
  error      how far the worst element is from the reference, in units of its tolerance: up to 1 is right
  checks     ok, or the first check that failed; what it found stands below the table
  moved      bytes to and from global memory, and how many times the least that the computation needs
  conflicts  passes over the banks of shared memory beyond the least

Examples:
  moegen verify                          # all kernels, in the simulator
  moegen verify gemm --emit texts        # write the PTX of the GEMM's cases, to be edited by hand
  moegen verify gemm --from texts        # verify it after that
  moegen verify rmsnorm --device gpu     # on the GPU of this machine

On a GPU the outputs of a case must have the bits that the simulator gives; of a large case, which the simulator would take
minutes for, a sample is held against the reference: corners of tiles, beginning, end and a few thousand elements between.
--json gives the SHA-256 of the outputs of every case.

Exit status: 0 all is well; 1 a check failed; 2 the command line or a file is not usable; 3 there is no usable GPU.`

// casesUsage says what verify and bench-kernels take as --case.
const casesUsage = "these `CASES` only, by name; * stands for anything"

// verifyCommand runs kernel cases.
func verifyCommand() *cobra.Command {
	v := &verification{}
	flags := newFlagGroup("What is verified")
	flags.flags.StringSliceVar(&v.cases, "case", nil, casesUsage)
	flags.flags.StringVar(&v.device, "device", "sim", "where: sim, or gpu (with the large cases, and the bits of the simulator)")
	flags.flags.IntVar(&v.seeds, "seeds", check.DefaultSeeds, "schedules in the simulator, from 0 on")
	flags.flags.StringVar(&v.ptxas, "ptxas", "", "the assembler (default: where it is found)")
	texts := newFlagGroup("Texts and output")
	texts.flags.StringVar(&v.emit, "emit", "", "write the PTX of the cases into this folder, a file each, and run nothing")
	texts.flags.StringVar(&v.from, "from", "", "verify the PTX files of this folder instead of what is emitted now")
	texts.flags.BoolVar(&v.json, "json", false, "print JSON")
	cmd := &cobra.Command{
		Use:   "verify [KERNEL]... [flags]",
		Short: "Run the cases of GPU kernels and check what they compute",
		Long:  verifyHelp,
		RunE:  func(cmd *cobra.Command, args []string) error { return v.run(cmd, args) },
	}
	addGroups(cmd, flags, texts)
	return cmd
}

// A verification is what moegen verify was asked for.
type verification struct {
	device, ptxas, emit, from string
	cases                     []string
	seeds                     int
	json                      bool
}

func (v *verification) run(cmd *cobra.Command, kernels []string) error {
	switch {
	case v.device != "sim" && v.device != "gpu":
		return fmt.Errorf("--device %s: use sim or gpu", v.device)
	case v.seeds < 1:
		return fmt.Errorf("--seeds %d: a case runs under at least one schedule", v.seeds)
	case v.emit != "" && v.from != "":
		return fmt.Errorf("--emit writes texts and --from reads them; give one of the two")
	}
	items, err := check.Select(kernels, v.cases, v.device == "gpu")
	if err != nil {
		return err
	}
	if v.emit != "" {
		return emitTexts(v.emit, items)
	}
	texts := make([]string, len(items))
	if v.from != "" {
		if items, texts, err = readTexts(v.from, items); err != nil {
			return err
		}
	}
	tools, noTool, err := findAssembler(v.ptxas)
	if err != nil {
		return err
	}
	options := check.Options{Seeds: v.seeds, Assembler: tools}
	report := &verifyReport{Device: v.device, Seeds: v.seeds, NoAssembler: noTool, from: v.from, json: v.json, w: cmd.OutOrStdout()}
	if v.device == "gpu" {
		err = onGPU(func(d driver.Driver, g driver.Device) error {
			report.GPU = check.GPUName(d, g)
			report.begin(items)
			return check.RunGPU(cmd.Context(), g, items, texts, options, report.add)
		})
	} else {
		report.begin(items)
		err = simulateAll(cmd.Context(), items, texts, options, report.add)
	}
	if cmd.Context().Err() != nil {
		return failure{cmd.Context().Err()}
	}
	if err != nil {
		return err
	}
	if err := report.end(); err != nil {
		return failure{err}
	}
	return report.verdict()
}

// simulateAll runs the cases in the simulator, one on each core at a time, and hands the results over in order, each as
// soon as it and those before it are there.
func simulateAll(ctx context.Context, items []check.Item, texts []string, o check.Options, done func(*check.Result)) error {
	results := make([]chan *check.Result, len(items))
	for i := range results {
		results[i] = make(chan *check.Result, 1)
	}
	next := make(chan int)
	var workers sync.WaitGroup
	defer workers.Wait()
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				results[i] <- check.Run(items[i], texts[i], o)
			}
		})
	}
	workers.Go(func() {
		defer close(next)
		for i := range items {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	for _, r := range results {
		select {
		case r := <-r:
			done(r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// emitTexts writes the text of every item into a folder and replaces nothing.
func emitTexts(folder string, items []check.Item) error {
	var files gen.Files
	for _, item := range items {
		text, _, err := item.Case.Build()
		if err != nil {
			return failure{err}
		}
		if err := refuseExisting(filepath.Join(folder, item.File())); err != nil {
			return err
		}
		files = append(files, gen.File{Path: item.File(), Data: []byte(text)})
	}
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return cannotWrite(folder, err)
	}
	return writeInto(folder, files)
}

// readTexts reads the PTX files of a folder and returns the items that they belong to.
func readTexts(folder string, items []check.Item) ([]check.Item, []string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.ptx"))
	if err != nil {
		return nil, nil, err
	}
	if len(paths) == 0 {
		return nil, nil, fmt.Errorf("%s has no PTX files; write some with --emit", folder)
	}
	all, err := check.Select(nil, nil, true)
	if err != nil {
		return nil, nil, err
	}
	known := map[string]bool{}
	for _, item := range all {
		known[item.File()] = true
	}
	for _, path := range paths {
		if !known[filepath.Base(path)] {
			return nil, nil, fmt.Errorf("%s belongs to no case; files are named KERNEL.CASE.ptx, as --emit does", path)
		}
	}
	var found []check.Item
	var texts []string
	for _, item := range items {
		text, err := os.ReadFile(filepath.Join(folder, item.File()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if strings.TrimSpace(string(text)) == "" {
			return nil, nil, fmt.Errorf("%s is empty", filepath.Join(folder, item.File()))
		}
		found, texts = append(found, item), append(texts, string(text))
	}
	if len(found) == 0 {
		return nil, nil, fmt.Errorf("%s has no file of the cases asked for", folder)
	}
	return found, texts, nil
}
