package arith

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
)

// The hashes of an H100's approximate functions: per function 256 sums, each over 2^24 consecutive inputs u of
// mix(u·2^32 + result).
func loadHashes(t *testing.T) map[string][]uint64 {
	b, err := os.ReadFile("testdata/approx-hashes.json")
	if err != nil {
		t.Fatal(err)
	}
	var packed map[string]string
	if err := json.Unmarshal(b, &packed); err != nil {
		t.Fatal(err)
	}
	sums := map[string][]uint64{}
	for name, s := range packed {
		z, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(z) != 256*8 {
			t.Fatal(name, len(z), err)
		}
		for i := range 256 {
			sums[name] = append(sums[name], binary.LittleEndian.Uint64(z[8*i:]))
		}
	}
	return sums
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func blockHash(f func(uint32) uint32, block int) uint64 {
	h := uint64(0)
	for u := uint32(block) << 24; ; u++ {
		h += mix(uint64(u)<<32 | uint64(f(u)))
		if u&(1<<24-1) == 1<<24-1 {
			return h
		}
	}
}

// checkHashes compares the given blocks of every function of approximations.
func checkHashes(t *testing.T, blocks func(name string) []int) {
	want := loadHashes(t)
	for _, name := range slices.Sorted(maps.Keys(approximations)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chosen := blocks(name)
			if len(chosen) == 0 {
				t.Error("no inputs are compared")
			}
			for _, b := range chosen {
				if blockHash(approximations[name], b) != want[name][b] {
					t.Errorf("inputs %08x to %08x: not the hardware's results", b<<24, b<<24|1<<24-1)
				}
			}
		})
	}
}

// TestHashes takes the inputs from 1/2 to 2 (3F), which meet every segment of the tables but those of tanh, and those that
// are hardest: subnormal operands (00) or results (C2, 7E), the ends of the range of tanh (3B, 40).
func TestHashes(t *testing.T) {
	blocks := map[string][]int{
		"ex2.approx.f32": {0xC2}, "ex2.approx.ftz.f32": {0x3F, 0xC2},
		"lg2.approx.f32": {0x00}, "lg2.approx.ftz.f32": {0x3F},
		"rcp.approx.f32": {0x7E}, "rcp.approx.ftz.f32": {0x3F},
		"rsqrt.approx.f32": {0x00}, "rsqrt.approx.ftz.f32": {0x3F},
		"sqrt.approx.f32": {0x00}, "sqrt.approx.ftz.f32": {0x3F},
		"tanh.approx.f32": {0x3B, 0x3F, 0x40},
		"sin.approx.f32":  {0x00, 0x3F, 0xC2}, "cos.approx.f32": {0x3F, 0x7F},
	}
	checkHashes(t, func(name string) []int { return blocks[name] })
}
