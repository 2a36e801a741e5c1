//go:build cgodriver

package cgo

import (
	"testing"

	"moegen/runtime/driver/conformance"
)

func TestMain(m *testing.M) { conformance.Main(m, Open, Inspect) }

func TestConformanceOnStub(t *testing.T) { conformance.Run(t, conformance.OnStub(t, Open)) }

func TestConformanceOnGPU(t *testing.T) { conformance.Run(t, conformance.GPU(t, Open)) }

func TestAllocationsOnStub(t *testing.T) { conformance.Allocations(t, conformance.OnStub(t, Open)) }

func TestAllocationsOnGPU(t *testing.T) { conformance.Allocations(t, conformance.GPU(t, Open)) }

func TestUnusableMachines(t *testing.T) { conformance.Machines(t) }

func TestFaultOnStub(t *testing.T) { conformance.FaultOnStub(t) }

func TestFaultOnGPU(t *testing.T) { conformance.FaultOnGPU(t, Open) }

func TestInspect(t *testing.T) { conformance.Inspect(t) }

func TestBandwidths(t *testing.T) { conformance.Bandwidths(t, Open) }

func TestSensors(t *testing.T) { conformance.Sensors(t, Open) }

// The part of a call's cost that is ours.
func BenchmarkStub(b *testing.B) { conformance.Benchmark(b, conformance.OnStub(b, Open)) }

func BenchmarkGPU(b *testing.B) { conformance.Benchmark(b, conformance.GPU(b, Open)) }
