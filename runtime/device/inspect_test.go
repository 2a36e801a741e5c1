package device

import (
	"testing"

	"moegen/runtime/driver"
	"moegen/runtime/health"
)

// A program asks for its GPUs, for their kind, and for what Open will want of their memory.
func TestInspect(t *testing.T) {
	p := toyProgram(toyParts(), simulated)
	found, need := p.Target.Inspect(&p)
	if want := (health.Need{GPUs: 1, Capability: 90, MemoryBytes: p.Manifest.PeakBytesPerGPU + reserve}); need != want {
		t.Errorf("needs %+v, want %+v", need, want)
	}
	if found == nil || found.Driver.OldestCUDA != driver.MinCUDA {
		t.Errorf("found %+v", found)
	}
}
