package models

import (
	"math"
	"reflect"
)

// rope is a rotary position encoding with its frequencies fixed.
type rope struct {
	InvFreq []float64 // angle of a position, in radians, per pair of dims
	Scale   float64   // cos and sin are multiplied by it
	MaxSeq  int       // longest sequence for which the frequencies are these
	Limit   string    // the field that says so
}

// readRope reads the position encoding that rotates dims dims of each head, in either form: rope_parameters,
// or rope_theta with rope_scaling. The types are those of Transformers' modeling_rope_utils.py, computed in
// float64. Those whose frequencies depend on the length of a batch (dynamic, longrope) are taken up to the
// length at which they begin to.
func readRope(c *config, dims int) rope {
	r := rope{MaxSeq: c.sizeOr("max_position_embeddings", 32768), Limit: "max_position_embeddings", Scale: 1}
	p := ropeParameters(c)
	theta := p.positiveOr("rope_theta", 10000)
	if part := p.floatOr("partial_rotary_factor", 1); part != 1 {
		p.complain("partial_rotary_factor", "is %v; moegen rotates whole heads, as Transformers does for this architecture, remove it", part)
	}
	if dims%2 != 0 {
		if c.fields["head_dim"] == nil {
			c.complain("head_dim", "is missing, which makes it %d; rotary positions need an even number of dims", dims)
		} else if !c.wrong["head_dim"] {
			c.complain("head_dim", "is %d; rotary positions need an even number of dims", dims)
		}
		dims++
	}
	r.InvFreq = make([]float64, dims/2)
	for i := range r.InvFreq {
		r.InvFreq[i] = 1 / math.Pow(theta, float64(2*i)/float64(dims))
	}
	switch kind := p.stringOr("rope_type", "default"); kind {
	case "default":
	case "dynamic": // up to max_position_embeddings its base is theta itself
		p.positive("factor")
	case "linear":
		factor := p.positive("factor")
		for i := range r.InvFreq {
			r.InvFreq[i] /= factor
		}
	case "llama3":
		r.llama3(p)
	case "longrope":
		r.longrope(p)
	case "yarn":
		r.yarn(p, theta, dims)
	default:
		p.complain("rope_type", "is %q; moegen knows default, dynamic, linear, llama3, longrope and yarn", kind)
		return r
	}
	for _, field := range p.unread() {
		p.complain(field, "has no effect on this type of position encoding; remove it")
	}
	return r
}

// ropeParameters returns the parameters in the form of rope_parameters, whichever form the config has.
func ropeParameters(c *config) *config {
	old, p := c.object("rope_scaling"), c.object("rope_parameters")
	switch {
	case p == nil && old == nil:
		p = newConfig(c.file, "rope_parameters.", map[string]any{}, c.errs)
	case p == nil:
		p = old
	case old != nil && !reflect.DeepEqual(old.fields, p.fields):
		c.complain("rope_scaling", "differs from rope_parameters, two names of one thing; keep the right one")
	}
	p.alias("rope_type", "type")
	for _, field := range []string{"rope_theta", "partial_rotary_factor", "original_max_position_embeddings"} {
		if field == "original_max_position_embeddings" && !pretrainedLength(p) {
			continue
		}
		outer := c.get(field)
		if outer == nil {
			continue
		}
		if inner := p.fields[field]; inner != nil && !sameValue(inner, outer) {
			c.complain(field, "is %s but %s%s is %s; keep the right one", show(outer), p.prefix, field, show(inner))
		}
		p.fields[field] = outer
	}
	return p
}

// pretrainedLength reports whether the type of encoding depends on the length that the model was trained with.
func pretrainedLength(p *config) bool {
	kind, _ := p.fields["rope_type"].(string)
	return kind == "llama3" || kind == "longrope" || kind == "yarn"
}

// original returns the length that the model was trained with before its positions were stretched.
func (r *rope) original(p *config) int {
	return p.sizeOr("original_max_position_embeddings", r.MaxSeq)
}

// llama3 divides low frequencies by factor, keeps high ones and blends in between.
func (r *rope) llama3(p *config) {
	factor, low, high := p.positive("factor"), p.positive("low_freq_factor"), p.positive("high_freq_factor")
	original := float64(r.original(p))
	if high <= low && !p.wrong["low_freq_factor"] && !p.wrong["high_freq_factor"] {
		p.complain("high_freq_factor", "is %v, not above low_freq_factor %v; correct one of them", high, low)
	}
	for i, f := range r.InvFreq {
		turns := original * f / (2 * math.Pi) // in the original length
		switch {
		case turns < low:
			r.InvFreq[i] = f / factor
		case turns <= high:
			smooth := (turns - low) / (high - low)
			r.InvFreq[i] = (1-smooth)*f/factor + smooth*f
		}
	}
}

// longrope divides every frequency by a number of its own (Ding et al. 2024). Beyond the original length other
// numbers apply, to all positions of the batch: a plan cannot know, so sequences stay within it.
func (r *rope) longrope(p *config) {
	original := r.original(p)
	factor := p.positiveOr("factor", float64(r.MaxSeq)/float64(original))
	r.Scale = 1
	if factor > 1 {
		r.Scale = math.Sqrt(1 + math.Log(factor)/math.Log(float64(original)))
	}
	r.Scale = p.positiveOr("attention_factor", r.Scale)
	short, long := p.list("short_factor"), p.list("long_factor")
	for _, l := range []struct {
		field   string
		factors []any
	}{{"short_factor", short}, {"long_factor", long}} {
		if len(l.factors) != len(r.InvFreq) {
			p.complain(l.field, "has %d numbers; it must have %d, half of the rotated dims", len(l.factors), len(r.InvFreq))
			return
		}
	}
	for i, value := range short {
		x, ok := number(value)
		if !ok || !(x > 0) {
			p.complain("short_factor", "holds %s; its elements must be numbers above 0", show(value))
			return
		}
		r.InvFreq[i] /= x
	}
	r.MaxSeq, r.Limit = min(r.MaxSeq, original), p.prefix+"original_max_position_embeddings of longrope"
}

// yarn divides frequencies that turn less than beta_slow times within the original length by factor, keeps
// those that turn more than beta_fast times and blends in between (Peng et al. 2023, section 3).
func (r *rope) yarn(p *config, theta float64, dims int) {
	original := r.original(p)
	if _, there := p.fields["factor"]; !there {
		p.complain("factor", "is missing; add it as the model's publisher has it")
	}
	factor := p.positiveOr("factor", float64(r.MaxSeq)/float64(original))
	fast, slow := p.floatOr("beta_fast", 0), p.floatOr("beta_slow", 0)
	if fast == 0 {
		fast = 32
	}
	if slow == 0 {
		slow = 1
	}
	if !(fast > 0 && slow > 0) {
		p.complain("beta_fast", "is %v and beta_slow %v; both must be above 0", fast, slow)
		return
	}
	stretch := func(m float64) float64 { // the paper's 1/√t
		if factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(factor) + 1
	}
	r.Scale = stretch(1)
	if m, all := p.floatOr("mscale", 0), p.floatOr("mscale_all_dim", 0); m != 0 && all != 0 {
		r.Scale = stretch(m) / stretch(all)
	}
	r.Scale = p.positiveOr("attention_factor", r.Scale)

	// pair returns the index of the pair of dims that turns so many times within the original length.
	pair := func(turns float64) float64 {
		return float64(dims) * math.Log(float64(original)/(turns*2*math.Pi)) / (2 * math.Log(theta))
	}
	low, high := pair(fast), pair(slow)
	if p.boolOr("truncate", true) {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = math.Max(low, 0), math.Min(high, float64(dims-1))
	if low == high {
		high += 0.001
	}
	for i, f := range r.InvFreq {
		slowed := min(max((float64(i)-low)/(high-low), 0), 1)
		r.InvFreq[i] = f/factor*slowed + f*(1-slowed)
	}
}
