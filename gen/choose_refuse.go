package gen

import (
	"fmt"
	"math"
	"strings"
)

// refuse says that nothing fits, and the smallest changes that would.
func (p *planner) refuse() error {
	least := Candidate{Figures: Figures{Bytes: math.MaxInt64}}
	for _, c := range p.candidates {
		if c.Bytes > 0 && c.Bytes < least.Bytes {
			least = c
		}
	}
	if least.Bytes == math.MaxInt64 {
		return fmt.Errorf("%s", p.candidates[0].Verdict) // no candidate can be planned: all have the same reason
	}
	r := p.req
	text := fmt.Sprintf("%s does not fit: a rank takes at least %s (ep %d, recompute %s), and a GPU has room for %s", r.Model.Name,
		gib(least.Bytes), least.EP, least.Recompute, gib(p.top.Arena()))
	if changes := p.changes(); len(changes) > 0 {
		return fmt.Errorf("%s; it would with %s", text, strings.Join(changes, ", or "))
	}
	return fmt.Errorf("%s; nothing that can be asked for would", text)
}

// A change is something else to ask for.
type change struct {
	flags string
	apply func(*Request, *Topology)
}

// changes returns those that make a plan fit, one of each kind, the smallest of its kind, with what a rank then takes.
func (p *planner) changes() (out []string) {
	for _, kind := range p.kinds() {
		for _, c := range kind {
			if bytes, ok := p.changed(c); ok {
				out = append(out, fmt.Sprintf("%s (%s)", c.flags, gib(bytes)))
				break
			}
		}
	}
	if layers, bytes := p.layers(); layers > 0 {
		out = append(out, fmt.Sprintf("--layers %d (%s)", layers, gib(bytes)))
	}
	return out
}

// kinds lists what can be changed, by kind, the smallest of each first.
func (p *planner) kinds() (kinds [][]change) {
	r := p.req
	var freed, micros, optimizers, seqs, more []change
	if r.EP != 0 || r.Recompute != RecomputeAuto || r.MicroBatch > 1 {
		freed = []change{{"--ep, --recompute and --micro-batch left to the planner", func(r *Request, _ *Topology) {
			r.EP, r.Recompute, r.MicroBatch = 0, RecomputeAuto, 1
		}}}
	}
	for n := r.MicroBatch; n > 0 && n%2 == 0; {
		n /= 2
		micros = append(micros, change{fmt.Sprintf("--micro-batch %d", n), func(r *Request, _ *Topology) { r.MicroBatch = n }})
	}
	for _, o := range Optimizers[r.Target] {
		if o != r.Optimizer && (o != Optimizers[r.Target][0] || r.Optimizer != "") {
			optimizers = append(optimizers, change{"--optimizer " + o, func(r *Request, _ *Topology) { r.Optimizer = o }})
		}
	}
	for seq := r.Seq / 2; seq >= 512; seq /= 2 {
		seqs = append(seqs, change{fmt.Sprintf("--seq %d", seq), func(r *Request, _ *Topology) { r.Seq = seq }})
	}
	for gpus := 2; gpus <= 8; gpus *= 2 {
		if gpus > p.top.GPUs && p.top.Nodes <= 1 {
			more = append(more, change{fmt.Sprintf("--gpus %d", gpus), func(r *Request, t *Topology) { r.GPUs, t.GPUs = gpus, gpus }})
		}
	}
	for nodes := 2; nodes <= 64; nodes *= 2 {
		gpus := max(8, p.top.GPUs)
		if nodes > p.top.Nodes {
			more = append(more, change{fmt.Sprintf("--nodes %d --gpus %d", nodes, gpus), func(r *Request, t *Topology) {
				r.GPUs, t.GPUs, t.Nodes = nodes*gpus, gpus, nodes
			}})
		}
	}
	return [][]change{micros, freed, optimizers, seqs, more}
}

// changed returns what a rank takes after a change where it takes the least: with experts on as many ranks as can be, and whole
// layers computed again unless something else was asked for; and whether that fits.
func (p *planner) changed(c change) (int64, bool) {
	return p.leastWith(func(q *planner) { c.apply(&q.req, &q.top) })
}

// leastWith is least of a step of as many rows that is planned otherwise.
func (p *planner) leastWith(change func(*planner)) (int64, bool) {
	q := &planner{req: p.req, top: p.top}
	change(q)
	if q.req.MicroBatch == 0 {
		q.req.MicroBatch = 1
	}
	if p.rows != p.req.MicroBatch { // rows were asked for
		q.rows = max(1, p.rows*p.req.GPUs/q.req.GPUs)
	}
	return q.least()
}

// least is what a rank takes where it takes the least, and whether that fits.
func (p *planner) least() (int64, bool) {
	if p.req.Recompute == RecomputeAuto {
		p.req.Recompute = RecomputeBlock
	}
	if err := p.enumerate(); err != nil {
		return 0, false
	}
	least, ok := int64(math.MaxInt64), false
	for _, c := range p.candidates[:min(2, len(p.candidates))] {
		if p.estimate(&c); c.Bytes > 0 && c.Bytes < least {
			least, ok = c.Bytes, p.fits(c.Bytes)
		}
	}
	return least, ok
}

// layers returns how many first layers of the model fit, and what a rank takes for them: 0 where none do.
func (p *planner) layers() (int, int64) {
	best, bytes := 0, int64(0)
	low, high := 1, p.req.Model.Facts.Layers-1
	for low <= high {
		n := (low + high) / 2
		if b, ok := p.leastWith(func(q *planner) { q.req.Model = p.first(n) }); ok {
			best, bytes, low = n, b, n+1
		} else {
			high = n - 1
		}
	}
	return best, bytes
}
