// Command asm writes the amd64 assembly of package sim: operations on the 32 lanes of a warp, in lanes_amd64.s, and their Go
// declarations in lanes_stubs_amd64.go. It is a module of its own, so that nothing else depends on the assembler library.
// Run it through `go generate` in package sim.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	if err := write(".."); err != nil {
		fmt.Fprintf(os.Stderr, "asm: %v\n", err)
		os.Exit(1)
	}
}

// write writes both files into a folder.
func write(dir string) error {
	c := build.NewContext()
	lanes(c)
	f, err := c.Result()
	if err != nil {
		return err
	}
	f.Constraints = buildtags.And(buildtags.Term("amd64"))
	if err := pass.Compile.Execute(f); err != nil {
		return err
	}
	config := printer.Config{Name: "runtime/sim/asm", Pkg: "sim"}
	for name, p := range map[string]printer.Printer{
		"lanes_amd64.s":        printer.NewGoAsm(config),
		"lanes_stubs_amd64.go": printer.NewStubs(config),
	} {
		text, err := p.Print(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
