package kernels

import (
	"fmt"
	"slices"

	"moegen/ir"
	"moegen/kernels/gpu"
)

// Timed is a launch on a GPU: what it does, with rows whose number is known at run time only at their expected number, and how
// long that takes as predicted from the ceilings of package tuned.
type Timed struct {
	Program  string  `json:"program"`
	Section  string  `json:"section"`
	Op       string  `json:"op"`
	Kernel   string  `json:"kernel"`
	Family   string  `json:"family"`
	Stream   string  `json:"stream"`
	Grid     int     `json:"grid"`          // blocks; of a persistent kernel, at most
	FLOPs    int64   `json:"flops"`         // of the tensor cores, with what tiles of experts pad
	Bytes    int64   `json:"bytes"`         // to and from memory, each once
	Link     int64   `json:"link_bytes"`    // fetched from other GPUs of the node
	Network  int64   `json:"network_bytes"` // fetched from other nodes
	Micros   float64 `json:"us"`            // if all of it were in the GPU's own memory
	Wire     float64 `json:"wire_us"`       // that what is fetched is under way
	Ceiling  float64 `json:"ceiling_us"`    // at the ceilings themselves
	End      float64 `json:"end_us"`        // from the beginning of its program
	After    []int   `json:"after"`         // launches of other streams that must have ended, by index
	Measured bool    `json:"calibrated"`    // whether the family was measured; if not, its share of the ceilings is a guess
}

// Timeline returns the launches of a step, one micro-batch and its update, in order. Launches of one stream run one after another,
// each for as long as the longer of its work and of its wire. An error says that nothing is known of the target's ceilings.
func Timeline(plan *ir.Plan, wire Wire) ([]Timed, error) {
	if plan.Target != "h100" {
		return nil, fmt.Errorf("target %s has no measured ceilings to predict times from; use --target h100", plan.Target)
	}
	var list []Timed
	for _, p := range plan.Programs {
		if p.Name == "micro_batch" || p.Name == "update" {
			list = timed(list, p, wire)
		}
	}
	Schedule(list)
	return list, nil
}

// timed adds the launches of a program to a list.
func timed(list []Timed, p *ir.Program, wire Wire) []Timed {
	last := make([]int, len(p.Launches)) // launch on the GPU of each of the plan's
	var held [ir.Streams][]int           // what the next launch on the GPU waits for, with those of the plan in front of it that are none
	for i, l := range p.Launches {
		first := len(list)
		for _, s := range stepsOf(l) {
			work := floor(s.Launch, l)
			t := Timed{Program: p.Name, Section: l.Section, Op: l.Op.Name, Kernel: s.Entry, Family: s.Family(), Stream: l.Stream.String(), Grid: s.Grid,
				FLOPs: work.FLOPs, Bytes: work.Bytes, Ceiling: s.Ceiling(work)}
			t.Micros, t.Measured = s.Predict(work)
			list = append(list, t)
		}
		if link, network := wire.received(l); link+network > 0 {
			if len(list) == first {
				list = append(list, between(p, l))
			}
			t := busiest(list[first:])
			t.Link, t.Network, t.Wire = link, network, wire.micros(link, network)
		}
		for _, other := range l.After {
			held[l.Stream] = append(held[l.Stream], last[other])
		}
		if len(list) > first {
			list[first].After, held[l.Stream] = held[l.Stream], nil
		}
		last[i] = max(0, len(list)-1)
	}
	return list
}

// Schedule says when launches end: those of one stream run one after another, each for as long as the longer of its work and of its
// wire.
func Schedule(list []Timed) {
	now := map[string]float64{} // by stream
	for i := range list {
		t := &list[i]
		if i == 0 || list[i-1].Program != t.Program {
			clear(now)
		}
		begin := now[t.Stream]
		for _, other := range t.After {
			begin = max(begin, list[other].End)
		}
		t.End = begin + max(t.Micros, t.Wire)
		now[t.Stream] = t.End
	}
}

// stepsOf returns the kernels that a launch of the plan starts.
func stepsOf(l *ir.Launch) []gpu.Step {
	k, ok := Lookup("h100", l.Kernel, l.Op.Name)
	if !ok {
		panic(fmt.Sprintf("BUG: target h100 has no kernel %s for %s", l.Kernel, l.Op.Name))
	}
	if k.Steps == nil {
		return nil
	}
	return k.Steps(l)
}

// between is what a rank does for what crosses between nodes: its bytes go through its memory.
func between(p *ir.Program, l *ir.Launch) Timed {
	f := gpu.Floor{Bytes: l.Cost.Bytes}
	t := Timed{Program: p.Name, Section: l.Section, Op: l.Op.Name, Kernel: l.Kernel, Family: l.Kernel, Stream: l.Stream.String(), Grid: 1,
		Bytes: f.Bytes, Ceiling: gpu.Launch{}.Ceiling(f)}
	t.Micros, t.Measured = gpu.Launch{Entry: l.Kernel}.Predict(f)
	return t
}

// busiest returns the launch that moves the most.
func busiest(list []Timed) *Timed {
	best := &list[0]
	for i := range list {
		if list[i].Bytes > best.Bytes {
			best = &list[i]
		}
	}
	return best
}

// Wireless returns launches as they run if nothing takes time between GPUs.
func Wireless(list []Timed) []Timed {
	out := slices.Clone(list)
	for i := range out {
		out[i].Wire = 0
	}
	Schedule(out)
	return out
}

// Span is how long the launches of a program take, in microseconds: until the last of them ends, and all their work, without what they
// wait for.
type Span struct{ End, Work float64 }

// SpanOf returns the span of a program's launches.
func SpanOf(list []Timed, program string) (s Span) {
	for _, t := range list {
		if t.Program == program {
			s.End, s.Work = max(s.End, t.End), s.Work+t.Micros
		}
	}
	return s
}

// Micros is how long that takes: no less than all the work, for launches that run side by side share the GPU.
func (s Span) Micros() float64 { return max(s.End, s.Work) }

// Balanced returns a plan as it runs under a router that deals tokens to experts in turn, as bench --router balanced does, where the
// plan expects choices at random: a token travels to as few ranks as its experts fill, and a rank gets rows for as many.
func Balanced(plan *ir.Plan) *ir.Plan {
	out := *plan
	dims := map[ir.Dim]ir.Dim{}
	for _, p := range plan.Programs {
		for _, l := range p.Launches {
			if l.Op.Name == "dispatch_plan" {
				received := l.Out[1].Type.Shape[0]
				even := received
				even.Expected = dealt(l.In[0].Type.Dim(0), l.In[0].Type.Dim(1), l.Attrs.Int("experts"), l.Attrs.Int("ranks"))
				dims[received] = even
			}
		}
	}
	buffers := map[*ir.Buffer]*ir.Buffer{nil: nil}
	swap := func(list []*ir.Buffer) (swapped []*ir.Buffer) {
		for _, b := range list {
			if _, ok := buffers[b]; !ok {
				c := *b
				c.Type.Shape = append([]ir.Dim(nil), b.Type.Shape...)
				for i, d := range c.Type.Shape {
					if even, ok := dims[d]; ok {
						c.Type.Shape[i] = even
					}
				}
				buffers[b] = &c
			}
			swapped = append(swapped, buffers[b])
		}
		return swapped
	}
	out.Programs = nil
	for _, p := range plan.Programs {
		q := &ir.Program{Name: p.Name}
		for _, l := range p.Launches {
			c := *l
			c.In, c.Out = swap(l.In), swap(l.Out)
			switch l.Op.Name {
			case "dispatch", "dispatch_keep":
				c.Cost.Sent = l.Cost.Sent * c.Out[0].Type.Expected() / l.Out[0].Type.Expected()
			case "combine":
				c.Cost.Sent = l.Cost.Sent * c.In[0].Type.Expected() / l.In[0].Type.Expected()
			}
			q.Launches = append(q.Launches, &c)
		}
		out.Programs = append(out.Programs, q)
	}
	return &out
}

// dealt is how many tokens a rank receives, rounded up, when token t has the k experts from t·k on, in turn.
func dealt(tokens, k, experts, ranks int) int {
	sent := 0 // by the tokens that have every expert as often as any other
	for t := range experts {
		to := map[int]bool{}
		for j := range k {
			to[(t*k+j)%experts*ranks/experts] = true
		}
		sent += len(to)
	}
	return (tokens*sent + experts - 1) / experts
}

// floor is what a launch of an operation cannot do without.
func floor(s gpu.Launch, l *ir.Launch) gpu.Floor {
	if s.Floor != (gpu.Floor{}) {
		return s.Floor
	}
	buffers := map[string]*ir.Buffer{}
	for i, b := range l.In {
		buffers[gpu.In(i)] = b
	}
	for i, b := range l.Out {
		buffers[gpu.Out(i)] = b
	}
	var f gpu.Floor
	for _, a := range s.Args {
		if b := buffers[a.Buffer]; b != nil {
			f.Bytes += b.Type.Expected() * b.Type.DType.Size()
			delete(buffers, a.Buffer)
		}
	}
	return f
}
