package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"moegen/gen"
)

// driverFlag says how a program reaches GPUs.
type driverFlag struct{ name string }

func (f *driverFlag) group() flagGroup {
	g := newFlagGroup("How a binary for h100 reaches GPUs")
	g.flags.StringVar(&f.name, "driver", "", "purego: NVIDIA's libraries, without C (the default), or cgo: the same through gorgonia.org/cu and go-nvml,\n"+
		"which takes a C compiler (CC, or gcc) and no CUDA toolkit")
	return g
}

// driver returns the driver for a target, "" for one that has no GPUs.
func (f *driverFlag) driver(target string) (string, error) {
	drivers := gen.Drivers()
	switch {
	case target != "h100" && f.name != "":
		return "", fmt.Errorf("--driver is about GPUs, and the target is %s; leave it out or add --target h100", target)
	case target != "h100":
		return "", nil
	case f.name == "":
		return drivers[0], nil
	case !slices.Contains(drivers, f.name):
		return "", fmt.Errorf("there is no driver %q; use %s", f.name, strings.Join(drivers, " or "))
	}
	return f.name, nil
}

// findC checks that there is a C compiler, the one that go build would take, for a driver that needs one.
func findC(driver string) error {
	if driver != "cgo" {
		return nil
	}
	name := "gcc"
	if words := strings.Fields(os.Getenv("CC")); len(words) > 0 {
		name = words[0]
	}
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("--driver cgo needs a C compiler, and there is no %s in PATH; install one, name one in CC, or leave --driver out", name)
	}
	return nil
}
