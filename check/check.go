// Package check runs the cases of kernels on a device and says what is wrong with them. In the simulator a case runs
// under several schedules with all checkers on; on a GPU the same text runs on the real thing. Either way the outputs are
// held against the case's true values, element by element, and what nobody should have written against what was there.
//
// The package stands between kernels, which are numbers and text, and the runtime, which has the devices.
package check

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"moegen/internal/ptxas"
	"moegen/kernels/gpu"
	"moegen/runtime/sim"
)

// Item is a case of a family.
type Item struct {
	Kernel string // the family
	Case   gpu.Case
}

// File is the name of the file that the item's text is kept in.
func (i Item) File() string { return file(i.Kernel, i.Case.Name) }

func file(kernel, name string) string { return kernel + "." + name + ".ptx" }

// Select returns the cases of the named families, all where no family is named, or only those whose names one of the patterns
// matches, in which * stands for anything; large adds those that only a GPU can run, which otherwise have to be named in full. An
// error names what there is.
func Select(kernels, patterns []string, large bool) ([]Item, error) {
	families := gpu.Families()
	var known []string
	for _, f := range families {
		known = append(known, f.Name)
	}
	for _, k := range kernels {
		if !slices.Contains(known, k) {
			return nil, fmt.Errorf("there is no kernel %q; there are %s", k, strings.Join(known, ", "))
		}
	}
	var items []Item
	var names []string
	for _, f := range families {
		if len(kernels) > 0 && !slices.Contains(kernels, f.Name) {
			continue
		}
		for _, c := range f.Cases() {
			names = append(names, c.Name)
			if slices.Contains(patterns, c.Name) || matches(patterns, c.Name) && (large || !c.Large) {
				items = append(items, Item{f.Name, c})
			}
		}
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("there is no case %q; there are %s", strings.Join(patterns, " or "), strings.Join(names, ", "))
	}
	return items, nil
}

// matches tells whether one of the patterns, or no pattern at all, stands for a name.
func matches(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// Checks that are not the simulator's; its own are named by sim.Kind.
const (
	Emit      = "emit"      // the kernel cannot be written, or its launches do not fit it
	Value     = "value"     // an element is further from the truth than its tolerance
	Untouched = "untouched" // something was written where nobody should write
	Schedule  = "schedule"  // the bits of an output depend on the schedule or the number of blocks
	Device    = "device"    // a GPU refused the kernel or failed
	Assembler = "assembler" // ptxas refused the text, spilled registers or gave up what it asks for
	Simulator = "simulator" // a GPU gave other bits than the simulator
)

// Failure is the first thing that a check found wrong.
type Failure struct {
	Check   string `json:"check"`
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"` // of the text
	Text    string `json:"text,omitempty"` // the instruction
	Seed    uint64 `json:"seed"`           // of the schedule, if it was found in the simulator

	Simulated bool `json:"simulated"` // whether it was
}

// Worst is the element of an output that is furthest from the truth, in its tolerances: up to 1 is right.
type Worst struct {
	Buffer  string  `json:"buffer"`
	Element int     `json:"element"`
	Got     float64 `json:"got"`
	Want    float64 `json:"want"`
	Miss    float64 `json:"miss"`
}

// Assembly is what ptxas made of a kernel.
type Assembly struct {
	Release   string   `json:"release"`
	Kernel    string   `json:"kernel"`
	Registers int      `json:"registers"`
	Spills    int      `json:"spilled_bytes"`
	Notes     []string `json:"notes,omitempty"`
}

// Result is what came of one case.
type Result struct {
	Kernel    string     `json:"kernel"`
	Case      string     `json:"case"`
	Device    string     `json:"device"`
	Failure   *Failure   `json:"failure,omitempty"`
	Worst     *Worst     `json:"worst,omitempty"`
	Sum       string     `json:"sha256,omitempty"` // of the outputs, in hexadecimal; "" of a case that did not run
	Schedules int        `json:"schedules"`        // that were run
	Moved     int64      `json:"bytes_moved"`      // to and from global memory in the first schedule; 0 on a GPU
	Floor     int64      `json:"bytes_floor"`      // what the computation cannot do without
	Conflicts int64      `json:"conflicts"`        // passes over the banks of shared memory beyond the least
	Assembly  []Assembly `json:"ptxas,omitempty"`
}

// File is the name of the file that the text is kept in.
func (r *Result) File() string { return file(r.Kernel, r.Case) }

// OK tells whether nothing was found.
func (r *Result) OK() bool { return r.Failure == nil }

// DefaultSeeds is under how many schedules the commands run a case unless told otherwise.
const DefaultSeeds = 5

// Options says how cases are checked.
type Options struct {
	Seeds     int          // schedules in the simulator, from 0 on
	Assembler []ptxas.Tool // every text goes through each

	config sim.Config // of the simulator, where tests want another than the default
}

// Run checks a case in the simulator, each of its ranks on a GPU that reaches the memory of the others. text replaces the text that
// the case emits, "" keeps it.
func Run(item Item, text string, o Options) *Result {
	r := &Result{Kernel: item.Kernel, Case: item.Case.Name, Device: "sim", Floor: item.Case.Floor.Bytes}
	ranks, failure := build(item, text)
	if failure != nil {
		r.Failure = failure
		return r
	}
	if _, r.Failure = r.simulate(ranks, o.Seeds, o.config); r.Failure == nil {
		r.Failure = r.assemble(ranks[0].text, o.Assembler)
	}
	return r
}

// A program is a rank of a case with its text, ready for any device.
type program struct {
	gpu.Case
	text  string
	grids []gpu.Grid
	sms   int // multiprocessors of a GPU for which the blocks of persistent kernels are counted; 0: all
}

// build returns the programs of a case's ranks.
func build(item Item, text string) (ranks []*program, f *Failure) {
	for _, c := range append([]gpu.Case{item.Case}, item.Case.Peers...) {
		emitted, grids, err := c.Build()
		if err != nil {
			return nil, &Failure{Check: Emit, Message: err.Error()}
		}
		if text == "" {
			text = emitted
		}
		ranks = append(ranks, &program{Case: c, text: text, grids: grids})
	}
	return ranks, nil
}

// finding turns an error of the simulator into a failure.
func finding(err error, seed uint64) *Failure {
	var e *sim.Error
	if !errors.As(err, &e) {
		return &Failure{Check: Device, Message: err.Error(), Seed: seed, Simulated: true}
	}
	message := e.Msg
	if e.Kernel != "" {
		message += fmt.Sprintf(" (%s, CTA %d,%d,%d", e.Kernel, e.CTA[0], e.CTA[1], e.CTA[2])
		if e.Warp >= 0 {
			message += fmt.Sprintf(", warp %d", e.Warp)
		}
		if e.Lane >= 0 {
			message += fmt.Sprintf(", lane %d", e.Lane)
		}
		message += ")"
	}
	return &Failure{Check: string(e.Kind), Message: message, Line: e.Line, Text: e.Text, Seed: seed, Simulated: true}
}

func (r *Result) assemble(text string, tools []ptxas.Tool) *Failure {
	for _, tool := range tools {
		report, err := tool.Assemble(text)
		if err != nil {
			return &Failure{Check: Assembler, Message: err.Error()}
		}
		for _, k := range report.Kernels {
			r.Assembly = append(r.Assembly, Assembly{tool.Release, k.Name, k.Registers, k.Spills, report.Notes})
		}
		if fault := report.Fault(); fault != "" {
			return &Failure{Check: Assembler, Message: fmt.Sprintf("ptxas %s: %s", tool.Release, fault)}
		}
	}
	return nil
}
