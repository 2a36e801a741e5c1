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
	spread                  // one expert of each of K parts of the experts in turn: every rank receives all tokens, if there are K ranks or fewer
	one                     // the first K experts for all tokens: one rank receives all of them, if it has as many experts
)

var routings = []string{"learned", "balanced", "uniform", "spread", "one"}

func (r routing) String() string { return routings[r] }

func (r routing) Type() string { return "name" }

func (r *routing) Set(text string) error {
	for i, name := range routings {
		if name == text {
			*r = routing(i)
			return nil
		}
	}
	return fmt.Errorf("there are learned, balanced, uniform, spread and one")
}

// apply has a program route that way from now on, in all layers alike.
func (r routing) apply(e *engine, seed uint64) error {
	if r == learned {
		return nil
	}
	return e.choose(r.choice(e.program.Manifest.Experts, e.program.Manifest.TopK, seed))
}

// choice returns which of so many experts is choice j < k of token t; it is asked token by token, choice by choice.
func (r routing) choice(experts, k int, seed uint64) func(t, j int) int32 {
	switch r {
	case balanced:
		return func(t, j int) int32 { return int32((t*k + j) % experts) }
	case uniform:
		rng := rand.New(rand.NewPCG(seed, 1))
		order := make([]int32, experts)
		for i := range order {
			order[i] = int32(i)
		}
		return func(_, j int) int32 { // draws without replacement: j = 0 begins anew
			at := j + rng.IntN(experts-j)
			order[j], order[at] = order[at], order[j]
			return order[j]
		}
	case spread:
		part := experts / k
		return func(t, j int) int32 { return int32(j*part + t%part) }
	case one:
		return func(_, j int) int32 { return int32(j) }
	}
	panic("BUG: nobody chooses for router " + r.String())
}

// rehearses reports whether one of the program's ranks can run alone.
func (p *Program) rehearses() bool { return p.Manifest.Ranks > 1 && p.Target.Rehearses() }

const rehearseUsage = "run one of the ranks, alone on one GPU: what it would exchange with the others it exchanges with itself,\n" +
	"so that expert e is its local expert e mod L, and no wire is crossed"
