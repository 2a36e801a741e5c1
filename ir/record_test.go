package ir_test

import (
	"testing"

	"moegen/ir"
	"moegen/runtime/host"
)

// TestRecord: generator and runtime agree on the step record.
func TestRecord(t *testing.T) {
	pairs := [][2]int{
		{ir.RecordLR, host.RecordLR}, {ir.RecordBeta1, host.RecordBeta1}, {ir.RecordBeta2, host.RecordBeta2},
		{ir.RecordEps, host.RecordEps}, {ir.RecordDecay, host.RecordDecay}, {ir.RecordBias1, host.RecordBias1},
		{ir.RecordBias2, host.RecordBias2}, {ir.RecordMaxNorm, host.RecordMaxNorm},
		{ir.RecordLossNorm, host.RecordLossNorm}, {ir.RecordAuxNorm, host.RecordAuxNorm},
		{ir.RecordAccumulate, host.RecordAccumulate}, {ir.RecordGain1, host.RecordGain1},
		{ir.RecordGain2, host.RecordGain2}, {ir.RecordStep, host.RecordStep}, {ir.RecordSeed, host.RecordSeed},
		{ir.RecordRank, host.RecordRank}, {ir.RecordLen, host.RecordLen},
	}
	for i, p := range pairs {
		if p[0] != p[1] {
			t.Errorf("entry %d of the record is %d here, %d in the runtime", i, p[0], p[1])
		}
	}
}
