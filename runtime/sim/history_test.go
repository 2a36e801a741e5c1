package sim

import (
	"maps"
	"testing"
)

// Works of two streams of which one waits for the other now and then, and the host for neither: each follows exactly what a set
// of all that came before it says.
func TestHistory(t *testing.T) {
	m := New(Config{})
	var works []*Work
	before, past := map[*Work]map[*Work]bool{}, map[*Work]map[*Work]bool{}
	add := func(overlap bool, after ...*Work) *Work {
		w := m.newWork(after, overlap)
		w.grid = &grid{}
		before[w], past[w] = map[*Work]bool{}, map[*Work]bool{w: true}
		for _, a := range after {
			maps.Copy(past[w], past[a])
			if overlap {
				maps.Copy(before[w], before[a])
			} else {
				maps.Copy(before[w], past[a])
			}
		}
		works = append(works, w)
		return w
	}
	a, b := add(false), add(false)
	for i := range 200 {
		switch i % 10 {
		case 3:
			b = add(false, b, a)
		case 5:
			a = add(false, a, b)
		case 7:
			b = add(true, b)
		default:
			a, b = add(false, a), add(false, b)
		}
	}
	for _, w := range works {
		for _, other := range works {
			if w.follows(other) != before[w][other] {
				t.Fatalf("work %d follows %d: %v, want %v", w.id, other.id, w.follows(other), before[w][other])
			}
		}
	}
	if n := len(m.chains); n > 30 { // a chain for each stream and one for each overlap
		t.Errorf("%d chains for %d works", n, len(works))
	}
}
