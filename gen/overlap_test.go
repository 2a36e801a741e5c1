package gen

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"moegen/ir"
	"moegen/models"
)

// twoStreams runs the passes on a step, with two streams whatever its target.
func twoStreams(t *testing.T, s *step) {
	t.Helper()
	for _, p := range passes {
		if p.name == "schedule" {
			s.arrange(true)
		} else if err := p.run(s); err != nil {
			t.Fatal(err)
		}
		if err := s.verify(); err != nil {
			t.Fatal(err)
		}
	}
}

// A plan for two streams gives the bits of the graph in whatever order they get on: one as far ahead of the other as it
// may be, or at random, every activation poisoned once all its readers have run.
func TestStreamsKeepBits(t *testing.T) {
	for _, mode := range Recomputes {
		req := toyRequest(t, 4, mode)
		req.EP = 2
		s := newStep(t, req)
		twoStreams(t, s)
		for seed := range uint64(4) {
			for _, several := range []bool{false, true} {
				samePlanned(t, s, several, func(p *ir.Program) []int { return someOrder(t, p, seed) })
			}
		}
	}
}

// someOrder is an order in which the streams of a program may run: 0, as much of the compute stream as can be first; 1, of
// communication; others at random.
func someOrder(t *testing.T, p *ir.Program, seed uint64) (order []int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	var queues [ir.Streams][]int
	for i, l := range p.Launches {
		queues[l.Stream] = append(queues[l.Stream], i)
	}
	done := map[int]bool{}
	for len(order) < len(p.Launches) {
		first := int(seed)
		if seed > 1 {
			first = rng.IntN(ir.Streams)
		}
		before := len(order)
		for k := range ir.Streams {
			q := &queues[(first+k)%ir.Streams]
			if len(*q) == 0 || slices.ContainsFunc(p.Launches[(*q)[0]].After, func(a int) bool { return !done[a] }) {
				continue
			}
			order, done[(*q)[0]], *q = append(order, (*q)[0]), true, (*q)[1:]
			break
		}
		if len(order) == before {
			t.Fatalf("%s: neither stream can go on behind %v", p.Name, order)
		}
	}
	return order
}

// gpuRequest asks for a model on several GPUs.
func gpuRequest(model string, gpus, seq int, mode Recompute) Request {
	m, _ := models.Lookup(model)
	return Request{Model: m, Target: "h100", DType: "bf16", Seq: seq, MicroBatch: 1, GPUs: gpus, Recompute: mode}
}

// Every wait of a plan is needed: without it the verifier finds launches that touch the same memory at the same time. That tokens
// that were sent again have come may be known early.
func TestEveryWaitIsNeeded(t *testing.T) {
	for _, mode := range []Recompute{RecomputeNone, RecomputeDispatch, RecomputeBlock} {
		planned, err := Plan(gpuRequest("tiny-qwen3-moe", 2, 64, mode), nil)
		if err != nil {
			t.Fatal(err)
		}
		waits := 0
		for _, p := range planned.Plan.Programs {
			for i, l := range p.Launches {
				for k, a := range l.After {
					if strings.HasSuffix(p.Launches[a].Out[0].Name, ".received.again") {
						continue
					}
					whole := l.After
					l.After = slices.Delete(slices.Clone(whole), k, k+1)
					if ir.VerifyPlan(planned.Plan) == nil {
						t.Errorf("recompute %s: %s is right though launch %d (%s) does not wait for %d", mode, p.Name, i, l.Op.Name, a)
					}
					l.After = whole
					waits++
				}
			}
		}
		if waits < 20 {
			t.Errorf("recompute %s: %d waits", mode, waits)
		}
	}
}

// What travels behind and in front of which launches in a layer's backward pass, when it sends tokens again: each of the three large
// exchanges has a product beside it, and so have the sums of gradients over the ranks. Of so few tokens, products take longer than attention.
func TestExchangesAreCovered(t *testing.T) {
	planned, err := Plan(gpuRequest("tiny-qwen3-moe", 2, 64, RecomputeDispatch), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := planned.Plan.Programs[1]
	order := ir.NewOrder()
	for _, l := range p.Launches {
		order.Add(l)
	}
	covers := map[string][]string{}
	for i, x := range p.Launches {
		if x.Stream != ir.Communication {
			continue
		}
		for j, l := range p.Launches {
			if l.Stream == ir.Compute && !order.Before(min(i, j), max(i, j)) && l.Cost.Bytes > 0 {
				covers[x.Out[0].Name] = append(covers[x.Out[0].Name], l.Op.Name)
			}
		}
	}
	for name, want := range map[string]string{
		"layers.1.mlp_in.y.received.again": "linear_dgrad",
		"d.layers.1.hidden_TD.received":    "linear_wgrad",
		"d.layers.1.mlp_in.y":              "grouped_linear_wgrad",
		"grad.layers.1.dense":              "attention_grad",
		"grad.head.dense":                  "attention_grad",
		"grad.layers.0.dense":              "embedding_grad",
	} {
		if !slices.Contains(covers[name], want) {
			t.Errorf("beside %s run %v, no %s", name, covers[name], want)
		}
	}
}

// Overlap takes little memory, one rank has one stream, and so have those that ask for it.
func TestOverlapIsSmall(t *testing.T) {
	streams := func(p *ir.Plan) (n int) {
		for _, prog := range p.Programs {
			for _, l := range prog.Launches {
				if l.Stream != ir.Compute {
					n++
				}
			}
		}
		return n
	}
	for _, mode := range []Recompute{RecomputeDispatch, RecomputeBlock} {
		var bytes [2]int64
		for i, without := range []bool{true, false} {
			req := gpuRequest("qwen3-30b-a3b", 8, 4096, mode)
			req.NoOverlap = without
			planned, err := Plan(req, nil)
			if err != nil {
				t.Fatal(err)
			}
			bytes[i] = planned.Plan.Bytes
			if n := streams(planned.Plan); (n == 0) != without {
				t.Errorf("recompute %s, without overlap %t: %d launches on another stream", mode, without, n)
			}
		}
		if bytes[1] > bytes[0]+bytes[0]/40 { // 1.5 % are the head's gradient, which waits for the exchanges of the last layer
			t.Errorf("recompute %s takes %d bytes with overlap, %d without", mode, bytes[1], bytes[0])
		}
	}
	alone, err := Plan(gpuRequest("tiny-qwen3-moe", 1, 64, RecomputeNone), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := streams(alone.Plan); n > 0 {
		t.Errorf("one rank: %d launches on another stream", n)
	}
}

// Events have as few numbers as there are marks that somebody still waits for, and are the same in layers that are alike.
func TestMeetings(t *testing.T) {
	on := func(s ir.Stream, after ...int) *ir.Launch { return &ir.Launch{Stream: s, After: after} }
	p := &ir.Program{Launches: []*ir.Launch{
		on(ir.Compute), on(ir.Communication, 0), on(ir.Compute), on(ir.Communication, 2), on(ir.Compute, 1), on(ir.Compute, 3), on(ir.Communication, 5),
	}}
	want := "[{0 [] 0} {1 [0] 0} {0 [] 1} {1 [1] 1} {0 [0] -1} {0 [1] 0} {1 [0] -1}]"
	type plain meeting
	var got []plain
	for _, m := range meetings(p) {
		got = append(got, plain(m))
	}
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}
