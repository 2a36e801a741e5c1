package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"moegen/runtime/sim"
)

const simHelp = `Run a kernel of any PTX text on this machine, without a GPU, while checkers watch: races, missing proxy fences,
misuse of barriers, undefined registers and memory, accesses out of bounds or misaligned, divergence, deadlock. The
arithmetic is an H100's, bit for bit. Instructions that the simulator does not know are refused with their line.

The kernel runs once under each of several schedules. Schedule 0 takes warps in turn and completes asynchronous work
early; each other one draws the order of warps and the delays from its number. The report names the first finding of
each schedule: line of the text, lane, instruction. Output files are written only if there is none, with what the first
schedule left; files of those names are replaced.

Arguments are given in the order of the kernel's parameters:
  u32:7 s32:-1 u64:7 s64:-1    an integer, decimal or 0x…
  f32:0.5 f64:1e-6             a float; inf, nan and 0x1p-3 too
  in:FILE                      the address of a buffer that holds the bytes of FILE
  out:FILE:BYTES               the address of a fresh buffer, nothing in it defined, written to FILE afterwards
  inout:FILE:OUTFILE           the address of a buffer with the bytes of FILE, written to OUTFILE afterwards
  gpu:                         the number of the GPU that the launch is on (u32), for --gpus

With --gpus N the kernel is launched on N GPUs at a time, which reach each other's memory; buffers are on GPU 0.

Exit status: 0 nothing was found; 1 a checker reported something; 2 the text, a file or the command line is not usable.

Example:
  # y = a·x + y for 1000 elements; the kernel's parameters are y, x, a and n
  cat > saxpy.ptx <<'END'
  .version 8.1
  .target sm_90a
  .address_size 64
  .visible .entry saxpy(.param .u64 y, .param .u64 x, .param .f32 a, .param .u32 n)
  {
    .reg .pred %p; .reg .b32 %i, %n, %b, %t; .reg .f32 %a, %x, %y; .reg .b64 %px, %py, %o;
    mov.u32 %b, %ctaid.x;  mov.u32 %n, %ntid.x;  mov.u32 %t, %tid.x;
    mad.lo.u32 %i, %b, %n, %t;
    ld.param.u32 %n, [n];
    setp.ge.u32 %p, %i, %n;
    @%p ret;                        // without this line: out of bounds
    ld.param.u64 %px, [x];  ld.param.u64 %py, [y];  ld.param.f32 %a, [a];
    mul.wide.u32 %o, %i, 4;
    add.u64 %px, %px, %o;  add.u64 %py, %py, %o;
    ld.global.f32 %x, [%px];  ld.global.f32 %y, [%py];
    fma.rn.f32 %y, %a, %x, %y;
    st.global.f32 [%py], %y;
    ret;
  }
  END
  head -c 4000 /dev/zero > x.bin; head -c 4000 /dev/zero > y.bin
  moegen sim saxpy.ptx --entry saxpy --grid 8,1,1 --block 128,1,1 \
      --arg inout:y.bin:result.bin --arg in:x.bin --arg f32:2.5 --arg u32:1000`

// simCommand runs PTX in the simulator.
func simCommand() *cobra.Command {
	var s simulation
	var grid, block, cluster string
	var args []string
	var asJSON bool
	flags := newFlagGroup("Launch")
	flags.flags.StringVar(&s.Entry, "entry", "", "the kernel (default: the only one of the text)")
	flags.flags.StringVar(&grid, "grid", "", "CTAs: X,Y,Z (needed)")
	flags.flags.StringVar(&block, "block", "", "threads of a CTA: X,Y,Z (needed)")
	flags.flags.StringVar(&cluster, "cluster", "", "CTAs of a cluster: X,Y,Z (default: as the kernel says, or none)")
	flags.flags.IntVar(&s.Shared, "shared", 0, "bytes of dynamic shared memory")
	flags.flags.StringArrayVar(&args, "arg", nil, "an argument, once for each parameter, in order")
	flags.flags.IntVar(&s.GPUs, "gpus", 1, "GPUs that the kernel is launched on, all at a time")
	other := newFlagGroup("Schedules and output")
	other.flags.Uint64Var(&s.Seed, "seed", 0, "the first schedule")
	other.flags.IntVar(&s.Schedules, "seeds", 3, "schedules that the kernel runs under, one after another")
	other.flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd := &cobra.Command{
		Use:   "sim FILE.ptx --grid X,Y,Z --block X,Y,Z [flags] [--arg KIND:VALUE]...",
		Short: "Run any PTX without a GPU, watched by checkers",
		Long:  simHelp,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("sim takes one file of PTX, and was given %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := s.prepare(files[0], grid, block, cluster, args); err != nil {
				return err
			}
			report, err := s.run()
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.print(cmd.OutOrStdout())
			}
			if err != nil {
				return failure{err}
			}
			return report.verdict()
		},
	}
	addGroups(cmd, flags, other)
	return cmd
}

// A simulation is what moegen sim was asked for.
type simulation struct {
	Path   string `json:"file"`
	Entry  string `json:"entry"`
	Grid   [3]int `json:"grid"`
	Block  [3]int `json:"block"`
	Shared int    `json:"shared"`
	GPUs   int    `json:"gpus"`

	Cluster   [3]int `json:"cluster"` // zeros: as the kernel says
	Seed      uint64 `json:"-"`
	Schedules int    `json:"-"`

	module *sim.Module
	kernel *sim.Function
	args   []kernelArg
}

// prepare reads the text and the arguments and holds them together.
func (s *simulation) prepare(path, grid, block, cluster string, args []string) (err error) {
	if grid == "" || block == "" {
		return fmt.Errorf("sim needs --grid and --block; see moegen sim --help for an example")
	}
	if s.Grid, err = parseDim("grid", grid); err != nil {
		return err
	}
	if s.Block, err = parseDim("block", block); err != nil {
		return err
	}
	if cluster != "" {
		if s.Cluster, err = parseDim("cluster", cluster); err != nil {
			return err
		}
	}
	switch {
	case s.Schedules < 1:
		return fmt.Errorf("--seeds %d: the kernel runs under at least one schedule", s.Schedules)
	case s.GPUs < 1 || s.GPUs > 16:
		return fmt.Errorf("--gpus %d: use 1 to 16", s.GPUs)
	case s.Shared < 0:
		return fmt.Errorf("--shared %d is no size", s.Shared)
	}
	s.Path = path
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if s.module, err = sim.Parse(string(text)); err != nil {
		return inFile(path, err)
	}
	if s.kernel, err = s.findKernel(); err != nil {
		return err
	}
	for _, text := range args {
		a, err := parseKernelArg(text)
		if err != nil {
			return err
		}
		s.args = append(s.args, a)
	}
	if len(s.args) != len(s.kernel.Params) {
		return fmt.Errorf("%s takes %d arguments (%s) and %d are given with --arg", s.Entry, len(s.kernel.Params), paramNames(s.kernel), len(s.args))
	}
	return s.checkOutputs()
}

// inFile says in which file the simulator found what it reports.
func inFile(path string, err error) error {
	var e *sim.Error
	if !errors.As(err, &e) || e.Line == 0 {
		return fmt.Errorf("%s: %w", path, err)
	}
	if e.Text != "" {
		return fmt.Errorf("%s:%d: %s: %s, in `%s`", path, e.Line, e.Kind, e.Msg, e.Text)
	}
	return fmt.Errorf("%s:%d: %s: %s", path, e.Line, e.Kind, e.Msg)
}

func (s *simulation) findKernel() (*sim.Function, error) {
	entries := s.module.Entries()
	var names []string
	for _, f := range entries {
		if f.Name == s.Entry || s.Entry == "" && len(entries) == 1 {
			s.Entry = f.Name
			return f, nil
		}
		names = append(names, f.Name)
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s has no kernel (.entry)", s.Path)
	case s.Entry == "":
		return nil, fmt.Errorf("%s has several kernels; choose with --entry: %s", s.Path, strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("%s has no kernel %s; it has %s", s.Path, s.Entry, strings.Join(names, ", "))
}

func paramNames(f *sim.Function) string {
	var names []string
	for _, p := range f.Params {
		names = append(names, fmt.Sprintf("%s of %d bytes", p.Name, p.Size))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// checkOutputs returns an error when an output file could not be written, before anything runs.
func (s *simulation) checkOutputs() error {
	seen := map[string]bool{}
	for _, a := range s.args {
		if a.output == "" {
			continue
		}
		path := filepath.Clean(a.output)
		if seen[path] {
			return fmt.Errorf("--arg %s: another argument is written to %s too", a.text, a.output)
		}
		seen[path] = true
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return fmt.Errorf("--arg %s: %s is a folder", a.text, a.output)
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return fmt.Errorf("--arg %s: the folder of %s does not exist; make it first", a.text, a.output)
		}
	}
	return nil
}

// run runs the kernel under every schedule and writes the output files if nothing was found.
func (s *simulation) run() (*simReport, error) {
	r := &simReport{simulation: *s}
	var first [][]byte
	for i := range s.Schedules {
		seed := s.Seed + uint64(i)
		one, buffers, err := s.runSchedule(seed)
		if err != nil {
			return nil, err
		}
		r.Runs = append(r.Runs, one)
		if one.Finding != nil {
			continue
		}
		if first == nil {
			first = buffers
			r.Outputs = one.outputs
		}
		for j := range buffers {
			if !bytes.Equal(first[j], buffers[j]) {
				r.Varies = true
			}
		}
	}
	if r.findings() > 0 {
		r.Outputs, r.Varies = nil, false
		return r, nil
	}
	for i, o := range r.Outputs {
		if err := replaceFile(o.Path, first[i]); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return cannotWrite(path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// runSchedule runs the kernel once on fresh GPUs and returns what the output buffers hold afterwards.
func (s *simulation) runSchedule(seed uint64) (simRun, [][]byte, error) {
	run := simRun{Seed: seed}
	m := sim.New(sim.Config{GPUs: s.GPUs, Seed: seed})
	addresses := make([]uint64, len(s.args))
	for i, a := range s.args {
		if !a.buffer() {
			continue
		}
		var err error
		if addresses[i], err = m.Alloc(0, a.size); err != nil {
			return run, nil, err
		}
		m.Label(addresses[i], a.text)
		if a.data == nil {
			continue
		}
		if err := m.Write(addresses[i], a.data); err != nil {
			return run, nil, err
		}
	}
	works, err := s.launch(m, addresses)
	if err != nil {
		return run, nil, err
	}
	err = m.Sync()
	if err != nil && !errors.As(err, &run.Finding) {
		return run, nil, failure{err}
	}
	for _, w := range works {
		run.Counters = append(run.Counters, w.Counters())
	}
	if err != nil {
		return run, nil, nil
	}
	var buffers [][]byte
	for i, a := range s.args {
		if a.output == "" {
			continue
		}
		data := make([]byte, a.size)
		if err := m.Read(addresses[i], data); err != nil {
			return run, nil, err
		}
		defined, err := m.Defined(addresses[i], int(a.size))
		if err != nil {
			return run, nil, err
		}
		o := simOutput{Path: a.output, Bytes: a.size}
		if int64(defined) < a.size {
			o.Undefined = &defined
		}
		run.outputs = append(run.outputs, o)
		buffers = append(buffers, data)
	}
	return run, buffers, nil
}

// launch starts the kernel on every GPU.
func (s *simulation) launch(m *sim.Machine, addresses []uint64) ([]*sim.Work, error) {
	var works []*sim.Work
	for gpu := range s.GPUs {
		for peer := range s.GPUs {
			if peer != gpu {
				if err := m.EnablePeer(gpu, peer); err != nil {
					return nil, err
				}
			}
		}
		program, err := m.Load(gpu, s.module)
		if err != nil {
			return nil, err
		}
		params := make([]byte, s.kernel.ParamBytes())
		for i := range s.args {
			if err := s.args[i].place(params, s.kernel.Params[i], gpu, addresses[i]); err != nil {
				return nil, err
			}
		}
		w, err := m.Start(sim.Launch{Program: program, Entry: s.Entry, Grid: s.Grid, Block: s.Block, Cluster: s.Cluster,
			SharedBytes: s.Shared, Params: params})
		if err != nil {
			return nil, fmt.Errorf("%s cannot be launched: %w", s.Entry, err)
		}
		works = append(works, w)
	}
	return works, nil
}
