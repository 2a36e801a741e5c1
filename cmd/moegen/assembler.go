package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"moegen/gen"
	"moegen/internal/ptxas"
)

// assemblerFlags say who makes machine code of the kernels of a program.
type assemblerFlags struct {
	path    string
	noCubin bool
}

func (f *assemblerFlags) group() flagGroup {
	g := newFlagGroup("Machine code of the kernels of h100")
	g.flags.StringVar(&f.path, "ptxas", "", "the assembler (default: the first of MOEGEN_PTXAS, or one that is found: see moegen verify --help)")
	g.flags.BoolVar(&f.noCubin, "no-cubin", false, "make none: the driver compiles the kernels when the binary starts, which takes seconds")
	return g
}

// assembler returns what makes machine code for a target, nil if nothing does: because the target has no need of it, because
// it is not wanted, or because there is no assembler here, which is worth a warning.
func (f *assemblerFlags) assembler(cmd *cobra.Command, target string) (gen.Assemble, error) {
	switch {
	case f.noCubin && f.path != "":
		return nil, fmt.Errorf("--ptxas names an assembler and --no-cubin wants none; give one of the two")
	case target != "h100" && (f.noCubin || f.path != ""):
		return nil, fmt.Errorf("--ptxas and --no-cubin are about the kernels of GPUs, and the target is %s; leave them out or add --target h100", target)
	case target != "h100" || f.noCubin:
		return nil, nil
	}
	tools, none, err := findAssembler(f.path)
	if err != nil {
		return nil, err
	}
	if none != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "moegen: warning: %s; the driver will compile the kernels when the binary starts, which takes seconds (--no-cubin: without this warning)\n", none)
		return nil, nil
	}
	return func(text string) ([]byte, string, error) {
		cubin, err := assemble(tools[0], text)
		if cmd.Context().Err() != nil {
			err = errors.New("interrupted; nothing was written")
		}
		return cubin, tools[0].Release, err
	}, nil
}

// assemble makes machine code of the kernels of a program. They spill nothing and are granted all that they ask for, or
// something is wrong with moegen.
func assemble(tool ptxas.Tool, text string) ([]byte, error) {
	report, err := tool.Assemble(text)
	if err != nil {
		return nil, err
	}
	if fault := report.Fault(); fault != "" {
		return nil, fmt.Errorf("BUG: ptxas %s is not content with a kernel of moegen: %s; please report it, and use another release (--ptxas) or none (--no-cubin) until then",
			tool.Release, fault)
	}
	return report.Cubin, nil
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
