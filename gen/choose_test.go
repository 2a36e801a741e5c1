package gen

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"moegen/internal/golden"
	"moegen/kernels/tuned"
	"moegen/models"
)

// small returns the registered small model with so many layers.
func small(t *testing.T, layers int) *models.Model {
	t.Helper()
	m, ok := models.Lookup("small-qwen3-moe")
	if !ok {
		t.Fatal("no small-qwen3-moe")
	}
	text := strings.Replace(string(m.Config), `"num_hidden_layers": 8`, fmt.Sprintf(`"num_hidden_layers": %d`, layers), 1)
	if m, err := models.Parse("small", "small.json", []byte(text)); err == nil && m.Facts.Layers == layers {
		return m
	}
	t.Fatalf("no model of %d layers", layers)
	return nil
}

func openRequest(m *models.Model, gpus int) Request {
	return Request{Model: m, Target: "h100", DType: "bf16", Seq: 2048, MicroBatch: 1, GPUs: gpus, Recompute: RecomputeAuto}
}

func node(gpus int, memory int64) Topology {
	return Topology{Nodes: 1, GPUs: gpus, MemoryBytes: memory}
}

// What is chosen, among what, and why, where memory is plenty, where it is scarce, where rows can be cut into micro-batches, and between nodes;
// and what is said where nothing fits.
func TestChoose(t *testing.T) {
	var out bytes.Buffer
	show := func(what string, req Request, top Topology, rows int) {
		fmt.Fprintf(&out, "%s\n", what)
		c, err := Choose(req, top, rows)
		if err != nil {
			fmt.Fprintf(&out, "  %v\n\n", err)
			return
		}
		for _, x := range c.Candidates {
			about := "~"
			if x.Exact {
				about = "="
			}
			fmt.Fprintf(&out, "  ep %d, %-8s  %d×%d rows  %s%.2f GiB  %.2f ms, wire %.2f: %s\n", x.EP, x.Recompute, x.Accumulate, x.MicroBatch, about,
				float64(x.Bytes)/(1<<30), x.StepMS, x.WireMS, x.Verdict)
		}
		fmt.Fprintln(&out)
	}
	m := small(t, 10)
	show("4 GPUs of 80 GB", openRequest(m, 4), node(4, tuned.H100Memory), 0)
	show("4 GPUs with 0.5 GiB for the arena", openRequest(m, 4), node(4, 1<<29+ContextBytes), 0)
	req := openRequest(m, 4)
	req.EP, req.Recompute, req.MicroBatch = 4, RecomputeNone, 0
	show("4 rows a rank", req, node(4, tuned.H100Memory), 4)
	two := openRequest(m, 8)
	two.Recompute = RecomputeUp
	show("2 nodes of 4", two, Topology{Nodes: 2, GPUs: 4, MemoryBytes: tuned.H100Memory}, 0)
	show("one GPU with 1 GiB for the arena", openRequest(m, 1), node(1, 1<<30+ContextBytes), 0)
	fixed := openRequest(m, 4)
	fixed.Recompute = RecomputeNone
	show("everything kept, in 0.5 GiB", fixed, node(4, 1<<29+ContextBytes), 0)
	rows := openRequest(m, 4)
	rows.MicroBatch, rows.EP = 16, 4
	show("16 rows at a time, in 0.7 GiB", rows, node(4, 700<<20+ContextBytes), 0)
	show("one GPU with 0.1 GiB for the arena", openRequest(m, 1), node(1, 100<<20+ContextBytes), 0)
	figures := regexp.MustCompile(`[0-9]+\.[0-9]+|--layers [0-9]+`) // they move with kernels and schedules; other tests hold them
	golden.File(t, "testdata/choose.txt", figures.ReplaceAll(out.Bytes(), []byte("#")))
}

// What is said of a candidate is so: it is slower, or no slower and larger, or too large. What takes less memory than the chosen one lies more
// than a hair behind the fastest, though maybe not behind the chosen one.
func TestVerdicts(t *testing.T) {
	p := &planner{top: node(1, 10<<30+ContextBytes), candidates: []Candidate{
		{Figures: Figures{StepMS: 101, Bytes: 6 << 30}},
		{Figures: Figures{StepMS: 100, Bytes: 8 << 30}},
		{Figures: Figures{StepMS: 102.5, Bytes: 4 << 30}},
		{Figures: Figures{StepMS: 102.6, Bytes: 7 << 30}},
		{Figures: Figures{StepMS: 120, Bytes: 9 << 30}},
		{Figures: Figures{StepMS: 90, Bytes: 12 << 30}},
		{Verdict: "it cannot be planned"},
	}}
	p.order()
	p.judge()
	want := []string{
		"chosen",
		"as fast, as far as can be told, and takes 2.00 GiB more",
		"1.5 ms slower",
		"as fast, as far as can be told, and takes 1.00 GiB more",
		"19.0 ms slower",
		"2.00 GiB more than a GPU has room for",
		"it cannot be planned",
	}
	for i, c := range p.candidates {
		if c.Verdict != want[i] {
			t.Errorf("%.1f ms and %s: %q, want %q", c.StepMS, gib(c.Bytes), c.Verdict, want[i])
		}
	}
}

// A choice is what fits and is the fastest, and of what is as fast the smallest; it never has other rows, and it is the same every time.
func TestChoiceHolds(t *testing.T) {
	top := node(4, 500<<20+ContextBytes)
	req := openRequest(small(t, 3), 4)
	req.MicroBatch = 0
	first, err := Choose(req, top, 2)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Choose(req, top, 2)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(first.Candidates) != fmt.Sprint(again.Candidates) || first.Planned.Hash != again.Planned.Hash {
		t.Error("two choices differ")
	}
	best := first.Candidates[0]
	if best.Bytes != first.Planned.Peak(best.Accumulate) || best.Bytes > top.Arena() || !best.Exact {
		t.Errorf("%+v of a plan that takes %d bytes", best, first.Planned.Peak(best.Accumulate))
	}
	if r := first.Request; r.EP != best.EP || r.Recompute != best.Recompute || r.MicroBatch != best.MicroBatch {
		t.Errorf("%+v was chosen, and %+v planned", best, r)
	}
	for _, c := range first.Candidates {
		if c.MicroBatch*c.Accumulate != 2 {
			t.Errorf("%+v has other rows", c)
		}
		if c.Bytes <= top.Arena() && (alike*c.StepMS < best.StepMS || c.StepMS <= best.StepMS && c.Bytes < best.Bytes) {
			t.Errorf("%+v is better than %+v", c, best)
		}
	}
	if len(first.Candidates) != (4+4+3)*2 {
		t.Errorf("%d candidates", len(first.Candidates))
	}
}

// What comes from plans of 2 and 4 layers is what a plan of all 10 takes: its bytes but for gaps in the arena, its times as well as they
// grow by the same with every layer.
func TestEstimates(t *testing.T) {
	for _, c := range []Candidate{
		{EP: 4, Recompute: RecomputeNone, MicroBatch: 1, Accumulate: 2},
		{EP: 4, Recompute: RecomputeDispatch, MicroBatch: 2, Accumulate: 1},
		{EP: 2, Recompute: RecomputeUp, MicroBatch: 1, Accumulate: 2},
		{EP: 1, Recompute: RecomputeBlock, MicroBatch: 1, Accumulate: 2},
	} {
		p := &planner{req: openRequest(small(t, 10), 4), top: node(4, tuned.H100Memory), rows: 2}
		about := c
		p.estimate(&about)
		w, err := p.planned(p.with(c), c.Accumulate)
		if err != nil || about.Verdict != "" || about.Exact {
			t.Fatal(err, about)
		}
		exact := p.figures(w, c.Accumulate)
		for _, x := range []struct {
			what          string
			about, exact  float64
			within, slack float64
		}{
			{"bytes", float64(about.Bytes), float64(exact.Bytes), 0.03, 0}, // how much of an arena is gaps follows no law
			{"step", about.StepMS, exact.StepMS, 0.01, 0},
			{"update", about.UpdateMS, exact.UpdateMS, 0.001, 0},
			{"wire", about.WireMS, exact.WireMS, 0, 0.02 * exact.StepMS},
			{"link", float64(about.Link), float64(exact.Link), 1e-6, 0},
		} {
			if math.Abs(x.about-x.exact) > x.within*x.exact+x.slack {
				t.Errorf("%+v: %s %v estimated, %v planned", c, x.what, x.about, x.exact)
			}
		}
	}
}

// What another optimizer would take is what a plan with it takes, on one rank and on several.
func TestPeakWith(t *testing.T) {
	for _, gpus := range []int{1, 4} {
		for _, from := range Optimizers["h100"] {
			req := openRequest(small(t, 2), gpus)
			req.Optimizer = from
			planned, err := Plan(req, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range Optimizers["h100"] {
				req.Optimizer = to
				other, err := Plan(req, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := planned.PeakWith(to, 1), other.Peak(1); got != want {
					t.Errorf("%d ranks, %s: %d bytes with %s, and a plan with it takes %d", gpus, from, got, to, want)
				}
			}
		}
	}
}

func TestChooseWantsWhatANodeCanBe(t *testing.T) {
	for _, c := range []struct {
		req  func(*Request)
		top  Topology
		rows int
		want string
	}{
		{func(*Request) {}, Topology{Nodes: 1, GPUs: 64}, 0, "give fewer --gpus, and more --nodes"},
		{func(r *Request) { r.EP = 3 }, node(4, 0), 0, "--ep 3"},
		{func(r *Request) { r.MicroBatch = 2 }, node(4, 0), 3, "give a --micro-batch that divides them"},
		{func(r *Request) { r.Recompute = "some" }, node(4, 0), 0, "no way to recompute"},
	} {
		req := openRequest(small(t, 2), 4)
		c.req(&req)
		if _, err := Choose(req, c.top, c.rows); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// Where a GPU is to be used sparingly, what takes two thirds of it at most is taken though more would be faster; where nothing does, the fastest.
func TestSparing(t *testing.T) {
	choose := func(candidates ...Candidate) []string {
		top := node(1, 9<<30+ContextBytes)
		top.Sparing = true
		p := &planner{top: top, candidates: candidates}
		p.order()
		p.judge()
		var out []string
		for _, c := range p.candidates {
			out = append(out, fmt.Sprintf("%d GiB: %s", c.Bytes>>30, c.Verdict))
		}
		return out
	}
	fast, modest := Candidate{Figures: Figures{StepMS: 90, Bytes: 8 << 30}}, Candidate{Figures: Figures{StepMS: 100, Bytes: 6 << 30}}
	slow := Candidate{Figures: Figures{StepMS: 110, Bytes: 7 << 30}}
	want := []string{"6 GiB: chosen", "8 GiB: 10.0 ms faster, in more than two thirds of a GPU: give --memory", "7 GiB: 10.0 ms slower"}
	if got := choose(slow, fast, modest); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := choose(slow, fast), []string{"8 GiB: chosen", "7 GiB: 20.0 ms slower"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
