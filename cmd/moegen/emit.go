package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"moegen/gen"
)

// emitCommand writes the module of a training binary without compiling it.
func emitCommand() *cobra.Command {
	var request requestFlags
	var assembler assemblerFlags
	var way driverFlag
	var out string
	output := newFlagGroup("Output")
	output.flags.StringVarP(&out, "output", "o", "", "new folder for the module (needed)")
	cmd := &cobra.Command{
		Use:   "emit NAME|DIR|config.json [flags] -o DIR",
		Short: "Write the Go module of a training binary",
		Long: `Write the Go module that build compiles: one function for every kind of layer, one call for every kernel, its
own copy of the runtime, and third parties. It builds without network and without moegen; its README says how.`,
		Args: oneModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return fmt.Errorf("emit needs -o, a new folder for the module")
			}
			if err := refuseExisting(out); err != nil {
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
			assemble, err := assembler.assembler(cmd, request.request.Target)
			if err != nil {
				return err
			}
			files, err := planned.Emit(gen.Build{Version: version, GoVersion: runtime.Version(), Driver: driver, Assemble: assemble})
			if err != nil {
				return failure{err}
			}
			return writeFolder(out, files)
		},
	}
	addGroups(cmd, request.group(), assembler.group(), way.group(), output, request.dumpGroup())
	return cmd
}

// oneModel wants exactly one argument, the model.
func oneModel(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one model, the name of one that moegen knows, a checkpoint folder or a config.json, but was given %d arguments",
			cmd.Name(), len(args))
	}
	return nil
}
