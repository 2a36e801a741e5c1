package gen

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"moegen/kernels"
	"moegen/kernels/gpu"
)

// Candidate is one way to lay out what a request leaves open, and what it takes.
type Candidate struct {
	EP         int       `json:"ep"`
	Recompute  Recompute `json:"recompute"`
	MicroBatch int       `json:"micro_batch"`
	Accumulate int       `json:"accumulate"` // micro-batches of a step
	Figures
	Exact   bool   `json:"exact"`   // planned whole; what is not comes from plans of some of its layers
	Verdict string `json:"verdict"` // chosen, or why not
}

// Figures are what a step takes of a rank, with times as predicted.
type Figures struct {
	Bytes           int64   `json:"peak_bytes_per_gpu"`
	StepMS          float64 `json:"step_ms"`
	GradMS          float64 `json:"forward_backward_ms"` // of all micro-batches
	UpdateMS        float64 `json:"update_ms"`
	WireMS          float64 `json:"exposed_wire_ms"` // of the step, that the GPU waits for what is under way
	Link            int64   `json:"link_bytes"`      // of the step, fetched from GPUs of the same node
	Network         int64   `json:"network_bytes"`   // and of others
	TokensPerSecond float64 `json:"tokens_per_second_per_gpu"`
}

// Choice is how a program is laid out over its ranks, and why.
type Choice struct {
	Topology   Topology
	Request    Request     // with nothing left open
	Candidates []Candidate // the chosen one first, the others as fast as they are, then what does not fit
	Planned    *Planned
}

// Choose plans a request on a topology, and chooses what it leaves open: the size of the groups that share experts where EP is 0, what is
// recomputed where that is auto, and, where MicroBatch is 0, how the rows that a rank has in a step are cut into
// micro-batches. It never touches numerics, nor how many rows a step has. Of what fits into the memory of a GPU it takes
// what is predicted to be the fastest, and of what is as fast as far as can be told what takes the least memory; where the topology is
// sparing, in two thirds of that memory if anything fits there. An error is the user's: it says what would fit if nothing does.
//
// Targets without predicted times are planned as they are asked for.
func Choose(req Request, top Topology, rows int) (*Choice, error) {
	if req.Target != "h100" {
		planned, err := Plan(req, nil)
		if err != nil {
			return nil, err
		}
		return &Choice{Topology: top, Request: planned.Request, Planned: planned}, nil
	}
	if top.GPUs > gpu.MostRanks {
		return nil, fmt.Errorf("a node of %d GPUs: one process drives at most %d; give fewer --gpus, and more --nodes", top.GPUs, gpu.MostRanks)
	}
	p := &planner{req: req, top: top, rows: rows}
	if err := p.enumerate(); err != nil {
		return nil, err
	}
	for i := range p.candidates {
		if len(p.candidates) > 1 {
			p.estimate(&p.candidates[i])
		}
	}
	return p.decide()
}

// Accumulate is how many micro-batches a step has as it was asked for.
func (c *Choice) Accumulate() int {
	if len(c.Candidates) == 0 {
		return 1
	}
	return c.Candidates[0].Accumulate
}

// planner is the choice as it is made.
type planner struct {
	req         Request
	top         Topology
	rows        int // of a rank in a step
	candidates  []Candidate
	short, long *sample
}

// enumerate lists the candidates: what shards the most first, and of these what computes the least again.
func (p *planner) enumerate() error {
	req := p.req
	if err := req.check(); err != nil {
		return err
	}
	eps, recomputes, micros := []int{req.EP}, []Recompute{req.Recompute}, []int{req.MicroBatch}
	if req.EP == 0 {
		eps = p.groups()
	}
	if req.Recompute == RecomputeAuto {
		recomputes = slices.DeleteFunc(slices.Clone(Recomputes), func(r Recompute) bool { return r == RecomputeAuto })
	}
	if req.MicroBatch == 0 {
		micros = commonDivisors(p.rows, 0)
	} else if p.rows == 0 {
		p.rows = req.MicroBatch
	}
	if p.rows < 1 || p.rows%max(1, micros[0]) != 0 {
		return fmt.Errorf("a rank's %d rows of a step cannot be cut into micro-batches of %d; give a --micro-batch that divides them", p.rows, req.MicroBatch)
	}
	for _, ep := range eps {
		for _, micro := range micros {
			for _, r := range recomputes {
				if ep == 1 && r == RecomputeDispatch && len(recomputes) > 1 {
					continue // nothing is sent
				}
				p.candidates = append(p.candidates, Candidate{EP: ep, Recompute: r, MicroBatch: micro, Accumulate: p.rows / micro})
			}
		}
	}
	return nil
}

// groups lists how many ranks can share the experts of a layer, the most first: those of a node, or of whole nodes as far as kernels can
// tell ranks apart.
func (p *planner) groups() (out []int) {
	for _, ep := range commonDivisors(p.req.GPUs, p.req.Model.Facts.Experts) {
		if inNode := p.top.GPUs%ep == 0; inNode || ep%p.top.GPUs == 0 && ep <= gpu.MostRanks {
			out = append(out, ep)
		}
	}
	return out
}

// with is the request as a candidate has it.
func (p *planner) with(c Candidate) Request {
	req := p.req
	req.EP, req.Recompute, req.MicroBatch = c.EP, c.Recompute, c.MicroBatch
	return req
}

// fits reports whether a GPU has room for so many bytes.
func (p *planner) fits(bytes int64) bool { return p.top.MemoryBytes == 0 || bytes <= p.top.Arena() }

const (
	// nearly is how far estimated bytes may lie above what a GPU has room for and yet be worth a whole plan.
	nearly = 1.02
	// alike is how far predicted times lie apart that are as good as equal, as steps of one run do: what takes less memory is taken.
	alike = 1.02
)

// may reports whether a candidate is worth a whole plan.
func (p *planner) may(c Candidate) bool {
	return c.Verdict == "" && p.fits(int64(float64(c.Bytes)/nearly))
}

// modest reports whether a candidate takes no more than is preferred.
func (p *planner) modest(c Candidate) bool {
	return p.top.MemoryBytes == 0 || c.Bytes <= p.top.preferred()
}

// order puts the fastest of the modest candidates first, of all that may fit if none is modest, and of these what takes the least
// memory; then the others as fast as they are.
func (p *planner) order() {
	enough := slices.ContainsFunc(p.candidates, func(c Candidate) bool { return p.may(c) && p.modest(c) })
	eligible := func(c Candidate) bool { return p.may(c) && (p.modest(c) || !enough) }
	fastest := math.Inf(1)
	for _, c := range p.candidates {
		if eligible(c) {
			fastest = min(fastest, c.StepMS)
		}
	}
	best := func(c Candidate) int {
		switch {
		case eligible(c) && c.StepMS <= alike*fastest:
			return 0
		case eligible(c):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(p.candidates, func(a, b Candidate) int {
		if best(a) == 0 && best(b) == 0 {
			return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.StepMS, b.StepMS))
		}
		return cmp.Or(cmp.Compare(best(a), best(b)), cmp.Compare(a.StepMS, b.StepMS), cmp.Compare(a.Bytes, b.Bytes))
	})
}

// decide plans candidates, the best first, until one fits.
func (p *planner) decide() (*Choice, error) {
	p.order()
	var planned *Planned
	for i := range p.candidates {
		c := &p.candidates[i]
		if !p.may(*c) {
			continue
		}
		whole, err := Plan(p.with(*c), nil)
		if err != nil {
			return nil, err
		}
		w, err := p.work(whole, c.Accumulate)
		if err != nil {
			return nil, err
		}
		c.Figures = p.figures(w, c.Accumulate)
		if c.Exact = true; p.fits(c.Bytes) {
			planned = whole
			chosen := *c
			p.candidates = slices.Insert(slices.Delete(p.candidates, i, i+1), 0, chosen)
			break
		}
	}
	if planned == nil {
		return nil, p.refuse()
	}
	p.judge()
	return &Choice{Topology: p.top, Request: planned.Request, Candidates: p.candidates, Planned: planned}, nil
}

// judge says of every candidate but the first, which was chosen, why it was not.
func (p *planner) judge() {
	best := &p.candidates[0]
	best.Verdict = "chosen"
	rest := p.candidates[1:]
	for i := range rest {
		c := &rest[i]
		switch {
		case c.Verdict != "":
		case !p.fits(c.Bytes):
			c.Verdict = fmt.Sprintf("%s more than a GPU has room for", gib(c.Bytes-p.top.Arena()))
		case p.modest(*best) && !p.modest(*c) && c.StepMS < best.StepMS:
			c.Verdict = fmt.Sprintf("%.1f ms faster, in more than two thirds of a GPU: give --memory", best.StepMS-c.StepMS)
		case c.StepMS <= alike*best.StepMS && c.Bytes >= best.Bytes:
			c.Verdict = fmt.Sprintf("as fast, as far as can be told, and takes %s more", gib(c.Bytes-best.Bytes))
		default:
			c.Verdict = fmt.Sprintf("%.1f ms slower", c.StepMS-best.StepMS)
		}
	}
	slices.SortStableFunc(rest, func(a, b Candidate) int { return cmp.Compare(p.rank(a), p.rank(b)) })
}

// rank puts candidates that fit in front of those that do not, and these in front of what cannot be planned.
func (p *planner) rank(c Candidate) int {
	switch {
	case c.Bytes == 0:
		return 2
	case !p.fits(c.Bytes):
		return 1
	}
	return 0
}

// work is what a plan does in a step: its launches over the wire, and the same without one.
type work struct {
	memory          memory
	wired, wireless []kernels.Timed
}

func (p *planner) work(planned *Planned, accumulate int) (w work, err error) {
	w.memory = planned.memory(accumulate)
	if w.wired, err = kernels.Timeline(planned.Plan, p.top.Wire()); err != nil {
		return w, err
	}
	w.wireless = kernels.Wireless(w.wired)
	return w, nil
}

// spans are how long the programs of a step take, over the wire and without one.
type spans struct{ grad, gradAlone, update, updateAlone kernels.Span }

func (w work) spans() spans {
	return spans{
		grad: kernels.SpanOf(w.wired, "micro_batch"), gradAlone: kernels.SpanOf(w.wireless, "micro_batch"),
		update: kernels.SpanOf(w.wired, "update"), updateAlone: kernels.SpanOf(w.wireless, "update"),
	}
}

// fetched returns what a step of so many micro-batches fetches over links and over the network.
func (w work) fetched(accumulate int) (link, network int64) {
	for _, t := range w.wired {
		n := int64(1)
		if t.Program == "micro_batch" {
			n = int64(accumulate)
		}
		link, network = link+n*t.Link, network+n*t.Network
	}
	return link, network
}

// figures are what a step takes.
func (p *planner) figures(w work, accumulate int) Figures {
	f := Figures{Bytes: w.memory.bytes}
	f.Link, f.Network = w.fetched(accumulate)
	p.times(&f, w.spans(), accumulate)
	return f
}

// times fills in how long a step takes whose programs take so long.
func (p *planner) times(f *Figures, s spans, accumulate int) {
	n := float64(accumulate) / 1e3
	f.GradMS, f.UpdateMS = n*s.grad.Micros(), s.update.Micros()/1e3
	f.StepMS = f.GradMS + f.UpdateMS
	f.WireMS = max(0, f.StepMS-n*s.gradAlone.Micros()-s.updateAlone.Micros()/1e3)
	f.TokensPerSecond = 1e3 * float64(p.rows*p.req.Seq) / f.StepMS
}

// gib writes a number of bytes.
func gib(n int64) string { return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30)) }
