package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// exchange is one expert-parallel exchange: who chose which experts, and the arena's offsets of what it needs.
type exchange struct {
	name           string
	all            int // ranks, in groups
	ranks, t, k, l int
	idx            [][]int32 // [rank] T·K experts
}

func newExchange(name string, groups, ranks, t, k, l int, choose func(r *rand.Rand, rank int, chosen []int32)) exchange {
	x := exchange{name: name, all: groups * ranks, ranks: ranks, t: t, k: k, l: l}
	r := rand.New(rand.NewPCG(uint64(ranks), 3))
	for rank := range x.all {
		idx := make([]int32, t*k)
		for i := 0; i < len(idx); i += k {
			choose(r, rank, idx[i:i+k])
		}
		x.idx = append(x.idx, idx)
	}
	return x
}

// distinct fills chosen with different numbers below n.
func distinct(r *rand.Rand, n int, chosen []int32) {
	for i, e := range r.Perm(n)[:len(chosen)] {
		chosen[i] = int32(e)
	}
}

func exchanges() []exchange {
	var all []exchange
	for _, n := range rankCounts {
		all = append(all,
			newExchange("random", 1, n, 9, 3, 4, func(r *rand.Rand, _ int, c []int32) { distinct(r, 4*n, c) }),
			newExchange("three groups", 3, n, 7, 3, 4, func(r *rand.Rand, _ int, c []int32) { distinct(r, 4*n, c) }),
			newExchange("two groups, one sends all to its last rank", 2, n, 4, 2, 2, func(r *rand.Rand, rank int, c []int32) {
				distinct(r, 2*n, c)
				if rank >= n {
					c[0], c[1] = int32(2*n-1), int32(2*n-2)
				}
			}),
			newExchange("one expert a token", 1, n, 5, 1, 2, func(r *rand.Rand, _ int, c []int32) { distinct(r, 2*n, c) }),
			newExchange("all to the last rank", 1, n, 6, 2, 2, func(r *rand.Rand, _ int, c []int32) {
				distinct(r, 2, c)
				for i := range c {
					c[i] += int32(2 * (n - 1))
				}
			}),
			newExchange("one token", 1, n, 1, 2, 2, func(r *rand.Rand, _ int, c []int32) { distinct(r, 2*n, c) }),
		)
	}
	return all
}

// plan is the definition of DispatchPlan, for one destination: the tokens of all ranks of its group, in order, that have an expert
// there.
func (x exchange) plan(rank int) (source, idxLocal []int32) {
	group := x.group(rank)
	rank -= group
	for from := range x.ranks {
		for token := range x.t {
			row := slices.Repeat([]int32{-1}, x.k)
			here := false
			for j, e := range x.idx[group+from][token*x.k : (token+1)*x.k] {
				if int(e)/x.l == rank {
					row[j], here = e-int32(rank*x.l), true
				}
			}
			if here {
				source, idxLocal = append(source, int32(from*x.t+token)), append(idxLocal, row...)
			}
		}
	}
	return source, idxLocal
}

// group is the first rank of a rank's group.
func (x exchange) group(rank int) int { return rank / x.ranks * x.ranks }

// buffers of an exchange with rows of width d, in the arena of one rank.
type buffers struct {
	idx, received, source, position, idxLocal []int32
	x, y, back                                []float32
}

func (x exchange) buffers(r *Rank, d int) buffers {
	at := int64(1024)
	i32 := func(n int) []int32 { at += 4 * int64(n); return r.I32(at-4*int64(n), n) }
	f32 := func(n int) []float32 { at += 4 * int64(n); return r.F32(at-4*int64(n), n) }
	n := x.ranks * x.t
	b := buffers{i32(x.t * x.k), i32(1), i32(n), i32(x.t * x.ranks), i32(n * x.k), f32(x.t * d), f32(n * d), f32(x.t * d)}
	copy(b.idx, x.idx[r.ID])
	for i := range b.y {
		b.y[i] = float32(math.NaN()) // rows past the received ones must not matter
	}
	return b
}

func TestDispatchPlan(t *testing.T) {
	for _, x := range exchanges() {
		m := openMachine(t, x.all, 1<<16)
		m.Run(func(r *Rank) {
			b := x.buffers(r, 1)
			for range 2 { // a second plan over the first
				DispatchPlan(r, x.ranks, x.t, x.k, x.l, b.idx, b.received, b.source, b.position, b.idxLocal)
				source, idxLocal := x.plan(r.ID)
				n := len(source)
				if int(b.received[0]) != n || !slices.Equal(b.source[:n], source) || !slices.Equal(b.idxLocal[:n*x.k], idxLocal) {
					t.Errorf("%s, rank %d of %d: received %d %v %v, want %v %v", x.name, r.ID, x.ranks, b.received[0], b.source,
						b.idxLocal, source, idxLocal)
				}
				for _, e := range b.idxLocal[n*x.k:] {
					if e != -1 {
						t.Errorf("%s: a row past the received ones has expert %d", x.name, e)
					}
				}
				for token := range x.t {
					for d := range x.ranks {
						theirs, _ := x.plan(x.group(r.ID) + d)
						want := int32(slices.Index(theirs, int32(r.ID%x.ranks*x.t+token)))
						if got := b.position[token*x.ranks+d]; got != want {
							t.Errorf("%s: token %d of rank %d is row %d on rank %d, want %d", x.name, token, r.ID, got, d, want)
						}
					}
				}
			}
		})
	}
}

// Rows that arrive are copies; combining is the transpose: ⟨dispatch(x), y⟩ = ⟨x, combine(y)⟩ over all ranks.
func TestDispatchAndCombineRows(t *testing.T) {
	for _, x := range exchanges() {
		for _, d := range []int{1, 19} {
			m := openMachine(t, x.all, 1<<18)
			left, right := make([]float64, x.all), make([]float64, x.all)
			var before [][]float32
			for run := range 2 {
				results := make([][]float32, x.all)
				m.Run(func(r *Rank) {
					b := x.buffers(r, d)
					mine, residual := normal(uint64(r.ID), x.t*d), normal(uint64(20+r.ID), x.t*d)
					copy(b.x, mine)
					DispatchPlan(r, x.ranks, x.t, x.k, x.l, b.idx, b.received, b.source, b.position, b.idxLocal)
					DispatchRows(r, x.ranks, x.t, d, b.source, b.received, b.x, b.y)
					clear(b.x) // nobody may still be reading it
					n := int(b.received[0]) * d
					for i, s := range b.source[:b.received[0]] {
						sent := normal(uint64(x.group(r.ID)+int(s)/x.t), x.t*d)
						wantBits(t, fmt.Sprint(x.name, " row ", i), b.y[i*d:(i+1)*d], sent[int(s)%x.t*d:][:d])
					}
					grad := normal(uint64(10+r.ID), n)
					left[r.ID] = inner(double(b.y[:n]), double(grad))
					copy(b.y, grad)
					CombineRows(r, x.ranks, x.t, d, b.position, b.y, nil, b.back)
					right[r.ID] = inner(double(mine), double(b.back))
					copy(b.x, residual)
					CombineRows(r, x.ranks, x.t, d, b.position, b.y, b.x, b.x)
					clear(b.y)
					for i := range residual {
						if got, want := float64(b.x[i]), float64(residual[i])+float64(b.back[i]); math.Abs(got-want) > 2e-6 {
							t.Errorf("%s: with residual %v, want %v", x.name, got, want)
						}
					}
					results[r.ID] = slices.Concat(b.back, b.x)
				})
				if run > 0 {
					for id := range results {
						wantBits(t, "second run", results[id], before[id])
					}
				}
				before = results
			}
			var l, r float64
			for id := range left {
				l, r = l+left[id], r+right[id]
			}
			if math.Abs(l-r) > 1e-6*(1+math.Abs(l)) {
				t.Errorf("%s, %d ranks: ⟨dispatch(x), y⟩ = %v, ⟨x, combine(y)⟩ = %v", x.name, x.ranks, l, r)
			}
		}
	}
}

// An exchange in which one rank of each group receives everything takes its memory from the arena alone: what kernels allocate
// does not grow with the tokens, of which 8 MiB travel here.
func TestSkewAllocatesNothing(t *testing.T) {
	const tokens, width, limit = 4096, 64, 64 << 10
	x := newExchange("all to the last rank", 2, 4, tokens, 1, 1, func(_ *rand.Rand, _ int, c []int32) { c[0] = 3 })
	m := openMachine(t, x.all, 1<<24)
	var all []buffers
	for id := range x.all {
		all = append(all, x.buffers(m.ranks[id], width))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m.Run(func(r *Rank) {
		b := all[r.ID]
		DispatchPlan(r, x.ranks, x.t, x.k, x.l, b.idx, b.received, b.source, b.position, b.idxLocal)
		DispatchRows(r, x.ranks, x.t, width, b.source, b.received, b.x, b.y)
		CombineRows(r, x.ranks, x.t, width, b.position, b.y, nil, b.back)
		pool, use, slot := b.x[:tokens/2*width], b.position[:4], b.position[4:5] // too small for who receives everything
		KeepNone(use[:2])
		KeepRows(r, x.ranks, x.t, width, b.source, b.received, b.x, b.y, pool, use[:2], use[2:], slot)
		RestoreRows(r, x.ranks, x.t, width, b.source, b.received, b.x, pool, slot, b.y)
		ReduceScatter(r, 2, 4, b.x, true, b.y[:share(len(b.x), 2)])
		AllGather(r, 2, 4, b.x)
	})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Errorf("the exchange allocates %d bytes", n)
	}
	for id, b := range all {
		want := int32(0)
		if id%x.ranks == 3 {
			want = int32(x.ranks * tokens)
		}
		if b.received[0] != want {
			t.Errorf("rank %d receives %d tokens, want %d", id, b.received[0], want)
		}
	}
}
