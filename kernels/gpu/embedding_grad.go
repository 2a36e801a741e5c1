package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// The gradient of a table that tokens look up:
//
//	dtable[v] = bf16(Σ_{t: tokens[t] = v} dy[t] (+ dtable[v]))     for v ≠ Padding
//
// in float32, in the order of the tokens, rounded once. The first kernel sorts tokens by id, stably: the place of token t
// is the number of pairs (id, t) before its own, counted over all of them, T²/2 comparisons and no order to disagree on. It
// also zeroes the table, unless gradients add up. The second finds the first of every id among the sorted ones; a thread
// sums 16 bytes of the rows of one id. Floor: the table is written once, 2·V·D bytes, and dy read once; where gradients add
// up, only rows of ids that occur are read and written. What is asked for beyond it, 15 % at 4096 tokens of 151,936, are the tokens'
// ids, 16 KB that every block compares and the caches hold.

// EmbeddingGradDesc is what is asked.
type EmbeddingGradDesc struct {
	Tokens, Vocab, Cols int
	Padding             int  // the id whose row gets nothing; -1: none
	Accumulate          bool // if the step record says so
}

// record declares the parameter that is the step record, if gradients may add up.
func (d EmbeddingGradDesc) record(k *ptx.Kernel) (r ptx.Reg) {
	if d.Accumulate {
		r = k.ParamPtr("record")
	}
	return r
}

// EmbeddingGradConfig fixes one pair of kernels.
type EmbeddingGradConfig struct {
	Width int // elements of an access
	Batch int // rows of an id that a thread loads at once
}

// Name is the entry of the first kernel.
func (c EmbeddingGradConfig) Name(d EmbeddingGradDesc) string {
	return fmt.Sprintf("embedding_grad_order_t%d%s", d.Tokens, mark(d.Accumulate, "_a"))
}

// SumName is the entry of the second kernel.
func (c EmbeddingGradConfig) SumName(d EmbeddingGradDesc) string {
	padding := "none"
	if d.Padding >= 0 {
		padding = fmt.Sprint(d.Padding)
	}
	return fmt.Sprintf("embedding_grad_sum_t%d_d%d_p%s%s_v%d_b%d", d.Tokens, d.Cols, padding, mark(d.Accumulate, "_a"), c.Width, c.Batch)
}

// EmbeddingGradConfigs returns the only candidate: few ids occur more often than a batch has rows.
func EmbeddingGradConfigs(d EmbeddingGradDesc) (out []EmbeddingGradConfig, rejected []string) {
	return []EmbeddingGradConfig{{pieceOf(ptx.BF16, d.Cols).n, 4}}, nil
}

// EmbeddingGradFloor is what an overwriting gradient moves.
func EmbeddingGradFloor(d EmbeddingGradDesc) Floor {
	return Floor{Bytes: int64(2*d.Cols*(d.Vocab+d.Tokens) + 4*d.Tokens)}
}

// noID is no token's id, and larger than any.
const noID = 1<<32 - 1

// EmitEmbeddingGradOrder writes the first kernel: parameters tokens, sorted (2·T int32: ids in their order, then the token
// of each), dtable, its 16-byte pieces and the bf16 behind them, and the step record if gradients may add up.
func EmitEmbeddingGradOrder(m *ptx.Module, d EmbeddingGradDesc, c EmbeddingGradConfig) {
	const lanes, warps = 32, streamThreads / 32
	k := m.Kernel(c.Name(d), streamThreads)
	tokens, sorted, table := k.ParamPtr("tokens"), k.ParamPtr("sorted"), k.ParamPtr("dtable")
	pieces, halves := k.ParamU32("pieces"), k.ParamU32("halves")
	record := d.record(k)
	scratch := k.SharedBytes(4*streamThreads, 16)
	k.WaitPrerequisites()
	tid, lane := k.Read(ptx.TidX), k.Read(ptx.LaneID)
	warp := k.Shr(tid, 5)

	k.Comment("a block places %d tokens, one a lane; each warp counts an eighth of all pairs before them", lanes)
	full, rest := d.Tokens/lanes, d.Tokens%lanes // chunks of tokens
	share := ceil(full, warps)
	from := k.Mul(warp, share)
	to := k.Min(k.Add(from, share), full)
	mine := k.Add(k.Lea(scratch), k.Shl(tid, 2))
	k.For("block", k.Read(ptx.CtaIDX), ceil(d.Tokens, lanes), k.Read(ptx.NCtaIDX), func(block ptx.Reg) {
		token := k.Mad(block, lanes, lane)
		inside := k.Lt(token, d.Tokens)
		id := k.Var(ptx.U32, "id", noID)
		k.When(inside).To(id).Ld(fixed, ptx.U32, k.Add(tokens, k.MulWide(token, 4)).At(0))
		count := k.Var(ptx.U32, "count", 0)
		before := func(other, limit ptx.Reg) { k.When(k.Lt(other, limit)).To(count).Add(count, 1) }
		k.For("chunk", from, to, 1, func(chunk ptx.Reg) {
			limit := k.Add(id, k.Select(k.Lt(chunk, block), 1, k.Const(ptx.U32, 0)))
			at := k.Add(tokens, k.MulWide(chunk, 4*lanes))
			for i := 0; i < lanes; i += 4 {
				for _, other := range k.LdVec(fixed, ptx.U32, 4, at.At(4*i)) {
					before(other, limit)
				}
			}
		})
		k.If(k.Eq(warp, 0), func() {
			k.Comment("equal ids in front in the lanes' own chunk, and the last chunk, which is not whole")
			same := k.And(k.MatchAny(id), k.Sub(k.Shl(k.Const(ptx.U32, 1), lane), 1))
			k.To(count).Add(count, k.Popc(same))
			for i := range rest {
				before(k.Ld(fixed, ptx.U32, tokens.At(4*(full*lanes+i))), id)
			}
		})
		k.St(ptx.Shared, mine.At(0), count)
		k.Sync()
		k.If(k.And(k.Eq(warp, 0), inside), func() {
			place := k.Const(ptx.U32, 0)
			for i := range warps {
				place = k.Add(place, k.Ld(ptx.Shared, ptx.U32, mine.At(4*lanes*i)))
			}
			at := k.Add(sorted, k.MulWide(place, 4))
			k.St(ptx.Global, at.At(0), id)
			k.St(ptx.Global, at.At(4*d.Tokens), token)
		})
		k.Sync()
	})
	k.Comment("zeros everywhere")
	zeros := func() { zeros16(k, table, pieces, halves) }
	if d.Accumulate {
		k.If(k.Not(accumulates(k, record)), zeros)
	} else {
		zeros()
	}
	k.LaunchDependents()
	k.Exit()
}

// EmitEmbeddingGradSum writes the second kernel: parameters sorted, dy, dtable, and the step record if gradients may
// add up.
func EmitEmbeddingGradSum(m *ptx.Module, d EmbeddingGradDesc, c EmbeddingGradConfig) {
	k := m.Kernel(c.SumName(d), streamThreads)
	p := piece{ptx.BF16, c.Width}
	sorted, dy, table := k.ParamPtr("sorted"), k.ParamPtr("dy"), k.ParamPtr("dtable")
	record := d.record(k)
	k.WaitPrerequisites()
	var adds ptx.Reg
	if d.Accumulate {
		adds = accumulates(k, record)
	}
	eachPiece(k, k.Const(ptx.U32, d.Tokens), d.Cols/c.Width, func(place, col ptx.Reg) {
		at := k.MulWide(col, p.bytes())
		entry := k.Add(sorted, k.MulWide(place, 4))
		id, last := k.Ld(ptx.Global, ptx.U32, entry.At(0)), k.Var(ptx.U32, "last", noID)
		k.When(k.Gt(place, 0)).To(last).Ld(ptx.Global, ptx.U32, entry.At(-4))
		first := k.Ne(id, last)
		if d.Padding >= 0 {
			first = k.And(first, k.Ne(id, d.Padding))
		}
		k.If(first, func() {
			sum := k.DeclareArray(ptx.F32, "sum", c.Width)
			for _, s := range sum {
				k.Assign(s, 0)
			}
			next := k.Var(ptx.U32, "next", place)
			k.Loop(func(l ptx.Loop) {
				entry := k.Add(sorted, k.MulWide(next, 4))
				var rows [][]ptx.Reg
				var one ptx.Reg
				for i := range c.Batch {
					other, token := k.Var(ptx.U32, "other", noID), k.Var(ptx.U32, "token", 0)
					k.When(k.Lt(k.Add(next, i), d.Tokens)).To(other).Ld(ptx.Global, ptx.U32, entry.At(4*i))
					one = k.Eq(other, id)
					k.When(one).To(token).Ld(ptx.Global, ptx.U32, entry.At(4*(d.Tokens+i)))
					rows = append(rows, p.loadIf(k, one, once, k.Add(k.Add(dy, k.MulWide(token, 2*d.Cols)), at).At(0)))
				}
				for _, row := range rows {
					for i, v := range p.floats(k, row) {
						k.To(sum[i]).Add(sum[i], v)
					}
				}
				l.BreakUnless(one)
				k.To(next).Add(next, c.Batch)
			})
			to := k.Add(k.Add(table, k.MulWide(id, 2*d.Cols)), at).At(0)
			if d.Accumulate {
				for i, v := range p.floats(k, p.loadIf(k, adds, once, to)) {
					k.To(sum[i]).Add(sum[i], v)
				}
			}
			p.store(k, to, sum)
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// steps are the launches; record is the step record where gradients may add up.
func (d EmbeddingGradDesc) steps(tokens, dy, table, sorted Arg, record ...Arg) []Step {
	configs, _ := EmbeddingGradConfigs(d)
	c := configs[0]
	bytes := 2 * d.Vocab * d.Cols
	return []Step{
		{Launch: Launch{Entry: c.Name(d), Grid: max(ceil(d.Tokens, 32), streamGrid(bytes/16)), Persistent: true, Dependent: true,
			Args: append([]Arg{tokens, sorted, table, U32(bytes / 16), U32(bytes % 16 / 2)}, record...), Floor: Floor{Bytes: int64(bytes)}},
			Emit: func(m *ptx.Module) { EmitEmbeddingGradOrder(m, d, c) }},
		{Launch: Launch{Entry: c.SumName(d), Grid: streamGrid(d.Tokens * d.Cols / c.Width), Persistent: true, Dependent: true,
			Args: append([]Arg{sorted, dy, table}, record...), Floor: Floor{Bytes: int64(4 * d.Tokens * d.Cols)}},
			Emit: func(m *ptx.Module) { EmitEmbeddingGradSum(m, d, c) }},
	}
}

var embeddingGrad = &Kernel{
	Name: "embedding_grad", Op: "embedding_grad",
	Covers:    func(n *ir.Node) bool { return bfloat(n.In[1]) && addressable(n.In[1]) && n.Out[0].Type.Bytes() < 1<<35 },
	Shares:    [][2]int{{0, 2}},
	Workspace: func(n *ir.Node) int { return 8 * n.In[0].Type.Dim(0) },
	Steps: func(l *ir.Launch) []Step {
		dy := l.In[1].Type
		d := EmbeddingGradDesc{Tokens: dy.Dim(0), Vocab: l.Attrs.Int("vocab"), Cols: dy.Dim(1), Padding: l.Attrs.Int("padding"), Accumulate: l.In[2] != nil}
		var record []Arg
		if d.Accumulate {
			record = []Arg{Place(In(3))}
		}
		return d.steps(Place(In(0)), Place(In(1)), Place(Out(0)), Place(Work), record...)
	},
}

var embeddingGradFamily = Family{Name: "embedding_grad", Cases: func() []Case {
	return []Case{
		embeddingGradCase("few", EmbeddingGradDesc{Tokens: 70, Vocab: 20, Cols: 24, Padding: 3}, func(t int) int { return t * t % 20 }),
		embeddingGradCase("equal", EmbeddingGradDesc{Tokens: 37, Vocab: 5, Cols: 8, Padding: -1}, func(int) int { return 4 }),
		embeddingGradCase("all", EmbeddingGradDesc{Tokens: 300, Vocab: 290, Cols: 7, Padding: -1}, func(t int) int { return t * 7 % 290 }),
		large(embeddingGradCase("text", EmbeddingGradDesc{Tokens: 4096, Vocab: 151936, Cols: 2048, Padding: -1}, func(t int) int {
			z := mix(uint64(t))
			return int(z % 151936 >> (z >> 60)) // few ids often, many seldom
		})),
		large(embeddingGradCase("equal", EmbeddingGradDesc{Tokens: 4096, Vocab: 151936, Cols: 2048, Padding: -1}, func(int) int { return 77 })),
	}
}}

func embeddingGradCase(name string, d EmbeddingGradDesc, id func(t int) int) Case {
	dy := normal(81, 1)
	tokens := map[int][]int{}
	longest := 0
	for t := range d.Tokens {
		tokens[id(t)] = append(tokens[id(t)], t)
		longest = max(longest, len(tokens[id(t)]))
	}
	steps := d.steps(Place("tokens"), Place("dy"), Place("dtable"), Place("sorted"))
	return Case{
		Name: fmt.Sprintf("%s_%dx%d_of_%d", name, d.Tokens, d.Cols, d.Vocab),
		Emit: func(m *ptx.Module) {
			for _, s := range steps {
				s.Emit(m)
			}
		},
		Buffers: []Buffer{{"tokens", ptx.S32, d.Tokens, func(t int) float64 { return float64(id(t)) }}, {"dy", ptx.BF16, d.Tokens * d.Cols, dy},
			{"dtable", ptx.BF16, d.Vocab * d.Cols, nil}, {"sorted", ptx.S32, 2 * d.Tokens, nil}},
		Launches: []Launch{steps[0].Launch, steps[1].Launch},
		Outputs: []Output{{Buffer: "dtable", Rel: 1.01 * 0x1p-8, Acc: float64(longest) * 0x1p-24, Why: "one rounding to bf16; a chain of float32 sums, at most as many as one id has tokens",
			Want: func(i int) (value, magnitude float64, ok bool) {
				v := i / d.Cols
				if v == d.Padding {
					return 0, 0, true
				}
				for _, t := range tokens[v] {
					e := dy(t*d.Cols + i%d.Cols)
					value, magnitude = value+e, magnitude+max(e, -e)
				}
				return value, magnitude, true
			}}},
		Floor: EmbeddingGradFloor(d),
	}
}
