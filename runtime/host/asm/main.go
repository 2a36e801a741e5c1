// Command asm writes the amd64 assembly of package host, one kernel group a file: name_amd64.s and, beside it,
// name_stubs_amd64.go with the Go declarations. It is a module of its own, so that neither moegen nor the
// programs it generates depend on the assembler library. Run it through `go generate` in package host.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// group is one output file and the function that emits its kernels.
type group struct {
	name string
	emit func(c *build.Context)
}

var groups = []group{
	{"attention", attention},
	{"gemm", gemm},
	{"vector", vector},
}

func main() {
	for _, g := range groups {
		if err := write(g, ".."); err != nil {
			fmt.Fprintf(os.Stderr, "asm: %s: %v\n", g.name, err)
			os.Exit(1)
		}
	}
}

// compile returns the group's functions with registers allocated: what is printed, and what tests interpret.
func compile(g group) (*ir.File, error) {
	c := build.NewContext()
	g.emit(c)
	f, err := c.Result()
	if err != nil {
		return nil, err
	}
	f.Constraints = buildtags.And(buildtags.Term("amd64"))
	return f, pass.Compile.Execute(f)
}

func write(g group, dir string) error {
	f, err := compile(g)
	if err != nil {
		return err
	}
	config := printer.Config{Name: "runtime/host/asm", Pkg: "host"}
	for _, out := range []struct {
		suffix  string
		printer printer.Printer
	}{
		{"_amd64.s", printer.NewGoAsm(config)},
		{"_stubs_amd64.go", printer.NewStubs(config)},
	} {
		text, err := out.printer.Print(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, g.name+out.suffix), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
