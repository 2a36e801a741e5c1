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
			for _, b := range blocks(name) {
				if blockHash(approximations[name], b) != want[name][b] {
					t.Errorf("inputs %08x to %08x: not the hardware's results", b<<24, b<<24|1<<24-1)
				}
			}
		})
	}
}

// TestHashes takes the inputs from 1/2 to 2, which meet every segment of the tables but those of tanh, and the block in
// which a function is hardest: subnormal operands or results, the ends of its range.
func TestHashes(t *testing.T) {
	hard := map[string]int{"ex2.approx.f32": 0xC2, "ex2.approx.ftz.f32": 0xC2, "rcp.approx.f32": 0x7E, "rcp.approx.ftz.f32": 0x7E, "tanh.approx.f32": 0x3B}
	checkHashes(t, func(name string) []int { return []int{0x3F, hard[name]} })
}
