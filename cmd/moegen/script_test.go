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
// "exits N command..." runs a command that must end with status N; [cuda] holds where a CUDA toolkit is installed, [gpu]
// where there is an NVIDIA driver, [stub] where libraries that pose as it could be built; they are in $STUB.
func TestScripts(t *testing.T) {
	stub := stubDriver(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GOCACHE", buildCache(t))
			e.Setenv("BIN", filepath.SplitList(e.Getenv("PATH"))[0]) // where moegen is
			e.Setenv("STUB", stub)
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "cuda":
				installed, err := filepath.Glob("/usr/local/cuda*/bin/ptxas")
				return installed != nil, err
			case "gpu":
				_, err := os.Stat("/dev/nvidiactl")
				return err == nil, nil
			case "stub":
				return stub != "", nil
			}
			return false, fmt.Errorf("there is no condition %s", name)
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

// stubDriver builds libraries that pose as NVIDIA's, under the names by which they are loaded, and returns their folder;
// "" without a C compiler.
func stubDriver(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		return ""
	}
	driver, err := filepath.Glob("../../runtime/driver/conformance/stub/*.c")
	if err != nil {
		t.Fatal(err)
	}
	management := []string{"../../runtime/driver/conformance/management/management.c"}
	folder := t.TempDir()
	for name, sources := range map[string][]string{"libcuda.so.1": driver, "libnvidia-ml.so.1": management, "libnccl.so.2": management} {
		cmd := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-fvisibility=hidden", "-o", filepath.Join(folder, name)}, sources...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return folder
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
