// Package train is everything that a generated training binary does: Main takes a Program and is its main
// function. The commands are one file each; engine.go runs a program on its machine, loop.go is a training run.
package train

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses of a training binary. An interrupted run that has saved ends with 128 + the signal's number, one that
// its machine has let down with the machine's own (Target.Open).
const (
	exitFailed = 1 // a run or a check went wrong
	exitInput  = 2 // the command line or a file that it names is not usable
)

// status is an error that ends the process with a status of its own. All others end it with exitInput:
// nearly everything that can go wrong before a run has begun is an input.
type status struct {
	code int
	err  error // nil: everything has been said
}

func (s *status) Error() string {
	if s.err == nil {
		return fmt.Sprintf("exit status %d", s.code)
	}
	return s.err.Error()
}

func (s *status) Unwrap() error { return s.err }

// failed marks an error as one of the run, not of its input.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &status{exitFailed, err}
}

// Main is the main function of a generated training binary. It does not return.
func Main(program Program) {
	defer func() {
		// A panic is a fault of ours. The trace is for whoever mends it; Go's own status would mean bad input.
		if fault := recover(); fault != nil {
			fmt.Fprintf(os.Stderr, "this is a fault of the program, please report it: %v\n\n%s", fault, debug.Stack())
			os.Exit(exitFailed)
		}
	}()
	os.Exit(run(program, os.Args, os.Stdout, os.Stderr))
}

// run executes one command line, the program's name first, and returns the exit status. Errors are one
// sentence on stderr.
func run(program Program, args []string, stdout, stderr io.Writer) int {
	root := newRoot(program)
	root.Use = filepath.Base(args[0])
	root.SetArgs(args[1:])
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	code := exitInput
	if s := (*status)(nil); errors.As(err, &s) {
		code = s.code
		err = s.err
	}
	if machine := interface{ ExitStatus() int }(nil); errors.As(err, &machine) {
		code = machine.ExitStatus()
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", root.Use, err)
	}
	return code
}

// newRoot builds the command tree of a training binary.
func newRoot(program Program) *cobra.Command {
	m := program.Manifest
	root := &cobra.Command{
		Short: fmt.Sprintf("Trains %s on %s", m.Model, ranks(m.Ranks, m.Target)),
		Long: fmt.Sprintf(`Trains %s, a %s model with %d experts of which a token uses %d.

Built for %s, %s, sequences of %d tokens, %d of them a rank in one micro-batch:
these are fixed, everything else is an option. All commands read and write
Hugging Face checkpoint directories.`,
			m.Model, m.Architecture, m.Experts, m.TopK, ranks(m.Ranks, m.Target), m.DType, m.Seq, m.MicroBatch),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command %q: see %s --help", strings.Join(args, " "), root.Name())
			}
			return cmd.Help()
		},
	})
	root.AddCommand(
		newTrain(program),
		newEval(program),
		newGenerate(program),
		newBench(program),
		newInfo(program),
		newProbe(program),
		newDoctor(program),
	)
	return root
}

// ranks says what a program runs on: "4 ranks of cpu".
func ranks(n int, target string) string {
	if n == 1 {
		return "1 rank of " + target
	}
	return fmt.Sprintf("%d ranks of %s", n, target)
}
