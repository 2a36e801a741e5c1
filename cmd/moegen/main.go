// Command moegen turns the config of a mixture-of-experts model into a training binary.
//
// It is the only place that reads configs from disk, writes what gen returns, and starts processes. Errors are
// one sentence on standard error: what is wrong, where, what to do. The exit status is 0 when all went well, 1
// when something failed on the way, 2 when the command line or a file that it names is not usable, 3 when a GPU is needed and
// this machine has none that can be used, 4 when doctor finds this machine unfit.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"moegen/runtime/driver"
	"moegen/runtime/health"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Exit statuses.
const (
	exitFailed = 1
	exitInput  = 2
)

// failure is an error that is not the fault of the command line or a file that it names.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// run executes one command line and returns the exit status. An interrupt ends what runs and lets it clean up.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var gpu *driver.Error
	switch {
	case err == nil:
		return 0
	case err == errUnfit: // the report has said why
		return health.ExitUnfit
	case errors.As(err, &gpu):
		fmt.Fprintln(stderr, "moegen:", err)
		return gpu.ExitStatus()
	case errors.As(err, new(failure)):
		fmt.Fprintln(stderr, "moegen:", err)
		return exitFailed
	default:
		fmt.Fprintln(stderr, "moegen:", err)
		return exitInput
	}
}
