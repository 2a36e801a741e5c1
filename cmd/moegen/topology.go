package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"moegen/gen"
	"moegen/runtime/health"
)

// topologyHead stands at the beginning of the topology files that moegen writes.
const topologyHead = `# The machine as moegen doctor found it, for --topology of moegen plan and moegen build.
# Every GPU of a link is joined to every other of it; bytes a second are those between two of them in one direction. Where
# they were not measured they are what the link is made for, and plans take programs to get some less.

`

// readTopology reads a topology file. Fields that it does not know are errors: a misspelt one would be ignored.
func readTopology(path string) (gen.Topology, error) {
	file, err := os.Open(path)
	if err != nil {
		return gen.Topology{}, err
	}
	defer file.Close()
	var t health.Topology
	err = toml.NewDecoder(file).DisallowUnknownFields().Decode(&t)
	if unknown := (*toml.StrictMissingError)(nil); errors.As(err, &unknown) {
		e := unknown.Errors[0]
		line, _ := e.Position()
		return gen.Topology{}, fmt.Errorf("%s:%d: there is no %s in a topology; moegen doctor --save writes one to start from", path, line, strings.Join(e.Key(), "."))
	}
	if wrong := (*toml.DecodeError)(nil); errors.As(err, &wrong) {
		line, _ := wrong.Position()
		return gen.Topology{}, fmt.Errorf("%s:%d: %s", path, line, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	if err != nil {
		return gen.Topology{}, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	if err := t.Check(); err != nil {
		return gen.Topology{}, fmt.Errorf("%s: %w", path, err)
	}
	slowest := t.Slowest()
	return gen.Topology{
		Nodes: t.Nodes, GPUs: t.GPUs, MemoryBytes: t.MemoryBytes,
		LinkBytesPerSecond: slowest.BytesPerSecond, LinkMeasured: slowest.Measured, NetworkBytesPerSecond: t.Network,
	}, nil
}

// writeTopology writes a topology file, which must not exist, whole or not at all.
func writeTopology(path string, t health.Topology) (err error) {
	if err := refuseExisting(path); err != nil {
		return err
	}
	text, err := toml.Marshal(t)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return cannotWrite(path, err)
	}
	_, err = file.Write(append([]byte(topologyHead), text...))
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(path)
		return failure{err}
	}
	return nil
}
