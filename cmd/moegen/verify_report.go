package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"moegen/check"
)

// verifyReport is what moegen verify found, printed as it comes: a table, or a JSON document.
type verifyReport struct {
	Device      string `json:"device"`
	GPU         string `json:"gpu,omitempty"` // and its driver
	Seeds       int    `json:"schedules"`
	NoAssembler string `json:"no_ptxas,omitempty"` // why no text was assembled

	results []*check.Result
	from    string // the folder that the texts are from
	json    bool
	w       io.Writer
	err     error  // the first of writing
	row     string // the format of a line of the table
}

func (r *verifyReport) failed() int {
	n := 0
	for _, x := range r.results {
		if !x.OK() {
			n++
		}
	}
	return n
}

func (r *verifyReport) verdict() error {
	if n := r.failed(); n > 0 {
		return failure{fmt.Errorf("%d of %d cases failed", n, len(r.results))}
	}
	return nil
}

// write keeps the first error.
func (r *verifyReport) write(format string, args ...any) {
	if r.err == nil {
		_, r.err = fmt.Fprintf(r.w, format, args...)
	}
}

// begin prints what stands above the results of the cases.
func (r *verifyReport) begin(items []check.Item) {
	if r.json {
		head, err := json.Marshal(r)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		r.write("%s,\"results\":[", head[:len(head)-1])
		return
	}
	if r.GPU != "" {
		r.write("%s\n", r.GPU)
	}
	kernel, name := len("kernel"), len("case")
	for _, item := range items {
		kernel, name = max(kernel, len(item.Kernel)), max(name, len(item.Case.Name))
	}
	r.row = fmt.Sprintf("%%-%ds  %%-%ds  %%7s  %%-16s  %%-22s  %%9s", kernel, name)
	r.write(r.row, "kernel", "case", "error", "checks", "moved", "conflicts")
	if r.NoAssembler == "" {
		r.write("  registers  spills  wgmma")
	}
	r.write("\n")
}

// add prints the result of a case.
func (r *verifyReport) add(x *check.Result) {
	r.results = append(r.results, x)
	if r.json {
		line, err := json.Marshal(x)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		if len(r.results) > 1 {
			r.write(",")
		}
		r.write("\n%s", line)
		return
	}
	r.write(r.row, x.Kernel, x.Case, errorOf(x), checksOf(x), movedOf(x), conflictsOf(x))
	if r.NoAssembler == "" {
		registers, spills, wgmma := assemblyOf(x)
		r.write("  %9s  %6s  %s", registers, spills, wgmma)
	}
	r.write("\n")
}

// end prints what was found.
func (r *verifyReport) end() error {
	if r.json {
		r.write("\n]}\n")
		return r.err
	}
	for _, x := range r.results {
		if !x.OK() {
			r.write("\n%s", foundIn(x, r.from))
		}
	}
	if r.NoAssembler != "" {
		r.write("\nnot assembled: %s\n", r.NoAssembler)
	}
	return r.err
}

// foundIn describes a failure: what is wrong, and where in the text.
func foundIn(x *check.Result, from string) string {
	f := x.Failure
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s: %s\n", x.Kernel, x.Case, f.Check, f.Message)
	if f.Line > 0 {
		fmt.Fprintf(&b, "  %s:%d", filepath.Join(from, x.File()), f.Line)
		if f.Text != "" {
			fmt.Fprintf(&b, ": %s", shortened(f.Text))
		}
		b.WriteString("\n")
	}
	if f.Simulated {
		fmt.Fprintf(&b, "  under schedule %d\n", f.Seed)
	}
	return b.String()
}

// shortened cuts the register lists of long instructions.
func shortened(text string) string {
	const most = 160
	if len(text) <= most {
		return text
	}
	return text[:most-40] + " ... " + text[len(text)-35:]
}

func errorOf(x *check.Result) string {
	if x.Worst == nil {
		return "-"
	}
	return fmt.Sprintf("%.2g", x.Worst.Miss)
}

func checksOf(x *check.Result) string {
	if x.OK() {
		return "ok"
	}
	return "FAILED " + x.Failure.Check
}

func movedOf(x *check.Result) string {
	if x.Moved == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%.2f×)", grouped(x.Moved), float64(x.Moved)/float64(x.Floor))
}

func conflictsOf(x *check.Result) string {
	if x.Moved == 0 {
		return "-"
	}
	return grouped(x.Conflicts)
}

// assemblyOf gives the most registers and spills of any kernel under any assembler.
func assemblyOf(x *check.Result) (registers, spills, wgmma string) {
	if len(x.Assembly) == 0 {
		return "-", "-", "-"
	}
	most, spilled, how := 0, 0, "ok"
	for _, a := range x.Assembly {
		most, spilled = max(most, a.Registers), max(spilled, a.Spills)
		if len(a.Notes) > 0 {
			how = "see below"
			if strings.Contains(strings.Join(a.Notes, " "), "serializ") {
				how = "serialised"
			}
		}
	}
	return fmt.Sprint(most), fmt.Sprint(spilled), how
}
