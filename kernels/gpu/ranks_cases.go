package gpu

import (
	"fmt"
	"math"
	"slices"

	"moegen/kernels/ptx"
)

// Cases of what crosses between ranks: several at the same time, or one alone. Those for a GPU are of one alone, and without
// barriers, which are a family of their own: so their times are those of the bytes that they move.

// team is the ranks of a case.
type team struct {
	ranks int
	of    int // the ranks that share the experts
	alone bool
}

func (t team) String() string {
	return fmt.Sprintf("%dof%d%s", t.of, t.ranks, mark(t.alone, "_alone"))
}

// world is what a rank knows of all before the first launch; whoever runs the case fills in where they are.
func (t team) world(rank int) Buffer {
	fields := map[int]float64{worldRank / 4: float64(rank), worldRanks / 4: float64(t.ranks)}
	if t.alone {
		fields[worldRehearsed/4] = 1
	}
	return Buffer{World, ptx.S32, WorldBytes / 4, func(i int) float64 { return fields[i] }}
}

// gather makes a case of what each rank has.
func (t team) gather(of func(rank int) Case) Case {
	if t.alone {
		return of(t.ranks - 1)
	}
	c := of(0)
	for rank := 1; rank < t.ranks; rank++ {
		c.Peers = append(c.Peers, of(rank))
	}
	return c
}

// cased are the candidates of which there are cases: on a GPU all, in the simulator those whose texts differ.
func cased(configs []ExchangeConfig, sampled bool) []ExchangeConfig {
	if sampled {
		return configs
	}
	return slices.DeleteFunc(slices.Clone(configs), func(c ExchangeConfig) bool { return c.Warps == 0 && c.Blocks > 1 })
}

// emitting writes the kernels of steps, each once.
func emitting(steps []Step) func(*ptx.Module) {
	return func(m *ptx.Module) {
		done := map[string]bool{}
		for _, s := range steps {
			if !done[s.Entry] {
				done[s.Entry] = true
				s.Emit(m)
			}
		}
	}
}

func launches(steps []Step) (list []Launch) {
	for _, s := range steps {
		list = append(list, s.Launch)
	}
	return list
}

var barrierFamily = Family{Name: "world_barrier", Cases: func() (cases []Case) {
	for _, t := range []team{{2, 2, false}, {8, 8, false}, {8, 8, true}} {
		cases = append(cases, RelayCase(t.ranks, 3, t.alone))
	}
	return cases
}}

// RelayCase is ranks that pass numbers round: in every round a rank takes the next one's number and adds 1, between two
// barriers. alone is of one of them.
func RelayCase(ranks, rounds int, alone bool) Case {
	t := team{ranks, ranks, alone}
	var steps []Step
	places := [2]string{"a", "b"}
	for round := range rounds {
		steps = append(steps, barrier(), relay(places[round%2], places[1-round%2]))
	}
	steps = append(steps, barrier())
	start := func(rank int) float64 { return float64(1000 * (rank + 1)) }
	return t.gather(func(rank int) Case {
		from := (rank + rounds) % ranks
		if alone {
			from = rank
		}
		return Case{Name: fmt.Sprintf("relay%d_%s", rounds, t), Emit: emitting(steps), Launches: launches(steps), Floor: Floor{Bytes: int64(8 * rounds)},
			Buffers: []Buffer{t.world(rank), {"a", ptx.S32, 4, func(int) float64 { return start(rank) }}, {"b", ptx.S32, 4, func(int) float64 { return 0 }}},
			Outputs: []Output{{Buffer: places[rounds%2], Why: "a count", Want: func(i int) (float64, float64, bool) {
				return start(from) + float64(rounds), 0, i == 0
			}}}}
	})
}

// relay is the launch of a round.
func relay(from, to string) Step {
	const name = "relay"
	return Step{Launch{Entry: name, Grid: 1, Dependent: true, Args: []Arg{Place(World), Place(from), Place(to)}}, func(m *ptx.Module) {
		k := m.Kernel(name, 32)
		at, from, to := k.ParamPtr("world"), k.ParamPtr("from"), k.ParamPtr("to")
		k.WaitPrerequisites()
		w := readWorld(k, at)
		k.If(k.Eq(k.Read(ptx.TidX), 0), func() {
			next := k.Rem(k.Add(w.rank, 1), k.Ld(fixed, ptx.U32, at.At(worldRanks)))
			k.St(ptx.Global, to.At(0), k.Add(k.Ld(theirs, ptx.U32, w.peer(next, from).At(0)), 1))
		})
		k.LaunchDependents()
		k.Exit()
	}}
}

var allReduceFamily = Family{Name: "all_reduce", Cases: func() (cases []Case) {
	for _, c := range []struct {
		team
		elem ptx.Type
		n    int
	}{{team{4, 1, false}, ptx.F64, 1}, {team{8, 1, false}, ptx.F32, 6 * 128}, {team{8, 1, true}, ptx.F64, 3}} {
		d := AllReduceDesc{Elem: c.elem, Elements: c.n, Ranks: c.ranks}
		steps := exchange(d.step("x", "x"))
		cases = append(cases, c.gather(func(rank int) Case {
			return Case{Name: fmt.Sprintf("%s_%d_%s", d.Name(), c.n, c.team), Emit: emitting(steps), Launches: launches(steps),
				Buffers: []Buffer{c.world(rank), {"x", c.elem, c.n, replicaNumbers(rank)}}, Floor: Floor{Bytes: int64(2 * c.n * c.elem.Bytes())},
				Outputs: []Output{{Buffer: "x", Acc: 8 * 0x1p-24, Why: "a chain of at most seven sums in float32",
					Want: func(i int) (sum, magnitude float64, ok bool) {
						for r := range c.ranks {
							if c.alone {
								r = rank
							}
							x := replicaNumbers(r)(i)
							sum, magnitude = sum+x, magnitude+math.Abs(x)
						}
						return sum, magnitude, true
					}}}}
		}))
	}
	return cases
}}

// journey is where the tokens of a team go.
type journey struct {
	team
	name                  string
	tokens, topK, experts int
	cols                  int     // of a row
	sampled               bool    // the case is for a GPU
	idx                   [][]int // of each rank: choices
	source, position      [][]int
	local                 [][]int
}

// journeys are what the cases of dispatch and combine are about: spread, groups of two with all tokens for one expert and
// rows that are copied in two parts, one alone, and one of eight alone as Qwen3-30B-A3B has it, with choices by chance, and dealt in turn, so that a token travels to one rank.
func journeys() []*journey {
	spread := func(seed uint64, experts int) func(rank, token, choice int) int {
		return func(rank, token, choice int) int { // no two choices of a token are the same expert
			first := mix(seed + uint64(rank*1000003+token))
			return int((first + uint64(choice)*(1+2*(first>>40%7))) % uint64(experts))
		}
	}
	long := newJourney(team{4, 2, false}, "one", 11, 1, 6, func(int, int, int) int { return 4 })
	long.cols = 8 * 313
	list := []*journey{
		newJourney(team{4, 4, false}, "spread", 37, 4, 16, spread(1, 16)),
		long,
		newJourney(team{8, 8, false}, "spread", 9, 2, 8, spread(2, 8)),
		newJourney(team{8, 8, true}, "spread", 70, 4, 16, spread(3, 16)),
	}
	for _, router := range []struct {
		name   string
		choose func(rank, token, choice int) int
	}{
		{"uniform", uniformChoice(128)},
		{"balanced", func(_, token, choice int) int { return (token*8 + choice) % 128 }},
	} {
		large := newJourney(team{8, 8, true}, "qwen3_30b_"+router.name, 4096, 8, 128, router.choose)
		large.cols, large.sampled = 2048, true
		list = append(list, large)
	}
	return list
}

// uniformChoice returns a token's choices of so many experts, by chance: those that were drawn before are drawn again.
func uniformChoice(experts int) func(rank, token, choice int) int {
	var chosen []int
	return func(rank, token, choice int) int { // is asked token by token, choice by choice
		if choice == 0 {
			chosen = chosen[:0]
		}
		for draw := uint64(rank*1000003+token)<<16 + uint64(256*choice); ; draw++ {
			if e := int(mix(draw) % uint64(experts)); !slices.Contains(chosen, e) {
				chosen = append(chosen, e)
				return e
			}
		}
	}
}

func newJourney(t team, name string, tokens, topK, experts int, choose func(rank, token, choice int) int) *journey {
	j := &journey{team: t, name: name, tokens: tokens, topK: topK, experts: experts, cols: 8 * 35}
	for rank := range t.ranks {
		var idx []int
		for i := range tokens * topK {
			idx = append(idx, choose(rank, i/topK, i%topK))
		}
		position := make([]int, tokens*t.of)
		for i := range position {
			position[i] = -1
		}
		j.idx, j.position = append(j.idx, idx), append(j.position, position)
	}
	for rank := range t.ranks {
		j.arrive(rank)
	}
	return j
}

// arrive notes what comes to a rank: of every rank of its group what is for it, or alone its own, as if each sent what is for itself.
func (j *journey) arrive(rank int) {
	var source, local []int
	here := j.experts / j.of
	for sender := range j.of {
		from, target := rank-rank%j.of+sender, rank%j.of
		if j.alone {
			from, target = rank, sender
		}
		for token := range j.tokens {
			choices, comes := make([]int, j.topK), false
			for i, e := range j.idx[from][token*j.topK:][:j.topK] {
				choices[i] = -1
				if e/here == target {
					choices[i], comes = e%here, true
				}
			}
			if comes {
				j.position[from][token*j.of+target] = len(source)
				source, local = append(source, sender*j.tokens+token), append(local, choices...)
			}
		}
	}
	j.source, j.local = append(j.source, source), append(j.local, local)
}

// from is the rank that a rank of the group by number is, for a rank.
func (j *journey) from(rank, number int) int {
	if j.alone {
		return rank
	}
	return rank - rank%j.of + number
}

// numbersThen is a list, and behind it what nobody may use.
func numbersThen(list []int, rest float64) func(i int) float64 {
	return func(i int) float64 {
		if i < len(list) {
			return float64(list[i])
		}
		return rest
	}
}

// gatherCase is the case of a journey, of steps that every rank takes. Alone, and for a GPU, there are no barriers.
func (j *journey) gatherCase(name string, steps []Step, floor func(rank int) Floor, of func(rank int) ([]Buffer, []Output)) Case {
	if !j.sampled || !j.alone {
		steps = exchange(steps...)
	}
	return j.gather(func(rank int) Case {
		buffers, outputs := of(rank)
		return Case{Name: fmt.Sprintf("%s_%s_%s", name, j.name, j.team), Emit: emitting(steps), Launches: launches(steps), Large: j.sampled,
			Buffers: append([]Buffer{j.world(rank)}, buffers...), Outputs: outputs, Floor: floor(rank)}
	})
}

var dispatchPlanFamily = Family{Name: "dispatch_plan", Cases: func() (cases []Case) {
	for _, j := range journeys() {
		cases = append(cases, planCase(j))
	}
	return cases
}}

func planCase(j *journey) Case {
	d := PlanDesc{Tokens: j.tokens, TopK: j.topK, Experts: j.experts, Ranks: j.of}
	most := j.of * j.tokens
	exactly := func(buffer string, list []int, rest int) Output {
		return Output{Buffer: buffer, Why: "numbers", Open: true, Want: func(i int) (float64, float64, bool) {
			return numbersThen(list, float64(rest))(i), 0, i < len(list) || rest < 0
		}}
	}
	return j.gatherCase(d.name("plan"), d.steps("idx", "received", "source", "position", "local", "counts"),
		func(rank int) Floor { return PlanFloor(d, len(j.source[rank])) },
		func(rank int) ([]Buffer, []Output) {
			return []Buffer{{"idx", ptx.S32, j.tokens * j.topK, numbers(j.idx[rank])}, {"received", ptx.S32, 1, nil}, {"source", ptx.S32, most, nil},
					{"position", ptx.S32, j.tokens * j.of, nil}, {"local", ptx.S32, most * j.topK, nil}, {"counts", ptx.S32, d.units() * d.Ranks, nil}},
				[]Output{exactly("received", []int{len(j.source[rank])}, 0), exactly("source", j.source[rank], 0),
					exactly("position", j.position[rank], 0), exactly("local", j.local[rank], -1)}
		})
}

// tokenRows are a rank's rows.
func tokenRows(rank int) func(i int) float64 { return normal(uint64(300+rank), 1) }

var dispatchFamily = Family{Name: "dispatch", Cases: func() (cases []Case) {
	for _, j := range journeys() {
		configs, _ := j.dispatch().configs("dispatch")
		for _, c := range cased(configs, j.sampled) {
			cases = append(cases, dispatchCase(j, c))
		}
	}
	return cases
}}

// dispatch is what is asked of it.
func (j *journey) dispatch() DispatchDesc {
	return DispatchDesc{Elem: ptx.BF16, Cols: j.cols, Tokens: j.tokens, Ranks: j.of}
}

func dispatchCase(j *journey, c ExchangeConfig) Case {
	d := j.dispatch()
	return j.gatherCase(d.name(c), []Step{d.step(c, "x", "source", "received", "y")},
		func(rank int) Floor { return DispatchFloor(d, len(j.source[rank])) },
		func(rank int) ([]Buffer, []Output) {
			return j.arrivals(rank), []Output{moved("y", 0, len(j.source[rank]), j.cols, j.sentRows(rank), nil)}
		})
}

// arrivals are what a rank has of its own rows, and of those that come to it.
func (j *journey) arrivals(rank int) []Buffer {
	source := j.source[rank]
	return []Buffer{{"x", ptx.BF16, j.tokens * j.cols, tokenRows(rank)}, {"source", ptx.S32, j.of * j.tokens, numbersThen(source, 1<<30)},
		{"received", ptx.S32, 1, numbers([]int{len(source)})}, {"y", ptx.BF16, j.of * j.tokens * j.cols, nil}}
}

var combineFamily = Family{Name: "combine", Cases: func() (cases []Case) {
	for i, j := range journeys() {
		configs, _ := j.combine(i%2 == 0).configs()
		for _, c := range cased(configs, j.sampled) {
			cases = append(cases, combineCase(j, i%2 == 0, c))
		}
	}
	return cases
}}

// combine is what is asked of it.
func (j *journey) combine(added bool) CombineDesc {
	return CombineDesc{Elem: ptx.BF16, Cols: j.cols, Ranks: j.of, Residual: added}
}

func combineCase(j *journey, added bool, c ExchangeConfig) Case {
	cols, d := j.cols, j.combine(added)
	residual, name := normal(400, 1), ""
	if d.Residual {
		name = "residual"
	}
	return j.gatherCase(d.name(c), []Step{d.step(c, j.tokens, "x", "position", name, "y")},
		func(rank int) Floor { return CombineFloor(d, j.tokens, len(j.source[rank])) },
		func(rank int) ([]Buffer, []Output) {
			position := j.position[rank]
			received := func(i int) float64 {
				if i/cols < len(j.source[rank]) {
					return tokenRows(rank)(i)
				}
				return math.NaN()
			}
			return []Buffer{{"x", ptx.BF16, j.of * j.tokens * cols, received}, {"position", ptx.S32, len(position), numbers(position)},
					{"residual", ptx.BF16, j.tokens * cols, residual}, {"y", ptx.BF16, j.tokens * cols, nil}},
				[]Output{{Buffer: "y", Rel: bf16Rel, Acc: 1, Why: "roundings of the sum to bf16, and of that with the residual; a chain of at most seven sums in float32",
					Want: func(i int) (sum, magnitude float64, ok bool) {
						for number, at := range position[i/cols*j.of:][:j.of] {
							if at >= 0 {
								x := tokenRows(j.from(rank, number))(at*cols + i%cols)
								sum, magnitude = sum+x, magnitude+8*0x1p-24*math.Abs(x)
							}
						}
						if d.Residual {
							magnitude += bf16Rel * math.Abs(sum)
							sum += residual(i)
						}
						return sum, magnitude, true
					}}}
		})
}

// ExchangeCases are what so many ranks exchange in a layer of Qwen3-30B-A3B, with so many tokens each, for three routers: balanced, each
// token to experts of as many ranks as it has; uniform, by chance; one, all to the experts of rank 0. Small numbers of tokens show what
// an exchange takes at least.
func ExchangeCases(ranks, tokens int) (families []Family) {
	const hidden, topK, experts = 2048, 8, 128
	t := team{ranks, ranks, false}
	routers := []struct {
		name   string
		choose func(rank, token, choice int) int
	}{
		{"balanced", func(rank, token, choice int) int { return (rank*tokens + token + choice*experts/topK) % experts }},
		{"uniform", func(rank, token, choice int) int {
			first := mix(uint64(rank*1000003 + token))
			return int((first + uint64(choice)*(1+2*(first>>40%61))) % experts)
		}},
		{"one", func(rank, token, choice int) int { return choice }},
	}
	for _, kind := range []struct {
		name string
		of   func(j *journey) Case
	}{{"dispatch_plan", planCase}, {"dispatch", func(j *journey) Case {
		configs, _ := j.dispatch().configs("dispatch")
		return dispatchCase(j, configs[0])
	}}, {"combine", func(j *journey) Case {
		configs, _ := j.combine(true).configs()
		return combineCase(j, true, configs[0])
	}}} {
		families = append(families, Family{Name: kind.name, Cases: func() (cases []Case) {
			for _, router := range routers {
				j := newJourney(t, fmt.Sprintf("%s%d", router.name, tokens), tokens, topK, experts, router.choose)
				j.cols, j.sampled = hidden, true
				cases = append(cases, kind.of(j))
			}
			return cases
		}})
	}
	return families
}
