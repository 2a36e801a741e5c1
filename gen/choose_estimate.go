package gen

import (
	"slices"

	"moegen/kernels"
	"moegen/models"
)

// A sample is a model cut off behind a few layers. As long as all layers are alike, what a plan takes grows by the same with each of
// them: two samples tell what all layers take in a twentieth of the time of a plan, to within the gaps in an arena.
type sample struct {
	model  *models.Model
	layers int
}

// How many layers samples have. A model with not many more is planned whole.
const (
	fewLayers  = 3
	moreLayers = 6
)

// samples returns the model's samples, or nil where it has layers of several kinds or few of them.
func (p *planner) samples() (short, long *sample) {
	if p.short == nil {
		m := p.req.Model
		p.short, p.long = &sample{}, &sample{}
		if f := m.Facts; f.Layers > 2*moreLayers && (f.MoELayers == f.Layers || f.MoELayers == 0) {
			p.short, p.long = &sample{p.first(fewLayers), fewLayers}, &sample{p.first(moreLayers), moreLayers}
		}
	}
	return p.short, p.long
}

func (p *planner) first(layers int) *models.Model {
	m, err := p.req.Model.FirstLayers(layers)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}

// estimate fills in what a candidate takes, or as its verdict why it cannot be planned.
func (p *planner) estimate(c *Candidate) {
	req := p.with(*c)
	short, long := p.samples()
	if short.model == nil {
		w, err := p.planned(req)
		if err != nil {
			c.Verdict = err.Error()
			return
		}
		c.Figures = p.figures(w, c.Accumulate)
		return
	}
	layers := req.Model.Facts.Layers
	req.Model = short.model
	few, err := p.planned(req)
	if err != nil {
		c.Verdict = err.Error()
		return
	}
	req.Model = long.model
	more, err := p.planned(req)
	if err != nil {
		c.Verdict = err.Error()
		return
	}
	c.Figures = p.onward(few, more, line{float64(layers-long.layers) / float64(long.layers-short.layers)}, c.Accumulate)
}

// planned plans a request and returns what a step of it does.
func (p *planner) planned(req Request) (work, error) {
	planned, err := Plan(req, nil)
	if err != nil {
		return work{}, err
	}
	return p.work(planned)
}

// A line goes through what two samples take, so many of their distances beyond the second.
type line struct{ beyond float64 }

func (l line) at(few, more float64) float64 { return more + (more-few)*l.beyond }

func (l line) bytes(few, more int64) int64 { return more + int64(float64(more-few)*l.beyond) }

// onward is what all layers take in a step. Each layer adds as much to the launches of a micro-batch; an update has the same launches
// whatever the number of layers, and it is each of these that takes longer, which changes what hides behind what.
func (p *planner) onward(few, more work, l line, accumulate int) Figures {
	a, b := p.figures(few, accumulate), p.figures(more, accumulate)
	f := Figures{Bytes: l.bytes(a.Bytes, b.Bytes), GradMS: l.at(a.GradMS, b.GradMS), UpdateMS: l.at(a.UpdateMS, b.UpdateMS),
		Link: l.bytes(a.Link, b.Link), Network: l.bytes(a.Network, b.Network)}
	wired, ok := l.update(few.wired, more.wired)
	wireless, _ := l.update(few.wireless, more.wireless)
	wire := l.at(a.WireMS, b.WireMS)
	if ok {
		f.UpdateMS = kernels.Micros(wired, "update") / 1e3
		wire = l.at(a.gradWire(few, accumulate), b.gradWire(more, accumulate)) + f.UpdateMS - kernels.Micros(wireless, "update")/1e3
	}
	f.step(p, wire)
	return f
}

// gradWire is how much of forward and backward the GPU waits for what is under way, in milliseconds.
func (f *Figures) gradWire(w work, accumulate int) float64 {
	return f.GradMS - float64(accumulate)*kernels.Micros(w.wireless, "micro_batch")/1e3
}

// update returns the launches of an update beyond two others, and whether these have the same ones.
func (l line) update(few, more []kernels.Timed) ([]kernels.Timed, bool) {
	short, long := updateOf(few), updateOf(more)
	if len(short) != len(long) {
		return nil, false
	}
	for i := range long {
		t, s := &long[i], &short[i]
		if t.Op != s.Op {
			return nil, false
		}
		t.Micros, t.Wire = l.at(s.Micros, t.Micros), l.at(s.Wire, t.Wire)
	}
	kernels.Schedule(long)
	return long, true
}

// updateOf returns a copy of the launches of an update, which stand behind those of a micro-batch.
func updateOf(list []kernels.Timed) []kernels.Timed {
	first := slices.IndexFunc(list, func(t kernels.Timed) bool { return t.Program == "update" })
	out := slices.Clone(list[first:])
	for i := range out {
		out[i].After = slices.Clone(out[i].After)
		for j := range out[i].After {
			out[i].After[j] -= first
		}
	}
	return out
}
