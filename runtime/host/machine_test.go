package host

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

var rankCounts = []int{1, 2, 3, 4, 8}

// openMachine opens a machine of n ranks, closed at the end of the test.
func openMachine(t testing.TB, n int, arena int64) *Machine {
	t.Helper()
	m, err := Open(Config{Ranks: n, ArenaBytes: arena})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func TestMachineViews(t *testing.T) {
	m := openMachine(t, 3, 1<<20)
	m.Run(func(r *Rank) {
		if x := r.F32(1<<19, 1<<17); slices.Max(x) != 0 || slices.Min(x) != 0 {
			t.Errorf("rank %d: a fresh arena is not zero", r.ID)
		}
		r.F32(256, 4)[1] = float32(r.ID + 1)
		r.I32(512, 2)[0] = int32(r.ID)
		r.F64(1024, 2)[1] = float64(r.ID) / 3
		r.Barrier()
		for id := range r.Ranks {
			if got := Peer(r, id, r.F32(256, 4))[1]; got != float32(id+1) {
				t.Errorf("rank %d sees %v on rank %d", r.ID, got, id)
			}
			if got := Peer(r, id, r.F64(1024, 2)[1:])[0]; got != float64(id)/3 {
				t.Errorf("rank %d sees %v on rank %d", r.ID, got, id)
			}
		}
	})
	if b := m.Bytes(2, 512, 4); b[0] != 2 {
		t.Errorf("bytes of rank 2: %v", b)
	}
	for name, view := range map[string]func(r *Rank){
		"past the end":     func(r *Rank) { r.F32(1<<20-8, 3) },
		"before the start": func(r *Rank) { r.F32(-4, 1) },
		"unaligned":        func(r *Rank) { r.F64(4, 1) },
		"not ours":         func(r *Rank) { Peer(r, 0, make([]float32, 1)) },
	} {
		if p := panicOf(func() { m.Run(view) }); p == nil || !strings.Contains(p.Error(), "BUG: ") {
			t.Errorf("%s: %v", name, p)
		}
	}
}

// The last bytes of an arena have a second offset, behind its end.
func TestMachineFolded(t *testing.T) {
	m, err := Open(Config{Ranks: 2, ArenaBytes: 1 << 16, FoldedBytes: 1 << 12})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.Run(func(r *Rank) {
		x := r.F32(1<<16+64, 16)
		x[3] = float32(r.ID + 1)
		r.Barrier()
		if got := r.F32(1<<16-1<<12+64, 16)[3]; got != float32(r.ID+1) {
			t.Errorf("rank %d: %v", r.ID, got)
		}
		if got := Peer(r, 1-r.ID, x)[3]; got != float32(2-r.ID) {
			t.Errorf("rank %d sees %v on the other", r.ID, got)
		}
	})
	if p := panicOf(func() { m.Run(func(r *Rank) { r.F32(1<<16+1<<12-4, 2) }) }); p == nil {
		t.Error("there is something behind the second end")
	}
}

// panicOf returns the RankPanic that f panics with, if any.
func panicOf(f func()) (p *RankPanic) {
	defer func() { p, _ = recover().(*RankPanic) }()
	f()
	return nil
}

func TestMachineOutOfMemory(t *testing.T) {
	_, err := Open(Config{Ranks: 4, ArenaBytes: 1 << 50})
	if runtime.GOOS == "linux" && (err == nil || !strings.Contains(err.Error(), "4194304.00 GiB of memory (1048576.00 GiB for each of 4 ranks)")) {
		t.Errorf("a petabyte a rank: %v", err)
	}
}

func TestMachineAccumulateAndTap(t *testing.T) {
	const record = 4096
	m, err := Open(Config{Ranks: 2, ArenaBytes: 1 << 16, RecordOffset: record, Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	heard := &tapLog{}
	step := func(r *Rank) {
		r.F32(record, RecordLen)[RecordAccumulate] = float32(r.ID)
		if r.Accumulate() != (r.ID == 1) {
			t.Errorf("rank %d: Accumulate() = %v", r.ID, r.Accumulate())
		}
		r.TapF32("hidden", 3, []float32{float32(r.ID)})
		r.TapI32("topk", 4, []int32{7})
	}
	m.Run(step) // nobody listens
	m.SetTap(heard)
	m.Run(step)
	slices.Sort(heard.lines)
	want := []string{"0 hidden 3 [0]", "0 topk 4 [7]", "1 hidden 3 [1]", "1 topk 4 [7]"}
	if !slices.Equal(heard.lines, want) {
		t.Errorf("heard %q, want %q", heard.lines, want)
	}
}

type tapLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *tapLog) add(rank int, name string, layer int, x any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprint(rank, " ", name, " ", layer, " ", x))
}

func (l *tapLog) F32(rank int, name string, layer int, x []float32) { l.add(rank, name, layer, x) }
func (l *tapLog) I32(rank int, name string, layer int, x []int32)   { l.add(rank, name, layer, x) }

// Whatever a rank fails of, wherever the others are, Run comes back with the first cause, and the machine still works.
func TestMachineRankFails(t *testing.T) {
	cause := errors.New("disk on fire")
	for _, ranks := range rankCounts {
		m := openMachine(t, ranks, 1<<16)
		for at := range 3 {
			bad := (ranks - 1) / 2
			p := panicOf(func() {
				m.Run(func(r *Rank) {
					for i := range 3 {
						if r.ID == bad && i == at {
							panic(cause)
						}
						r.Barrier()
					}
				})
			})
			if p == nil || p.Rank != bad || !errors.Is(p, cause) || !strings.Contains(p.Error(), fmt.Sprintf("rank %d: disk on fire", bad)) {
				t.Fatalf("%d ranks: Run panics with %v", ranks, p)
			}
		}
		p := panicOf(func() {
			m.Run(func(r *Rank) {
				if r.ID == ranks-1 {
					r.Pool.For(5, func(i int) { panic(cause) })
				}
				r.Barrier()
			})
		})
		if p == nil || p.Rank != ranks-1 || !errors.Is(p, cause) {
			t.Errorf("a task of %d ranks: Run panics with %v", ranks, p)
		}
		p = panicOf(func() {
			m.Run(func(r *Rank) {
				if r.ID == 0 {
					runtime.Goexit()
				}
				r.Barrier()
			})
		})
		if p == nil || p.Rank != 0 {
			t.Errorf("an exit of %d ranks: Run panics with %v", ranks, p)
		}
		m.Run(func(r *Rank) { r.Barrier() })
	}
}

// Many barriers, ranks of very different speed, more ranks than cores: nobody overtakes.
func TestBarrier(t *testing.T) {
	for _, ranks := range rankCounts {
		m := openMachine(t, ranks, 1<<16)
		const rounds = 300
		progress := make([]int, ranks)
		m.Run(func(r *Rank) {
			random := rand.New(rand.NewPCG(1, uint64(r.ID)))
			for round := range rounds {
				if random.IntN(50) == 0 {
					runtime.Gosched()
				}
				progress[r.ID] = round
				r.Barrier()
				for id, at := range progress {
					if at != round {
						t.Errorf("rank %d is at round %d, rank %d at %d", r.ID, round, id, at)
						return
					}
				}
				r.Barrier()
			}
		})
	}
}

func TestAllReduce(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, ranks := range rankCounts {
			m := openMachine(t, ranks, 1<<20)
			for _, n := range []int{0, 1, 7, collectiveBlock, 5*collectiveBlock + 3} {
				want := make([]float64, n)
				for id := range ranks {
					for i, v := range normal(uint64(id), n) {
						want[i] += float64(v)
					}
				}
				m.Run(func(r *Rank) {
					x, x64 := r.F32(4096, n), r.F64(1<<19, n)
					copy(x, normal(uint64(r.ID), n))
					copy(x64, double(x))
					AllReduce(r, x)
					AllReduceF64(r, x64)
					// At most 7 roundings of sums of 8.
					wantClose(t, fmt.Sprint(ranks, " ranks, ", n), x, want, 3e-7)
					for i := range x64 {
						if math.Abs(x64[i]-want[i]) > 1e-14 {
							t.Errorf("%d ranks: float64 sum %v, want %v", ranks, x64[i], want[i])
							break
						}
					}
					r.Barrier()
					wantBits(t, "rank 0's sum", Peer(r, 0, x), x)
					r.Barrier()
				})
			}
		}
	})
}

// Every rank ends with its own part of the sum over its set, added in the order of the ranks, or with that onto what there was, and
// leaves the arrays as they were; after a gather it has everybody's parts.
func TestReduceScatterAndAllGather(t *testing.T) {
	for _, set := range []struct{ ranks, parts, stride int }{{1, 1, 1}, {2, 2, 1}, {3, 3, 1}, {8, 8, 1}, {4, 2, 2}, {8, 2, 4}, {12, 3, 4}} {
		for _, n := range []int{1, 100, 1000, 3*2*collectiveBlock + 5} {
			m := openMachine(t, set.ranks, 1<<18)
			m.Run(func(r *Rank) {
				x, y := r.F32(4096, n), r.F32(1<<17, share(n, set.parts))
				copy(x, normal(uint64(r.ID), n))
				number := r.ID / set.stride % set.parts
				sum := make([]float32, n)
				for k := range set.parts {
					for i, v := range normal(uint64(r.ID+(k-number)*set.stride), n) {
						sum[i] += v
					}
				}
				from, to := part(n, set.parts, number)
				want := make([]float32, len(y))
				copy(want, sum[from:to])
				copy(y, normal(100, len(y)))
				ReduceScatter(r, set.parts, set.stride, x, false, y)
				wantBits(t, fmt.Sprint(set, n, " scattered"), y, want)
				ReduceScatter(r, set.parts, set.stride, x, true, y)
				for i := range want {
					want[i] += want[i]
				}
				wantBits(t, fmt.Sprint(set, n, " accumulated"), y, want)
				wantBits(t, fmt.Sprint(set, n, " kept"), x, normal(uint64(r.ID), n))
				r.Barrier() // x has been compared
				copy(x[from:to], sum[from:to])
				AllGather(r, set.parts, set.stride, x)
				wantBits(t, fmt.Sprint(set, n, " gathered"), x, sum)
			})
		}
	}
}

// The parts that ranks update, and whose squares they add up, are all there is, each once.
func TestUpdateOfParts(t *testing.T) {
	const n, parts, stride = 1000, 3, 2
	p := NewPool(2)
	defer p.Close()
	record := make([]float32, RecordLen)
	record[RecordLR], record[RecordBeta1], record[RecordBeta2], record[RecordEps] = 0.1, 0.5, 0.75, 1e-3
	record[RecordGain1], record[RecordGain2], record[RecordBias1], record[RecordBias2] = 0.5, 0.25, 0.5, 0.25
	grad := normal(1, n)
	whole, m, v, square := normal(2, n), make([]float32, n), make([]float32, n), make([]float64, 1)
	AdamW(p, 1, 1, []float32{0.5}, record, grad, whole, m, v)
	SumSquares(p, grad, true, square)
	value, sum := normal(2, n), make([]float64, 1)
	for number := range parts {
		record[RecordRank] = float32(6 + 1 + number*stride)
		moments := [2][]float32{make([]float32, share(n, parts)), make([]float32, share(n, parts))}
		from, to := part(n, parts, number)
		own := make([]float32, share(n, parts))
		copy(own, grad[from:to])
		AdamW(p, parts, stride, []float32{0.5}, record, own, value, moments[0], moments[1])
		SumSquares(p, own, number == 0, sum)
		wantBits(t, "moments", moments[0][:to-from], m[from:to])
		wantBits(t, "second moments", moments[1][:to-from], v[from:to])
	}
	wantBits(t, "values", value, whole)
	if math.Abs(sum[0]-square[0]) > 1e-12*square[0] {
		t.Errorf("the squares of the parts are %v, of the whole %v", sum[0], square[0])
	}
}
