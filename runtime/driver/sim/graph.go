package sim

import (
	"slices"

	"moegen/runtime/driver"
)

// capture is a graph in the making.
type capture struct {
	origin  *stream
	streams []*stream // that take part
	parts   []part
	spoilt  bool
}

// part is an operation of a graph, after others of it.
type part struct {
	op
	after   []int
	overlap bool
}

// graph is what a capture has become.
type graph struct {
	parts  []part
	leaves []int
	last   []*node // the leaves of its last run
}

func (s *stream) Begin() error {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return err
	}
	if s.device.capture != nil {
		return refuse("a stream of GPU %d is captured already", s.gpu)
	}
	s.capture = &capture{origin: s}
	s.capture.join(s)
	s.device.capture = s.capture
	return nil
}

// join makes a stream take part.
func (c *capture) join(s *stream) {
	s.capture, s.pending, s.joined = c, nil, false
	c.streams = append(c.streams, s)
}

func (s *stream) End() (driver.Graph, error) {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return 0, err
	}
	c := s.capture
	if c == nil || c.origin != s {
		return 0, refuse("no capture was begun by this stream")
	}
	g := &graph{parts: c.parts, leaves: s.pending}
	for _, other := range c.streams {
		other.capture, other.pending, other.joined = nil, nil, false
	}
	s.device.capture = nil
	if c.spoilt {
		return 0, refuse("the capture is spoilt by a call that is not possible during it")
	}
	if !g.joined() {
		return 0, refuse("the capture ends while another stream that took part has work that no Wait has joined")
	}
	s.graphs = append(s.graphs, g)
	return driver.Graph(len(s.graphs)), nil
}

// joined tells whether every part comes before the leaves, or is one.
func (g *graph) joined() bool {
	reached := make([]bool, len(g.parts))
	for _, i := range g.leaves {
		reached[i] = true
	}
	for i := len(g.parts) - 1; i >= 0; i-- {
		if !reached[i] {
			return false
		}
		for _, a := range g.parts[i].after {
			reached[a] = true
		}
	}
	return true
}

// run starts all parts, the first ones after others and after the graph's last run, and returns the leaves.
func (g *graph) run(d *device, after []*node) ([]*node, error) {
	first := append(slices.Clip(after), g.last...)
	nodes := make([]*node, len(g.parts))
	for i, p := range g.parts {
		before, overlap := first, false
		if len(p.after) > 0 {
			before, overlap = pick(nodes, p.after), p.overlap
		}
		n, err := d.start(p.op, before, overlap)
		if err != nil {
			return nil, err
		}
		nodes[i] = n
	}
	if len(nodes) == 0 {
		return after, nil
	}
	g.last = pick(nodes, g.leaves)
	return g.last, nil
}

func pick(nodes []*node, at []int) []*node {
	out := make([]*node, len(at))
	for i, a := range at {
		out[i] = nodes[a]
	}
	return out
}

func (d *device) FreeGraph(g driver.Graph) error {
	if err := d.Sync(); err != nil {
		return err
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if g == 0 || int(g) > len(d.graphs) || d.graphs[g-1] == nil {
		return refuse("there is no graph %d", g)
	}
	d.graphs[g-1] = nil
	return nil
}
