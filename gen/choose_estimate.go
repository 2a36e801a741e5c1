package gen

import (
	"slices"

	"moegen/kernels"
	"moegen/models"
)

// A sample is a model cut off behind a few layers. As long as all layers are alike, what a plan takes grows by the same with each of
// them: two samples tell what all layers take in a tenth of the time of a plan, to within the gaps in an arena.
type sample struct {
	model  *models.Model
	layers int
}

// How many layers samples have: there is a layer between those at the ends. A model with not many more is planned whole.
const (
	fewLayers  = 4
	moreLayers = 6
)

// samples returns the model's samples, or nil where it has layers of several kinds or few of them.
func (p *planner) samples() (short, long *sample) {
	if p.short == nil {
		m := p.req.Model
		p.short, p.long = &sample{}, &sample{}
		if f := m.Facts; f.Layers > moreLayers+atEnds && (f.MoELayers == f.Layers || f.MoELayers == 0) {
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
		w, err := p.planned(req, c.Accumulate)
		if err != nil {
			c.Verdict = err.Error()
			return
		}
		c.Figures, c.Exact = p.figures(w, c.Accumulate), true
		return
	}
	layers := req.Model.Facts.Layers
	req.Model = short.model
	few, err := p.planned(req, c.Accumulate)
	if err != nil {
		c.Verdict = err.Error()
		return
	}
	req.Model = long.model
	more, err := p.planned(req, c.Accumulate)
	if err != nil {
		c.Verdict = err.Error()
		return
	}
	further := layers - long.layers
	c.Figures = p.onward(few, more, line{float64(further) / float64(long.layers-short.layers), further}, c.Accumulate)
}

// planned plans a request and returns what a step of so many micro-batches of it does.
func (p *planner) planned(req Request, accumulate int) (work, error) {
	planned, err := Plan(req, nil)
	if err != nil {
		return work{}, err
	}
	return p.work(planned, accumulate)
}

// A line goes through what two samples take, so many of their distances beyond the second, which are so many layers.
type line struct {
	beyond float64
	layers int
}

func (l line) at(few, more float64) float64 { return more + (more-few)*l.beyond }

func (l line) bytes(few, more int64) int64 { return more + int64(float64(more-few)*l.beyond) }

func (l line) span(few, more kernels.Span) kernels.Span {
	return kernels.Span{End: l.at(few.End, more.End), Work: l.at(few.Work, more.Work)}
}

// onward is what all layers take in a step. Each layer adds as much memory, but for gaps, of which there are few in any plan. Each
// adds as much to the launches of a micro-batch. In an update some launches take longer the more layers there are, and others come
// again for each, which changes what hides behind what.
func (p *planner) onward(few, more work, l line, accumulate int) Figures {
	a, b := few.spans(), more.spans()
	s := spans{grad: l.span(a.grad, b.grad), gradAlone: l.span(a.gradAlone, b.gradAlone),
		update: l.update(few.wired, more.wired), updateAlone: l.update(few.wireless, more.wireless)}
	f := Figures{Bytes: l.memory(few.memory, more.memory)}
	fewLink, fewNetwork := few.fetched(accumulate)
	moreLink, moreNetwork := more.fetched(accumulate)
	f.Link, f.Network = l.bytes(fewLink, moreLink), l.bytes(fewNetwork, moreNetwork)
	p.times(&f, s, accumulate)
	return f
}

// update returns the span of an update beyond two others.
func (l line) update(few, more []kernels.Timed) kernels.Span {
	short, long := updateOf(few), updateOf(more)
	a, b := ofAllLayers(short), ofAllLayers(long)
	if len(a) != len(b) {
		panic("BUG: updates of one model with different launches")
	}
	for i, t := range b {
		t.Micros, t.Wire = l.at(a[i].Micros, t.Micros), l.at(a[i].Wire, t.Wire)
	}
	long = furtherLayers(long, l.layers)
	kernels.Schedule(long)
	return kernels.SpanOf(long, "update")
}

// ofAllLayers returns the launches that are no layer's.
func ofAllLayers(list []kernels.Timed) (out []*kernels.Timed) {
	for i := range list {
		if !numbered(list[i].Section) {
			out = append(out, &list[i])
		}
	}
	return out
}

// furtherLayers returns launches with those of the last layer, section by section, so many times more.
func furtherLayers(list []kernels.Timed, times int) (out []kernels.Timed) {
	last := -1
	for _, t := range list {
		if layer, ok := layerOf(t.Section); ok {
			last = max(last, layer)
		}
	}
	place := make([]int, len(list)) // in out
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end].Section == list[i].Section {
			end++
		}
		copies := 1
		if layer, ok := layerOf(list[i].Section); ok && layer == last {
			copies += times
		}
		for range copies {
			for j := i; j < end; j++ {
				place[j] = len(out)
				t := list[j]
				t.After = nil
				for _, a := range list[j].After {
					t.After = append(t.After, place[a])
				}
				out = append(out, t)
			}
		}
		i = end
	}
	return out
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
