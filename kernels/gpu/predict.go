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

// arithmetic returns how many microseconds the tensor cores of an H100 need for what the launch multiplies. A last round of few
// blocks leaves multiprocessors idle; as long as power sets the clock of the others, that costs nothing.
func (l Launch) arithmetic(f Floor) float64 {
	grid := max(l.Grid, 1)
	blocks := float64(grid) / float64(ceil(grid, tuned.H100Blocks))
	return 1e6 * float64(f.FLOPs) / min(tuned.H100FLOPs, blocks*tuned.H100BlockFLOPs)
}

// memory returns how many microseconds the memory of an H100 needs for what the launch moves.
func memory(f Floor) float64 { return 1e6 * float64(f.Bytes) / tuned.H100Bytes }

// Ceiling returns how many microseconds an H100 needs for so much: the longer of what its tensor cores and its memory take.
func (l Launch) Ceiling(f Floor) float64 { return max(l.arithmetic(f), memory(f)) }

// Predict returns how many microseconds the launch takes on an H100 for so much, from the end of the one in front of it to its own, and
// whether its family was measured there. A family that was not is like the one that its name begins with, or
// reaches the usual share of the ceiling.
func (l Launch) Predict(f Floor) (micros float64, measured bool) {
	gap := tuned.H100Gap
	if l.Dependent {
		gap = tuned.H100DependentGap
	}
	family := l.Family()
	s, measured := speed(family)
	for found := measured; !found; {
		cut := strings.LastIndexByte(family, '_')
		if cut < 0 {
			return gap + max(l.Ceiling(f)/tuned.H100Share, tuned.H100Least), false
		}
		family = family[:cut]
		s, found = speed(family)
	}
	micros = s.Latency
	if s.Tensor > 0 {
		micros += l.arithmetic(f) / s.Tensor
	}
	if s.Memory > 0 {
		micros += memory(f) / s.Memory
	}
	return gap + max(micros, tuned.H100Least), measured
}

// speed returns what was measured of a family.
func speed(family string) (tuned.Speed, bool) {
	i, ok := slices.BinarySearchFunc(tuned.H100Speeds, family, func(s tuned.Speed, family string) int { return strings.Compare(s.Family, family) })
	if !ok {
		return tuned.Speed{}, false
	}
	return tuned.H100Speeds[i], true
}
