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
	"moegen/internal/ptxas"
	"moegen/runtime/driver"
)

const verifyHelp = `Run the cases of kernels on a device and hold what they compute against a float64 reference.

In the simulator every case runs under several schedules, with all checkers on: races, missing proxy fences, misuse of
barriers, undefined registers and memory, accesses out of bounds or misaligned, divergence, deadlock. Persistent kernels
run with another number of blocks in every schedule, and all outputs must have the same bits. Where a ptxas is found
(--ptxas, MOEGEN_PTXAS, CUDA_HOME, PATH) the text goes through it as well: it must spill nothing and serialise no wgmma.

The table has a line for each case:
  error      how far the worst element is from the reference, in units of its tolerance: up to 1 is right
  checks     ok, or the first check that failed; what it found stands below the table
  moved      bytes to and from global memory, and how many times the least that the computation needs
  conflicts  passes over the banks of shared memory beyond the least

Examples:
  moegen verify                          # all kernels, in the simulator
  moegen verify gemm --emit texts        # write the PTX of the GEMM's cases, to be edited by hand
  moegen verify gemm --from texts        # verify it after that
  moegen verify rmsnorm --device gpu     # on the GPU of this machine

Exit status: 0 all is well; 1 a check failed; 2 the command line or a file is not usable; 3 there is no usable GPU.`

// verifyCommand runs kernel cases.
func verifyCommand() *cobra.Command {
	v := &verification{}
	flags := newFlagGroup("What is verified")
	flags.flags.StringVar(&v.name, "case", "", "this case only")
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
	name, device, ptxas, emit, from string
	seeds                           int
	json                            bool
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
	items, err := check.Select(kernels, v.name, v.device == "gpu")
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
	report := &verifyReport{Device: v.device, Seeds: v.seeds, NoAssembler: noTool}
	if v.device == "gpu" {
		err = onGPU(func(d driver.Driver, g driver.Device) error {
			report.GPU = check.GPUName(d, g)
			for i, item := range items {
				if err := cmd.Context().Err(); err != nil {
					return failure{err}
				}
				r, err := check.RunGPU(g, item, texts[i], options)
				if err != nil {
					return fmt.Errorf("%s %s: %w", item.Kernel, item.Case.Name, err)
				}
				report.Results = append(report.Results, r)
			}
			return nil
		})
	} else {
		report.Results, err = simulateAll(cmd.Context(), items, texts, options)
	}
	if err != nil {
		return err
	}
	if v.json {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = report.print(cmd.OutOrStdout(), v.from)
	}
	if err != nil {
		return failure{err}
	}
	return report.verdict()
}

// simulateAll runs the cases in the simulator, one on each core at a time.
func simulateAll(ctx context.Context, items []check.Item, texts []string, o check.Options) ([]*check.Result, error) {
	results := make([]*check.Result, len(items))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				results[i] = check.Run(items[i], texts[i], o)
			}
		})
	}
	for i := range items {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, failure{err}
	}
	return results, nil
}

// findAssembler returns the assemblers to use, or why there is none.
func findAssembler(path string) (tools []ptxas.Tool, none string, err error) {
	if path != "" {
		t, err := ptxas.Open(path)
		return []ptxas.Tool{t}, "", err
	}
	tools, err = ptxas.Find()
	if errors.Is(err, ptxas.ErrNone) {
		return nil, err.Error(), nil
	}
	return tools, "", err
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
	all, err := check.Select(nil, "", true)
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
