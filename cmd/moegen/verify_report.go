package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"moegen/check"
)

// verifyReport is what moegen verify found, and the JSON that it prints.
type verifyReport struct {
	Device      string          `json:"device"`
	GPU         string          `json:"gpu,omitempty"` // and its driver
	Seeds       int             `json:"schedules"`
	NoAssembler string          `json:"no_ptxas,omitempty"` // why no text was assembled
	Results     []*check.Result `json:"results"`
}

func (r *verifyReport) failed() int {
	n := 0
	for _, x := range r.Results {
		if !x.OK() {
			n++
		}
	}
	return n
}

func (r *verifyReport) verdict() error {
	if n := r.failed(); n > 0 {
		return failure{fmt.Errorf("%d of %d cases failed", n, len(r.Results))}
	}
	return nil
}

// print writes the table, then what was found; from is the folder that the texts are from.
func (r *verifyReport) print(w io.Writer, from string) error {
	if r.GPU != "" {
		fmt.Fprintln(w, r.GPU)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := "kernel\tcase\terror\tchecks\tmoved\tconflicts"
	if r.NoAssembler == "" {
		head += "\tregisters\tspills\twgmma"
	}
	fmt.Fprintln(t, head)
	for _, x := range r.Results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s", x.Kernel, x.Case, errorOf(x), checksOf(x), movedOf(x), conflictsOf(x))
		if r.NoAssembler == "" {
			fmt.Fprintf(t, "\t%s", assemblyOf(x))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	for _, x := range r.Results {
		if !x.OK() {
			b.WriteString("\n" + foundIn(x, from))
		}
	}
	if r.NoAssembler != "" {
		fmt.Fprintf(&b, "\nnot assembled: %s\n", r.NoAssembler)
	}
	_, err := io.WriteString(w, b.String())
	return err
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
func assemblyOf(x *check.Result) string {
	if len(x.Assembly) == 0 {
		return "-\t-\t-"
	}
	registers, spills, wgmma := 0, 0, "ok"
	for _, a := range x.Assembly {
		registers, spills = max(registers, a.Registers), max(spills, a.Spills)
		if len(a.Notes) > 0 {
			wgmma = "see below"
			if strings.Contains(strings.Join(a.Notes, " "), "serializ") {
				wgmma = "serialised"
			}
		}
	}
	return fmt.Sprintf("%d\t%d\t%s", registers, spills, wgmma)
}
