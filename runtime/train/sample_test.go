package train

import (
	"math"
	"testing"
)

func TestGreedyTakesTheLowestOfEqualTokens(t *testing.T) {
	if got := newSampler(0, 1, 0).pick([]float32{0, 3, -1, 3}); got != 1 {
		t.Errorf("got token %d, want 1", got)
	}
}

// Tokens come as often as softmax(logits/temperature) says, those outside of the smallest likeliest set of
// probability topP never.
func TestSamplingFollowsTheProbabilities(t *testing.T) {
	logits := []float32{0, 2, 1, -1}
	for _, c := range []struct {
		temperature, topP float64
		kept              []int // by falling probability
	}{
		{1, 1, []int{1, 2, 0, 3}},
		{2, 1, []int{1, 2, 0, 3}},
		{1, 0.7, []int{1, 2}}, // probabilities 0.64, 0.24, 0.09, 0.03
		{1, 0.6, []int{1}},
		{1, 0, []int{1}},
	} {
		total := 0.0
		for _, token := range c.kept {
			total += math.Exp(float64(logits[token]) / c.temperature)
		}
		const draws = 40000
		counts := map[int32]int{}
		s := newSampler(c.temperature, c.topP, 7)
		for range draws {
			counts[s.pick(logits)]++
		}
		drawn := 0
		for _, token := range c.kept {
			want := math.Exp(float64(logits[token])/c.temperature) / total
			got := float64(counts[int32(token)]) / draws
			// Five standard deviations of a binomial share.
			if math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/draws) {
				t.Errorf("temperature %g, top-p %g: token %d has share %.4f, want %.4f", c.temperature, c.topP, token, got, want)
			}
			drawn += counts[int32(token)]
		}
		if drawn != draws {
			t.Errorf("temperature %g, top-p %g: %d draws outside of %v", c.temperature, c.topP, draws-drawn, c.kept)
		}
	}
}

func TestSamplingRepeatsItself(t *testing.T) {
	draw := func(seed uint64) (tokens [32]int32) {
		s := newSampler(1, 1, seed)
		for i := range tokens {
			tokens[i] = s.pick([]float32{0, 0, 0, 0, 0, 0, 0, 0})
		}
		return tokens
	}
	if draw(3) != draw(3) {
		t.Error("the same seed gives other tokens")
	}
	if draw(3) == draw(4) {
		t.Error("another seed gives the same tokens")
	}
}
