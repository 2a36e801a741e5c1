package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"moegen/gen"
)

// buildCommand makes a training binary.
func buildCommand() *cobra.Command {
	var request requestFlags
	var assembler assemblerFlags
	var way driverFlag
	var out string
	var force bool
	output := newFlagGroup("Output")
	output.flags.StringVarP(&out, "output", "o", "", "the binary (needed)")
	output.flags.BoolVar(&force, "force", false, "replace the binary if it exists")
	cmd := &cobra.Command{
		Use:   "build NAME|DIR|config.json [flags] -o BIN",
		Short: "Build a training binary",
		Long: `Build the training binary of a model: static, for Linux on amd64, the same bytes wherever it is built with the
same Go. It needs a Go toolchain (` + testedGo + `) and no network.

A binary for h100 holds its kernels as PTX and, where a ptxas is found, as machine code too, which starts at once; its bytes
then depend on the release of ptxas as well. With --driver cgo it depends on the C library of the machine where it is built, and
its bytes on the C compiler.`,
		Args: oneModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(out, force); err != nil {
				return err
			}
			planned, err := request.plan(cmd, args[0])
			if err != nil {
				return err
			}
			driver, err := way.driver(request.request.Target)
			if err != nil {
				return err
			}
			goTool, err := findGo()
			if err != nil {
				return err
			}
			if err := findC(driver); err != nil {
				return err
			}
			assemble, err := assembler.assembler(cmd, request.request.Target)
			if err != nil {
				return err
			}
			files, err := planned.Emit(gen.Build{Version: version, GoVersion: goTool.version, Driver: driver, Assemble: assemble})
			if err != nil {
				return failure{err}
			}
			return goTool.compile(cmd.Context(), files, driver, out, force)
		},
	}
	addGroups(cmd, request.group(), assembler.group(), way.group(), output, request.dumpGroup())
	return cmd
}

// checkOutput returns an error unless a binary can be written to path.
func checkOutput(path string, force bool) error {
	if path == "" {
		return fmt.Errorf("build needs -o, a path for the binary")
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder; give -o a path for the binary, %s for example", path, filepath.Join(path, "train"))
	case err == nil && !force:
		return fmt.Errorf("%s exists; name another, or give --force to replace it", path)
	case err != nil && !os.IsNotExist(err):
		return err
	}
	return nil
}
