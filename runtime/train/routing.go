package train

import (
	"fmt"
	"math/rand/v2"
)

// routing says who chooses the experts of a token in bench.
type routing int

const (
	learned  routing = iota // the router
	balanced                // everybody in turn: choice j of token t is expert (t·K + j) mod E
	uniform                 // chance: K experts of E, all different, every set and order as likely as any other
)

var routings = []string{"learned", "balanced", "uniform"}

func (r routing) String() string { return routings[r] }

func (r routing) Type() string { return "name" }

func (r *routing) Set(text string) error {
	for i, name := range routings {
		if name == text {
			*r = routing(i)
			return nil
		}
	}
	return fmt.Errorf("there are learned, balanced and uniform")
}

// apply has a program route that way from now on, in all layers alike.
func (r routing) apply(e *engine, seed uint64) error {
	experts, k := e.program.Manifest.Experts, e.program.Manifest.TopK
	switch r {
	case balanced:
		return e.choose(func(t, j int) int32 { return int32((t*k + j) % experts) })
	case uniform:
		rng := rand.New(rand.NewPCG(seed, 1))
		order := make([]int32, experts)
		for i := range order {
			order[i] = int32(i)
		}
		return e.choose(func(_, j int) int32 { // draws without replacement: j = 0 begins anew
			at := j + rng.IntN(experts-j)
			order[j], order[at] = order[at], order[j]
			return order[j]
		})
	}
	return nil
}

// rehearses reports whether one of the program's ranks can run alone.
func (p *Program) rehearses() bool { return p.Manifest.Ranks > 1 && p.Target.Rehearses() }

const rehearseUsage = "run one of the ranks, alone on one GPU: what it would exchange with the others it exchanges with itself,\n" +
	"so that expert e is its local expert e mod L, and no wire is crossed"
