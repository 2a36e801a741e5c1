package train

import (
	"slices"
	"testing"
)

// Every way of choosing gives a token different experts, and spreads tokens over the ranks as it says.
func TestRoutings(t *testing.T) {
	const tokens, experts, k, ranks = 96, 24, 4, 4
	for _, c := range []struct {
		routing
		least, most int // tokens that a rank receives
	}{
		{balanced, tokens / 3, tokens / 3 * 2}, // 4 choices in a row reach one or two ranks of 6 experts
		{uniform, tokens / 2, tokens},
		{spread, tokens, tokens},
		{one, 0, tokens},
	} {
		choice := c.choice(experts, k, 1)
		received := make([]int, ranks)
		for token := range tokens {
			var chosen []int32
			var to [ranks]bool
			for j := range k {
				e := choice(token, j)
				if e < 0 || e >= experts || slices.Contains(chosen, e) {
					t.Fatalf("%s: choice %d of token %d is %d, behind %v", c.routing, j, token, e, chosen)
				}
				chosen = append(chosen, e)
				to[e/(experts/ranks)] = true
			}
			for rank, sent := range to {
				if sent {
					received[rank]++
				}
			}
		}
		if least, most := slices.Min(received), slices.Max(received); least < c.least || most > c.most || c.routing == one && most != tokens {
			t.Errorf("%s: ranks receive %v tokens, want %d to %d", c.routing, received, c.least, c.most)
		}
	}
}

func TestRoutingsByName(t *testing.T) {
	for _, name := range routings {
		var r routing
		if err := r.Set(name); err != nil || r.String() != name {
			t.Errorf("%s: %v, error %v", name, r, err)
		}
	}
	if err := new(routing).Set("random"); err == nil {
		t.Error("there is a router called random")
	}
}
