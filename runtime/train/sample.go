package train

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// sampler picks the next token from logits.
type sampler struct {
	temperature float64 // 0: the likeliest token
	topP        float64 // only the likeliest tokens that together reach this probability
	random      *rand.Rand
	choices     []choice // scratch
}

// choice is a token and its probability.
type choice struct {
	token       int32
	probability float64
}

func newSampler(temperature, topP float64, seed uint64) *sampler {
	return &sampler{temperature: temperature, topP: topP, random: rand.New(rand.NewPCG(seed, 0))}
}

// pick draws a token from softmax(logits / temperature), restricted to the smallest set of the likeliest
// tokens whose probabilities add up to topP. Of equal tokens the lowest id comes first.
func (s *sampler) pick(logits []float32) int32 {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	if s.temperature == 0 {
		return int32(best)
	}
	s.choices = s.choices[:0]
	total := 0.0
	for i, x := range logits {
		p := math.Exp((float64(x) - float64(logits[best])) / s.temperature)
		s.choices = append(s.choices, choice{int32(i), p})
		total += p
	}
	slices.SortFunc(s.choices, func(a, b choice) int {
		return cmp.Or(cmp.Compare(b.probability, a.probability), cmp.Compare(a.token, b.token))
	})
	kept, mass := 0, 0.0
	for kept < len(s.choices) && (kept == 0 || mass < s.topP*total) {
		mass += s.choices[kept].probability
		kept++
	}
	left := s.random.Float64() * mass
	for _, c := range s.choices[:kept] {
		if left -= c.probability; left < 0 {
			return c.token
		}
	}
	return s.choices[kept-1].token // the last one's share was lost to rounding
}
