//go:build exhaustive

package arith

import "testing"

// TestExhaustive takes all 2^32 inputs of every approximate function: some minutes. Run by `make sim-exhaustive`.
func TestExhaustive(t *testing.T) {
	all := make([]int, 256)
	for i := range all {
		all[i] = i
	}
	checkHashes(t, func(string) []int { return all })
}
