package kernels_test

import (
	"fmt"

	"moegen/ir"
)

// rankRoute is what a dispatch_plan makes of choices.
type rankRoute struct {
	name                                      string
	ranks                                     int // in all
	group                                     int // that share the experts
	tokens, topK, experts                     int
	idx, received, source, position, idxLocal []operand // of each rank
}

func newRankRoute(name string, ranks, group, tokens, topK, experts int, choose func(rank, t, j int) int) rankRoute {
	r := rankRoute{name: name, ranks: ranks, group: group, tokens: tokens, topK: topK, experts: experts}
	op, _ := ir.LookupOp("dispatch_plan")
	b := ir.NewBuilder("route")
	idx := b.Outside("idx", ir.Input, ir.Fixed(ir.I32, tokens, topK))
	b.Op(op, "plan", ir.Attrs{{Key: "experts", Value: experts}, {Key: "ranks", Value: group}}, idx)
	n := b.Graph.Nodes[0]
	var in, out [][]*ir.Tensor
	for rank := range ranks {
		r.idx = append(r.idx, fill(idx.Type, tokens, func(i int) float64 { return float64(choose(rank, i/topK, i%topK)) }))
		in = append(in, []*ir.Tensor{{Type: idx.Type, Data: r.idx[rank].data}})
		out = append(out, results(n))
	}
	op.EvalRanks(n, in, out)
	for rank := range ranks {
		received := out[rank][0].Int(0)
		for i, list := range []*[]operand{&r.received, &r.source, &r.position, &r.idxLocal} {
			t, count := out[rank][i], out[rank][i].Type.Dim(0)
			if i == 1 {
				count = received
			}
			*list = append(*list, fill(t.Type, count, func(j int) float64 { return t.Data[j] }))
		}
	}
	return r
}

// rankRoutes returns routes: spread; everything to one rank, so that others receive nothing; several units of tokens with many choices;
// two groups of two; eight ranks, all of whose tokens go to one expert.
func rankRoutes() []rankRoute {
	return []rankRoute{
		newRankRoute("spread", 3, 3, 21, 2, 6, func(rank, t, j int) int { return (t*t + rank + j*(1+t%3)) % 6 }),
		newRankRoute("all to rank 1", 2, 2, 13, 3, 8, func(rank, t, j int) int { return 4 + (t+j)%4 }),
		newRankRoute("many", 2, 2, 300, 4, 16, func(rank, t, j int) int { return (t*(5+rank) + 3*j) % 16 }),
		newRankRoute("groups", 4, 2, 11, 2, 6, func(rank, t, j int) int { return (t*t + rank*rank + j*(1+t%3)) % 6 }),
		newRankRoute("one expert", 8, 8, 5, 1, 8, func(rank, t, j int) int { return 3 }),
	}
}

// each makes operands for all ranks.
func (r rankRoute) each(operands func(rank int) []operand) (all [][]operand) {
	for rank := range r.ranks {
		all = append(all, operands(rank))
	}
	return all
}

// rows are types of what crosses: shorter than a warp's 32 pieces, longer, longer than a span of four times as many, router weights,
// and of an odd number of elements.
func (r rankRoute) rows() []ir.Type {
	list := []ir.Type{ir.Fixed(ir.BF16, r.tokens, 72), ir.Fixed(ir.F32, r.tokens, r.topK), ir.Fixed(ir.BF16, r.tokens, 7)}
	if r.tokens < 100 {
		list = append(list, ir.Fixed(ir.BF16, r.tokens, 8*35), ir.Fixed(ir.BF16, r.tokens, 8*131))
	}
	return list
}

// pools are cases with a pool of which some rows are taken, so that what a rank receives just fits, or does not on the ranks that receive
// the most; the operand behind the pool is given.
func (r rankRoute) pools(behind func(rank, taken int) []operand) (out []rankCase) {
	for _, t := range r.rows()[:3] {
		for _, full := range []bool{false, true} {
			taken := 2
			if full {
				taken = 3
			}
			out = append(out, rankCase{name: fmt.Sprintf("%s full=%t", t, full), in: r.each(func(rank int) []operand {
				pool := normalRows(uint64(200+rank), 1, ir.Fixed(t.DType, r.poolRows(), t.Dim(1)), r.poolRows())
				return append([]operand{normals(uint64(rank), 1, t), r.source[rank], r.received[rank], r.position[rank], pool}, behind(rank, taken)...)
			})})
		}
	}
	return out
}

// poolRows are two more than the most that a rank receives.
func (r rankRoute) poolRows() int {
	most := 0
	for _, received := range r.received {
		most = max(most, int(received.data[0]))
	}
	return 2 + most
}

// eachWay returns cases over routes, with all ranks, and with one alone, which stands for ranks that all hold the same.
func eachWay(cases func(r rankRoute) []rankCase) (out []rankCase) {
	for i, r := range rankRoutes() {
		for _, c := range cases(r) {
			c.name = fmt.Sprintf("%s %s of %d", r.name, c.name, r.ranks)
			c.alone, c.passed = -1, -i // their number may run over
			out = append(out, c)
		}
		alone := r.tied()
		for _, c := range cases(alone) {
			c.name = fmt.Sprintf("%s %s alone of %d", r.name, c.name, r.ranks)
			c.alone, c.passed = i%r.ranks, -i
			for rank := range c.in {
				c.in[rank] = c.in[0]
			}
			out = append(out, c)
		}
	}
	return out
}

// tied is the route of a rank that runs alone, as all ranks would have it: what rank 0's tokens send to rank d comes back
// as if from rank d. It is the route to rank 0 where every rank d has the same tokens, and of their choices those of rank d's
// experts are of rank 0's, which stand for them, and the others are not.
func (r rankRoute) tied() rankRoute {
	local := r.experts / r.group
	to := newRankRoute(r.name, r.ranks, r.group, r.tokens, r.topK, r.experts, func(rank, t, j int) int {
		e := int(r.idx[0].data[t*r.topK+j])
		if e/local == rank%r.group {
			return e % local
		}
		return local
	})
	out := r
	out.idx, out.received, out.source, out.position, out.idxLocal = nil, nil, nil, nil, nil
	position := fill(r.position[0].typ, r.tokens, func(i int) float64 {
		return to.position[i%r.group].data[i/r.group*r.group]
	})
	for range r.ranks {
		out.idx, out.received, out.source = append(out.idx, r.idx[0]), append(out.received, to.received[0]), append(out.source, to.source[0])
		out.position, out.idxLocal = append(out.position, position), append(out.idxLocal, to.idxLocal[0])
	}
	return out
}
