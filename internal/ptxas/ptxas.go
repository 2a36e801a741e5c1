// Package ptxas runs NVIDIA's assembler where one is installed: it makes machine code of a module, and says what became
// of the module's kernels: registers, spills, and whether it gave up what the text asks for.
package ptxas

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Tool is an assembler that was found.
type Tool struct {
	Path    string
	Release string // "13.0"
}

// ErrNone says that no assembler was found; its text says where Find looked.
var ErrNone = errors.New("no ptxas: neither MOEGEN_PTXAS nor TRITON_PTXAS_PATH names one, and none is in CUDA_HOME/bin, CUDA_PATH/bin, PATH or /usr/local/cuda*/bin (the wheels nvidia-cuda-nvcc and nvidia-cuda-nvcc-cu12 contain one)")

// Find returns the assembler of this machine. MOEGEN_PTXAS may name several, as a list of paths; each must be usable. Of
// those that are only found, the first usable one is taken.
func Find() ([]Tool, error) {
	if list := os.Getenv("MOEGEN_PTXAS"); list != "" {
		var tools []Tool
		for _, path := range filepath.SplitList(list) {
			t, err := Open(path)
			if err != nil {
				return nil, err
			}
			tools = append(tools, t)
		}
		return tools, nil
	}
	var candidates []string
	if p := os.Getenv("TRITON_PTXAS_PATH"); p != "" {
		candidates = append(candidates, p)
	}
	for _, v := range []string{"CUDA_HOME", "CUDA_PATH"} {
		if p := os.Getenv(v); p != "" {
			candidates = append(candidates, filepath.Join(p, "bin", "ptxas"))
		}
	}
	if p, err := exec.LookPath("ptxas"); err == nil {
		candidates = append(candidates, p)
	}
	installed, _ := filepath.Glob("/usr/local/cuda*/bin/ptxas")
	sort.Sort(sort.Reverse(sort.StringSlice(installed)))
	none := ErrNone
	for _, path := range append(candidates, installed...) {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		t, err := Open(path)
		if err == nil {
			return []Tool{t}, nil
		}
		none = fmt.Errorf("%w; not usable: %w", none, err)
	}
	return nil, none
}

var release = regexp.MustCompile(`release (\d+)\.(\d+)`)

// Open returns the assembler at path, or an error if there is none that is new enough.
func Open(path string) (Tool, error) {
	out, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		return Tool{}, fmt.Errorf("%s --version: %w", path, err)
	}
	m := release.FindStringSubmatch(string(out))
	if m == nil {
		return Tool{}, fmt.Errorf("%s is no ptxas: its --version names no release", path)
	}
	if major, _ := strconv.Atoi(m[1]); major < 12 || major == 12 && m[2] == "0" {
		return Tool{}, fmt.Errorf("%s is of release %s.%s; kernels for sm_90a in PTX 8.1 need 12.1", path, m[1], m[2])
	}
	return Tool{Path: path, Release: m[1] + "." + m[2]}, nil
}

// Kernel is what the assembler says of an entry.
type Kernel struct {
	Name      string
	Registers int // a thread
	Stack     int // bytes of local memory a thread
	Spills    int // bytes stored and loaded because registers ran out
}

// Report is what the assembler says of a module.
type Report struct {
	Kernels []Kernel // in the order of the assembler
	Notes   []string // lines that say that something asked for was not done: wgmma serialised, setmaxnreg ignored
	Cubin   []byte
}

var (
	entry  = regexp.MustCompile(`Compiling entry function '(\w+)'`)
	stack  = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	used   = regexp.MustCompile(`Used (\d+) registers`)
	noteOf = regexp.MustCompile(`C75\d\d|C76\d\d|(?i)serializ|ignored|warning`)
)

// Assemble translates a module for sm_90a. An error carries the assembler's words. The same text gives the same machine
// code: so it is left to one thread, since options, of which a number of threads is one, are noted in what it makes.
func (t Tool) Assemble(text string) (Report, error) {
	dir, err := os.MkdirTemp("", "ptxas")
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "module.ptx"), filepath.Join(dir, "module.cubin")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		return Report{}, err
	}
	var log bytes.Buffer
	cmd := exec.Command(t.Path, "-arch=sm_90a", "-O3", "-v", "-warn-spills", "-warn-lmem-usage", "-o", out, in)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Run(); err != nil {
		return Report{}, fmt.Errorf("ptxas %s: %w\n%s", t.Release, err, strings.ReplaceAll(log.String(), in, "module.ptx"))
	}
	r := parse(strings.ReplaceAll(log.String(), in, "module.ptx"))
	r.Cubin, err = os.ReadFile(out)
	return r, err
}

// Fault says what is wrong with the first kernel that spills registers, or else which request of the text was ignored; ""
// if nothing is.
func (r Report) Fault() string {
	for _, k := range r.Kernels {
		if k.Spills > 0 {
			return fmt.Sprintf("kernel %s spills %d bytes of registers", k.Name, k.Spills)
		}
	}
	if len(r.Notes) > 0 {
		return r.Notes[0]
	}
	return ""
}

func parse(log string) Report {
	var r Report
	for line := range strings.SplitSeq(log, "\n") {
		if m := entry.FindStringSubmatch(line); m != nil {
			r.Kernels = append(r.Kernels, Kernel{Name: m[1]})
		}
		if noteOf.MatchString(line) {
			r.Notes = append(r.Notes, strings.TrimSpace(line))
		}
		if len(r.Kernels) == 0 {
			continue
		}
		k := &r.Kernels[len(r.Kernels)-1]
		if m := stack.FindStringSubmatch(line); m != nil {
			stores, _ := strconv.Atoi(m[2])
			loads, _ := strconv.Atoi(m[3])
			k.Stack, _ = strconv.Atoi(m[1])
			k.Spills = stores + loads
		}
		if m := used.FindStringSubmatch(line); m != nil {
			k.Registers, _ = strconv.Atoi(m[1])
		}
	}
	return r
}
