package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this very binary as moegen.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"moegen": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the command lines of testdata/script: messages, exit statuses, and what is left behind.
// "exits N command..." runs a command that must end with status N; [cuda] holds where a CUDA toolkit is installed.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GOCACHE", buildCache(t))
			e.Setenv("BIN", filepath.SplitList(e.Getenv("PATH"))[0]) // where moegen is
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "cuda" {
				return false, fmt.Errorf("there is no condition %s", name)
			}
			installed, err := filepath.Glob("/usr/local/cuda*/bin/ptxas")
			return installed != nil, err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: exits N command...")
				}
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				got := 0
				if err := ts.Exec(args[1], args[2:]...); err != nil {
					exit := (*exec.ExitError)(nil)
					if !errors.As(err, &exit) {
						ts.Fatalf("%v", err)
					}
					got = exit.ExitCode()
				}
				if got != want {
					ts.Fatalf("exit status %d, want %d", got, want)
				}
			},
		},
	})
}

// buildCache is a build cache for the tests of this package, apart from the user's.
func buildCache(t *testing.T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = t.TempDir()
	}
	return filepath.Join(base, "moegen", "go-build")
}
