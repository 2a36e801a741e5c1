package gpu

import (
	"slices"
	"strings"

	"moegen/kernels/tuned"
)

// Family is the words of a kernel's name before the first one with a digit: grouped_gemm_nt of grouped_gemm_nt_e128_n2048. Profiles
// of the runtime count kernels by it.
func (l Launch) Family() string {
	var words []string
	for word := range strings.SplitSeq(l.Entry, "_") {
		if strings.ContainsAny(word, "0123456789") {
			break
		}
		words = append(words, word)
	}
	return strings.Join(words, "_")
}

// Ceiling returns how many microseconds an H100 needs for so much: the longer of what its tensor cores and its memory take. A
// grid of few blocks leaves multiprocessors idle.
func (l Launch) Ceiling(f Floor) float64 {
	rate := min(tuned.H100FLOPs, float64(l.Grid)*tuned.H100BlockFLOPs)
	return 1e6 * max(float64(f.FLOPs)/rate, float64(f.Bytes)/tuned.H100Bytes)
}

// Predict returns how many microseconds the launch takes on an H100 for so much, and whether its family was measured there: what
// a launch takes by itself, and the time at the ceilings over the share of them that the family reaches, or the family's latency
// where that is longer.
func (l Launch) Predict(f Floor) (micros float64, measured bool) {
	s := tuned.Speed{Share: tuned.H100Share}
	i, measured := slices.BinarySearchFunc(tuned.H100Speeds, l.Family(), func(s tuned.Speed, family string) int { return strings.Compare(s.Family, family) })
	if measured {
		s = tuned.H100Speeds[i]
	}
	return tuned.H100Launch + max(s.Latency, l.Ceiling(f)/s.Share), measured
}
