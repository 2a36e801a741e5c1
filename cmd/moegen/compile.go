package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"moegen/gen"
)

// testedGo is the release of Go that compiles generated modules. Another may work, but its binaries have
// other bytes, and nobody has seen them train.
const testedGo = "go1.26"

// goTool is a Go toolchain on this machine.
type goTool struct {
	path    string
	version string // go1.26.3
}

// findGo looks for the toolchain in PATH and checks its release.
func findGo() (*goTool, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return nil, fmt.Errorf("build needs the Go toolchain, and there is no go in PATH; install %s from https://go.dev/dl, "+
			"or write the module with moegen emit and build it elsewhere", testedGo)
	}
	cmd := exec.Command(path, "env", "GOVERSION")
	cmd.Env = buildEnvironment(os.Environ(), os.TempDir(), "")
	text, err := cmd.Output()
	if err != nil {
		return nil, failure{fmt.Errorf("%s env GOVERSION does not run: %w", path, err)}
	}
	version := strings.TrimSpace(string(text))
	if version != testedGo && !strings.HasPrefix(version, testedGo+".") {
		return nil, fmt.Errorf("%s is %s, and moegen builds with %s; put that first in PATH, or write the module with moegen emit "+
			"and build it as its README says", path, version, testedGo)
	}
	return &goTool{path, version}, nil
}

// kept are the variables for the Go toolchain that do not change what it makes.
var kept = []string{"GOCACHE", "GOMAXPROCS", "GOMEMLIMIT", "GOROOT", "GOTMPDIR"}

// buildEnvironment is the environment in which a module is compiled: the same whatever the user has set, but for
// kept and the C compiler. scratch is a folder that may be written to.
func buildEnvironment(environment []string, scratch, driver string) []string {
	var out []string
	cache := false
	for _, v := range environment {
		name, _, _ := strings.Cut(v, "=")
		if (strings.HasPrefix(name, "GO") || strings.HasPrefix(name, "CGO_")) && !slices.Contains(kept, name) {
			continue
		}
		cache = cache || name == "GOCACHE"
		out = append(out, v)
	}
	if !cache {
		base, err := os.UserCacheDir()
		folder := filepath.Join(base, "moegen", "go-build")
		if err != nil || os.MkdirAll(folder, 0o777) != nil { // no home: a cache for this build alone
			folder = filepath.Join(scratch, "go-build")
		}
		out = append(out, "GOCACHE="+folder)
	}
	out = append(out, gen.BuildEnvironment(driver)...)
	return append(out, "GOOS=linux", "GOARCH=amd64", "GO111MODULE=on", "GOFLAGS=", "GOENV=off",
		"GOEXPERIMENT=", "GOWORK=off", "GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local", "GOPATH="+filepath.Join(scratch, "gopath"))
}

// compile builds the binary of a module, which reaches GPUs by a driver, and puts it at out, whole or not at all.
func (g *goTool) compile(ctx context.Context, files gen.Files, driver, out string, force bool) error {
	scratch, err := os.MkdirTemp("", "moegen-")
	if err != nil {
		return failure{err}
	}
	defer os.RemoveAll(scratch)
	folder := filepath.Join(scratch, "module")
	if err := writeInto(folder, files); err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+"-*")
	if err != nil {
		return cannotWrite(out, err)
	}
	defer os.Remove(part.Name())
	if err := part.Close(); err != nil {
		return failure{err}
	}
	target, err := filepath.Abs(part.Name())
	if err != nil {
		return failure{err}
	}
	cmd := exec.CommandContext(ctx, g.path, append(append([]string{"build"}, gen.BuildFlags(driver)...), "-o", target, ".")...)
	cmd.Dir = folder
	cmd.Env = append(buildEnvironment(os.Environ(), scratch, driver), "PWD="+folder)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go removes its own scratch files
	cmd.WaitDelay = 10 * time.Second
	var messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return failure{fmt.Errorf("interrupted; %s is as it was", out)}
		}
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			return failure{fmt.Errorf("go build failed: %s", strings.TrimSpace(messages.String()))}
		}
		return failure{err}
	}
	if err := os.Chmod(target, 0o755); err != nil {
		return failure{err}
	}
	if err := checkOutput(out, force); err != nil { // it may have appeared meanwhile
		return err
	}
	if err := os.Rename(target, out); err != nil {
		return failure{err}
	}
	return nil
}
