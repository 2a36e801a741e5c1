// Package health says whether a machine is fit for training: its driver, its GPUs and what joins them, limits, memory,
// disks. ReadSystem reads what every machine has; what GPUs show is read by the driver's package, as GPUs. Examine
// judges both, without touching anything, and says of all that is not as it should be what to do about it.
package health

import (
	"fmt"
	"slices"
	"strings"
)

// ExitUnfit is the exit status of a command that found something with status Fail.
const ExitUnfit = 4

// Status is the outcome of a check.
type Status string

// Outcomes, from the best to the worst.
const (
	OK      Status = "ok"
	Warning Status = "warning" // runs will work, slowly or not for long
	Fail    Status = "fail"    // runs will not work, or not be right
)

var statuses = []Status{OK, Warning, Fail}

// worse tells whether s is worse than t.
func (s Status) worse(t Status) bool { return slices.Index(statuses, s) > slices.Index(statuses, t) }

// Machine is what was read of a machine.
type Machine struct {
	System System `json:"system"`
	GPUs   *GPUs  `json:"gpus,omitempty"` // nil: not looked for
}

// Need is what a program asks of a machine. The zero Need asks for nothing.
type Need struct {
	GPUs            int   // the first so many of the CUDA driver
	Capability      int   // compute capability of the kernels, 90
	MemoryBytes     int64 // free on each of these GPUs
	HostBytes       int64 // of the host's memory
	CheckpointBytes int64 // that the first checkpoint takes
}

// Check is what was found in one respect.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"` // what to do; none is ever missing where the status is not OK
	GPUs   []int  `json:"gpus,omitempty"`   // nvidia-smi's numbers of those that the status is about
}

// Report is all that there is to say about a machine.
type Report struct {
	Status  Status  `json:"status"` // the worst
	Checks  []Check `json:"checks"`
	Machine Machine `json:"machine"`
}

// Examine judges a machine.
func Examine(m Machine, n Need) Report {
	r := Report{Status: OK, Checks: slices.Concat(gpuChecks(&m, n), systemChecks(&m, n)), Machine: m}
	for _, c := range r.Checks {
		if c.Status.worse(r.Status) {
			r.Status = c.Status
		}
	}
	return r
}

// remark is something that a check has to say, of some GPUs or of the machine.
type remark struct {
	status Status
	gpus   []int
	text   string
	advice string
}

// remarks collects what a check has to say.
type remarks []remark

// of adds a remark about a GPU. The same remark about several becomes one.
func (r *remarks) of(g *GPU, status Status, advice, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for i := range *r {
		if old := &(*r)[i]; len(old.gpus) > 0 && old.text == text {
			old.gpus = append(old.gpus, g.Number)
			return
		}
	}
	*r = append(*r, remark{status, []int{g.Number}, text, advice})
}

// all adds a remark about the machine.
func (r *remarks) all(status Status, advice, format string, args ...any) {
	*r = append(*r, remark{status: status, text: fmt.Sprintf(format, args...), advice: advice})
}

// check makes a check of the remarks; the first of the worst has the say. Without any everything is well.
func (r remarks) check(name, well string) Check {
	c := Check{Name: name, Status: OK, Found: well}
	var texts []string
	for _, x := range r {
		if x.status.worse(c.Status) {
			c.Status, c.Advice = x.status, x.advice
		}
	}
	for _, x := range r {
		text := x.text
		if len(x.gpus) > 0 {
			text = plural(len(x.gpus), "GPU") + " " + numbers(x.gpus) + ": " + text
		}
		texts = append(texts, text)
		if x.status == c.Status && c.Status != OK {
			c.GPUs = append(c.GPUs, x.gpus...)
		}
	}
	slices.Sort(c.GPUs)
	c.GPUs = slices.Compact(c.GPUs)
	if len(texts) > 0 {
		c.Found = strings.Join(texts, "; ")
	}
	return c
}

// plural returns the noun for so many.
func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// numbers prints ascending numbers, those in a row as a range: "0-3, 7".
func numbers(list []int) string {
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		switch {
		case j == i:
			parts = append(parts, fmt.Sprint(list[i]))
		case j == i+1:
			parts = append(parts, fmt.Sprint(list[i]), fmt.Sprint(list[j]))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", list[i], list[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
